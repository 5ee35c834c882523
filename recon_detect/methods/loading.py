"""Loading: methods and models of users' own, from a module or a file outside the package."""

from __future__ import annotations

import copyreg
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods.method import Method

if TYPE_CHECKING:
    from recon_detect.models.own import EncoderDecoder

_T = TypeVar("_T")
# Names of modules that were made of files begin with it.
_OF_FILE = "recon_detect_method_"


def load_method(place: str) -> Method:
    """Loads a `Method` from ``module:NAME`` or ``path/to/file.py:NAME``.

    The module is imported, that is, its code is run with all rights of the user: name only files that you trust. A
    module is looked for among the installed ones first and then in the current folder, so that a file there cannot
    take the place of an installed package.

    Raises:
        UsageError: No such module or file, an error while it is imported, or something else than a `Method`.
        UnknownName: The module has no such name.
    """
    return _load(place, "method", Method)


def load_model(place: str) -> EncoderDecoder:
    """Loads an `EncoderDecoder` from ``path/to/file.py:NAME``, as `load_method` does.

    Raises:
        UsageError: No such file, an error while it runs, or something else than an `EncoderDecoder`.
        UnknownName: The file has no such name.
    """
    from recon_detect.models.own import EncoderDecoder

    copyreg.pickle(EncoderDecoder, _reduced)
    return _load(place, "model", EncoderDecoder)


def find_models(
    models: str | Path | EncoderDecoder | Sequence[str | Path | EncoderDecoder] | None,
) -> tuple[tuple[str, ...] | None, dict[str, EncoderDecoder]]:
    """The names of models, and by these the modules among them; places are loaded, see `load_model`.

    Raises:
        UsageError: Two modules of one name, or a place that cannot be loaded.
    """
    listed = [models] if isinstance(models, str | Path) or not isinstance(models, Sequence) else models
    loaded = [load_model(model) if isinstance(model, str) and is_place(model) else model for model in listed if model]
    modules: dict[str, EncoderDecoder] = {}
    for model in loaded:
        if not isinstance(model, str | Path) and modules.setdefault(model.name, model) is not model:
            raise UsageError(f"two models have the name {model.name!r}: rename one")
    return tuple(str(model) if isinstance(model, str | Path) else model.name for model in loaded) or None, modules


def is_place(model: str) -> bool:
    """True for the name of a model that is ``path/to/file.py:NAME``."""
    source, _, name = model.rpartition(":")
    return source.endswith(".py") and name.isidentifier()


def _load(place: str, what: str, kind: type[_T]) -> _T:
    """An object of a kind from a module or a file; `what` says what it is in messages."""
    source, _, name = place.rpartition(":")
    if not source or not name:
        raise UsageError(f"{what} {place!r}: expected module:NAME or path/to/file.py:NAME")
    subject = f"{what} {place!r}"
    module = _run_file(Path(source), subject) if source.endswith(".py") else _import(source, subject)
    if not hasattr(module, name):
        raise UnknownName(f"{what} in {source}", name, [k for k, value in vars(module).items() if type(value) is kind])
    value = getattr(module, name)
    if not isinstance(value, kind):
        raise UsageError(f"{subject}: expected a recon_detect.{kind.__name__}, got {type(value).__name__}")
    return value


def _run_file(path: Path, subject: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"{subject}: no file {path}")
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{subject}: {path} does not run: {type(error).__name__}: {error}") from error
    return module


def _module_name(path: Path) -> str:
    return f"{_OF_FILE}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _import(source: str, subject: str) -> ModuleType:
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{subject}: {error}; a module is installed or in the current folder {Path.cwd()}, "
            "and a file is written as path/to/file.py:NAME"
        ) from error
    except Exception as error:
        raise UsageError(f"{subject}: {source} does not import: {type(error).__name__}: {error}") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Puts a folder behind all other places that modules are imported from, for the time of one import."""
    importlib.invalidate_caches()
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _reduced(value: Method | EncoderDecoder) -> str | tuple[Any, ...]:
    """Pickles what a file holds as its place: no other process can import the module that was made of the file."""
    for module in [module for name, module in sys.modules.items() if name.startswith(_OF_FILE)]:
        for name, of_module in vars(module).items():
            if of_module is value:
                return _of_file, (module.__file__, name, isinstance(value, Method))
    return value.__reduce_ex__(2)


def _of_file(path: str, name: str, is_method: bool) -> Method | EncoderDecoder:
    module = sys.modules.get(_module_name(Path(path)))
    load = load_method if is_method else load_model
    value: Method | EncoderDecoder = getattr(module, name) if module else load(f"{path}:{name}")
    return value


copyreg.pickle(Method, _reduced)
