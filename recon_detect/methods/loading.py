"""Loading: methods of users' own, from a module or a file outside the package."""

from __future__ import annotations

import copyreg
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods.method import Method

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
    source, _, name = place.rpartition(":")
    if not source or not name:
        raise UsageError(f"method {place!r}: expected module:NAME or path/to/file.py:NAME")
    module = _run_file(Path(source), place) if source.endswith(".py") else _import(source, place)
    if not hasattr(module, name):
        methods = [key for key, value in vars(module).items() if isinstance(value, Method)]
        raise UnknownName(f"method in {source}", name, methods)
    method = getattr(module, name)
    if not isinstance(method, Method):
        raise UsageError(f"method {place!r}: expected a recon_detect.Method, got {type(method).__name__}")
    return method


def _run_file(path: Path, place: str) -> ModuleType:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"method {place!r}: no file {path}")
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
        raise UsageError(f"method {place!r}: {path} does not run: {type(error).__name__}: {error}") from error
    return module


def _module_name(path: Path) -> str:
    return f"{_OF_FILE}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _import(source: str, place: str) -> ModuleType:
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(source)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"method {place!r}: {error}; a module is installed or in the current folder {Path.cwd()}, "
            "and a file is written as path/to/file.py:NAME"
        ) from error
    except Exception as error:
        raise UsageError(f"method {place!r}: {source} does not import: {type(error).__name__}: {error}") from error


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Puts a folder behind all other places that modules are imported from, for the time of one import."""
    importlib.invalidate_caches()
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _reduced(method: Method) -> str | tuple[Any, ...]:
    """A method of a file is pickled as its place: no other process can import the module that was made of the file."""
    module = sys.modules.get(getattr(method.statistic, "__module__", ""))
    if module and module.__name__.startswith(_OF_FILE):
        for name, value in vars(module).items():
            if value is method:
                return _of_file, (module.__file__, name)
    return method.__reduce_ex__(2)


def _of_file(path: str, name: str) -> Method:
    module = sys.modules.get(_module_name(Path(path)))
    method: Method = getattr(module, name) if module else load_method(f"{path}:{name}")
    return method


copyreg.pickle(Method, _reduced)
