"""``recon-detect demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli.arguments import Models, split
from recon_detect.methods import DEFAULT_METHOD
from recon_detect.names import shown


def demo(
    keep: Annotated[Path, typer.Option(help="Folder for the images.")] = Path("recon-detect-demo"),
    models: Models = None,
) -> None:
    """Score two photographs, and the same two pictures as an image generator's decoder writes them.

    The photographs come with scikit-learn and the models with this package, so nothing is downloaded.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    from recon_detect.cli.tables import print_table
    from recon_detect.detector import load_detector
    from recon_detect.examples import decoded
    from recon_detect.output.checks import check_folder

    check_folder(keep)
    samples = load_sample_images()
    detector = load_detector("contrast" if models else DEFAULT_METHOD, models=split(models))
    for label in ("photograph", "decoded"):
        (keep / label).mkdir(parents=True, exist_ok=True)
    for path, pixels in zip(samples.filenames, samples.images, strict=True):
        photograph = Image.fromarray(pixels)
        stem = Path(path).stem
        photograph.save(keep / "photograph" / f"{stem}.png")
        decoded(detector, photograph).save(keep / "decoded" / f"{stem}.png")
    result = detector.score(keep).raise_for_errors()
    print_table(result.rows, result.run)
    print(
        f"\nThe pictures are in {shown(str(keep))}. Each is scored twice: the photograph, and what the decoder of "
        f"{detector.run_info.models[0].name} makes of it,\nthe last step of every latent diffusion model. The decoder "
        "leaves a trace, a grid in the pixels and\na grain that its autoencoder sees, so the score of a decoded "
        "picture is well above 0; a photograph's is not:\ndocs/methods/trace.md."
    )
