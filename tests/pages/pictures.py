"""Files and rows that the pages are made of."""

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recon_detect.images import Provenance
from recon_detect.results import MethodInfo, Row, RunInfo, Score

HOSTILE = "<img src=x onerror=alert(1)>"
RUN = RunInfo(
    (MethodInfo("trace", "encoder_features", ("sd", "sdxl"), "0123"),),
    None,
    (),
    "cpu",
    False,
    "white",
    None,
    {"torch": "2"},
)


def save_hostile(folder):
    """A picture whose name and metadata would run in a page that took them for markup."""
    x, y = np.meshgrid(np.arange(192), np.arange(160))
    noise = np.random.default_rng(0).integers(-40, 41, (160, 192, 3))
    pixels = np.clip((x + y)[..., None] / 2 + 30 + noise, 0, 255).astype(np.uint8)
    text = PngInfo()
    text.add_text("parameters", f"{HOSTILE}</script><script>alert(2)</script>\nSteps: 20, Model: {HOSTILE}")
    path = folder / f"{HOSTILE}.png"
    Image.fromarray(pixels).save(path, pnginfo=text)
    return path


def row(index, score, path=None, **changes):
    file = Provenance(640, 480, "JPEG", "RGB", f"{index:064x}", jpeg_quality=90)
    of_families = {"sd": score - 0.5, "sdxl": score}
    details = {"sizes": ["640x480"], "passes": 2.0, "tiles": []}
    if score > 2.33:
        details |= {
            "decoder": "sdxl",
            "native_size": [1024, 768],
            "scale": 1.6,
            "offset": [0, 0],
            "symmetry": "identity",
        }
    scores = {"trace": Score(score, of_families, details)}
    values = {"scores": scores, "provenance": file, "texture": 0.9} | changes
    return Row(index, path or f"photos/{index:05d}.jpg", **values)


def failed(index, path="photos/broken.jpg"):
    return Row(index, path, error="UnreadableImage: truncated <b>file</b>")
