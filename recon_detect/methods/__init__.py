"""The scores, one file each. A new method is a file with a `Method` and a line in `METHODS`."""

from __future__ import annotations

import importlib

from recon_detect.errors import UnknownName
from recon_detect.methods.method import Finding, Method
from recon_detect.models.registry import MODEL_SETS, expand

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
    "glance": "recon_detect.methods.grain.glance:GLANCE",
    "grain": "recon_detect.methods.grain.grain:GRAIN",
    "hfi": "recon_detect.methods.hfi:HFI",
    "lare": "recon_detect.methods.lare:LARE",
    "minder": "recon_detect.methods.rigid:MINDER",
    "rdd": "recon_detect.methods.rdd:RDD",
    "rdd-latent": "recon_detect.methods.rdd:RDD_LATENT",
    "regap": "recon_detect.methods.regap:REGAP",
    "rigid": "recon_detect.methods.rigid:RIGID",
    "sedid": "recon_detect.methods.sedid:SEDID",
    "warpad": "recon_detect.methods.warpad:WARPAD",
}

# Stands for the method that fits the models: with those of the package, or none named, an answer within seconds; with
# others the method that won the comparison in docs/results/detection.md.
DEFAULT_METHOD = "default"
_QUICK, _THOROUGH = "glance", "grain"


def find_method(name: str, models: tuple[str, ...] | None = None) -> Method:
    """The method of a name.

    Args:
        name: Of `METHODS`, or ``"default"``.
        models: What decides which method is the default.

    Raises:
        UnknownName: No such method.
    """
    if name == DEFAULT_METHOD:
        name = _QUICK if set(expand(models or ())) <= set(MODEL_SETS["embedded"]) else _THOROUGH
    if name not in METHODS:
        raise UnknownName("method", name, [DEFAULT_METHOD, *METHODS])
    module, attribute = METHODS[name].split(":")
    method: Method = getattr(importlib.import_module(module), attribute)
    return method


__all__ = ["DEFAULT_METHOD", "METHODS", "Finding", "Method", "find_method"]
