"""Pictures to try: a photograph, and the same as an image generator's decoder writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon_detect.errors import UnknownName

if TYPE_CHECKING:
    from PIL import Image

    from recon_detect.detector import Detector

NAMES = ("photograph", "decoded")


def decoded(detector: Detector, photograph: Image.Image) -> Image.Image:
    """Passes a photograph through the detector's first autoencoder, and rounds to 8 bits as generators do."""
    import torch
    from PIL import Image

    from recon_detect.images import open_picture

    with torch.inference_mode():
        x = open_picture(photograph).tensor()[None].to(detector.device)
        result = detector.evidence(x).reconstruction(0)[0]
    return Image.fromarray(((result + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())


def example(name: str) -> Image.Image:
    """Makes a picture of `NAMES`: a photograph that comes with scikit-learn, or its decoding by a model of the package.

    Raises:
        UnknownName: No such picture.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from recon_detect.detector import load_detector

    if name not in NAMES:
        raise UnknownName("example", name, NAMES)
    photograph = Image.fromarray(load_sample_image("china.jpg"))
    return photograph if name == "photograph" else decoded(load_detector("contrast", models="embedded"), photograph)
