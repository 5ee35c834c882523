"""Rows and runs as JSON, and back."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_detect import Provenance, Row, RunInfo, ScoreResult, load_detector, open_picture
from recon_detect.results import MethodInfo, ModelInfo, Reconstruction, Score, Verdict
from recon_detect.settings import Inversion

NUMBERS = st.floats(allow_infinity=False)
TEXTS = st.text(max_size=9)
NONE = st.none()
SCORES = st.builds(
    Score, NUMBERS, st.dictionaries(TEXTS, NUMBERS, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=2)
)
FILES = st.builds(
    Provenance, st.integers(1, 9), st.integers(1, 9), TEXTS, TEXTS, TEXTS, st.integers() | NONE, st.integers() | NONE,
    st.integers() | NONE, st.tuples(TEXTS),
)  # fmt: skip
VERDICTS = st.builds(
    Verdict, TEXTS, st.floats(0, 1) | NONE, st.floats(0, 1), st.floats(0, 1) | NONE, TEXTS, st.floats(0, 1) | NONE
)
ROWS = st.builds(
    Row, st.just(3), TEXTS, st.dictionaries(TEXTS, SCORES, max_size=2), TEXTS | NONE, FILES | NONE,
    st.floats(0, 1) | NONE, TEXTS | NONE, st.tuples(TEXTS, TEXTS), verdict=VERDICTS | NONE,
)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_a_row_is_read_as_it_was_written(row):
    entry = json.loads(json.dumps(row.to_dict("abc")))
    again = Row.from_dict(entry, 3)
    assert again.to_dict("abc") == entry
    assert (again.path, again.label, again.verdict, again.error) == (row.path, row.label, row.verdict, row.error)
    assert repr(again.scores) == repr(row.scores)  # by their text, as NaN is not equal to itself


def test_a_row_of_the_schema_before_is_read():
    entry = Row(
        0, "a.png", {"hfi": Score(1.0, {"taesd": 1.0})}, provenance=Provenance(3, 4, "PNG", "RGB", "0f")
    ).to_dict("r")
    del entry["texture"]
    entry |= {
        "schema": 2,
        "verdict": "inconclusive",
        "p_value": 0.5,
        "stratum": "all",
        "threshold": None,
        "probability": None,
    }
    row = Row.from_dict(entry)
    assert row.texture is None and row.score == 1.0 and row.verdict.p_value == 0.5 and row.verdict.decoder is None
    with pytest.raises(KeyError):
        Row.from_dict({"path": "a.png"})


def test_a_run_is_read_back_and_its_fingerprint_is_that_of_earlier_versions(tiny_model):
    run = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu").run_info
    assert RunInfo.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    # As written by version 0.1.0; journals of it go on.
    content = {
        "methods": [{"name": "dire", "distance": "l1", "models": ["m"], "null": None}],
        "compat": None,
        "models": [
            {"name": "m", "sha256": "0f", "origin": "folder", "repo": None, "revision": None, "dtype": "float32"}
        ],
        "device": "cpu", "exif_orientation": False, "alpha": "white", "seed": None, "versions": {},
    }  # fmt: skip
    inversion = {"inversion": {"steps": 20, "real_step": 0, "prompt": ""}, "middle_square": 64, "calibration": "ab"}
    plain, inverted = RunInfo.from_dict(content), RunInfo.from_dict(content | inversion)
    assert inverted.inversion == Inversion(20, 0, "")
    assert (plain.fingerprint, inverted.fingerprint) == ("0e659170f425", "fad58f0469b8")


def test_reprs_take_two_lines_whatever_is_in_them():
    models = tuple(ModelInfo(f"{'folder/' * 30}{n}", "0f" * 32, "folder", None, None, "float32") for n in range(9))
    methods = tuple(MethodInfo(f"method-{'of-mine-' * 20}{n}", "l2", (models[0].name,)) for n in range(9))
    run = RunInfo(methods, None, models, "cuda:0", False, "white", None, {"torch": "2"}, calibration="0123456789ab")
    row = Row(0, "x" * 4000, {"m": Score(1.5, {"m": 1.5}, {"cells": [[1.0] * 99] * 99})}, error="E: " + "\x1b[1m" * 999)
    assert "and 5 more" in repr(run) and run.fingerprint in repr(run)
    for content in (run, row, ScoreResult((row,) * 9, run)):
        assert len(repr(content)) < 320 and repr(content).isprintable()
    pixels = np.zeros((3, 64, 64), np.float32)
    assert "0." not in repr(Reconstruction("a.png", pixels, pixels)) + repr(open_picture(pixels.transpose(1, 2, 0)))
