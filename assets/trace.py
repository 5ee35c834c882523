r"""The data of the method `trace`: templates of compressed pictures, and what photographs give.

    python -m assets.trace templates --data ../shared/eval --tables tables/
    python -m assets.trace tiles --photographs photographs/ --journal tiles.jsonl
    python -m assets.trace searches --photographs whole/ --journal searches.jsonl --efforts quick

`--photographs` is a folder that `assets.photographs` wrote, for `searches` with `--whole`; fewer will do for slower
efforts. What is computed is kept in `--tables` and `--journal`: a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from assets.grid import family_of
from benchmarks.common.data import RESULTS, read_manifest, read_table, write_table
from benchmarks.common.folds import FOLDS, folds_of
from recon_detect import Detector, load_detector
from recon_detect.atomic import replacing
from recon_detect.methods.grid.families import SHIPPED, read_families, read_whitening
from recon_detect.methods.grid.statistic import PERIOD, tables
from recon_detect.methods.grid.whitening import unit
from recon_detect.methods.trace.factors import SHARES
from recon_detect.methods.trace.fit import CONDITIONS, TILES, brought_back, changed
from recon_detect.methods.trace.looks import MOVED, contrasts, tile_side, tiles_of
from recon_detect.methods.trace.nulls import COMPRESSED, FILE
from recon_detect.methods.trace.trace import TRACE
from recon_detect.models.registry import MODEL_SETS

# What the pictures of the templates are reduced by, and their JPEG quality after it: no grid of JPEG is left at 8 px.
REDUCED = ((0.78125, 85), (0.625, 80), (0.88, 85))
# Side of what is looked at.
SIDE = 1024
# Raised where the search computes other scores from the same data: the run id covers it.
REVISION = 4
MODELS = MODEL_SETS["embedded"]


def middle(path: Path) -> Image.Image:
    """The middle of a picture, of at most `SIDE` squared, on its grid of 8."""
    image = Image.open(path).convert("RGB")
    width, height = (min(side, SIDE) // PERIOD * PERIOD for side in image.size)
    left, top = ((side - part) // 2 // PERIOD * PERIOD for side, part in zip(image.size, (width, height), strict=True))
    return image.crop((left, top, left + width, top + height))


def find_tables(data: Path, folder: Path, factor: float, quality: int) -> dict[str, Tensor]:
    """The tables (F, 8, 8) of all pictures by path, computed once."""
    file = folder / f"g2-{factor}-jpeg{quality}.npz"
    if not file.is_file():
        rows = list(read_manifest(data))
        parts = [middle(data / row["path"]) for row in rows]
        seen = [tables(brought_back(changed(part, factor, f"jpeg-{quality}"), part.size)) for part in parts]
        with replacing(file) as temporary, temporary.open("wb") as output:
            np.savez(output, t=torch.stack(seen).half().numpy(), p=[row["path"] for row in rows])
    with np.load(file) as stored:
        return dict(zip(stored["p"].tolist(), torch.from_numpy(stored["t"]).float(), strict=True))


def templates(options: argparse.Namespace) -> None:
    """The mean direction of each family's pictures less that of photographs, reduced and compressed alike."""
    rows = {row["path"]: row for row in read_manifest(options.data)}
    folds = folds_of(list(rows.values()), family_of) if options.without_fold is not None else {}
    whitening, sums, counts = read_whitening(), dict[str, Tensor](), dict[str, int]()
    for factor, quality in REDUCED:
        by_path = find_tables(options.data, options.tables, factor, quality)
        directions = {
            path: torch.nan_to_num(unit(whitening(table)[None])[0])
            for path, table in by_path.items()
            if not folds or folds[path] != options.without_fold
        }
        real = torch.stack([directions[path] for path in directions if rows[path]["label"] == "real"]).mean(0)
        for family in read_families():
            chosen = [directions[path] for path in directions if family_of(rows[path]) == family.name]
            sums[family.name] = sums.get(family.name, torch.zeros(())) + torch.stack(chosen).mean(0) - real
            counts[family.name] = len(chosen)
    stored = {name: unit(total[None])[0].half().contiguous() for name, total in sums.items()}
    card = {"pictures": counts, "reduced": REDUCED, "data": options.data.name}
    with replacing(options.output or COMPRESSED) as temporary:
        save_file(stored, temporary, metadata={"card": json.dumps(card)})


def journal(
    path: Path, compute: Callable[[Image.Image, str], dict[str, Any]], folder: Path, kind: str = "tiles"
) -> Iterator[dict[str, Any]]:
    """One line of a kind for each photograph and condition; those that are there are not computed again."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {(row["kind"], row["path"], row["condition"]): row for row in map(json.loads, lines)}
    with path.open("a", encoding="utf-8") as file:
        for picture in tqdm(list(read_manifest(folder)), desc=kind):
            for condition in CONDITIONS:
                key = (kind, picture["path"], condition)
                if key not in done:
                    image = Image.open(folder / picture["path"]).convert("RGB")
                    done[key] = dict(zip(("kind", "path", "condition"), key, strict=True)) | compute(image, condition)
                    file.write(json.dumps(done[key]) + "\n")
                    file.flush()
                yield done[key]


def tiles(options: argparse.Namespace) -> None:
    """Mean and deviation of the t of a tile by family, and the variance that tiles of one photograph share."""
    detector = load_detector(TRACE, models=MODELS, device="cpu")

    def compute(image: Image.Image, condition: str) -> dict[str, Any]:
        x = brought_back(changed(image, *CONDITIONS[condition]), image.size)
        corners, side = tiles_of(x, (0, 0))[:TILES], tile_side(*x.shape[-2:])
        parts = [x[:, top : top + side + MOVED, left : left + side + MOVED] for left, top in corners]
        with torch.inference_mode():
            e = detector.evidence(x[None]).using(TRACE.distance, MODELS)
            values = {
                name: contrasts(e.only(number), parts, [0] * len(parts)).tolist() if parts else []
                for number, name in enumerate(MODELS)
            }
        return {"t": values}

    rows = list(journal(options.journal, compute, options.photographs))
    by_model = {name: np.array([row["t"][name] for row in rows if len(row["t"][name]) == TILES]) for name in MODELS}
    fitted = {
        name: {"mean": round(float(t.mean()), 3), "deviation": round(float(t.std()), 3)} for name, t in by_model.items()
    }
    shared = np.mean([np.corrcoef(t.T)[0, 1] for t in by_model.values()])
    write({"contrast": fitted, "common": round(max(float(shared), 0.0), 3), "photographs": len(by_model[MODELS[0]])})


def searches(options: argparse.Namespace) -> None:
    """Logarithms of the Bayes factors that shares of photographs exceed, by effort."""
    measured: dict[str, list[float]] = {}
    table = RESULTS / "trace-searches.csv"
    lines: list[dict[str, Any]] = list(read_table(table)[1]) if table.exists() else []
    lines = [line for line in lines if line["effort"] not in options.efforts.split(",")]
    for effort in options.efforts.split(","):
        detector = load_detector(TRACE, models=MODELS, device="cpu", effort=effort)

        def compute(image: Image.Image, condition: str, detector: Detector = detector) -> dict[str, Any]:
            row = detector.score([changed(image, *CONDITIONS[condition])], progress=False)[0]
            return {"bayes_factor": row.details.get("bayes_factor")}  # None of one without texture

        rows = [row for row in journal(options.journal, compute, options.photographs, effort) if row["bayes_factor"]]
        by_condition = {
            condition: np.log([row["bayes_factor"] for row in rows if row["condition"] == condition])
            for condition in CONDITIONS
        }
        together = np.quantile(np.concatenate(list(by_condition.values())), [1 - share for share in SHARES])
        # The bound holds in every condition.
        together[-1] = max(np.quantile(of_one, 1 - SHARES[-1]) for of_one in by_condition.values())
        measured[effort] = [round(float(value), 3) for value in together]
        lines += [
            {"effort": effort, "stored as": condition, "photographs": len(of_one)}
            | {f"exceeded by {share:.0%}": round(float(np.quantile(of_one, 1 - share)), 2) for share in SHARES}
            for condition, of_one in by_condition.items()
        ]
        print(*lines[-len(CONDITIONS) :], sep="\n")
    described = "photographs of Debian packages, log Bayes factor of the whole search; embedded, float32, CPU"
    write_table(table, described, lines)
    write({"searches": json.loads(FILE.read_text(encoding="utf-8")).get("searches", {}) | measured})


def write(measured: dict[str, Any]) -> None:
    """Updates the file of the package, with the sums of those it belongs to: the run id covers these too."""
    content = json.loads(FILE.read_text(encoding="utf-8")) | measured | {"revision": REVISION}
    content["files"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (SHIPPED, COMPRESSED)}
    with replacing(FILE) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("templates", "tiles", "searches"))
    parser.add_argument("--data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--tables", type=Path, help="folder of what templates are computed from")
    parser.add_argument("--output", type=Path, help="of the templates; default: the file of the package")
    parser.add_argument("--without-fold", type=int, choices=range(FOLDS), help="for benchmarks: leaves a half out")
    parser.add_argument("--photographs", type=Path, help="folder that assets.photographs wrote")
    parser.add_argument("--journal", type=Path, help="file of what is computed for photographs")
    parser.add_argument("--efforts", default="quick,normal", help="of the searches")
    options = parser.parse_args()
    {"templates": templates, "tiles": tiles, "searches": searches}[options.step](options)


if __name__ == "__main__":
    main()
