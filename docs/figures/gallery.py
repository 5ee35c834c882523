"""Explains some evaluation images under CC BY for the gallery of the site, in build/gallery.

python docs/figures/gallery.py [--effort quick]

Without the evaluation images (`RECON_DETECT_SHARED`) it says so, and the site is built without a gallery.
"""

import argparse
import csv
import io
import os
from pathlib import Path

from PIL import Image

from recon_detect import Detector, explain, load_detector

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "gallery"
SHARED = Path(os.environ.get("RECON_DETECT_SHARED", ROOT.parent / "shared")) / "eval"
CASES = "generated/gpt-4o-image/gpt4o_cases__"
# What a picture shows, its file, and the longer side and JPEG quality of a copy; None of the file itself.
PICTURES: tuple[tuple[str, str, tuple[int, int] | None], ...] = (
    ("A photograph", "real/libjxl_photos__000_tmshre_riaphotographs_srgb8.png", None),
    ("A photograph, as JPEG", "real/skimage_sklearn__004_china.jpg", None),
    ("A generated picture", f"{CASES}003_cute_plant_planter.png", None),
    ("The same picture at 800 px, JPEG 85", f"{CASES}003_cute_plant_planter.png", (800, 85)),
    ("Another generated picture", f"{CASES}008_glass_retexturing.png", None),
)
HEAD = """# Gallery

Pictures that were explained when this site was built, with the default method at effort {effort}. Each leads to
its page, as `recon-detect explain` writes it. They were chosen by their licence, not by their result.

"""


def copy(path: Path, side: int, quality: int) -> bytes:
    """A smaller JPEG of a picture, as sites make them."""
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def entry(number: int, detector: Detector, about: dict[str, dict[str, str]]) -> str:
    """Explains one picture, and describes it for the page."""
    title, name, changed = PICTURES[number]
    row = about[name]
    assert row["licence"].startswith("CC BY") and "SA" not in row["licence"], name
    picture = SHARED / name
    if changed:
        picture = FOLDER / f"{number}.jpg"
        picture.write_bytes(copy(SHARED / name, *changed))
    explanation = explain(picture, detector=detector)
    explanation.save(FOLDER / f"{number}.html")
    small = explanation.picture.copy()
    small.thumbnail((320, 320))
    small.convert("RGB").save(FOLDER / f"{number}-small.jpg", quality=85)
    if changed:
        picture.unlink()
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
    detector = load_detector(device="cpu", effort=effort)
    entries = [entry(number, detector, about) for number in range(len(PICTURES))]
    (FOLDER / "index.md").write_text(HEAD.format(effort=effort) + "".join(entries), encoding="utf-8")


if __name__ == "__main__":
    main()
