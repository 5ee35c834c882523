"""The file of a calibration: JSON with a schema and a digest, read in this schema and the earlier ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from recon_detect.atomic import replacing
from recon_detect.errors import CalibrationError
from recon_detect.models.registry import AUTOENCODERS

SCHEMA = 3


def digest_of(content: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the content of a file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def write_content(path: Path, content: dict[str, Any]) -> None:
    """Writes content with its schema and digest."""
    with replacing(path) as temporary:
        text = json.dumps({"schema": SCHEMA, "digest": digest_of(content), **content}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_content(path: Path) -> tuple[dict[str, Any], str]:
    """Reads content in the present schema, and the digest that the file has.

    Raises:
        CalibrationError: No such file, a later schema, or content that its digest does not fit.
        ValueError: No JSON.
        KeyError: JSON of something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CalibrationError(f"{path}: {error.strerror or error}") from error
    schema, digest = content.pop("schema"), content.pop("digest")
    if schema not in (*_UPGRADES, SCHEMA):
        raise CalibrationError(f"{path}: schema {schema}, this version reads up to {SCHEMA}; calibrate anew")
    if digest_of(content) != digest:
        raise CalibrationError(f"{path}: its content is not what its digest {digest} says: damaged, or edited")
    for number in range(schema, SCHEMA):
        content = _UPGRADES[number](content)
    return content, digest


def _from_first(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 divided photographs by compression alone, and had Platt's probabilities and nothing combined."""
    platt = content.pop("platt")
    odds = {"kind": "platt", "slope": platt[0], "intercept": platt[1]} if platt else None
    cells = {name: name for name in content["strata"] if name != "all"}
    facets = ["compression"] if cells else []
    return content | {"odds": odds, "cells": cells, "facets": facets, "combiner": None, "attribution": None}


def _from_second(content: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 did not say of which kind an attribution is, nor which models are diffusion models of pixels."""
    attribution = content["attribution"]
    if attribution and "photographs" in attribution:
        # What methods of such models were given, beside the autoencoders that are known by name.
        of_pixels = attribution["method"] in ("dire", "dire-resnet", "lare", "sedid")
        models = [model for model in attribution["photographs"] if of_pixels and model not in AUTOENCODERS]
        attribution |= {"kind": "contrast", "pixel_models": models}
    elif attribution:
        attribution |= {"kind": "typicality"}
    return content | {"attribution": attribution}


# From the content of an earlier schema to that of the next.
_UPGRADES = {1: _from_first, 2: _from_second}
