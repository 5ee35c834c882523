"""The scores, one file each. A new method is a file with a `Method` and a line in `METHODS`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods.loading import load_method
from recon_detect.methods.method import Method, MethodResult
from recon_detect.models.needs import Need

METHODS: dict[str, str] = {
    "aedr": "recon_detect.methods.aedr:AEDR",
    "aedr-homogeneity": "recon_detect.methods.aedr:AEDR_HOMOGENEITY",
    "aeroblade": "recon_detect.methods.aeroblade:AEROBLADE",
    "contrast": "recon_detect.methods.contrast:CONTRAST",
    "deep": "recon_detect.methods.deep:DEEP",
    "did": "recon_detect.methods.did:DID",
    "dire": "recon_detect.methods.dire:DIRE",
    "dire-resnet": "recon_detect.methods.dire:DIRE_RESNET",
    "embedding": "recon_detect.methods.embedding:EMBEDDING",
    "glance": "recon_detect.methods.trace.trace:GLANCE",
    "grain": "recon_detect.methods.trace.trace:GRAIN",
    "grid": "recon_detect.methods.grid.method:GRID",
    "hfi": "recon_detect.methods.hfi:HFI",
    "lare": "recon_detect.methods.lare:LARE",
    "minder": "recon_detect.methods.rigid:MINDER",
    "rdd": "recon_detect.methods.rdd:RDD",
    "rdd-latent": "recon_detect.methods.rdd:RDD_LATENT",
    "regap": "recon_detect.methods.regap:REGAP",
    "rigid": "recon_detect.methods.rigid:RIGID",
    "sedid": "recon_detect.methods.sedid:SEDID",
    "trace": "recon_detect.methods.trace.trace:TRACE",
    "warpad": "recon_detect.methods.warpad:WARPAD",
}

# Stands for the method that is recommended, with any models.
DEFAULT_METHOD = "default"
_RECOMMENDED = "trace"
# Names that `trace` had at one effort (docs/methods/names.md).
FORMER_NAMES = ("glance", "grain")


def find_method(method: str | Method) -> Method:
    """The method of a name, of a place outside the package, or a method itself.

    Args:
        method: A name in `METHODS`; ``"default"``; ``module:NAME`` or ``path/to/file.py:NAME``, see `load_method`; or a
            `Method`.

    Raises:
        UnknownName: No such method.
        UsageError: A method of one's own that cannot be loaded, or has the name of one of the package.
    """
    if isinstance(method, str) and ":" not in method:
        return _of_package(method)
    chosen = method if isinstance(method, Method) else load_method(method)
    if chosen.name == DEFAULT_METHOD or (chosen.name in METHODS and chosen != _of_package(chosen.name)):
        raise UsageError(f"{chosen.name!r} is a method of the package: give your method another name")
    return chosen


def find_methods(methods: str | Method | Sequence[str | Method]) -> tuple[Method, ...]:
    """The methods of one or several names, places or objects, each once; see `find_method`.

    Raises:
        UsageError: None at all, or two different ones of one name.
    """
    listed = [methods] if isinstance(methods, str | Method) else methods
    chosen: dict[str, Method] = {}
    for method in map(find_method, listed):
        if chosen.setdefault(method.name, method) != method:
            raise UsageError(f"two methods have the name {method.name!r}: rename one")
    if not chosen:
        raise UsageError("expected at least one method")
    return tuple(chosen.values())


def _of_package(name: str) -> Method:
    if name == DEFAULT_METHOD:
        name = _RECOMMENDED
    if name not in METHODS:
        raise UnknownName("method", name, [DEFAULT_METHOD, *METHODS])
    module, attribute = METHODS[name].split(":")
    method: Method = getattr(importlib.import_module(module), attribute)
    return method


__all__ = [
    "DEFAULT_METHOD",
    "FORMER_NAMES",
    "METHODS",
    "Method",
    "MethodResult",
    "Need",
    "find_method",
    "find_methods",
    "load_method",
]
