"""Draws the figure of README: the photograph of the demo, its decoded version, their error maps and their scores.

recon-detect demo --keep demo
python docs/figures/demo.py demo/ docs/figures/demo.jpg

Each map is the error of `mini-sd` by `encoder_features`, mean over 8 px; both have the same colour scale. The
scores are those of the default method.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from recon_detect import load_detector
from recon_detect.atomic import replacing
from recon_detect.images.heat import colour

SIZE = (320, 214)
GAP, CAPTION = 8, 30


def smooth(error: np.ndarray, side: int = 8) -> np.ndarray:
    """The mean of each square of `side` px."""
    height, width = (length // side * side for length in error.shape)
    return error[:height, :width].reshape(height // side, side, width // side, side).mean(axis=(1, 3))


def main() -> None:
    demo, output = Path(sys.argv[1]), Path(sys.argv[2])
    files = [demo / label / "china.png" for label in ("photograph", "decoded")]
    scores = load_detector().score(files, progress=False).raise_for_errors().scores
    errors = load_detector("aeroblade", models=["mini-sd"], distance="encoder_features")
    maps = [smooth(error) for error in errors.score(files, maps=True, progress=False).raise_for_errors().maps]
    scale = float(np.quantile(np.stack(maps), 0.98))
    panels = [Image.open(file).convert("RGB") for file in files]
    panels += [Image.fromarray(colour(error, scale)) for error in maps]
    captions = ["photograph", "decoded by mini-sd"]
    captions += [f"error map; score {score:.1f}" for score in scores]
    figure = Image.new("RGB", (4 * SIZE[0] + 3 * GAP, SIZE[1] + CAPTION), "white")
    draw = ImageDraw.Draw(figure)
    # Each map stands beside its picture.
    for column, index in enumerate((0, 2, 1, 3)):
        left = column * (SIZE[0] + GAP)
        figure.paste(panels[index].resize(SIZE, Image.Resampling.LANCZOS), (left, 0))
        draw.text((left + 4, SIZE[1] + 6), captions[index], fill="black", font=ImageFont.load_default(18))
    with replacing(output) as temporary:
        figure.save(temporary, format="JPEG", quality=90)
    print(output, [round(float(score), 2) for score in scores])


if __name__ == "__main__":
    main()
