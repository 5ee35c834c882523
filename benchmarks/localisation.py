"""Localisation of changed parts of photographs by error maps and contrast maps, where masks are known.

    python -m benchmarks.localisation --plant ../shared/eval --data planted/ --models taesd
    python -m benchmarks.localisation --data planted/ --models taesd,taesdxl

The manifest has a column ``mask`` with the path of an image that is white where the picture was changed. For each map:
AUROC and average precision of its pixels in each image, and their means with 95 % bootstrap intervals over images.

``--plant`` makes such a set: a random box or ellipse of each photograph is decoded anew by a tiny autoencoder and put
back. This is *planted*, not inpainting: the content stays, the decoder is known, and nothing around the region was
touched, so it is the easiest case. Inpainting tools that decode the whole image leave nothing to point at.
"""

from __future__ import annotations

import argparse
import platform
import sys
import zlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from benchmarks.common.data import RESULTS, large_enough, read_manifest, write_manifest, write_table
from benchmarks.report.report import accompany
from recon_detect import Detector, Evidence, load_detector, open_picture
from recon_detect.atomic import replacing
from recon_detect.errors import ReconDetectError, UsageError
from recon_detect.evidence.distances import find_distance
from recon_detect.evidence.texture import BLOCK
from recon_detect.evidence.views import VIEWS
from recon_detect.images.heat import colour
from recon_detect.images.transform import Transform
from recon_detect.methods.contrast import VIEWS as TURNED
from recon_detect.output import PartialFile

# View that lays the map of a view back over the image.
BACK = {"hflip": "hflip", "rot90": "rot270", "rot180": "rot180"}
# Windows that contrast maps are averaged over, in pixels: single pixels of a quotient are noise.
WINDOW = BLOCK
# Contrast of the brightest colour of a heat map: the turned error is twice the upright one.
BRIGHTEST = float(np.log(2))
Maps = dict[str, torch.Tensor]


def smooth(error_map: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A map (1, 1, h, w) averaged over windows of `WINDOW` px, at the size (H, W) of its image."""
    full = F.interpolate(error_map.float(), size=size, mode="bilinear", align_corners=False)
    window = min(WINDOW, *size) // 2 * 2 + 1
    return F.avg_pool2d(full, window, stride=1, padding=window // 2, count_include_pad=False)


def maps_of(e: Evidence, model: int) -> Maps:
    """Maps (H, W) of one image by one autoencoder, higher where it looks decoded."""
    size = (e.image().shape[-2], e.image().shape[-1])
    upright = e.error_map(model)
    again = e.error_map(model, passes=2)
    turned = [VIEWS[BACK[view]](e.error_map(model, view=view)) for view in TURNED]
    log = smooth(upright, size).clamp_min(1e-12).log()
    others = torch.stack([smooth(t, size).clamp_min(1e-12).log() for t in turned]).mean(dim=0)
    return {
        "error": -F.interpolate(upright.float(), size=size, mode="bilinear", align_corners=False)[0, 0].cpu(),
        "error, smoothed": -log[0, 0].cpu(),
        "second pass": (smooth(again, size).clamp_min(1e-12).log() - log)[0, 0].cpu(),
        "contrast": (others - log)[0, 0].cpu(),
    }


def score(error_map: torch.Tensor, mask: np.ndarray[Any, Any]) -> dict[str, float]:
    """AUROC and average precision of the pixels of one map."""
    labels, values = mask.ravel(), error_map.numpy().ravel()
    return {"auroc": float(roc_auc_score(labels, values)), "ap": float(average_precision_score(labels, values))}


def read_mask(path: Path, transform: Transform) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mask (H, W) of the changed part of a picture, under the same crop as the picture.

    Raises:
        UsageError: The crop is changed everywhere or nowhere, so that there is nothing to rank.
    """
    mask = np.asarray(replace(transform, encoding="png").image(path).convert("L")) > 127
    if mask.all() or not mask.any():
        raise UsageError(f"{path}: {'all' if mask.all() else 'nothing'} of the crop is changed")
    return mask


def save_picture(path: Path, image: np.ndarray[Any, Any], mask: np.ndarray[Any, Any], maps: Maps, error: float) -> None:
    """Image, mask, error and contrast side by side, with the same colours for the same values in all pictures."""
    panels = [image, np.repeat(mask[..., None] * np.uint8(255), 3, axis=2),
              colour(-maps["error"].numpy(), error), colour(maps["contrast"].numpy(), BRIGHTEST)]  # fmt: skip
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(panels, axis=1)).save(temporary, format="PNG")


def region(height: int, width: int, draw: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """A box or an ellipse of a tenth to four tenths of the image, anywhere: (H, W)."""
    area, aspect = draw.uniform(0.1, 0.4) * height * width, np.exp(draw.uniform(-0.5, 0.5))
    tall, wide = (int(min(np.sqrt(area * f), side - 2)) for f, side in ((aspect, height), (1 / aspect, width)))
    top, left = draw.integers(1, height - tall), draw.integers(1, width - wide)
    rows, columns = np.mgrid[:height, :width]
    if draw.random() < 0.5:
        inside = (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)
    else:
        inside = ((rows - top - tall / 2) / (tall / 2)) ** 2 + ((columns - left - wide / 2) / (wide / 2)) ** 2 < 1
    return np.asarray(inside)


def plant(data: Path, output: Path, model: str, images: int, crop: int, device: str | None) -> None:
    """Writes a set of photographs with a region decoded anew, its masks and its manifest. Existing files stay."""
    detector = load_detector("aeroblade", models=[model], distance="l2", device=device)
    name = f"planted: region decoded anew by {model.rpartition('/')[2]}"
    rows = []
    for row in tqdm(_photographs(data, crop)[:images], unit="image"):
        stem = f"planted-{Path(row['path']).stem}-{zlib.crc32(row['path'].encode()):08x}"
        path, mask_path = output / f"{stem}.png", output / f"{stem}.mask.png"
        rows.append({"path": path.name, "mask": mask_path.name, "label": "generated", "generator": name,
                     "autoencoder": model.rpartition("/")[2], "width": crop, "height": crop})  # fmt: skip
        if path.exists() and mask_path.exists():
            continue
        pixels = np.asarray(Transform(crop).image(data / row["path"]))
        mask = region(crop, crop, np.random.default_rng(zlib.crc32(row["path"].encode())))
        with torch.inference_mode():
            x = open_picture(pixels).tensor()[None].to(detector.device)
            decoded = detector.evidence(x).reconstruction(0)[0].permute(1, 2, 0).cpu().numpy()
        anew = ((decoded + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
        for place, content in ((mask_path, mask), (path, np.where(mask[..., None], anew, pixels))):
            with replacing(place) as temporary:
                Image.fromarray(content).save(temporary, format="PNG")
    if not rows:
        raise UsageError(f"{data}: no photographs of {crop} px or more in its manifest")
    write_manifest(output, rows)


def _photographs(data: Path, crop: int) -> list[dict[str, str]]:
    """Photographs in a random order that is the same each time."""
    rows = large_enough([row for row in read_manifest(data) if row["label"] == "real"], crop)
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]


def measure(
    options: argparse.Namespace, detector: Detector, rows: list[dict[str, str]], done: Collection[str]
) -> Iterator[dict[str, Any]]:
    """The scores of every map of each image that has none yet."""
    transform = Transform(options.crop or None, options.encoding)
    for number, row in enumerate(rows):
        if row["path"] in done:
            continue
        try:
            mask = read_mask(options.data / row["mask"], transform)
            picture = open_picture(transform.encoded(options.data / row["path"]))
            if picture.pixels.shape[:2] != mask.shape:
                raise UsageError(f"{row['mask']} has shape {mask.shape}, its image {picture.pixels.shape[:2]}")
            with torch.inference_mode():
                e = detector.evidence(picture.tensor()[None].to(detector.device))
                maps = {a.name: maps_of(e, model) for model, a in enumerate(e.reconstructors)}
        except ReconDetectError as error:
            yield {"path": row["path"], "error": f"{type(error).__name__}: {error}"}
            continue
        if number < options.pictures:
            for model, of in maps.items():
                name = f"{Path(row['path']).stem}.{Path(model).name}.png"
                save_picture(
                    options.output.with_suffix("") / name,
                    picture.bytes(),
                    mask,
                    of,
                    find_distance(e.distance).map_scale,
                )
        scores = {model: {name: score(values, mask) for name, values in of.items()} for model, of in maps.items()}
        yield {"path": row["path"], "error": None, "changed": float(mask.mean()), "scores": scores}


def table(entries: list[dict[str, Any]]) -> list[dict[str, object]]:
    """One line per model and map."""
    good = [entry for entry in entries if not entry["error"]]
    lines = []
    for model in good[0]["scores"] if good else ():
        for name in good[0]["scores"][model]:
            line: dict[str, object] = {"model": Path(model).name, "map": name, "images": len(good)}
            for metric in ("auroc", "ap"):
                values = np.array([entry["scores"][model][name][metric] for entry in good])
                line[metric] = round(float(values.mean()), 4)
                bounds = (np.nan, np.nan)
                if len(good) > 1:
                    bootstrap = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0))
                    bounds = (bootstrap.confidence_interval.low, bootstrap.confidence_interval.high)
                line |= {f"{metric}_{end}": round(float(v), 4) for end, v in zip(("low", "high"), bounds, strict=True)}
            lines.append(line | {"changed": round(float(np.mean([entry["changed"] for entry in good])), 4)})
    return lines


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv that has a column mask")
    parser.add_argument("--plant", type=Path, default=None, help="folder with photographs: make --data from them first")
    parser.add_argument("--planted-by", default="taesd", help="autoencoder that decodes the regions")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--models", default="taesd")
    parser.add_argument("--distance", default="lpips_vgg_2")
    parser.add_argument(
        "--crop", type=int, default=0, help="of images and masks at the centre; 0: whole, and 512 to plant"
    )
    parser.add_argument("--encoding", default="png", help="png, jpeg-75, ...: what the images go through")
    parser.add_argument("--pictures", type=int, default=4, help="images to save beside their masks and maps, as PNG")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--output", type=Path, default=RESULTS / "localisation.csv")
    return parser


def main() -> None:
    options = arguments().parse_args()
    if options.plant:
        plant(options.plant, options.data, options.planted_by, options.images, options.crop or 512, options.device)
    rows = [row for row in read_manifest(options.data) if row.get("mask")][: options.images]
    if not rows:
        raise UsageError(f"{options.data}: no row of its manifest.csv has a mask")
    detector = load_detector("contrast", models=options.models.split(","), distance=options.distance,
                             device=options.device, dtype=options.dtype)  # fmt: skip
    info = detector.run_info
    run = info.to_dict() | {"run": f"{info.fingerprint} {options.crop} {options.encoding}"}
    with PartialFile(options.output.with_suffix(".scores.jsonl"), run) as journal:
        for entry in tqdm(measure(options, detector, rows, journal.done), total=len(rows), initial=len(journal.done)):
            journal.write(entry)
        wanted = {row["path"] for row in rows}
        entries = [entry for entry in journal.entries() if entry["path"] in wanted]
    for entry in entries:
        if entry["error"]:
            print(f"{entry['path']}: {entry['error']}", file=sys.stderr)
    lines = table(entries)
    if not lines:
        raise UsageError(f"{options.data}: none of {len(rows)} images could be measured")
    made = ", ".join(sorted({row.get("generator", "") for row in rows}))
    crop = f"centre crop of {options.crop} px" if options.crop else "whole"
    failed = sum(bool(entry["error"]) for entry in entries)
    write_table(
        options.output,
        f"{options.data.resolve().name} ({made}), {crop}, {options.encoding}; {options.distance} in "
        f"{info.models[0].dtype}; means over images of the AUROC and average precision of pixels, 95 % percentile "
        f"bootstrap; changed: share of the pixels, which is the precision of chance; {failed} failed; {info.device} "
        f"{platform.machine()}; {', '.join(f'{name} {version}' for name, version in info.versions.items())}",
        lines,
    )
    accompany(options.output, options.data)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
