"""Parts that the trainings share: crops of photographs, optimisers, checkpoints to resume from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from assets.students.optimiser import Muon
from recon_detect.atomic import replacing

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


def read_photographs(folder: Path) -> list[Image.Image]:
    """The PNG images of a folder, as RGB."""
    return [Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))]


@dataclass
class Crops:
    """Random crops of photographs: turned or mirrored, and some reduced before.

    Attributes:
        photographs: To crop from.
        generator: Source of chance.
        side: Side of the crops in pixels.
        scales: By one of which a piece is reduced.
        turned: Turn crops by quarters too, instead of mirroring alone.
    """

    photographs: list[Image.Image]
    generator: np.random.Generator
    side: int
    scales: tuple[float, ...] = (1, 1, 0.75, 0.5)
    turned: bool = True

    def draw(self, count: int) -> Tensor:
        """(count, 3, side, side) in [0, 1]."""
        pieces = []
        for _ in range(count):
            image = self.photographs[self.generator.integers(len(self.photographs))]
            side = round(self.side / self.generator.choice(self.scales))
            left, top = (int(self.generator.integers(0, length - side + 1)) for length in image.size)
            piece = image.crop((left, top, left + side, top + side))
            array = np.asarray(piece.resize((self.side, self.side), Image.Resampling.LANCZOS))
            array = np.rot90(array, int(self.generator.integers(4)) if self.turned else 0)
            pieces.append(array[:, ::-1] if self.generator.random() < 0.5 else array)
        return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).float() / 255


class Optimisers:
    """Muon for the convolutions and matrices between hidden layers, Adam for the rest."""

    def __init__(self, module: nn.Module, muon: float, adam: float) -> None:
        hidden = [p for p in module.parameters() if p.ndim >= 2 and min(p.shape[:2]) >= 16]
        others = [p for p in module.parameters() if not any(p is other for other in hidden)]
        self.rates = (muon, adam)
        self.members = (Muon(hidden, muon), torch.optim.Adam(others, adam, betas=(0.9, 0.99)))

    def step(self, share: float) -> None:
        """One step at a share of the full rates; forgets the gradients."""
        for optimiser, rate in zip(self.members, self.rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            optimiser.step()
            optimiser.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Momenta, by member, parameter and name."""
        return {
            f"{member}.{index}.{name}": torch.as_tensor(value)
            for member, optimiser in enumerate(self.members)
            for index, moments in optimiser.state_dict()["state"].items()
            for name, value in moments.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restores what `state` gave."""
        for member, optimiser in enumerate(self.members):
            current = optimiser.state_dict()
            for key, value in state.items():
                if key.startswith(f"{member}."):
                    _, index, name = key.split(".")
                    current["state"].setdefault(int(index), {})[name] = value
            optimiser.load_state_dict(current)


@dataclass
class Run:
    """A training in a folder: weights, averaged weights or others by name, momenta, and how far it is.

    Attributes:
        folder: For the checkpoint and the log.
        modules: Trained or averaged modules, by name.
        optimisers: Optimisers of the modules.
        done: Rounds.
        seconds: Seconds of training.
    """

    folder: Path
    modules: dict[str, nn.Module]
    optimisers: Optimisers
    done: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return
        with safe_open(path, framework="pt") as file:
            self.done, self.seconds = int(file.metadata()["rounds"]), float(file.metadata()["seconds"])
        state = load_file(path)
        for name, module in self.modules.items():
            module.load_state_dict(_under(state, name))
        self.optimisers.restore(_under(state, "optimiser"))

    def rounds(self, until: int, every: int) -> Iterator[int]:
        """Remaining rounds; writes a checkpoint at intervals and after the last."""
        while self.done < until:
            started = time.monotonic()
            yield self.done
            self.done += 1
            self.seconds += time.monotonic() - started
            if self.done % every == 0 or self.done == until:
                self._write()

    def report(self, **figures: Any) -> None:
        """A line of the log, from within a round."""
        line = {"round": self.done + 1, "seconds": round(self.seconds), **figures}
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    def _write(self) -> None:
        state = {f"optimiser.{name}": tensor for name, tensor in self.optimisers.state().items()}
        for name, module in self.modules.items():
            state |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
        metadata = {"rounds": str(self.done), "seconds": str(self.seconds)}
        with replacing(self.folder / CHECKPOINT) as temporary:
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, temporary, metadata)


def _under(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
