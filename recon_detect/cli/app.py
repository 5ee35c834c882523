"""Commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recon_detect._version import __version__
from recon_detect.cli.arguments import BatchSize, Device, Dtype, Models, Quiet, split
from recon_detect.cli.labelled import audit, calibrate
from recon_detect.methods import DEFAULT_METHOD, METHODS
from recon_detect.settings import DEFAULTS, Inversion

app = typer.Typer(
    name="recon-detect",
    help="Tell images made by generative models from photographs, without training a network.",
    epilog="Exit codes: 0 done, 1 what --fail-on names was found, 2 wrong usage, "
    "3 some images could not be scored (the others were), 4 weights not available, 5 device or memory, "
    "130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Show, fetch and check pretrained weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")
convert_app = typer.Typer(help="Turn other projects' checkpoints into folders for --models.", no_args_is_help=True)
app.add_typer(convert_app, name="convert")


def _version(show: bool) -> None:
    if show:
        print(f"recon-detect {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def score(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders (searched through), glob patterns, list files (.txt) or manifests (.csv with the "
            "column 'path' and perhaps 'label')."
        ),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help=f"Score: {', '.join(METHODS)}. Several, separated by commas, share one pass; the first one ranks. "
            "Without it: glance, which answers in seconds, with the models of the package; grain, which searches, with "
            "others.",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="Autoencoders: names or sets from 'recon-detect models list', folders, or hub ids. Repeat the option "
            "or separate names by commas. Without it: the method's own; of the default those of the package, which "
            "need no download. 'tiny' (40 MB from the hub) and 'full' tell more.",
        ),
    ] = None,
    distance: Annotated[
        str | None, typer.Option(help="lpips_vgg_2, l2, ssim, ... Without it: the method's own.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write results to a .jsonl, .csv or .parquet file. A run that was killed goes on."
        ),
    ] = None,
    maps: Annotated[Path | None, typer.Option(help="Write a heat map of each image into this folder.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu. Without it: the first that is there.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = DEFAULTS.dtype,
    compat: Annotated[
        str | None,
        typer.Option(help="'published' reproduces the numbers of the authors' code, with --method aeroblade."),
    ] = None,
    inversion_steps: Annotated[
        int, typer.Option(min=1, help="Evaluations each way of a diffusion model, with --method dire or deep.")
    ] = DEFAULTS.inversion.steps,
    real_step: Annotated[
        int, typer.Option(min=0, help="Only the first so many of them, there and back; 0 takes all.")
    ] = DEFAULTS.inversion.real_step,
    prompt: Annotated[str, typer.Option(help="What a latent diffusion model is told, with --method deep.")] = "",
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images per batch. Without it: by free memory.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode images.")] = DEFAULTS.workers,
    max_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images.")] = DEFAULTS.max_pixels,
    exif_orientation: Annotated[
        bool, typer.Option("--exif-orientation", help="Turn images as their EXIF tag says, before scoring.")
    ] = DEFAULTS.exif_orientation,
    classifier: Annotated[
        str | None, typer.Option(help="Folder that 'convert dire-classifier' wrote, with --method dire-resnet.")
    ] = None,
    middle_square: Annotated[
        int | None,
        typer.Option(
            min=8, help="Score the middle square brought to this side, as DIRE does. Resizing removes evidence."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="What 'calibrate' wrote for this method and these models, or 'shipped': adds verdict and p-value."
        ),
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option(help="'generated': exit with 1 if an image is likely generated; for pipelines.")
    ] = None,
    compile_networks: Annotated[
        bool, typer.Option("--compile", help="Compile diffusion models: a minute first, then faster. For long runs.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Print JSON lines on a terminal too.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score images: higher means more likely generated.

    Prints a table on a terminal and JSON lines into a pipe.

    Examples:
      recon-detect score picture.png

      recon-detect score photos/ --output scores.csv --maps maps/

      recon-detect score photos/ --method contrast,hfi,aedr

      recon-detect score dataset/ --models sd1,sd2 --output scores.parquet
    """
    from recon_detect.cli.score import run_score

    options = {
        "method": split(method) or DEFAULT_METHOD,
        "models": split(models),
        "distance": distance,
        "device": device,
        "dtype": dtype,
        "compat": compat,
        "batch_size": batch_size,
        "workers": workers,
        "max_pixels": max_pixels,
        "exif_orientation": exif_orientation,
        "inversion": Inversion(inversion_steps, real_step, prompt),
        "middle_square": middle_square,
        "classifier": classifier,
        "compile": compile_networks,
    }
    raise typer.Exit(
        run_score(
            paths,
            options,
            output=output,
            maps=maps,
            as_json=json_lines,
            quiet=quiet,
            calibration=calibration,
            fail_on=fail_on,
        )
    )


app.command()(calibrate)
app.command()(audit)


@app.command()
def reconstruct(
    paths: Annotated[list[str], typer.Argument(help="Images, folders, glob patterns, list files or manifests.")],
    models: Annotated[str, typer.Option("--models", help="One: a folder that 'convert' wrote, a hub id, or a name.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for recons/ and dire/.")],
    legacy_format: Annotated[
        bool,
        typer.Option(
            "--legacy-format", help="Keep each image's own format, lossy ones too, as the published script does."
        ),
    ] = False,
    floats: Annotated[
        bool, typer.Option("--floats", help="Write safetensors with unrounded values instead of PNG.")
    ] = False,
    inversion_steps: Annotated[int, typer.Option(min=1, help="As in 'score'.")] = DEFAULTS.inversion.steps,
    real_step: Annotated[int, typer.Option(min=0, help="As in 'score'.")] = DEFAULTS.inversion.real_step,
    device: Device = None,
    dtype: Dtype = DEFAULTS.dtype,
    batch_size: BatchSize = None,
    quiet: Quiet = False,
) -> None:
    """Write what a model makes of images, and the differences (DIRE maps), for training a classifier on them.

    Images that are there already are left out, so a run that was killed goes on.

    Example:
      recon-detect reconstruct photos/ --models adm256/ --output maps/
    """
    from recon_detect.cli.reconstruct import run_reconstruct

    options = {
        "models": models,
        "device": device,
        "dtype": dtype,
        "batch_size": batch_size,
        "inversion": Inversion(inversion_steps, real_step),
    }
    raise typer.Exit(run_reconstruct(paths, options, output, legacy=legacy_format, floats=floats, quiet=quiet))


@app.command()
def demo(
    keep: Annotated[Path | None, typer.Option(help="Keep the images in this folder.")] = None,
    models: Models = None,
) -> None:
    """Score two photographs, and the same two pictures as an image generator's decoder writes them.

    The photographs come with scikit-learn and the models with this package, so nothing is downloaded.
    """
    from recon_detect.cli.demo import run_demo

    run_demo(keep, split(models))


@app.command()
def doctor() -> None:
    """Check the installation: versions, devices, torchvision, LPIPS, weights, cache."""
    from recon_detect.cli.doctor import run_doctor

    raise typer.Exit(run_doctor())


@models_app.command("list")
def list_models() -> None:
    """Show the models by name, and which of them are on this machine."""
    from recon_detect.cli.models import run_list

    run_list()


@models_app.command("download")
def download_models(
    names: Annotated[list[str], typer.Argument(help="Names, sets ('tiny', 'full'), hub ids, or 'lpips'.")],
) -> None:
    """Fetch weights from the hub, and nothing but the autoencoder. A broken transfer goes on where it stopped."""
    from recon_detect.cli.models import run_download

    run_download(split(names) or [])


@models_app.command("verify")
def verify_models(
    names: Annotated[list[str] | None, typer.Argument(help="Names or sets; all that are on this machine.")] = None,
) -> None:
    """Check the SHA-256 of weights on this machine."""
    from recon_detect.cli.models import run_verify

    raise typer.Exit(run_verify(split(names)))


@convert_app.command("guided-diffusion")
def convert_guided_diffusion(
    checkpoint: Annotated[Path, typer.Argument(help="The .pt file. Only tensors are read from it.")],
    output: Annotated[Path, typer.Argument(help="The folder to write, in diffusers' format with safetensors.")],
    num_head_channels: Annotated[int, typer.Option(help="Channels of a head of attention.")] = 64,
    num_heads: Annotated[
        int | None, typer.Option(help="Number of heads instead; 4 in OpenAI's model of 128 px.")
    ] = None,
    use_new_attention_order: Annotated[
        bool, typer.Option("--use-new-attention-order", help="As the model was trained; OpenAI's were not.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(help="That the model was trained at. Without it: by its channels.")
    ] = None,
    noise_schedule: Annotated[str, typer.Option(help="linear or cosine.")] = "linear",
    diffusion_steps: Annotated[int, typer.Option(min=1, help="Of the training schedule.")] = 1000,
) -> None:
    """Convert a UNet of OpenAI's guided-diffusion, as DIRE uses it.

    The architecture is read from the names and shapes of the tensors; the options are what these do not tell.

    Examples:
      recon-detect convert guided-diffusion 256x256_diffusion_uncond.pt adm256/

      recon-detect score photos/ --method dire --models adm256/
    """
    from recon_detect.cli.convert import run_convert

    run_convert(
        checkpoint,
        output,
        {
            "channels": None if num_heads else num_head_channels,
            "number": num_heads,
            "new_order": use_new_attention_order,
        },
        {"image_size": image_size, "noise_schedule": noise_schedule, "diffusion_steps": diffusion_steps},
    )


@convert_app.command("dire-classifier")
def convert_dire_classifier(
    checkpoint: Annotated[Path, typer.Argument(help="The .pth file. Only tensors are read from it.")],
    output: Annotated[Path, typer.Argument(help="The folder to write, for transformers, with safetensors.")],
) -> None:
    """Convert the ResNet-50 that DIRE's authors train on DIRE maps.

    Example:
      recon-detect convert dire-classifier lsun_adm.pth dire-resnet/

      recon-detect score photos/ --method dire-resnet --models adm256/ --classifier dire-resnet/
    """
    from recon_detect.models.converters.dire_classifier import convert_classifier

    convert_classifier(checkpoint, output)
    print(f"{output}: ResNetForImageClassification, every tensor placed")
