"""Folds: halves of the pictures, so that none is scored by what was made from it or from pictures like it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

FOLDS = 2


def source_of(row: Mapping[str, str]) -> str:
    """The pictures on one side of every split: those of a source; of pictures by GPT-4o, those of a case."""
    case = re.search(r"\d+", row["source_path"]) if "GPT-4o" in row["autoencoder"] else None
    return f"{row['source']} {case[0] if case else ''}"


def folds_of(rows: Sequence[Mapping[str, str]], family_of: Callable[[Mapping[str, str]], str]) -> dict[str, int]:
    """The fold of each picture by path: the sources of each family in turn, photographs of each source at random."""
    generator = np.random.default_rng(0)
    folds: dict[str, int] = {}
    real = [row for row in rows if row["label"] == "real"]
    for source in sorted({row["source"] for row in real}):
        paths = sorted(row["path"] for row in real if row["source"] == source)
        folds |= {paths[place]: number % FOLDS for number, place in enumerate(generator.permutation(len(paths)))}
    generated = [row for row in rows if row["label"] != "real"]
    for family in sorted({family_of(row) for row in generated}):
        of_family = [row for row in generated if family_of(row) == family]
        sizes = {source: sum(source_of(row) == source for row in of_family) for source in map(source_of, of_family)}
        counts = [0] * FOLDS
        for source in sorted(sizes, key=lambda name: (-sizes[name], name)):  # the largest first, each to the emptier
            fold = counts.index(min(counts))
            counts[fold] += sizes[source]
            folds |= {row["path"]: fold for row in of_family if source_of(row) == source}
    return folds
