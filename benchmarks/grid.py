"""The method `grid`, cross-fitted: every figure with its controls beside it.

    python -m benchmarks.grid --data ../shared/eval --photographs photographs/ --tables tables/

Whitening and null distributions come from one half of the photographs and the other half is scored, both ways round;
a generated picture is compared with templates of other sources (pictures by GPT-4o: of other cases) and has the mean of
both halves. So nothing is scored with what was made of it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assets.grid import CROP, FAMILIES, SCALES, Tables, View, compared, family_of, fit_whitening, kind_of, read_pictures
from benchmarks.common.data import RESULTS, write_table
from benchmarks.common.metrics import auroc, score_interval
from recon_detect.methods.grain.contrasts import corrected
from recon_detect.methods.grid.fit import Photographs, best_cosines, template
from recon_detect.methods.grid.grid import AS_IT_IS
from recon_detect.methods.grid.null import Null
from recon_detect.methods.grid.statistic import PERIOD
from recon_detect.methods.grid.whitening import Whitening, energy, unit

NAMES = tuple(dict.fromkeys(FAMILIES.values()))
# Which have an autoencoder here that photographs can go through: file of their tables by family.
DECODERS = {"sd": "taesd", "sdxl": "taesdxl", "flux1": "taef1", "sd3": "taesd3"}
NOMINAL = (0.05, 0.01)
CONDITIONS = {
    "PNG": [View()],
    "off the grid": [View("offgrid-7")],
    "JPEG 90": [View("jpeg-90")],
    "JPEG 75": [View("jpeg-75")],
    "resized 0.75, scale known": [View("bicubic-0.75", scale=4 / 3)],
    "resized 0.75, blind": [View("bicubic-0.75", scale=scale) for scale in (1.0, *SCALES)],
    "resized 0.5, scale known": [View("bicubic-0.5", scale=2.0)],
    "PNG, up to 1024 px": [View(side=0)],
    "JPEG 90, up to 1024 px": [View("jpeg-90", side=0)],
}

# From cosines (N, K) and energies (N,) to what is held against photographs.
Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
STATISTICS: dict[str, Statistic] = {
    "cosine": lambda cosines, energies: cosines,
    "raw score": lambda cosines, energies: cosines * np.exp(energies / 2)[:, None],
    "energy": lambda cosines, energies: np.repeat(np.exp(energies / 2)[:, None], cosines.shape[1], axis=1),
}


@dataclass
class Scores:
    """Deviates (K families) of every picture under one condition, one row for each half of the photographs it has."""

    by_path: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def mean(self) -> dict[str, NDArray[np.float64]]:
        """(K,) by path."""
        return {path: np.mean(rows, axis=0) for path, rows in self.by_path.items()}


def group_of(row: dict[str, str]) -> str:
    """What is on one side of every split: the source; of pictures by GPT-4o the case."""
    case = re.search(r"\d+", row["source_path"]) if "GPT-4o" in row["autoencoder"] else None
    return f"{row['source']} {case[0] if case else ''}"


def halves(rows: Sequence[dict[str, str]]) -> list[tuple[set[str], set[str]]]:
    """The photographs of every source in halves, at random, both ways round."""
    generator = np.random.default_rng(0)
    parts: tuple[set[str], set[str]] = (set(), set())
    for source in sorted({row["source"] for row in rows if row["label"] == "real"}):
        paths = [row["path"] for row in rows if row["label"] == "real" and row["source"] == source]
        for number, place in enumerate(generator.permutation(len(paths))):
            parts[number % 2].add(paths[place])
    return [parts, parts[::-1]]


def of_period(period: int) -> list[View]:
    """The views that templates are made of: crops and whole pictures; of the control with another period, crops."""
    return [View(), View(side=0)] if period == PERIOD else [View(period=period)]


def templates_of(
    known: Tables, whitening: Whitening, made_from: str, period: int = PERIOD
) -> Iterator[tuple[str, str, Tensor]]:
    """Family, group that was left out (empty: none), and template (F, 8, 8)."""
    generator = torch.Generator().manual_seed(0)
    for name in NAMES:
        if made_from == "decoders":
            if name in DECODERS:
                stored = known.of(View(f"decoded-{DECODERS[name]}"), None)[0]
                yield name, "", template(whitening(stored))
            continue
        if made_from == "random":
            yield name, "", unit(torch.randn(1, *whitening.features.shape[:1], 8, 8, generator=generator))[0]
            continue
        rows = {row["path"]: group_of(row) for row in known.rows if family_of(row) == name}
        views = [known.of(view, set(rows)) for view in of_period(period)]
        seen = whitening(torch.cat([found for found, _ in views]))
        groups = np.array([rows[path] for _, paths in views for path in paths])
        for group in ("", *dict.fromkeys(groups.tolist())):
            rest = torch.from_numpy(groups != group)
            if int(rest.sum()) >= 2 * len(views):
                yield name, group, template(seen[rest])


def scores(
    known: Tables,
    views: Sequence[View],
    made_from: str = "images",
    statistic: Statistic = STATISTICS["cosine"],
    period: int = PERIOD,
) -> dict[str, NDArray[np.float64]]:
    """Cross-fitted deviates (K,) of the pictures under one condition, the best of its views; NaN where unknown."""
    result = Scores()
    rows = {row["path"]: row for row in known.rows}
    for fitted, scored in halves(known.rows):
        whitening = fit_whitening(known, fitted, period)
        entries = list(templates_of(known, whitening, made_from, period))
        stack = torch.stack([one for _, _, one in entries])
        column = {(name, group): number for number, (name, group, _) in enumerate(entries)}
        of_views = []
        for view in views:
            photographs = compared(known, fitted, whitening, view.scale, period)
            tested, paths = known.of(view, {path for path, row in rows.items() if row["label"] != "real"} | scored)
            seen = Photographs(whitening(tested), known.pixels(view, paths), ())
            z = _deviates(seen, photographs, stack, statistic)
            if len(views) > 1:
                z = corrected(z, AS_IT_IS if view.scale == 1 else (1 - AS_IT_IS) / len(SCALES))
            of_views.append(dict(zip(paths, z, strict=True)))
        for path in of_views[0]:
            z = np.max([of_view[path] for of_view in of_views if path in of_view], axis=0)
            group = group_of(rows[path])
            numbers = [column.get((name, group), column.get((name, ""))) for name in NAMES]
            result.by_path.setdefault(path, []).append(np.array([np.nan if n is None else z[n] for n in numbers]))
    return result.mean()


def _deviates(
    tested: Photographs, photographs: Photographs, templates: Tensor, statistic: Statistic
) -> NDArray[np.float64]:
    energies = [energy(each.tables, each.pixels).double().numpy() for each in (tested, photographs)]
    cosines = [best_cosines(each.tables, templates) for each in (tested, photographs)]
    values = [statistic(*pair) for pair in zip(cosines, energies, strict=True)]
    # Only the cosine has its null by energy: the controls are not helped by it.
    seen = energies if statistic is STATISTICS["cosine"] else [np.zeros_like(each) for each in energies]
    columns = [
        Null.fit(values[1][:, k], seen[1], photographs.kinds).deviates(values[0][:, k], seen[0])
        for k in range(len(templates))
    ]
    return np.stack(columns, axis=1)


def pooled(deviates: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """The best of the families of each picture, corrected for their number."""
    result = {}
    for path, z in deviates.items():
        z = z[np.isfinite(z)]
        result[path] = float(corrected(z.max(keepdims=True), 1 / len(z))[0])
    return result


def detection(known: Tables, title: str, label: str, deviates: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Rows of the table of one condition and statistic: AUROC by family, against lossless and camera photographs."""
    score = pooled(deviates)
    rows = {row["path"]: row for row in known.rows if row["path"] in score}
    table = []
    for against in ("lossless", "camera"):
        real = np.array([score[p] for p, r in rows.items() if r["label"] == "real" and kind_of(r) == against])
        groups = {name: [p for p, r in rows.items() if family_of(r) == name] for name in NAMES}
        groups["first set"] = [
            p for p, r in rows.items() if family_of(r) in NAMES and "added" not in r["note"] and r["label"] != "real"
        ]
        groups["all"] = [p for p, r in rows.items() if r["label"] != "real"]
        for name, paths in groups.items():
            generated = np.array([score[p] for p in paths])
            if not len(generated) or not len(real):
                continue
            value = auroc(real, generated)
            low, high = score_interval("auroc", value, len(real), len(generated))
            named = [NAMES[int(np.nanargmax(deviates[p]))] == family_of(rows[p]) for p in paths]
            table.append({
                "condition": title, "statistic": label, "family": name, "photographs": against, "real": len(real),
                "generated": len(generated), "auroc": round(value, 4), "low": round(low, 4), "high": round(high, 4),
                **{f"tpr at nominal {rate:g}": round(float((generated > _threshold(rate)).mean()), 4)
                   for rate in NOMINAL},
                "family right": round(float(np.mean(named)), 4),
            })  # fmt: skip
    return table


def false_positives(known: Tables, title: str, deviates: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Rows of the table of false positives under one condition."""
    score = pooled(deviates)
    table = []
    for kind in ("lossless", "camera"):
        real = [
            score[r["path"]] for r in known.rows if r["label"] == "real" and kind_of(r) == kind and r["path"] in score
        ]
        if real:
            rates = {
                f"at nominal {rate:g}": round(float(np.mean(np.array(real) > _threshold(rate))), 4) for rate in NOMINAL
            }
            table.append({"condition": title, "photographs": kind, "n": len(real), **rates})
    return table


def _threshold(rate: float) -> float:
    from scipy.special import ndtri

    return float(-ndtri(rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--photographs", type=Path, help="folder with more photographs and their manifest.csv")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables, as of assets.grid")
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS))
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the tables of results")
    options = parser.parse_args()
    known = Tables(read_pictures(options.data, options.photographs), options.tables)
    found: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    for title in options.conditions:
        deviates = scores(known, CONDITIONS[title])
        found += detection(known, title, "cosine", deviates)
        wrong += false_positives(known, title, deviates)
    for label in ("raw score", "energy"):
        found += detection(known, "PNG", label, scores(known, [View()], statistic=STATISTICS[label]))
    for label, made_from in (("random template", "random"), ("decoder-made", "decoders")):
        found += detection(known, "PNG", label, scores(known, [View()], made_from=made_from))
    found += detection(known, "PNG", "period 7", scores(known, [View(period=7)], period=7))
    conditions = f"cross-fitted halves of the photographs, templates of other sources; {CROP} px unless stated"
    write_table(options.output / "grid-detection.csv", conditions, found)
    write_table(options.output / "grid-false-positives.csv", conditions, wrong)


if __name__ == "__main__":
    main()
