"""Muon (Jordan et al., 2024): momentum whose singular values are all brought to about one before the step.

Directions in which features vary little count as much as the others, so the convolutions of a student come near its
teacher's in a fraction of Adam's steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from assets.students.precision import PRECISION

# The quintic of Newton and Schulz by which singular values in (0, 1] come near 1, five times over.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, rows, columns) with the same singular vectors and their singular values near 1."""
    a, b, c = _QUINTIC
    x: Tensor = matrices.to(PRECISION)
    x = x / (matrices.norm(dim=(1, 2), keepdim=True).to(PRECISION) + 1e-12)
    for _ in range(_ITERATIONS):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    """Steps of equal length in all directions, for the weights of hidden layers.

    Args:
        params: Weights of two or more dimensions; the first is the rows, the others the columns.
        lr: Length of a step, as a singular value.
        momentum: Momentum of the gradient (Nesterov's).
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].mul_(group["momentum"]).add_(parameter.grad)
                update = parameter.grad + group["momentum"] * state["momentum"]
                by_shape.setdefault(parameter.shape, []).append((parameter, update))
            for shape, pairs in by_shape.items():
                updates = orthogonal(torch.stack([update.reshape(shape[0], -1) for _, update in pairs]))
                for (parameter, _), update in zip(pairs, updates, strict=True):
                    parameter.add_(update.reshape(shape), alpha=-group["lr"])
