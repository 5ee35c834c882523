"""The file of a calibration: JSON with a schema and a digest, read in this schema and the earlier ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from recon_detect.atomic import replacing
from recon_detect.calibration.content import JsonObject, items, members
from recon_detect.errors import CalibrationError
from recon_detect.models.registry import AUTOENCODERS

SCHEMA = 3


def digest_of(content: JsonObject) -> str:
    """Twelve hexadecimal digits of the content of a file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def write_content(path: Path, content: JsonObject) -> None:
    """Writes content with its schema and digest."""
    with replacing(path) as temporary:
        text = json.dumps({"schema": SCHEMA, "digest": digest_of(content), **content}, indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_content(path: Path) -> tuple[JsonObject, str]:
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


def _from_first(content: JsonObject) -> JsonObject:
    """Schema 1 divided photographs by compression alone, and had Platt's probabilities and nothing combined."""
    platt = content["platt"]
    slope, intercept = items(platt) if platt else (None, None)
    cells = {name: name for name in members(content["strata"]) if name != "all"}
    return {
        **{name: value for name, value in content.items() if name != "platt"},
        "odds": {"kind": "platt", "slope": slope, "intercept": intercept} if platt else None,
        "cells": cells,
        "facets": ["compression"] if cells else [],
        "combiner": None,
        "attribution": None,
    }


def _from_second(content: JsonObject) -> JsonObject:
    """Schema 2 did not say of which kind an attribution is, nor which models are diffusion models of pixels."""
    if not content["attribution"]:
        return content
    attribution = members(content["attribution"])
    if "photographs" not in attribution:
        return {**content, "attribution": {**attribution, "kind": "typicality"}}
    # The diffusion models of such methods are those that are not autoencoders of the registry.
    of_pixels = attribution["method"] in ("dire", "dire-resnet", "lare", "sedid")
    models = [model for model in members(attribution["photographs"]) if of_pixels and model not in AUTOENCODERS]
    return {**content, "attribution": {**attribution, "kind": "contrast", "pixel_models": models}}


# Functions from the content of an earlier schema to that of the next.
_UPGRADES = {1: _from_first, 2: _from_second}
