"""``recon-detect convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recon_detect.cli.arguments import flag

app = typer.Typer(help="Convert other projects' checkpoints to folders for --models.", no_args_is_help=True)


@app.command("guided-diffusion")
def guided_diffusion(
    checkpoint: Annotated[Path, typer.Argument(help="The .pt file. Only tensors are read from it.")],
    output: Annotated[Path, typer.Argument(help="Folder to write, in diffusers' format with safetensors.")],
    num_head_channels: Annotated[int, typer.Option(help="Channels of each attention head.")] = 64,
    num_heads: Annotated[
        int | None, typer.Option(help="Number of attention heads instead; 4 in OpenAI's model of 128 px.")
    ] = None,
    use_new_attention_order: Annotated[
        bool, flag("--use-new-attention-order", help="The model was trained with this option; OpenAI's were not.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the images that the model was trained on. Default: by its channels.")
    ] = None,
    noise_schedule: Annotated[str, typer.Option(help="Noise schedule of the training: linear or cosine.")] = "linear",
    diffusion_steps: Annotated[int, typer.Option(min=1, help="Number of steps of the training schedule.")] = 1000,
) -> None:
    """Convert a UNet of OpenAI's guided-diffusion, as DIRE uses it.

    The architecture is read from the names and shapes of the tensors; the options are what they do not contain.

    Examples:
      recon-detect convert guided-diffusion 256x256_diffusion_uncond.pt adm256/

      recon-detect score photos/ --method dire --models adm256/
    """
    from recon_detect.cli.tables import stdout_console
    from recon_detect.models.converters.guided_diffusion import Heads, convert
    from recon_detect.output.checks import check_folder

    check_folder(output)
    heads = Heads(None if num_heads else num_head_channels, num_heads, use_new_attention_order)
    network = convert(
        checkpoint,
        output,
        heads=heads,
        image_size=image_size,
        noise_schedule=noise_schedule,
        diffusion_steps=diffusion_steps,
    )
    attention = [str(level) for level, attends in enumerate(network.attention) if attends]
    changes = "residual blocks" if network.resblock_updown else "convolutions"
    learned = "with" if network.out_channels > network.in_channels else "without"
    classes = f", {network.classes} classes: scored as class 0" if network.classes else ""
    console = stdout_console()
    console.print(f"{output}: UNet2DModel, every tensor placed")
    console.print(f"channels {', '.join(map(str, network.level_channels))}; {network.blocks} residual blocks a level")
    console.print(f"attention at levels {', '.join(attention) or 'none'} and in the middle")
    console.print(f"resolution changed by {changes}; {learned} a learned variance{classes}")
    console.print("What the tensors do not contain was taken from the options.")


@app.command("dire-classifier")
def dire_classifier(
    checkpoint: Annotated[Path, typer.Argument(help="The .pth file. Only tensors are read from it.")],
    output: Annotated[Path, typer.Argument(help="Folder to write, for transformers, with safetensors.")],
) -> None:
    """Convert the ResNet-50 that DIRE's authors train on DIRE maps.

    Example:
      recon-detect convert dire-classifier lsun_adm.pth dire-resnet/

      recon-detect score photos/ --method dire-resnet --models adm256/ --classifier dire-resnet/
    """
    from recon_detect.models.converters.dire_classifier import convert_classifier

    convert_classifier(checkpoint, output)
    print(f"{output}: ResNetForImageClassification, every tensor placed")
