"""Explains some evaluation images under CC BY for the gallery of the site, in build/gallery.

python docs/figures/gallery.py [--effort quick]

Without the evaluation images (`RECON_DETECT_SHARED`) it says so, and the site is built without a gallery.
"""

import argparse
import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from recon_detect import Detector, explain, load_detector, open_picture

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "gallery"
SHARED = Path(os.environ.get("RECON_DETECT_SHARED", ROOT.parent / "shared")) / "eval"
CASES = "generated/gpt-4o-image/gpt4o_cases__"


def reduced(picture: Image.Image) -> bytes:
    """A picture at 800 px as JPEG 85, as sites make them."""
    picture.thumbnail((800, 800), Image.Resampling.LANCZOS)
    return encoded(picture, format="JPEG", quality=85)


def decoded(picture: Image.Image) -> bytes:
    """A picture as the decoder of an embedded model writes it, as PNG."""
    with torch.inference_mode():
        x = open_picture(picture).tensor()[None]
        pixels = load_detector("aeroblade", models="mini-sd", device="cpu").evidence(x).reconstruction(0)[0]
    array = ((pixels + 1) * 127.5).clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    return encoded(Image.fromarray(array), format="PNG")


def encoded(picture: Image.Image, **options: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


# What a picture shows, its file, and what is made of it before it is explained.
PICTURES: tuple[tuple[str, str, Callable[[Image.Image], bytes] | None], ...] = (
    ("A photograph", "real/libjxl_photos__000_tmshre_riaphotographs_srgb8.png", None),
    ("Another photograph, a JPEG", "real/skimage_sklearn__004_china.jpg", None),
    ("That photograph as a decoder of Stable Diffusion writes it", "real/skimage_sklearn__004_china.jpg", decoded),
    ("A picture of GPT-4o", f"{CASES}003_cute_plant_planter.png", None),
    ("The same picture at 800 px, JPEG 85", f"{CASES}003_cute_plant_planter.png", reduced),
    ("Another picture of GPT-4o", f"{CASES}008_glass_retexturing.png", None),
)
HEAD = """# Gallery

Pictures that were explained when this site was built, by `trace` at effort {effort}. Each leads to
its page, as `recon-detect explain` writes it. They were chosen by their licence, not by their result.
The grid of GPT-4o's family was estimated from pictures of this set, so that those two are not new to it.

"""


def entry(number: int, detector: Detector, about: dict[str, dict[str, str]]) -> str:
    """Explains one picture, and describes it for the page."""
    title, name, change = PICTURES[number]
    row = about[name]
    assert row["licence"].startswith("CC BY") and "SA" not in row["licence"], name
    data = change(Image.open(SHARED / name).convert("RGB")) if change else (SHARED / name).read_bytes()
    explanation = explain({"bytes": data, "path": Path(name).name}, detector=detector)
    explanation.save(FOLDER / f"{number}.html")
    small = explanation.picture.copy()
    small.thumbnail((320, 320))
    small.convert("RGB").save(FOLDER / f"{number}-small.jpg", quality=85)
    answer = explanation.answer
    return (
        f"## {title}\n\n[![{title}]({number}-small.jpg)]({number}.html)\n\n**{answer.headline}.** {answer.meaning}\n\n"
        f"[All of the evidence]({number}.html). Source: {row['source']}, `{row['source_path']}`, {row['licence']}.\n\n"
    )


def main() -> None:
    """Writes a page for each picture, and the page that lists them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effort", default="quick")
    effort = parser.parse_args().effort
    if not (SHARED / "manifest.csv").is_file():
        print(f"no gallery: {SHARED} has no evaluation images; RECON_DETECT_SHARED names their folder")
        return
    with (SHARED / "manifest.csv").open(encoding="utf-8", newline="") as file:
        about = {row["path"]: row for row in csv.DictReader(file)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    detector = load_detector("trace", device="cpu", effort=effort)
    entries = [entry(number, detector, about) for number in range(len(PICTURES))]
    (FOLDER / "index.md").write_text(HEAD.format(effort=effort) + "".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main()
