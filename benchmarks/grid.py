"""The method `grid`, cross-fitted: every figure with its controls beside it.

    python -m benchmarks.grid --data ../shared/eval --photographs photographs/ --tables tables/

Whitening and null distributions come from one half of the photographs and the other half is scored, both ways round;
a generated picture is compared with templates of other sources (pictures by GPT-4o: of other cases) and has the mean of
both halves. So nothing is scored with what was made of it.
"""

from __future__ import annotations

import argparse
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
from benchmarks.common.folds import source_of
from benchmarks.common.metrics import auroc, score_interval
from recon_detect.methods.deviates import REMARKABLE, corrected
from recon_detect.methods.grid.fit import Photographs, best_cosines, template
from recon_detect.methods.grid.grid import AS_IT_IS, rank
from recon_detect.methods.grid.null import Null
from recon_detect.methods.grid.statistic import PERIOD
from recon_detect.methods.grid.whitening import Whitening, energy, similarities, unit

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
    "PNG, all scales": [View(scale=scale) for scale in (1.0, *SCALES)],
    "PNG, up to 1024 px, half of the prior": [View(side=0)],
}
# Deviates of these have the share of the prior that the method gives their scale.
SEARCHED = ("resized 0.75, blind", "PNG, all scales", "PNG, up to 1024 px, half of the prior")

# From cosines (N, K) and energies (N,) to what is held against photographs.
Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
STATISTICS: dict[str, Statistic] = {
    "cosine": lambda cosines, energies: cosines,
    "raw score": lambda cosines, energies: cosines * np.exp(energies / 2)[:, None],
    "energy": lambda cosines, energies: np.repeat(np.exp(energies / 2)[:, None], cosines.shape[1], axis=1),
}


@dataclass
class Scores:
    """Deviates and ranks (2, K families) of every picture under one condition, one for each half of the photographs.

    The family of the highest rank names the picture.
    """

    by_path: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def mean(self) -> dict[str, NDArray[np.float64]]:
        """Means (2, K) by path."""
        return {path: np.mean(rows, axis=0) for path, rows in self.by_path.items()}


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
    cache: Tables, whitening: Whitening, made_from: str, period: int = PERIOD
) -> Iterator[tuple[str, str, Tensor]]:
    """Family, group that was left out (empty: none), and template (F, 8, 8)."""
    if made_from == "both":
        decoded = {name: one for name, _, one in templates_of(cache, whitening, "decoders")}
        for name, group, one in templates_of(cache, whitening, "images"):
            yield name, group, unit((one + decoded.get(name, one))[None])[0]
        return
    generator = torch.Generator().manual_seed(0)
    for name in NAMES:
        if made_from == "decoders":
            if name in DECODERS:
                stored = cache.of(View(f"decoded-{DECODERS[name]}"), None)[0]
                yield name, "", template(whitening(stored))
            continue
        if made_from == "random":
            yield name, "", unit(torch.randn(1, *whitening.features.shape[:1], 8, 8, generator=generator))[0]
            continue
        rows = {row["path"]: source_of(row) for row in cache.rows if family_of(row) == name}
        views = [cache.of(view, set(rows)) for view in of_period(period)]
        seen = whitening(torch.cat([of_view for of_view, _ in views]))
        groups = np.array([rows[path] for _, paths in views for path in paths])
        for group in ("", *dict.fromkeys(groups.tolist())):
            rest = torch.from_numpy(groups != group)
            if int(rest.sum()) >= 2 * len(views):
                yield name, group, template(seen[rest])


def scores(
    cache: Tables,
    views: Sequence[View],
    made_from: str = "images",
    statistic: Statistic = STATISTICS["cosine"],
    period: int = PERIOD,
    searched: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """Cross-fitted deviates and ranks (2, K) of the pictures under one condition, the best of its views.

    NaN where a family has no template. Those of a scale that was `searched` are corrected for its share of the prior.
    """
    result = Scores()
    rows = {row["path"]: row for row in cache.rows}
    for fitted, scored in halves(cache.rows):
        whitening = fit_whitening(cache, fitted, period)
        entries = list(templates_of(cache, whitening, made_from, period))
        stack = torch.stack([one for _, _, one in entries])
        column = {(name, group): number for number, (name, group, _) in enumerate(entries)}
        of_views = []
        for view in views:
            photographs = compared(cache, fitted, whitening, view.scale, period)
            tested, paths = cache.of(view, {path for path, row in rows.items() if row["label"] != "real"} | scored)
            seen = Photographs(whitening(tested), cache.pixels(view, paths), ())
            z = _deviates(seen, photographs, stack, statistic)
            ranks = rank(z, best_cosines(seen.tables, stack))
            if searched:
                z = corrected(z, AS_IT_IS if view.scale == 1 else (1 - AS_IT_IS) / len(SCALES))
            of_views.append(dict(zip(paths, np.stack([z, ranks], axis=1), strict=True)))
        for path in of_views[0]:
            group = source_of(rows[path])
            numbers = [column.get((name, group), column.get((name, ""), -1)) for name in NAMES]
            trials = [of_view[path][:, numbers] for of_view in of_views if path in of_view]
            best = max(trials, key=lambda trial: trial[0].max())
            both = np.stack([np.max([trial[0] for trial in trials], axis=0), best[1]])
            result.by_path.setdefault(path, []).append(np.where(np.array(numbers) < 0, np.nan, both))
    return result.mean()


def phases(cache: Tables) -> list[dict[str, Any]]:
    """Rows of the table of the places of the grid in crops that are on it, by kind of template and family."""
    whitening = fit_whitening(cache, {row["path"] for row in cache.rows if row["label"] == "real"})
    table = []
    for made_from in ("images", "decoders", "both"):
        templates = {(name, group): one for name, group, one in templates_of(cache, whitening, made_from)}
        for side in (CROP, 0):
            for name in DECODERS:
                rows = {row["path"]: source_of(row) for row in cache.rows if family_of(row) == name}
                seen, paths = cache.of(View(side=side), set(rows))
                ones = [templates.get((name, rows[path]), templates.get((name, ""))) for path in paths]
                cosines = [
                    similarities(whitening(x[None]), y[None]) for x, y in zip(seen, ones, strict=True) if y is not None
                ]
                places = torch.stack([each.flatten().argmax() for each in cosines])
                counts = places.bincount(minlength=PERIOD**2)
                table.append({
                    "template": made_from, "side": side or "up to 1024", "family": name, "images": len(places),
                    "at the origin": round(float(counts[0]) / len(places), 4),
                    "at the most frequent place": round(float(counts.max()) / len(places), 4),
                    "chance": round(1 / PERIOD**2, 4),
                })  # fmt: skip
    return table


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
    """The best of the families of each picture (2, K), corrected for their number."""
    result = {}
    for path, (z, _) in deviates.items():
        z = z[np.isfinite(z)]
        result[path] = float(corrected(z.max(keepdims=True), 1 / len(z))[0])
    return result


def detection(cache: Tables, title: str, label: str, deviates: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Rows of the table of one condition and statistic: AUROC by family, against lossless and camera photographs."""
    score = pooled(deviates)
    rows = {row["path"]: row for row in cache.rows if row["path"] in score}
    table = []
    groups = {name: [p for p, r in rows.items() if family_of(r) == name] for name in NAMES}
    first = {name: [p for p in paths if "added" not in rows[p]["note"]] for name, paths in groups.items()}
    groups |= {f"{name}, first set": paths for name, paths in first.items()}
    groups["first set"] = [path for paths in first.values() for path in paths]
    groups["all"] = [p for p, r in rows.items() if r["label"] != "real"]
    for against in ("lossless", "camera"):
        real = np.array([score[p] for p, r in rows.items() if r["label"] == "real" and kind_of(r) == against])
        for name, paths in groups.items():
            generated = np.array([score[p] for p in paths])
            if not len(generated) or not len(real):
                continue
            value = auroc(real, generated)
            low, high = score_interval("auroc", value, len(real), len(generated))
            right = {p: NAMES[int(np.nanargmax(deviates[p][1]))] == family_of(rows[p]) for p in paths
                     if family_of(rows[p]) in NAMES}  # fmt: skip
            named = [hit for path, hit in right.items() if score[path] >= REMARKABLE]
            table.append({
                "condition": title, "statistic": label, "family": name, "photographs": against, "real": len(real),
                "generated": len(generated), "auroc": round(value, 4), "low": round(low, 4), "high": round(high, 4),
                **{f"tpr at nominal {rate:g}": round(float((generated > _threshold(rate)).mean()), 4)
                   for rate in NOMINAL},
                "with a family": len(right), "family right": round(float(np.mean([*right.values()])), 4),
                "named": len(named), "right of named": round(float(np.mean(named)), 4) if named else "",
            })  # fmt: skip
    return table


def false_positives(cache: Tables, title: str, deviates: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    """Rows of the table of false positives under one condition."""
    score = pooled(deviates)
    table = []
    for kind in ("lossless", "camera"):
        real = [
            score[r["path"]] for r in cache.rows if r["label"] == "real" and kind_of(r) == kind and r["path"] in score
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
    cache = Tables(read_pictures(options.data, options.photographs), options.tables)
    detected: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    for title in options.conditions:
        deviates = scores(cache, CONDITIONS[title], searched=title in SEARCHED)
        detected += detection(cache, title, "cosine", deviates)
        wrong += false_positives(cache, title, deviates)
    for label in ("raw score", "energy"):
        detected += detection(cache, "PNG", label, scores(cache, [View()], statistic=STATISTICS[label]))
    for label, made_from in (("random template", "random"), ("decoder-made", "decoders"), ("both", "both")):
        for title in ("PNG", "off the grid", "PNG, up to 1024 px") if made_from != "random" else ("PNG",):
            detected += detection(cache, title, label, scores(cache, CONDITIONS[title], made_from=made_from))
    detected += detection(cache, "PNG", "period 7", scores(cache, [View(period=7)], period=7))
    conditions = f"cross-fitted halves of the photographs, templates of other sources; {CROP} px unless stated"
    write_table(options.output / "grid-detection.csv", conditions, detected)
    write_table(options.output / "grid-false-positives.csv", conditions, wrong)
    write_table(options.output / "grid-phases.csv", "crops on the grid; templates of other sources", phases(cache))


if __name__ == "__main__":
    main()
