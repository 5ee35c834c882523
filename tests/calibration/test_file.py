"""Calibration files that were made up, damaged or crafted."""

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from recon_detect import RunInfo
from recon_detect.calibration import Calibration, calibrate
from recon_detect.calibration.attribution import ByContrast, attribution_of
from recon_detect.calibration.file import digest_of
from recon_detect.calibration.trees import check_trees
from recon_detect.errors import CalibrationError
from recon_detect.results import MethodInfo
from tests.calibration.scored import rows

RUN = RunInfo((MethodInfo("aeroblade", "l2", ("m0", "m1", "m2")),), None, (), "cpu", False, "white", None, {})


def several(n, seed, shift=(0.0, 0.0, 0.0)):
    return (np.random.default_rng(seed).normal(size=(n, 3)) + shift).tolist()


@pytest.fixture(scope="module")
def content():
    """A calibration of all parts."""
    kinds = enumerate("ab")
    fake = [row for seed, name in kinds for row in rows(several(9, seed, (5, 0, 0)), "generated", generator=name)]
    calibration = calibrate(rows(several(80, 9)) + fake, RUN, fpr=0.1, combine="cauchy")
    return json.loads(json.dumps(calibration.to_dict()))


def write(path, content):
    path.write_text(json.dumps({"schema": 3, "digest": digest_of(content)} | content))
    return path


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("strata", {}),
        ("strata", {"all": {"scores": [2.0, 1.0], "threshold": None}}),
        ("strata", {"all": {"scores": [], "threshold": None}}),
        ("cells", {"lossless": "none of the strata"}),
        ("facets", ["camera"]),
        ("prior", 0),
        ("odds", {"kind": "beta"}),
        ("odds", {"kind": "isotonic", "scores": [1.0, 0.0], "log_odds": [0.0, 1.0]}),
        ("odds", {"kind": "platt", "slope": float("nan"), "intercept": 0.0}),
        ("attribution", {"kind": "guess"}),
        ("attribution", {"kind": "contrast", "method": "x", "photographs": {"m": [0, 0, 3]}, "level": 0.1,
                         "pixel_models": []}),
        ("attribution", {"kind": "typicality", "classes": ["a"], "features": ["f"], "centroids": [[1.0, 2.0]],
                         "precision": [[1.0]], "distances": [1.0], "level": 0.1}),
        ("combiner", {"kind": "best", "features": [], "parameters": {}, "effective": 1}),
        ("combiner", {"kind": "cauchy", "features": ["f"], "parameters": {}, "effective": 1}),
        ("combiner", {"kind": "logistic", "features": ["f"], "effective": 1,
                      "parameters": {"coefficients": [[1.0, 2.0]], "intercept": [0.0]}}),
        ("combiner", {"kind": "tree", "features": ["f"], "parameters": {"skops": "bm8gYXJjaGl2ZQ=="}, "effective": 1}),
        ("run", {}),
        ("method", None),
    ],
)  # fmt: skip
def test_structure_is_checked(content, tmp_path, part, values):
    assert Calibration.read(write(tmp_path / "whole.json", content)).combiner.kind == "cauchy"
    changed = dict(content) | {part: values}
    if values is None:
        del changed[part]
    with pytest.raises(CalibrationError):
        Calibration.read(write(tmp_path / "changed.json", changed))


def test_attribution_of_the_schema_before_is_told_by_its_fields(content, tmp_path):
    older = dict(content) | {
        "attribution": {"method": "dire", "photographs": {"x/y": [0, 1, 9], "sd1": [0, 1, 9]}, "level": 0.1}
    }
    path = tmp_path / "second.json"
    path.write_text(json.dumps({"schema": 2, "digest": digest_of(older)} | older))
    calibration = Calibration.read(path)
    assert calibration.attribution == ByContrast("dire", {"x/y": (0, 1, 9), "sd1": (0, 1, 9)}, 0.1, ("x/y",))
    # Results name the file by its own digest, so that a run that was interrupted goes on.
    assert calibration.digest == digest_of(older)
    assert attribution_of(calibration.attribution.to_dict()) == calibration.attribution


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 3))
    return x, (x.sum(axis=1) > 0).astype(int)


def crafted(tree, name, value):
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    nodes[name][0] = value
    tree.__setstate__(state | {"nodes": nodes})


@pytest.mark.parametrize(
    ("name", "value"), [("left_child", 0), ("right_child", 10**6), ("feature", 7), ("feature", -5)]
)
def test_a_tree_that_would_be_walked_out_of_is_refused(data, name, value):
    estimator = DecisionTreeClassifier(max_depth=3, random_state=0).fit(*data)
    check_trees(estimator)
    crafted(estimator.tree_, name, value)
    with pytest.raises(CalibrationError, match="tree of"):
        check_trees(estimator)


@pytest.mark.parametrize(("name", "value"), [("left", 0), ("right", 10**6), ("feature_idx", 9), ("is_categorical", 1)])
def test_boosted_trees_are_checked_alike(data, name, value):
    estimator = HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=4).fit(*data)
    check_trees(estimator)
    nodes = estimator._predictors[1][0].nodes
    nodes[name][0] = value
    with pytest.raises(CalibrationError, match="the classifier"):
        check_trees(estimator)


@pytest.mark.parametrize(("name", "value"), [("idx_end", 10**6), ("idx_start", -1), ("is_leaf", 0)])
def test_neighbours_are_checked_alike(data, name, value):
    estimator = KNeighborsClassifier(algorithm="kd_tree", leaf_size=10).fit(*data)
    check_trees(estimator)
    state = list(estimator._tree.__getstate__())
    place = next(i for i, part in enumerate(state) if getattr(part, "dtype", None) is not None and part.dtype.names)
    state[place] = state[place].copy()
    state[place][name][-1] = value
    estimator._tree.__setstate__(tuple(state))
    with pytest.raises(CalibrationError, match="tree of neighbours"):
        check_trees(estimator)


def test_json_that_is_nested_too_deep_is_no_calibration(tmp_path):
    (tmp_path / "cal.json").write_text("[" * 100_000)
    with pytest.raises(CalibrationError, match="not a calibration"):
        Calibration.read(tmp_path / "cal.json")
