"""Whose image it is, should it be generated: latent diffusion or not, and whose decoder.

Without training: the model whose score is least like those of photographs wins, if it is unlike them at all (for `aedr`
that is its paper's test of belonging, with photographs for its null). With labelled generated images: the nearest
class, unless its own images are nearer, so that there is an answer "none of the known" either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from recon_detect.calibration.bounds import conformal_p_value, predictive_t
from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.errors import UsageError
from recon_detect.methods import METHODS, Need, find_method
from recon_detect.models.registry import AUTOENCODERS, PIXELS, family_of

NONE = "none of the known"
LATENT, PIXEL, GAN, UNKNOWN = "latent diffusion", "pixel diffusion", "GAN", "unknown"

# What the names of generators begin with.
_FAMILIES = {
    LATENT: ("sd", "stable", "flux", "latent", "ldm", "kandinsky", "pixart", "auraflow", "wuerstchen", "midjourney"),
    PIXEL: ("adm", "ddpm", "ddim", "iddpm", "glide", "pndm", "guided", "imagen", "deepfloyd"),
    GAN: ("gan", "progan", "stylegan", "biggan", "cyclegan", "stargan", "gaugan", "projectedgan", "diff-"),
}


def family_of_generator(name: str) -> str:
    """Latent diffusion, pixel diffusion, GAN or unknown, by the name of a generator or of a decoder family."""
    found = (family for family, starts in _FAMILIES.items() if name.lower().startswith(starts))
    return next(found, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Where a generated image comes from.

    Attributes:
        family: Latent diffusion, pixel diffusion, GAN, or unknown.
        decoder: Decoder family, or generator as the calibration's images were labelled; or "none of the known".
        likeness: P-value of each candidate: without training, as an image that is not its own; with it, as one that is.
    """

    family: str
    decoder: str
    likeness: dict[str, float]


@dataclass(frozen=True, slots=True)
class ByContrast:
    """Without training.

    Attributes:
        method: Whose scores per model are compared.
        photographs: For each model mean, deviation and number of the scores of photographs.
        level: P-value, corrected for the number of models, above which it is none of them.
    """

    method: str
    photographs: dict[str, tuple[float, float, int]]
    level: float

    @classmethod
    def fit(cls, rows: Sequence[Mapping[str, Any]], method: str, level: float) -> ByContrast | None:
        """To rows of photographs; None of too few."""
        models = rows[0]["per_model"][method]
        columns = {
            model: np.array([row["per_model"][method][model] for row in rows], dtype=np.float64) for model in models
        }
        whole = {model: values[np.isfinite(values)] for model, values in columns.items()}
        if any(len(values) < 3 or values.std() == 0 for values in whole.values()):
            return None
        null = {model: (float(v.mean()), float(v.std(ddof=1)), len(v)) for model, v in whole.items()}
        return cls(method, null, level)

    def attribute(self, row: Mapping[str, Any]) -> Attribution:
        """Of a row of an image that is generated."""
        found: dict[str, float] = {}
        for model, (mean, deviation, n) in self.photographs.items():
            value = row["per_model"][self.method].get(model)
            if value is not None:
                found[model] = float(t.logsf(predictive_t(value, mean, deviation, n), n - 1))
        likeness = {model: float(np.exp(log_p)) for model, log_p in found.items()}
        best = min(found, key=found.__getitem__) if found else None
        if best is None or likeness[best] > 1 - (1 - self.level) ** (1 / len(self.photographs)):
            return Attribution(UNKNOWN, NONE, likeness)
        needs = find_method(self.method).needs if self.method in METHODS else frozenset()
        of_pixels = Need.TRAINED_SIZE in needs and (best not in AUTOENCODERS or family_of(best) == PIXELS)
        family = PIXEL if of_pixels else LATENT
        return Attribution(family, family_of(best), likeness)


@dataclass(frozen=True, slots=True)
class ByTypicality:
    """By labelled generated images: the nearest class, if the image is no further from it than its own are.

    Linear discriminant analysis with a shrunken covariance (Ledoit and Wolf, 2004), and the typicality of McLachlan
    (1992) with a conformal p-value. A margin between classes would not do: what none of them made may still be on one
    side of all boundaries.

    Attributes:
        classes: C labels.
        features: F names.
        centroids: (C, F).
        precision: (F, F), the inverse of the covariance within classes.
        distances: Squared Mahalanobis distances of images from their own class, when they were held out; ascending.
        level: P-value below which it is no image of a class.
    """

    classes: tuple[str, ...]
    features: tuple[str, ...]
    centroids: tuple[tuple[float, ...], ...]
    precision: tuple[tuple[float, ...], ...]
    distances: tuple[float, ...]
    level: float

    @classmethod
    def fit(
        cls, rows: Sequence[Mapping[str, Any]], labels: Sequence[str], method: str, level: float = 0.05
    ) -> ByTypicality:
        """To rows of generated images, by one method's score of each model.

        Raises:
            UsageError: Fewer than two classes, or fewer than five images of one.
        """
        from sklearn.model_selection import StratifiedKFold

        names = tuple(name for name in feature_names(rows) if name.startswith(f"{method}."))
        values, known = feature_matrix(rows, names), np.array(labels)
        whole = np.isfinite(values).all(axis=1)
        values, known = values[whole], known[whole]
        classes, own, counts = np.unique(known, return_inverse=True, return_counts=True)
        if len(classes) < 2 or counts.min() < 5:
            told = ", ".join(f"{name}: {count}" for name, count in zip(classes, counts, strict=True))
            raise UsageError(f"to tell generators apart takes two or more with five images each; got {told}")
        held_out = np.zeros(len(values))
        for training, test in StratifiedKFold(5, shuffle=True, random_state=0).split(values, own):
            far = _squared_distances(values[test], *_centroids(values[training], own[training]))
            held_out[test] = far[np.arange(len(test)), own[test]]
        centroids, precision = _centroids(values, own)
        return cls(
            tuple(map(str, classes)),
            names,
            _nested(centroids),
            _nested(precision),
            tuple(np.sort(held_out).tolist()),
            level,
        )

    def attribute(self, row: Mapping[str, Any]) -> Attribution:
        """Of a row of an image that is generated."""
        values = feature_matrix([row], self.features)
        if not np.isfinite(values).all():
            return Attribution(UNKNOWN, NONE, {})
        far = _squared_distances(values, np.array(self.centroids), np.array(self.precision))[0]
        # How many known images are as far from their own class.
        likeness = {
            name: conformal_p_value(self.distances, distance)
            for name, distance in zip(self.classes, far.tolist(), strict=True)
        }
        best = self.classes[int(far.argmin())]
        if likeness[best] < self.level:
            return Attribution(UNKNOWN, NONE, likeness)
        return Attribution(family_of_generator(best), best, likeness)


def _centroids(values: NDArray[np.float64], own: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of the classes (C, F), and the inverse covariance within them (F, F)."""
    from sklearn.covariance import LedoitWolf

    # Features differ by orders of magnitude; the shrinkage is to act alike on all.
    unit = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    centroids = np.stack([values[own == number].mean(axis=0) for number in range(own.max() + 1)])
    within = LedoitWolf(assume_centered=True).fit((values - centroids[own]) / unit)
    return centroids, within.precision_ / unit / unit[:, None]


def _squared_distances(
    values: NDArray[np.float64], centroids: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mahalanobis' (N, C)."""
    off = values[:, None] - centroids
    return np.asarray(np.einsum("nci,ij,ncj->nc", off, precision, off))


def _nested(values: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
