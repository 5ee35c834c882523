"""Scores that `benchmarks.detection` left behind, with what the manifest says of each image."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.data import RESULTS, journal_of, read_manifest
from benchmarks.common.families import decoder_of
from recon_detect.models.registry import shorten
from recon_detect.results import RunInfo

Row = dict[str, Any]


def read_journal(path: Path) -> tuple[RunInfo, list[Row]]:
    """The run and the last row of each path, of partial results, also while another process is writing."""
    with path.open(encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if text.endswith("\n")]
    return RunInfo.from_dict(lines[0]), list({row["path"]: row for row in lines[1:]}.values())


def load(scores: Path, data: Path) -> tuple[RunInfo, list[Row]]:
    """Rows without errors, with ``source``, ``made_by`` and ``decoder`` of the manifest; sorted by path."""
    if not scores.is_file():
        table = scores.with_name(f"{scores.name.partition('.scores.')[0]}.csv")
        raise SystemExit(
            f"{scores}: no scores; python -m benchmarks.detection --data DATA --methods contrast,aedr,hfi "
            f"--models tiny --output {table} leaves them there"
        )
    known = {row["path"]: row for row in read_manifest(data)}
    run, rows = read_journal(scores)
    found = []
    for row in sorted(rows, key=lambda row: row["path"]):
        if row["error"] is None and (about := known.get(row["path"])):
            more = {"source": about.get("source", ""), "made_by": about["generator"]}
            found.append(row | more | {"decoder": decoder_of(about["autoencoder"])})
    return run, found


def computed_by(run: RunInfo) -> str:
    """Models, precision, device and versions, for the line above a table."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    models = ", ".join(model.name for model in run.models)
    return f"{models} in {run.models[0].dtype}; {run.device} {platform.machine()}; {versions}"


def computed_name(run: RunInfo, methods: str) -> str:
    """The same in the name of a file: methods, or "all" if that was asked for, the distance of one, models, dtype."""
    names = "all" if methods == "all" else "+".join(method.name for method in run.methods)
    distance = run.methods[0].distance if len(run.methods) == 1 else None
    models = "+".join(shorten(tuple(model.name for model in run.models))).replace("/", "_")
    parts = (names, run.compat, distance, models, run.models[0].dtype)
    return "-".join(part for part in parts if part)


def only(rows: Sequence[Row], methods: Sequence[str]) -> list[Row]:
    """The rows as if they had been scored by these methods alone."""
    kept = ("scores", "per_model", "details")
    return [
        row | {part: {name: row[part][name] for name in methods if name in row[part]} for part in kept} for row in rows
    ]


def scores_of(encoding: str, name: str = "evidence") -> Path:
    """Where ``benchmarks.detection --output results/NAME-ENCODING.csv`` keeps scores."""
    return journal_of(RESULTS / f"{name}-{encoding}.csv")
