"""``recon-detect demo``."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli.arguments import Models, split
from recon_detect.methods import DEFAULT_METHOD


def demo(
    keep: Annotated[Path | None, typer.Option(help="Keep the images in this folder.")] = None,
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
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory() as name:
        folder = Path(str(name))
        for label in ("photograph", "decoded"):
            (folder / label).mkdir(parents=True, exist_ok=True)
        for path, pixels in zip(samples.filenames, samples.images, strict=True):
            photograph = Image.fromarray(pixels)
            stem = Path(path).stem
            photograph.save(folder / "photograph" / f"{stem}.png")
            decoded(detector, photograph).save(folder / "decoded" / f"{stem}.png")
        result = detector.score(folder).raise_for_errors()
        print_table(result.rows, result.run)
    print(
        f"\nEach picture is scored twice: the photograph, and what the decoder of {detector.run_info.models[0].name} "
        "makes of it,\nthe last step of every latent diffusion model. A decoded picture is reconstructed better as it "
        "is than\nmirrored, turned or moved, so its score is well above 0; a photograph's is not: "
        "docs/methods/grain.md."
    )
