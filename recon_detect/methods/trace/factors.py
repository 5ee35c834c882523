"""Bayes factors: how much likelier observations are if a hypothesis holds than if the picture is a photograph.

An observation is a normal deviate of photographs, N(0, 1) where the hypothesis does not hold and N(effect, 1) where it
does. The Bayes factor over a few effects is a martingale for photographs, whichever hypothesis is observed next and
whenever observing stops: by Ville's inequality at most one photograph in k ever exceeds k (Robbins, 1970,
doi:10.1214/aoms/1177696786; Grünwald, de Heide and Koolen, 2024, doi:10.1093/jrsssb/qkae011). So is a mean of them
weighted by a prior, which corrects for the number of hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, ndtri, ndtri_exp

# Shares of photographs that exceed a measured value, and the deviates that the same shares exceed.
SHARES = (0.95, 0.75, 0.5, 0.25, 0.05)
_DEVIATES_OF_SHARES = tuple(float(-ndtri(share)) for share in SHARES)
# No Bayes factor that is needed takes more than the last.
_DEVIATES = np.linspace(0, 50, 5001)


def log_factor(deviates: ArrayLike, effects: tuple[float, ...], looks: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Logarithm of the mean Bayes factor of some effects, each as likely as the others.

    Args:
        deviates: (...), the mean of some looks as one deviate of photographs.
        effects: Means of one look where the hypothesis holds, in deviates.
        looks: (...), how many independent looks the deviate is worth.
    """
    z, root = np.asarray(deviates, dtype=np.float64)[..., None], np.sqrt(np.asarray(looks, dtype=np.float64))[..., None]
    means = np.array(effects) * root
    result: NDArray[np.float64] = logsumexp(means * z - means**2 / 2, axis=-1) - np.log(len(effects))
    return result


def mean_factor(log_factors: ArrayLike, priors: ArrayLike) -> float:
    """Logarithm of the mean of Bayes factors, weighted by their priors."""
    weights = np.asarray(priors, dtype=np.float64)
    return float(logsumexp(np.asarray(log_factors, dtype=np.float64), b=weights / weights.sum()))


def least_effect(needed: float, effects: tuple[float, ...], looks: float = 1.0, power: float = 0.8) -> float:
    """The smallest effect of one look, in deviates, that gives a Bayes factor with a power.

    Args:
        needed: Logarithm of the Bayes factor, above 0.
        effects: As of `log_factor`.
        looks: How many independent looks there are.
        power: Share of the pictures with that effect whose factor is at least as large.
    """
    threshold = np.interp(needed, log_factor(_DEVIATES, effects, looks), _DEVIATES)  # it rises from 0 on
    return float((threshold + ndtri(power)) / looks**0.5)


@dataclass(frozen=True, slots=True)
class OfPhotographs:
    """The distribution of the logarithm of a Bayes factor over photographs: that of the same search on them.

    A search cannot give a factor much below 1, because most of what it could look at stays unseen, and seldom reaches
    what Ville's inequality allows. So its factors are held against those of photographs. Beyond `SHARES[-1]` of them
    too few were measured: from there on the factor has to rise k-fold for a k-th of the photographs, which is as far
    as the inequality goes.

    Attributes:
        exceeded: What `SHARES` of photographs exceed, ascending.
    """

    exceeded: tuple[float, ...]

    def deviate(self, log_factor: float) -> float:
        """A logarithm of a Bayes factor as a normal deviate of photographs. It rises with the factor, without end."""
        first, *_, last = self.exceeded
        if log_factor > last:  # through the tail, so that nothing is rounded to infinity
            return float(-ndtri_exp(np.log(SHARES[-1]) - (log_factor - last)))
        below, above = _DEVIATES_OF_SHARES[:2]
        if log_factor < first:
            slope = (above - below) / (self.exceeded[1] - first)
            return float(below - (first - log_factor) * slope)
        return float(np.interp(log_factor, self.exceeded, _DEVIATES_OF_SHARES))

    def log_factor(self, share: float) -> float:
        """The logarithm of the Bayes factor that a share of photographs, at most the last of `SHARES`, exceeds."""
        return self.exceeded[-1] + float(np.log(SHARES[-1] / share))
