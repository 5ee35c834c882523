"""Whose image it is, should it be generated: latent diffusion or not, and whose decoder.

Without training: the model whose score is least like those of photographs wins, if it is unlike them at all (for `aedr`
that is its paper's test of belonging, with photographs for its null). With labelled generated images: a classifier,
and for each class the share of its own images that fit it worse (conformal), so that there is an answer "none of the
known".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from recon_detect.calibration.bounds import conformal_p_value
from recon_detect.calibration.features import feature_matrix, feature_names
from recon_detect.errors import UsageError
from recon_detect.methods import find_method
from recon_detect.models.registry import family_of

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
        likeness: P-value of each candidate. Without training, small means that it is the one; of a classifier, small
            means that it is not.
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
                found[model] = float(t.logsf((value - mean) / (deviation * np.sqrt(1 + 1 / n)), n - 1))
        likeness = {model: float(np.exp(log_p)) for model, log_p in found.items()}
        best = min(found, key=found.__getitem__) if found else None
        if best is None or likeness[best] > 1 - (1 - self.level) ** (1 / len(self.photographs)):
            return Attribution(UNKNOWN, NONE, likeness)
        family = PIXEL if find_method(self.method).trained_size else LATENT
        return Attribution(family, family_of(best), likeness)


@dataclass(frozen=True, slots=True)
class ByClassifier:
    """By a linear classifier of labelled generated images.

    Attributes:
        classes: Labels.
        features: Names.
        parameters: Of the classifier, as `EvidenceClassifier.to_dict` gives them.
        margins: For each class how far its own images were from the runner-up when they were held out, ascending.
        level: P-value below which it is no image of a class.
    """

    classes: tuple[str, ...]
    features: tuple[str, ...]
    parameters: dict[str, Any]
    margins: dict[str, tuple[float, ...]]
    level: float

    @classmethod
    def fit(cls, rows: Sequence[Mapping[str, Any]], labels: Sequence[str], level: float = 0.05) -> ByClassifier:
        """To rows of generated images.

        Raises:
            UsageError: Fewer than two classes, or fewer than five images of one.
        """
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        from recon_detect.calibration.classifiers import EvidenceClassifier

        names = feature_names(rows)
        values, known = feature_matrix(rows, names), np.array(labels)
        whole = np.isfinite(values).all(axis=1)
        values, known = values[whole], known[whole]
        classes, counts = np.unique(known, return_counts=True)
        if len(classes) < 2 or counts.min() < 5:
            told = ", ".join(f"{name}: {count}" for name, count in zip(classes, counts, strict=True))
            raise UsageError(f"to tell generators apart takes two or more with five images each; got {told}")
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        held_out = cross_val_predict(EvidenceClassifier(), values, known, cv=folds, method="decision_function")
        margins = _margins(held_out)
        own = {str(name): tuple(sorted(margins[known == name, number].tolist())) for number, name in enumerate(classes)}
        fitted = EvidenceClassifier().fit(values, known)
        return cls(tuple(map(str, classes)), names, fitted.to_dict(), own, level)

    def attribute(self, row: Mapping[str, Any]) -> Attribution:
        """Of a row of an image that is generated."""
        from recon_detect.calibration.classifiers import decision_of

        values = feature_matrix([row], self.features)
        if not np.isfinite(values).all():
            return Attribution(UNKNOWN, NONE, {})
        margins = dict(zip(self.classes, _margins(decision_of(self.parameters, values))[0].tolist(), strict=True))
        # As rare as this or rarer among its own: the mirrored p-value of photographs.
        likeness = {
            name: conformal_p_value([-m for m in reversed(self.margins[name])], -margin)
            for name, margin in margins.items()
        }
        best = max(margins, key=margins.__getitem__)
        if likeness[best] < self.level:
            return Attribution(UNKNOWN, NONE, likeness)
        return Attribution(family_of_generator(best), best, likeness)


def _margins(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, C): each class's decision less the best of the others'."""
    if decisions.ndim == 1:
        decisions = np.stack([-decisions, decisions], axis=1) / 2
    best_other = np.stack([np.delete(decisions, c, axis=1).max(axis=1) for c in range(decisions.shape[1])], axis=1)
    return np.asarray(decisions - best_other)
