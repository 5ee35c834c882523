"""``recon-detect convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recon_detect.cli.tables import stdout_console
from recon_detect.models.converters.guided_diffusion import Heads, convert


def run_convert(checkpoint: Path, output: Path, heads: dict[str, Any], options: dict[str, Any]) -> None:
    """Converts, and says what was found."""
    found = convert(checkpoint, output, heads=Heads(**heads), **options)
    attention = [str(level) for level, attends in enumerate(found.attention) if attends]
    console = stdout_console()
    console.print(f"{output}: UNet2DModel, every tensor placed")
    console.print(f"channels {', '.join(map(str, found.level_channels))}; {found.blocks} residual blocks a level")
    console.print(f"attention at levels {', '.join(attention) or 'none'} and in the middle")
    changes = "residual blocks" if found.resblock_updown else "convolutions"
    learned = "with" if found.out_channels > found.in_channels else "without"
    classes = f", {found.classes} classes: scored as class 0" if found.classes else ""
    console.print(f"resolution changed by {changes}; {learned} a learned variance{classes}")
    console.print("What tensors do not tell was taken as given: see the options.")
