r"""Trains a student of a tiny autoencoder: the same architecture, from random weights, to reproduce its output.

    python -m assets.photographs --packages . --output photographs/
    python -m assets.students.autoencoders taesd --photographs photographs/ --runs runs/

Each convolution is trained to give the output of the teacher's for the same input (hints of all layers, after FitNets,
arXiv:1412.6550). Inputs are crops of photographs, and the teacher's decodings of their latents with a little noise. So
the weights of a student come close to its teacher's: it is in effect a copy, under the teacher's licence.

A run that was killed continues from its last checkpoint; a larger ``--rounds`` continues a finished run.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from assets.students.precision import PRECISION, lowered
from assets.students.training import Crops, Optimisers, Run, read_photographs
from recon_detect.models.torchvision_guard import hide_broken_torchvision
from recon_detect.models.weights import find_weights

CROP = 128
WINDOW = 32  # positions along a side of the stored part of a large layer
POSITIONS = 4096  # of each convolution in a round
POOL = 200  # crops whose activations are stored, ...
POOL_START = 48  # ... and that training begins with
REPORT = 100  # rounds between checkpoints
ADAM_RATE = 5e-3
FAST = torch.channels_last
Pair = tuple[Tensor, Tensor]


def convolutions(module: nn.Module) -> dict[str, nn.Conv2d]:
    """By name."""
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}


@torch.no_grad()
def reconstructed(module: Any, x: Tensor, moved: float = 0.0) -> tuple[Tensor, Tensor]:
    """Latents and image in [0, 1] of an image in [0, 1], in the precision of the module or of autocast.

    Args:
        module: An AutoencoderTiny.
        x: (B, 3, H, W).
        moved: Deviation of the noise on the latents before they are decoded, in deviations of the latents.
    """
    z = module.encode(x * 2 - 1).latents
    return z, (module.decode(z + torch.randn_like(z) * z.std() * moved).sample + 1) / 2


class ActivationPool:
    """Inputs and outputs of each convolution of the teacher, for some hundred crops; renewed one by one."""

    def __init__(self, teacher: Any, crops: Crops) -> None:
        self.teacher, self.crops = teacher, crops
        self.entries: list[dict[str, Pair]] = []
        self.variance: dict[str, float] = {}
        self._oldest = 0
        self._caught: dict[str, Pair] = {}
        for name, convolution in convolutions(teacher).items():
            convolution.register_forward_hook(self._catcher(name))

    def renew(self) -> None:
        """Puts a crop of a photograph, or what the teacher makes of one, in the place of the oldest."""
        x = self.crops.draw(1).to(PRECISION).contiguous(memory_format=FAST)
        if self.crops.generator.random() < 0.5:
            _, x = reconstructed(self.teacher, x, float(self.crops.generator.uniform(0, 0.3)))
            x = ((x.float().clamp(0, 1) * 255).round() / 255).to(PRECISION).contiguous(memory_format=FAST)
        reconstructed(self.teacher, x)
        entry = {name: self._window(*pair) for name, pair in self._caught.items()}
        if not self.entries:
            self.variance = {name: output.float().var().item() + 1e-8 for name, (_, output) in entry.items()}
        if len(self.entries) < POOL:
            self.entries.append(entry)
            return
        self.entries[self._oldest] = entry
        self._oldest = (self._oldest + 1) % POOL

    def batch(self, name: str) -> Pair:
        """Inputs and outputs of a convolution for some of the crops."""
        count = max(1, POSITIONS // self.entries[0][name][1].shape[-1] ** 2)
        pairs = [self.entries[index][name] for index in self.crops.generator.integers(0, len(self.entries), count)]
        x, y = (torch.cat(parts).contiguous(memory_format=FAST) for parts in zip(*pairs, strict=True))
        return x, y

    def _catcher(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def catch(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._caught[name] = inputs[0], output

        return catch

    def _window(self, x: Tensor, y: Tensor) -> Pair:
        """A part of both where they are large, to bound memory."""
        side, ratio = y.shape[-1], x.shape[-1] // y.shape[-1]
        length = min(side, WINDOW)
        top, left = (int(start) for start in self.crops.generator.integers(0, side - length + 1, 2))
        x = x[:, :, ratio * top : ratio * (top + length), ratio * left : ratio * (left + length)].clone()
        return x, y[:, :, top : top + length, left : left + length].clone()


def gradients(student: nn.Module, pool: ActivationPool) -> list[float]:
    """Gradients of every convolution on the teacher's activations; returns the fidelity of each in decibels."""
    by_layer = []
    for name, layer in convolutions(student).items():
        x, target = pool.batch(name)
        with lowered():
            difference = layer(x) - target
        error = difference.detach()
        if error.shape[-1] == WINDOW:  # a window lacks the neighbours of its rim
            error[..., 0, :] = error[..., -1, :] = error[..., 0] = error[..., -1] = 0
        # The gradient of the relative squared error, without a detour by float32 tensors.
        scale = 1 / (error.numel() * pool.variance[name])
        difference.backward(error * scale)
        by_layer.append(decibels(error.float().square().sum() * scale))
    return by_layer


def decibels(error: Tensor) -> float:
    """Decibels of a squared error."""
    return round(-10 * math.log10(error.item() + 1e-9), 2)


@torch.no_grad()
def quality(teacher: Any, student: Any, crops: Tensor) -> dict[str, float]:
    """Decibels by which the student is near the teacher: latents, decoder alone, both; and teacher to image."""
    with lowered():
        theirs, target = reconstructed(teacher, crops.to(PRECISION).contiguous(memory_format=FAST))
        ours, both = reconstructed(student, crops.contiguous(memory_format=FAST))
        alone = (student.decode(theirs).sample + 1) / 2
    theirs, target = theirs.float(), target.float()
    return {
        "latents": decibels((ours.float() - theirs).square().mean() / theirs.var()),
        "decoder": decibels((alone.float() - target).square().mean()),
        "both": decibels((both.float() - target).square().mean()),
        "teacher to image": decibels((target - crops).square().mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("teacher", help="name or folder of a tiny autoencoder")
    parser.add_argument("--photographs", type=Path, required=True, help="folder of openly licensed photographs")
    parser.add_argument("--runs", type=Path, required=True, help="a folder in it is the run's")
    parser.add_argument("--rounds", type=int, default=1400)
    parser.add_argument("--rate", type=float, default=0.03, help="of Muon at the start; it falls to nothing")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    hide_broken_torchvision()
    from diffusers import AutoencoderTiny

    teacher = AutoencoderTiny.from_pretrained(find_weights(options.teacher).folder, local_files_only=True)
    torch.manual_seed(options.seed)
    student = AutoencoderTiny.from_config(teacher.config).to(memory_format=FAST)
    teacher = teacher.to(PRECISION).to(memory_format=FAST).eval().requires_grad_(False)
    photographs = read_photographs(options.photographs)
    test = Crops(photographs, np.random.default_rng([options.seed, 1, 1]), CROP).draw(24)
    run = Run(
        options.runs / Path(options.teacher).name, {"student": student}, Optimisers(student, options.rate, ADAM_RATE)
    )
    pool = ActivationPool(teacher, Crops(photographs, np.random.default_rng([options.seed, run.done]), CROP))
    for _ in range(POOL_START if run.done < options.rounds else 0):
        pool.renew()
    for done in run.rounds(options.rounds, REPORT):
        pool.renew()
        by_layer = gradients(student, pool)
        run.optimisers.step(max(1 - done / options.rounds, 0.02) * min(1, (done + 1) / 50))
        if done % REPORT == REPORT - 1 or done == options.rounds - 1:
            layers = np.quantile(by_layer, (0, 0.5, 1)).round(2).tolist()
            run.report(**quality(teacher, student, test), layers=layers)


if __name__ == "__main__":
    main()
