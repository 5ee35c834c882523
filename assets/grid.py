r"""The families of the method `grid`: the statistics of pictures that come with the package.

    python -m assets.grid --data ../shared/eval --photographs photographs/ --tables tables/ \
        --output recon_detect/methods/grid/families.safetensors --jpeg recon_detect/methods/grid/jpeg.safetensors

`--photographs` is the folder that `assets.photographs` wrote. Tables are computed once and kept in `--tables`, where
`benchmarks.grid` finds them too.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.common.conditions import parse, prepare
from benchmarks.common.data import read_manifest
from benchmarks.common.folds import FOLDS, folds_of
from recon_detect.atomic import replacing
from recon_detect.methods.grid.families import Family, digest, write_families
from recon_detect.methods.grid.fit import Photographs, fit_family, template
from recon_detect.methods.grid.grid import SIDE
from recon_detect.methods.grid.pictures import STORED
from recon_detect.methods.grid.statistic import PERIOD, least_side, tables
from recon_detect.methods.grid.whitening import Whitening
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.weights import find_weights

# By the column `autoencoder` of the manifest.
FAMILIES = {
    "SD kl-f8": "sd",
    "SD kl-f8 (finetuned VAE)": "sd",
    "SD kl-f8 (ft-mse)": "sd",
    "SDXL VAE": "sdxl",
    "Flux.1 16ch VAE": "flux1",
    "SD3 16ch VAE": "sd3",
    "Flux.2 32ch VAE": "flux2",
    "Qwen-Image / Wan 16ch VAE": "qwen",
    "unknown (GPT-4o)": "images:gpt-4o",
}
DECODED, PACKAGES = "decoded-", "packages"
CROP = 320
# Where crops begin that go through an autoencoder: off any grid of 8 that JPEG may have left.
OFF_GRID = (75, 83)
# Of the photographs that the whitening is of.
WHITENED = ("png", "jpeg-90")
# By what pictures are scaled to undo a resizing.
SCALES = (4 / 3, 2.0, 1.5, 5 / 3)


@dataclass(frozen=True, slots=True)
class View:
    """Processing of pictures before their tables are computed.

    Attributes:
        condition: See `benchmarks.common.conditions`; or "decoded-" and the name of an autoencoder, which half of the
            photographs from packages go through.
        side: Of the crop at the centre; 0 takes up to 1024 px.
        scale: By which it is brought back.
        period: Of the grid.
    """

    condition: str = "png"
    side: int = CROP
    scale: float = 1.0
    period: int = PERIOD

    @property
    def name(self) -> str:
        """Name of its file."""
        period = "" if self.period == PERIOD else f"-period{self.period}"
        return f"{self.side or 'whole'}-{self.condition}-{self.scale:.4g}{period}.safetensors"


def read_pictures(data: Path, photographs: Path | None) -> list[dict[str, str]]:
    """The rows of the data set and of more photographs, with the column `file`."""
    rows = [{**row, "file": str(data / row["path"])} for row in read_manifest(data)]
    if photographs:
        for row in read_manifest(photographs):
            more = {"source": PACKAGES, "format": "PNG", "autoencoder": "", "generator": "real", "note": ""}
            rows.append({**row, **more, "path": f"packages/{row['path']}", "file": str(photographs / row["path"])})
    return rows


def family_of(row: Mapping[str, str]) -> str:
    """Family of a picture: "real", a family, or "other"."""
    return "real" if row["label"] == "real" else FAMILIES.get(row["autoencoder"], "other")


def kind_of(row: dict[str, str]) -> str:
    """Kind of a photograph: as a camera wrote it, or stored losslessly."""
    return "camera" if row["format"] == "JPEG" else "lossless"


def find_tables(rows: Sequence[dict[str, str]], view: View, folder: Path) -> dict[str, Tensor]:
    """The tables (F, 8, 8) of all large enough pictures by path; from the folder where they are there."""
    file = folder / view.name
    if file.is_file():
        with safetensors.safe_open(file, framework="pt") as stored:
            paths = json.loads(stored.metadata()["paths"])
            return dict(zip(paths, stored.get_tensor("tables"), strict=True))
    if view.condition.startswith(DECODED):
        return _keep(file, _decoded(rows, view.condition.removeprefix(DECODED)))
    by_path = {}
    for row in rows:
        if view.side and min(int(row["width"]), int(row["height"])) < view.side + PERIOD:
            continue
        x = _seen(Path(row["file"]), view)
        if min(x.shape[-2:]) >= least_side(view.period):
            by_path[row["path"]] = tables(x, view.period)
    return _keep(file, by_path)


def _keep(file: Path, by_path: dict[str, Tensor]) -> dict[str, Tensor]:
    with replacing(file) as temporary:
        save_file(
            {"tables": torch.stack(list(by_path.values()))}, temporary, metadata={"paths": json.dumps(list(by_path))}
        )
    return by_path


def _decoded(rows: Sequence[dict[str, str]], name: str) -> dict[str, Tensor]:
    model = load_reconstructor(find_weights(name), torch.device("cpu"), "float32")
    by_path = {}
    for row in [row for row in rows if row["source"] == PACKAGES][::2]:
        x = _seen(Path(row["file"]), View(side=0))[:, OFF_GRID[0] :, OFF_GRID[1] :][None, :, :CROP, :CROP]
        with torch.inference_mode():
            decoded = model.decode(model.encode(x))[0].float().clamp(-1, 1)
        by_path[row["path"]] = tables((decoded * 127.5).round() / 127.5)
    return by_path


def _seen(path: Path, view: View) -> Tensor:
    pixels = np.array(Image.open(io.BytesIO(prepare(path, view.side or None, view.condition))).convert("RGB"))
    x = torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1
    top, left = (max(side - SIDE, 0) // 2 // PERIOD * PERIOD for side in x.shape[-2:])
    x = x[:, top : top + SIDE, left : left + SIDE]
    if view.scale == 1:
        return x
    size = [round(side * view.scale) for side in x.shape[-2:]]
    x = F.interpolate(x[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0].clamp(-1, 1)
    return x[:, :SIDE, :SIDE]


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of some pictures under any view."""

    rows: Sequence[dict[str, str]]
    folder: Path

    def of(self, view: View, paths: set[str] | None) -> tuple[Tensor, list[str]]:
        """(N, F, 8, 8) and the paths of those of the pictures that are large enough; None asks for all."""
        every = find_tables(self.rows, view, self.folder)
        chosen = {path: table for path, table in every.items() if paths is None or path in paths}
        return torch.stack(list(chosen.values())), list(chosen)

    def pixels(self, view: View, paths: Sequence[str]) -> Tensor:
        """Number of pixels that each table of some pictures is a mean of: (N,)."""
        rows = {row["path"]: row for row in self.rows}
        sides = [[view.side or int(rows[path][name]) for name in ("width", "height")] for path in paths]
        resized = math.prod(value for name, value in parse(view.condition) if name in ("resize", "bicubic"))
        return torch.tensor(sides).mul(resized * view.scale).clamp(max=SIDE).prod(1)


def fit_whitening(cache: Tables, photographs: set[str], period: int = PERIOD) -> Whitening:
    """Fits photographs as they are and as JPEG; of the control with another period, as they are."""
    views = [View(condition) for condition in WHITENED] if period == PERIOD else [View(period=period)]
    return Whitening.fit(torch.cat([cache.of(view, photographs)[0] for view in views]))


def compared(
    cache: Tables, photographs: set[str], whitening: Whitening, scale: float = 1.0, period: int = PERIOD
) -> Photographs:
    """The photographs that pictures are compared with at a scale."""
    kinds = {row["path"]: kind_of(row) for row in cache.rows}
    if period != PERIOD:
        views = [View(period=period)]
    elif scale == 1:
        views = [View(), View(side=0), *(View(condition) for condition in STORED)]
    else:
        views = [View(scale=scale), View(f"bicubic-{1 / scale:.3g}", scale=scale)]
    seen, pixels, names = [], [], []
    for view in views:
        of_view, paths = cache.of(view, photographs)
        seen.append(whitening(of_view))
        pixels.append(cache.pixels(view, paths))
        names += [kinds[path] if view.condition == "png" else view.condition for path in paths]
    return Photographs(torch.cat(seen), torch.cat(pixels), names)


def fit(cache: Tables, scales: Sequence[float], without: Collection[str] = ()) -> tuple[list[Family], Whitening]:
    """All families, on all photographs; `without` some pictures, by their paths."""
    photographs = {row["path"] for row in cache.rows if row["label"] == "real"}.difference(without)
    whitening = fit_whitening(cache, photographs)
    nulls = {scale: compared(cache, photographs, whitening, scale) for scale in (1.0, *scales)}
    families = []
    for name in dict.fromkeys(FAMILIES.values()):
        rows = [row for row in cache.rows if family_of(row) == name and row["path"] not in without]
        pictures = {row["path"] for row in rows}
        seen = torch.cat([cache.of(view, pictures)[0] for view in (View(), View(side=0))])
        card = {
            "made from": "pictures of generators",
            "pictures": len(pictures),
            "sources": sorted({row["source"] for row in rows}),
            "photographs": len(photographs),
        }
        families.append(fit_family(name, whitening(seen), nulls, card))
    return families, whitening


def jpeg_template(stored_tables: Tables, whitening: Whitening) -> Tensor:
    """The mean direction of photographs that were lossless, stored as JPEG of each of `STORED`: (F, 8, 8)."""
    photographs = {row["path"] for row in stored_tables.rows if row["label"] == "real" and kind_of(row) == "lossless"}
    return template(whitening(torch.cat([stored_tables.of(View(stored), photographs)[0] for stored in STORED])))


def write_jpeg_template(path: Path, stored_tables: Tables, whitening: Whitening) -> None:
    """Writes the file that `recon_detect.methods.grid.jpeg` reads."""
    card = {"made from": f"lossless photographs as {', '.join(STORED)}", "whitening": digest(whitening)}
    with replacing(path) as temporary:
        save_file({"template": jpeg_template(stored_tables, whitening).half()}, temporary, metadata=card)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--photographs", type=Path, help="folder with more photographs and their manifest.csv")
    parser.add_argument("--tables", type=Path, required=True, help="folder for the tables of all pictures")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--jpeg", type=Path, help="file for the template of JPEG, which the audit looks for")
    parser.add_argument("--without-fold", type=int, choices=range(FOLDS), help="for benchmarks: leaves a half out")
    options = parser.parse_args()
    stored_tables = Tables(read_pictures(options.data, options.photographs), options.tables)
    rows = [row for row in stored_tables.rows if row["source"] != PACKAGES]
    folds = folds_of(rows, family_of) if options.without_fold is not None else {}
    without = {path for path, fold in folds.items() if fold == options.without_fold}
    families, whitening = fit(stored_tables, SCALES, without)
    write_families(options.output, families, whitening, ship=True)
    print(f"{options.output}: {', '.join(family.name for family in families)}, {options.output.stat().st_size} bytes")
    if options.jpeg:
        write_jpeg_template(options.jpeg, stored_tables, whitening)


if __name__ == "__main__":
    main()
