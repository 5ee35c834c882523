"""Attribution of an image that is likely generated: latent diffusion or not, and which decoder.

Without training: the model whose score is least like those of photographs wins, if it is unlike them at all (for `aedr`
that is its paper's test of belonging, with photographs for its null). With labelled generated images: the nearest
class, unless its own images are nearer, so that there is an answer "none of the known" either way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from recon_detect.calibration.bounds import conformal_p_value, predictive_t
from recon_detect.calibration.content import JsonObject, matrix, members, number, numbers, text, texts
from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.errors import UsageError
from recon_detect.models.registry import PIXELS, family_of
from recon_detect.results import NONE_OF_THE_KNOWN, UNKNOWN, Row

NONE = NONE_OF_THE_KNOWN
LATENT, PIXEL, GAN = "latent diffusion", "pixel diffusion", "GAN"

# Beginnings of the names of generators.
_PREFIXES = {
    LATENT: ("sd", "stable", "flux", "latent", "ldm", "kandinsky", "pixart", "auraflow", "wuerstchen", "midjourney"),
    PIXEL: ("adm", "ddpm", "ddim", "iddpm", "glide", "pndm", "guided", "imagen", "deepfloyd"),
    GAN: ("gan", "progan", "stylegan", "biggan", "cyclegan", "stargan", "gaugan", "projectedgan", "diff-"),
}


def family_of_generator(name: str) -> str:
    """Latent diffusion, pixel diffusion, GAN or unknown, by the name of a generator or of a decoder family."""
    return next((family for family, starts in _PREFIXES.items() if name.lower().startswith(starts)), UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Origin of a generated image.

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
    """Attribution without training.

    Attributes:
        method: Method whose scores of each model are compared.
        photographs: Mean, deviation and number of the scores of photographs, by model.
        level: P-value, corrected for the number of models, above which it is none of them.
        pixel_models: Models among them that are diffusion models of pixels.
    """

    kind: ClassVar[str] = "contrast"

    method: str
    photographs: dict[str, tuple[float, float, int]]
    level: float
    pixel_models: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, rows: Sequence[Row], method: str, level: float, pixel_models: Collection[str] = ()
    ) -> ByContrast | None:
        """Fits to rows of photographs; None of too few."""
        columns = {
            model: np.array([row.scores[method].per_model[model] for row in rows], dtype=np.float64)
            for model in rows[0].scores[method].per_model
        }
        finite = {model: values[np.isfinite(values)] for model, values in columns.items()}
        if any(len(values) < 3 or values.std() == 0 for values in finite.values()):
            return None
        null = {model: (float(v.mean()), float(v.std(ddof=1)), len(v)) for model, v in finite.items()}
        return cls(method, null, level, tuple(model for model in null if model in pixel_models))

    def attribute(self, row: Row) -> Attribution:
        """Names the decoder of an image that is generated."""
        scores = row.scores[self.method].per_model
        with np.errstate(divide="ignore"):  # far beyond all photographs it is minus infinity
            log_p = {
                model: float(np.log(stdtr(n - 1, -predictive_t(scores[model], mean, deviation, n))))
                for model, (mean, deviation, n) in self.photographs.items()
                if np.isfinite(scores.get(model, np.nan))
            }
        likeness = {model: float(np.exp(value)) for model, value in log_p.items()}
        best = min(log_p, key=log_p.__getitem__) if log_p else None
        if best is None or likeness[best] > 1 - (1 - self.level) ** (1 / len(self.photographs)):
            return Attribution(UNKNOWN, NONE, likeness)
        of_pixels = best in self.pixel_models or family_of(best) == PIXELS
        return Attribution(PIXEL if of_pixels else LATENT, family_of(best), likeness)

    @classmethod
    def from_dict(cls, content: JsonObject) -> ByContrast:
        """Reads and checks the values of a file.

        Raises:
            ValueError: Values that no fit gives.
        """
        moments = {model: numbers(values) for model, values in members(content["photographs"]).items()}
        null = {model: (mean, deviation, int(n)) for model, (mean, deviation, n) in moments.items()}
        if not null or not all(np.isfinite(m) and s > 0 and n >= 3 for m, s, n in null.values()):
            raise ValueError("attribution: expected mean, deviation and number of photographs' scores of each model")
        return cls(text(content["method"]), null, number(content["level"]), texts(content["pixel_models"]))

    def to_dict(self) -> JsonObject:
        """JSON values."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class ByTypicality:
    """Attribution by labelled generated images: the nearest class, if its own images are as far from it.

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

    kind: ClassVar[str] = "typicality"

    classes: tuple[str, ...]
    features: tuple[str, ...]
    centroids: tuple[tuple[float, ...], ...]
    precision: tuple[tuple[float, ...], ...]
    distances: tuple[float, ...]
    level: float

    @classmethod
    def fit(cls, rows: Sequence[Row], labels: Sequence[str], method: str, level: float = 0.05) -> ByTypicality:
        """Fits to rows of generated images and their classes, by one method's score of each model.

        Raises:
            UsageError: Fewer than two classes, or fewer than five images of one.
        """
        from sklearn.model_selection import StratifiedKFold

        names = tuple(name for name in feature_names(rows) if name.startswith(f"{method}."))
        values = feature_matrix(rows, names)
        finite = np.isfinite(values).all(axis=1)
        values = values[finite]
        classes, members, counts = np.unique(np.array(labels)[finite], return_inverse=True, return_counts=True)
        if len(classes) < 2 or counts.min() < 5:
            numbers = ", ".join(f"{name}: {count}" for name, count in zip(classes, counts, strict=True))
            raise UsageError(f"expected two or more generators with five images each; got {numbers}")
        held_out = np.zeros(len(values))
        for training, test in StratifiedKFold(5, shuffle=True, random_state=0).split(values, members):
            far = _squared_distances(values[test], *_centroids(values[training], members[training]))
            held_out[test] = far[np.arange(len(test)), members[test]]
        centroids, precision = _centroids(values, members)
        return cls(
            tuple(map(str, classes)),
            names,
            _nested(centroids),
            _nested(precision),
            tuple(np.sort(held_out).tolist()),
            level,
        )

    def attribute(self, row: Row) -> Attribution:
        """Names the class of an image that is generated."""
        values = feature_matrix([row], self.features)
        if not np.isfinite(values).all():
            return Attribution(UNKNOWN, NONE, {})
        far = _squared_distances(values, np.array(self.centroids), np.array(self.precision))[0]
        # The share of a class's own images that are as far from it.
        likeness = {
            name: conformal_p_value(self.distances, distance)
            for name, distance in zip(self.classes, far.tolist(), strict=True)
        }
        best = self.classes[int(far.argmin())]
        if likeness[best] < self.level:
            return Attribution(UNKNOWN, NONE, likeness)
        return Attribution(family_of_generator(best), best, likeness)

    @classmethod
    def from_dict(cls, content: JsonObject) -> ByTypicality:
        """Reads and checks the values of a file.

        Raises:
            ValueError: Values that no fit gives.
        """
        fitted = cls(
            texts(content["classes"]),
            texts(content["features"]),
            matrix(content["centroids"]),
            matrix(content["precision"]),
            numbers(content["distances"]),
            number(content["level"]),
        )
        shapes = np.shape(fitted.centroids), np.shape(fitted.precision)
        count = len(fitted.features)
        if shapes != ((len(fitted.classes), count), (count, count)) or not fitted.classes or not fitted.distances:
            raise ValueError(f"attribution: {len(fitted.classes)} classes of {count} features with shapes {shapes}")
        return fitted

    def to_dict(self) -> JsonObject:
        """JSON values."""
        return {"kind": self.kind, **asdict(self)}


def attribution_of(content: JsonObject) -> ByContrast | ByTypicality:
    """Reads an attribution of a file by its kind.

    Raises:
        ValueError: An unknown kind, or values that no fit gives.
    """
    for kind in (ByContrast, ByTypicality):
        if content["kind"] == kind.kind:
            return kind.from_dict(content)
    raise ValueError(f"attribution of the kind {content['kind']!r}")


def _centroids(
    values: NDArray[np.float64], members: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of the classes (C, F), and the inverse covariance within them (F, F)."""
    from sklearn.covariance import LedoitWolf

    # Features differ by orders of magnitude; the shrinkage is to act alike on all.
    unit = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    centroids = np.stack([values[members == number].mean(axis=0) for number in range(members.max() + 1)])
    within = LedoitWolf(assume_centered=True).fit((values - centroids[members]) / unit)
    return centroids, within.precision_ / unit / unit[:, None]


def _squared_distances(
    values: NDArray[np.float64], centroids: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared Mahalanobis distances (N, C) of values (N, F) from C centroids."""
    off = values[:, None] - centroids
    return np.asarray(np.einsum("nci,ij,ncj->nc", off, precision, off))


def _nested(values: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())
