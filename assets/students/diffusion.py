r"""Trains the small diffusion model of pixels that comes with the package: 64 px, from random weights, for `dire`.

    python -m assets.photographs --packages . --output photographs/
    python -m assets.students.diffusion --photographs photographs/ --runs runs/

Denoising diffusion (Ho et al., 2020) with the linear schedule of 1000 steps; what is kept is the running average of the
weights. The mean square of the noise hardly sees the colour of the whole image, in which an inversion then drifts; so
the last rounds weigh coarse differences as much as fine ones, and their pieces are muted: the colour of a piece is more
extreme than that of a whole photograph, and the drift is in proportion to it.

A run that was killed goes on from its last checkpoint; more ``--rounds`` than are done go on training.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from assets.students.precision import lowered
from assets.students.training import Crops, Optimisers, Run, read_photographs
from recon_detect.models.inversion import betas
from recon_detect.models.torchvision_guard import hide_broken_torchvision

RUN = "diffusion"
SAMPLE_SIDE = 64
REPORT = 100
STEPS = 1000
PLAIN = 1500  # rounds, before coarse differences are weighed too, and pieces are muted
MUTED = 0.4  # what is left of the mean colour of a piece, from grey
COARSE = (4, 16, 64)  # sides of the squares that they are averaged over
# Architecture of ADM: scale-shift norm, and residual blocks that halve and double the resolution.
CONFIG: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "sample_size": SAMPLE_SIDE,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [32, 64, 128],
    "down_block_types": ["ResnetDownsampleBlock2D"] * 3,
    "up_block_types": ["ResnetUpsampleBlock2D"] * 3,
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "attention_head_dim": 32,
    "downsample_type": "resnet",
    "upsample_type": "resnet",
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "silu",
    "flip_sin_to_cos": True,
    "freq_shift": 0,
}


def noised(x: Tensor, signal: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Images at random times: what the network is given, at which times, and the noise that is in it."""
    # Spread evenly over the times, so that the loss varies less from round to round.
    times = (generator.permutation(len(x)) + generator.random(len(x))) / len(x) * len(signal)
    t = torch.from_numpy(times.astype(np.int64))
    noise = torch.from_numpy(generator.standard_normal(x.shape, dtype=np.float32))
    alpha_bar = signal[t].view(-1, 1, 1, 1)
    return alpha_bar.sqrt() * x + (1 - alpha_bar).sqrt() * noise, t, noise


def coarse(difference: Tensor) -> Tensor:
    """Mean squares of the means over squares, each 1 of white noise of variance 1: what a mean square hardly sees.

    Where the mean square is least, these are least too: the best prediction stays the same.
    """
    sides = (min(side, difference.shape[-1]) for side in COARSE)
    return torch.stack([(F.avg_pool2d(difference, side) * side).square().mean() for side in sides]).sum()


def muted(x: Tensor) -> Tensor:
    """Images in [-1, 1] whose mean colours are nearer to grey."""
    return (x - (1 - MUTED) * x.mean(dim=(2, 3), keepdim=True)).clamp(-1, 1)


@torch.no_grad()
def average(averaged: torch.nn.Module, network: torch.nn.Module, done: int) -> None:
    """Moves the averaged weights on: over the last tenth of the rounds that are done, and a thousand at most."""
    share = 1 / min(max(done / 10, 1), 1000)
    for ours, theirs in zip(averaged.parameters(), network.parameters(), strict=True):
        ours.lerp_(theirs, share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="folder of openly licensed photographs")
    parser.add_argument("--runs", type=Path, required=True, help="a folder in it is the run's")
    parser.add_argument("--rounds", type=int, default=2100)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    hide_broken_torchvision()
    from recon_detect.models.pixel_diffusion import build_unet

    torch.manual_seed(options.seed)
    network = build_unet(CONFIG).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(network).requires_grad_(False)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{parameters / 1e6:.2f} million parameters", flush=True)
    run = Run(options.runs / RUN, {"network": network, "averaged": averaged}, Optimisers(network, 0.01, 1e-3))
    generator = np.random.default_rng([options.seed, run.done])
    scales = (1, 0.5, 0.25, 0.1875, 0.125)
    crops = Crops(read_photographs(options.photographs), generator, SAMPLE_SIDE, scales, turned=False)
    signal = torch.from_numpy(np.cumprod(1 - betas("linear", STEPS))).float()
    losses = []
    for done in run.rounds(options.rounds, REPORT):
        pieces = crops.draw(options.batch_size) * 2 - 1
        x, t, noise = noised(pieces if done < PLAIN else muted(pieces), signal, generator)
        with lowered():
            predicted = network(x.contiguous(memory_format=torch.channels_last), t).sample
        difference = predicted.float() - noise
        loss = difference.square().mean()
        (loss if done < PLAIN else loss + coarse(difference)).backward()
        share = 1 - done / (PLAIN if done < PLAIN else options.rounds)
        run.optimisers.step(min(1, (done + 1) / 100) * max(share, 0.02))
        average(averaged, network, done)
        losses.append(loss.item())
        if len(losses) == REPORT:
            run.report(loss=round(float(np.mean(losses)), 5))
            losses.clear()


if __name__ == "__main__":
    main()
