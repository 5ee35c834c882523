"""The result of an image in words."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_detect import Provenance, Row, RunInfo
from recon_detect.answers import (
    ERROR,
    FOUND,
    KINDS,
    NOTHING,
    RAREST,
    UNDECIDED,
    answer_of,
    one_in_of,
    rarity,
    rarity_in_calibration,
    without_type,
)
from recon_detect.errors import UnknownName
from recon_detect.methods import METHODS, find_method
from recon_detect.methods.grid.families import read_families
from recon_detect.models.registry import MODEL_SETS, family_of
from recon_detect.results import INCONCLUSIVE, LIKELY_GENERATED, LIKELY_REAL, MethodInfo, Score, Verdict
from recon_detect.tried import FAMILY_NAMES, WEAKENED_GRAIN, families_of

TRACE = MethodInfo("trace", "encoder_features", ("sd", "sdxl", "images:gpt-4o"), "0123456789ab:normal")
GRID = MethodInfo("grid", "cosine", ("sd", "sdxl"), "0123456789ab")
ROOT = Path(__file__).parents[1]
FILE = Provenance(800, 800, "JPEG", "RGB", "", jpeg_quality=85)
REDUCED = {
    "sizes": ["512x512", "1024x1024"], "passes": 9.8, "decoder": "sdxl", "native_size": [1024, 1024], "scale": 1.28,
    "offset": [0, 0], "symmetry": "identity",
}  # fmt: skip
OF_FOUND = ("the threshold is for photographs: drawings and charts exceed it more often",)


def run_of(*methods: MethodInfo, **values) -> RunInfo:
    return RunInfo(methods, None, (), "cpu", False, "white", None, {}, **values)


def row_of(score: float, details=None, file=FILE, **values) -> Row:
    scores = {"trace": Score(score, details={} if details is None else details)}
    return Row(0, "picture.png", scores, provenance=file, texture=0.9, **values)


def test_a_trace_is_named_with_its_size_and_what_was_done_since():
    answer = answer_of(row_of(3.0, REDUCED), run_of(TRACE))
    assert answer.kind == FOUND
    assert answer.headline == ("trace of a known decoder: SDXL, written at 1024 x 1024, reduced to 800 x 800 since")
    assert "By the method's estimate, at most 1 in 740 photographs gives such a score." in answer.meaning
    assert answer.tried == (
        "Looked for traces of the decoders of Stable Diffusion 1 or 2, SDXL and GPT-4o, as if the picture had been "
        "written at any of 2 sizes from 512 x 512 to 1024 x 1024."
    )
    assert (answer.family, answer.native_size, answer.limits) == ("SDXL", (1024, 1024), OF_FOUND)
    assert answer.one_in == pytest.approx(740.8)


@pytest.mark.parametrize(("changes", "words"), [
    ({"scale": 1.0, "native_size": [800, 800]}, "SDXL, at the size it was written"),
    ({"scale": 0.64, "native_size": [512, 512]}, "SDXL, written at 512 x 512, enlarged to 800 x 800 since"),
    ({"offset": [3, 0]}, "SDXL, this part written at 1024 x 1024, reduced to 800 x 800 since, cropped"),
    ({"offset": [3, 0], "cropped": False}, "SDXL, written at 1024 x 1024, reduced to 800 x 800 since"),
    ({"scale": 1.0, "offset": [3, 0], "cropped": True}, "SDXL, at the size it was written, cropped"),
    ({"scale": 1.0, "symmetry": "hflip"}, "SDXL, at the size it was written, mirrored"),
    ({"scale": 1.0, "symmetry": "rot90"}, "SDXL, at the size it was written, turned by 90 degrees"),
    ({"scale": 1.0, "decoder": "new-vae"}, "new-vae, at the size it was written"),
])  # fmt: skip
def test_what_was_done_to_a_picture(changes, words):
    assert answer_of(row_of(3.0, REDUCED | changes), run_of(TRACE)).headline == f"trace of a known decoder: {words}"


@pytest.mark.parametrize(("score", "kinds"), [
    (-1.0, (NOTHING, NOTHING, NOTHING)),
    (1.6, (NOTHING, NOTHING, NOTHING)),
    (1.7, (FOUND, UNDECIDED, UNDECIDED)),
    (2.4, (FOUND, FOUND, UNDECIDED)),
    (3.2, (FOUND, FOUND, FOUND)),
])  # fmt: skip
def test_modes_are_held_against_their_share_of_photographs(score, kinds):
    answers = [answer_of(row_of(score), run_of(TRACE), mode) for mode in ("best-guess", "medium", "high")]
    assert tuple(answer.kind for answer in answers) == kinds
    assert answer_of(row_of(score), run_of(TRACE, mode="high")).kind == kinds[2]
    assert answer_of(row_of(score), run_of(TRACE)).kind == kinds[1]


def test_an_unknown_mode_is_refused():
    with pytest.raises(UnknownName, match="mode 'sure'"):
        answer_of(row_of(0.0), run_of(TRACE), "sure")


def test_nothing_does_not_claim_a_photograph():
    answer = answer_of(row_of(-0.5), run_of(TRACE))
    assert answer.headline == "no trace of a known decoder"
    assert "does not show that the picture is a photograph" in answer.meaning


@pytest.mark.parametrize(("changes", "words"), [
    (
        {"detectable": {"grain": {"sd": 0.7, "sdxl": 0.7}, "grid": {"images:gpt-4o": 6.0}}, "area": 0.124},
        "Stable Diffusion 1 or 2 and SDXL (grid and grain) and of GPT-4o (grid alone), as if the picture had been "
        "written at any of 2 sizes from 512 x 512 to 1024 x 1024; networks looked at 12% of the picture.",
    ),
    (
        {"detectable": {"grain": {"sdxl": 0.7, "taesana": 0.9}}, "sizes": ["800x600"], "area": 0.001},
        "SDXL (grid and grain), of taesana (grain alone) and of Stable Diffusion 1 or 2 and GPT-4o (grid alone), as if "
        "the picture had been written at 800 x 600; networks looked at less than 1% of the picture.",
    ),
    (
        {"detectable": {"grain": {"sd": 0.7, "sdxl": 0.7, "images:gpt-4o": 1.0}}, "area": 0.0, "sizes": []},
        "Stable Diffusion 1 or 2, SDXL and GPT-4o (grid and grain); no network had to look at it.",
    ),
    (
        {"detectable": {"grid": {"images:gpt-4o": 6.0}}, "area": 0.0, "sizes": []},
        "Stable Diffusion 1 or 2, SDXL and GPT-4o (grid alone).",
    ),
])  # fmt: skip
def test_tried_says_which_part_of_the_trace_of_which_family(changes, words):
    tried = answer_of(row_of(0.0, REDUCED | changes), run_of(TRACE)).tried
    assert tried == f"Looked for traces of the decoders of {words}"


def test_grid_looks_for_the_grid_alone_and_other_methods_for_no_trace():
    grid = answer_of(Row(0, "a.png", {"grid": Score(0.0, details={"box": [0, 0, 8, 8]})}), run_of(GRID))
    assert grid.tried == "Looked for traces of the decoders of Stable Diffusion 1 or 2 and SDXL (grid alone)."
    hfi = answer_of(Row(0, "a.png", {"hfi": Score(9.0)}), run_of(MethodInfo("hfi", "lpips_vgg_2", ("taesd", "taef1"))))
    assert hfi.tried == "Scored by hfi with taesd and taef1."
    assert answer_of(Row(0, "a.png", {"x": Score(9.0)}), run_of(MethodInfo("x", "", ()))).tried == ""


def test_nothing_in_a_jpeg_is_limited_by_what_compression_and_resizing_leave():
    details = {"detectable": {"grain": {"sd": 1.2, "sdxl": 1.1, "sd3": 1.2, "flux1": 1.2}}}
    answer = answer_of(row_of(-0.5, details), run_of(TRACE))
    assert answer.limits == (
        "compressed as JPEG (quality 85): compression and resizing weaken traces, and most pictures that went through "
        "both are missed",
        "a trace of Stable Diffusion 3 or FLUX.1 weakened as by reducing the picture to 800 pixels and storing it as "
        "JPEG 85 would often be missed here",
    )
    assert answer_of(row_of(3.0, details), run_of(TRACE)).limits == OF_FOUND
    png = replace(FILE, format="PNG", jpeg_quality=None)
    (weak,) = answer_of(row_of(-0.5, {"detectable": {"grain": {"flux1": 0.4}}}, png), run_of(TRACE)).limits
    assert weak.startswith("a trace of FLUX.1 weakened")
    (strong,) = answer_of(row_of(-0.5, {}, replace(FILE, jpeg_quality=60)), run_of(TRACE)).limits
    assert strong == "JPEG quality 60: compression removes much of the trace"
    (camera,) = answer_of(row_of(-0.5, {}, replace(FILE, format="MPO", jpeg_quality=None)), run_of(TRACE)).limits
    assert camera.startswith("compressed as JPEG: ")


def test_what_weakened_traces_are_is_as_measured():
    with (ROOT / "benchmarks" / "results" / "trace-effects.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    measured = {row["family"]: float(row["mean"]) for row in rows if row["pictures"] == "generated"}
    assert measured == WEAKENED_GRAIN


@pytest.mark.parametrize("page", ["README.md", "docs/guide/answers.md", "docs/methods/trace.md"])
def test_pages_list_the_families_that_the_package_looks_for(page):
    grid, grain = {family.name for family in read_families()}, {family_of(name) for name in MODEL_SETS["embedded"]}
    names = [families_of(families) for families in (grain & grid, grid - grain)]
    assert grain <= grid <= FAMILY_NAMES.keys()
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    for *others, last in names:
        assert f"{', '.join(others)} and {last}" in text


@pytest.mark.parametrize(("row", "reason"), [
    (row_of(5.0, notes=("not enough texture to tell",)), "too little texture"),
    (replace(row_of(5.0), texture=0.0), "too little texture"),
    (row_of(0.1, file=replace(FILE, width=90)), "too small (90 x 800 pixels)"),
    (row_of(0.1, file=replace(FILE, jpeg_quality=30)), "too strongly compressed (JPEG quality 30)"),
    (row_of(math.nan), "no finite score"),
])  # fmt: skip
def test_a_picture_that_shows_too_little_is_undecided(row, reason):
    answer = answer_of(row, run_of(TRACE))
    assert (answer.kind, answer.headline) == (UNDECIDED, f"undecided: {reason}")


def test_a_small_picture_with_a_trace_is_found():
    answer = answer_of(row_of(4.0, REDUCED, replace(FILE, width=90, jpeg_quality=75)), run_of(TRACE))
    assert answer.kind == FOUND
    assert [limit.split(":")[0] for limit in answer.limits] == [
        "small",
        "the threshold is for photographs",
    ]


@pytest.mark.parametrize("score", [2.0, 5.0])
def test_a_trace_in_a_jpeg_that_shows_its_blocks_is_undecided(score):
    row = row_of(score, REDUCED, replace(FILE, jpeg_quality=60))
    answer = answer_of(row, run_of(TRACE))
    headline = "undecided: a trace in a strongly compressed JPEG (quality 60)"
    assert (answer.kind, answer.headline) == (UNDECIDED, headline)
    assert "give photographs such scores too" in answer.meaning and answer.one_in is None
    given = replace(run_of(TRACE), threshold=1.0)
    assert answer_of(row, given).kind == FOUND


def test_methods_that_disagree_are_undecided():
    row = row_of(0.0)
    row.scores["grid"] = Score(4.0)
    answer = answer_of(row, run_of(TRACE, GRID))
    assert answer.headline == "undecided: trace and grid disagree"
    assert "By the estimate of grid, fewer than 1 in 10,000 photographs give such a score." in answer.meaning
    assert answer_of(row, run_of(TRACE)).kind == NOTHING


def test_methods_without_a_threshold_say_how_to_get_one():
    hfi = MethodInfo("hfi", "lpips_vgg_2", ("taesd",))
    answer = answer_of(Row(0, "a.png", {"hfi": Score(9.0)}, provenance=FILE), run_of(hfi))
    assert answer.kind == UNDECIDED
    assert "recon-detect calibrate --method hfi" in answer.meaning
    own = replace(hfi, name="my-method", null="0123456789ab")
    assert answer_of(Row(0, "a.png", {"my-method": Score(9.0)}, provenance=FILE), run_of(own)).kind == UNDECIDED


@pytest.mark.parametrize(("verdict", "p_value", "threshold", "kind"), [
    (LIKELY_GENERATED, 0.002, 1.0, FOUND),
    (LIKELY_REAL, 0.8, 1.0, NOTHING),
    (INCONCLUSIVE, 0.4, 1.0, NOTHING),
    (INCONCLUSIVE, 0.04, 1.0, UNDECIDED),
    (INCONCLUSIVE, 0.4, None, UNDECIDED),
])  # fmt: skip
def test_a_calibration_decides_for_any_method(verdict, p_value, threshold, kind):
    hfi = MethodInfo("hfi", "lpips_vgg_2", ("taesd",))
    judged = Verdict(verdict, None, p_value, None, "all", threshold, "latent diffusion", "none of the known")
    row = Row(0, "a.png", {"hfi": Score(9.0)}, provenance=FILE, verdict=judged)
    answer = answer_of(row, run_of(hfi, calibration="0123456789ab"))
    assert (answer.kind, answer.one_in) == (kind, pytest.approx(1 / p_value))
    assert answer.family == ("latent diffusion" if kind == FOUND else None)
    assert ("About 1 in 500 of the photographs of the calibration gives" in answer.meaning) == (kind == FOUND)


def test_a_failed_image_has_an_answer_of_its_own():
    answer = answer_of(Row(0, "a.png", error="UnreadableImage: truncated"), run_of(TRACE))
    assert (answer.kind, answer.headline) == (ERROR, "not scored: truncated")


@pytest.mark.parametrize(("error", "message"), [
    ("UnreadableImage: a.png: truncated", "a.png: truncated"), ("MemoryError: ", "MemoryError"),
    ("no score", "no score"), ("a.png: truncated", "a.png: truncated"),
])  # fmt: skip
def test_people_read_no_names_of_classes(error, message):
    assert without_type(error) == message


@pytest.mark.parametrize(("one_in", "words"), [
    (1.2, "most photographs may give"), (20.04, "at most 1 in 20 photographs"), (432.1, "at most 1 in 430 photographs"),
    (9_960.0, "at most 1 in 10,000 photographs"), (RAREST, "fewer than 1 in 10,000 photographs"),
])  # fmt: skip
def test_rarity_has_two_digits(one_in, words):
    assert rarity(one_in).startswith(f"By the method's estimate, {words}")


@pytest.mark.parametrize(("one_in", "words"), [
    (1.2, "Most of the photographs"), (41.2, "About 1 in 41 of the photographs"), (RAREST, "Fewer than 1 in 10,000 of"),
])  # fmt: skip
def test_rarity_in_a_calibration_is_counted(one_in, words):
    assert rarity_in_calibration(one_in).startswith(words)


def test_no_score_is_rarer_than_what_was_measured():
    assert one_in_of(60.0) == RAREST
    assert one_in_of(-60.0) == 1


@settings(deadline=None, max_examples=60)
@given(st.floats(-50, 50), st.dictionaries(st.sampled_from(["sizes", "scale", "decoder", "place"]), st.text()))
def test_details_of_other_methods_may_be_anything(score, details):
    own = MethodInfo("own", "", ("own",), "0123456789ab")
    answer = answer_of(Row(0, "a.png", {"own": Score(score, {}, details)}, provenance=FILE), run_of(own))
    assert answer.kind in KINDS
    json.dumps(answer.to_dict(), allow_nan=False)


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_the_package_with_data_score_in_deviates(name):
    method = find_method(name)
    assert (method.data is None) == (name not in {"glance", "grain", "grid", "trace"})
