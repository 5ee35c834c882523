"""Structure of the trees of a classifier that comes from a file: scikit-learn walks them in C, without a check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon_detect.errors import CalibrationError


def check_trees(estimator: Any) -> None:
    """Checks that every walk through the trees of an estimator ends in a leaf, and reads nothing beyond its arrays.

    A child has a higher index than its parent, as scikit-learn builds trees, so that no walk returns.

    Args:
        estimator: The last step of a pipeline: a tree, an ensemble, nearest neighbours, or one without trees.

    Raises:
        CalibrationError: A child beyond the tree or before its parent, or a feature that the estimator does not have.
    """
    for part in _parts(estimator):
        if hasattr(part, "tree_"):
            tree = part.tree_
            leaf = tree.children_left == -1
            _check(leaf, tree.children_left, tree.children_right, tree.feature, part.n_features_in_)
        for predictor in (one for stage in getattr(part, "_predictors", []) for one in stage):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise CalibrationError("the classifier divides by categories, which scores do not have")
            leaf = nodes["is_leaf"].astype(bool)
            _check(leaf, nodes["left"], nodes["right"], nodes["feature_idx"], part.n_features_in_)
        if getattr(part, "_tree", None) is not None:
            _check_neighbours(part._tree, part._fit_X)


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator and all that it is made of."""
    yield estimator
    for part in getattr(estimator, "estimators_", []):
        yield from _parts(part)


def _check(
    leaf: NDArray[np.bool_], left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], features: int
) -> None:
    count = len(leaf)
    parents = np.flatnonzero(~leaf)
    for children in (left, right):
        inside = children[parents].astype(np.int64)
        if not count or ((inside <= parents) | (inside >= count)).any():
            raise CalibrationError(f"the classifier has a tree of {count} nodes with a child outside of it or above it")
    divided = feature[parents].astype(np.int64)
    if ((divided < 0) | (divided >= features)).any():
        raise CalibrationError(f"the classifier has a tree of other features than its {features}")


def _check_neighbours(tree: Any, points: NDArray[np.float64]) -> None:
    """A k-d tree is a heap of nodes, each with a range of the points."""
    data, indices, nodes, bounds = map(np.asarray, tree.get_arrays())
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    if (
        data.shape != points.shape
        or sorted(indices.tolist()) != list(range(len(data)))
        or ((starts < 0) | (starts > ends) | (ends > len(data))).any()
        or (2 * inner + 2 >= len(nodes)).any()
        or bounds.shape != (2, len(nodes), data.shape[1])
    ):
        raise CalibrationError("the classifier has a tree of neighbours that is not one of its points")
