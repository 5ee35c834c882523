"""The middle layer of a small autoencoder of features, as a step of a pipeline: what PCA does linearly."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor


class Bottleneck(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder of standardised features with one hidden layer of tanh units.

    Args:
        components: Units of the hidden layer.
    """

    def __init__(self, components: int = 50) -> None:
        self.components = components

    def fit(self, X: NDArray[np.float64], y: object = None) -> Bottleneck:
        """Fits to features (N, F): they are predicted from themselves through the hidden layer."""
        size = {"hidden_layer_sizes": (self.components,), "activation": "tanh"}
        network = MLPRegressor(**size, alpha=1e-3, max_iter=300, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # to stop early regularises
            self.network_ = network.fit(X, X)
        return self

    def transform(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """The hidden layer (N, `components`)."""
        result: NDArray[np.float64] = np.tanh(X @ self.network_.coefs_[0] + self.network_.intercepts_[0])
        return result
