"""Tables of photographs made alike in all directions, so that what stands out is what photographs do not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor

# Share of the mean variance that is added to that of every direction: fewer photographs than entries do not tell.
RIDGE = 0.01


@dataclass(frozen=True, slots=True)
class Whitening:
    """The covariance of tables over photographs, undone: one of features, times a variance of each harmonic.

    Attributes:
        features: (F, F), the inverse square root of the covariance of the features over all harmonics.
        harmonics: (8, 5), the gain of each harmonic of the phases, as of `torch.fft.rfft2`.
    """

    features: Tensor
    harmonics: Tensor

    @classmethod
    def fit(cls, tables: Tensor) -> Self:
        """Fits the tables (N, F, 8, 8) of photographs, which then have a mean square of 1."""
        spectrum = torch.fft.rfft2(tables.double())
        power = spectrum.abs().square().mean((0, 1))
        flat = tables.double().transpose(0, 1).flatten(1)
        # Not evened out among the harmonics first: the strong ones show what photographs vary in.
        covariance = flat @ flat.T / flat.shape[1]
        ridge = RIDGE * covariance.trace() / len(covariance)
        values, vectors = torch.linalg.eigh(covariance + ridge * torch.eye(len(covariance), dtype=torch.float64))
        gain = torch.where(power > 0, power.mean() / power, 0.0).sqrt()
        gain[0, 0] = 0
        unscaled = cls(((vectors * values.rsqrt()) @ vectors.T).float(), gain.float())
        size = unscaled(tables).square().mean().sqrt()
        return cls(unscaled.features / size, unscaled.harmonics)

    def __call__(self, tables: Tensor) -> Tensor:
        """Whitens tables (..., F, 8, 8)."""
        mixed = torch.tensordot(tables, self.features.to(tables), ([-3], [1])).movedim(-1, -3)
        spectrum = torch.fft.rfft2(mixed) * self.harmonics.to(tables)
        whitened: Tensor = torch.fft.irfft2(spectrum, s=tables.shape[-2:])
        return whitened


def similarities(whitened: Tensor, templates: Tensor) -> Tensor:
    """Cosine of whitened tables (N, F, 8, 8) and templates (K, F, 8, 8) at each of the 64 moves: (N, K, 8, 8).

    A crop only moves a table along the phases. At (u, v) the template's origin lies on phase (u, v) of the picture.
    """
    tables, moved = (torch.fft.rfft2(unit(each)).flatten(2).permute(2, 0, 1) for each in (whitened, templates))
    products = (tables @ moved.conj().transpose(1, 2)).permute(1, 2, 0)
    phases = whitened.shape[-2:]
    cosines: Tensor = torch.fft.irfft2(products.unflatten(2, (phases[0], -1)), s=phases)
    return cosines


def energy(whitened: Tensor, pixels: Tensor) -> Tensor:
    """Logarithm of the mean square of whitened tables (N, F, 8, 8) of pictures with so many pixels (N,): (N,).

    Of noise the mean square falls as the number of pixels rises: times that number, it tells how much of a table is
    more than noise, at any size. About 0 for photographs of 320 px.
    """
    return (whitened.square().mean((1, 2, 3)) * pixels / 320**2).clamp_min(1e-8).log()


def unit(tables: Tensor) -> Tensor:
    """Tables (N, F, 8, 8) of norm 1; flat pictures stay 0."""
    return tables / tables.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-8)
