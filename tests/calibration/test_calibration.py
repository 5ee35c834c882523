import dataclasses
import hashlib
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from sklearn.linear_model import LogisticRegression

from recon_detect import Row, load_detector
from recon_detect.calibration import (
    ALL,
    FACETS,
    UNLIKE,
    Calibration,
    calibrate,
    needed,
    upper_threshold,
)
from recon_detect.calibration.strata import cell_of, strata_of
from recon_detect.errors import CalibrationError, UsageError
from recon_detect.models.registry import AUTOENCODERS, same_weights
from recon_detect.results import INCONCLUSIVE, LIKELY_GENERATED, LIKELY_REAL
from tests.calibration.scored import rows


@pytest.fixture
def run(tiny_model):
    return load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu").run_info


def test_images_that_a_threshold_takes():
    """By hand: 0.95^58 > 0.05 >= 0.95^59."""
    assert (needed(0.05, 0.95), needed(0.01, 0.95), needed(0.1, 0.95)) == (59, 299, 29)
    for n in (58, 59):
        assert (upper_threshold(np.arange(float(n)), 0.05, 0.95) is None) == (n == 58)


def test_the_threshold_is_the_exact_binomial_one():
    """The upper limit of Clopper and Pearson of the share above it is below the rate, that of the next lower is not."""
    scores = np.random.default_rng(0).normal(size=800)
    for rate, confidence in ((0.01, 0.95), (0.05, 0.95), (0.1, 0.9)):
        threshold = upper_threshold(scores, rate, confidence)
        k = int((scores > threshold).sum())
        limits = [
            stats.binomtest(above, len(scores), alternative="less").proportion_ci(confidence).high
            for above in (k, k + 1)
        ]
        assert limits[0] <= rate < limits[1]


@pytest.mark.parametrize("n", [50, 300, 1000, 5000])
@pytest.mark.parametrize("rate", [0.1, 0.05, 0.01])
def test_the_promise_is_kept(n, rate):
    """A thousand calibrations: the true rate is above the promised one in no more than one of twenty, and chance."""
    generator = np.random.default_rng(n)
    thresholds = [upper_threshold(generator.normal(size=n), rate, 0.95) for _ in range(1000)]
    if n < needed(rate, 0.95):
        assert set(thresholds) == {None}
        return
    broken = int((stats.norm.sf(np.array(thresholds, dtype=float)) > rate).sum())
    assert broken <= stats.binom.isf(0.001, 1000, 0.05)
    assert broken >= 1  # not so careful that it says nothing


def test_p_values_are_never_too_small(run):
    """A photograph's is below any u with a probability of at most u."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(400):
        scores = generator.normal(size=41)
        calibration = calibrate(rows(scores[:40].tolist()), run)
        found.append(calibration.judge(rows(scores[40:].tolist())[0]).p_value)
    assert min(found) >= 1 / 41
    for u in (0.05, 0.1, 0.5):
        assert np.mean(np.array(found) <= u) <= u + 3 * np.sqrt(u * (1 - u) / 400)


def test_three_bands_and_what_is_never_said(run):
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=400).tolist(), (generator.normal(size=400) + 6).tolist()
    alone = calibrate(rows(real), run, fpr=0.05)
    both = calibrate(rows(real) + rows(fake, "generated"), run, fpr=0.05)
    low, middle, high = rows([-3.0, 3.0, 9.0])
    assert [alone.judge(row).verdict for row in (low, middle, high)] == [
        INCONCLUSIVE,
        LIKELY_GENERATED,
        LIKELY_GENERATED,
    ]
    assert [both.judge(row).verdict for row in (low, high)] == [LIKELY_REAL, LIKELY_GENERATED]
    assert alone.judge(low).probability is None and both.real_threshold <= both.strata[ALL].threshold
    few = calibrate(rows(real[:50]), run, fpr=0.05)
    assert few.judge(high).verdict == INCONCLUSIVE and few.judge(high).threshold is None
    assert few.judge(high).p_value == pytest.approx(1 / 51)
    # Where the classes overlap, nothing is both.
    mixed = calibrate(rows(real) + rows(real, "generated"), run, fpr=0.05)
    assert mixed.real_threshold < mixed.strata[ALL].threshold
    assert mixed.judge(rows([0.0])[0]).verdict == INCONCLUSIVE
    assert both.judge(Row(0, "x", error="E: x")) is None and both.judge(rows([None])[0]) is None


def test_probabilities_are_platts_and_follow_the_prior(run):
    generator = np.random.default_rng(0)
    real, fake = generator.normal(size=300), generator.normal(size=100) + 2
    labelled = rows(real.tolist()) + rows(fake.tolist(), "generated")
    even, rare = (calibrate(labelled, run, prior=prior) for prior in (0.5, 0.01))
    unit = np.r_[real, fake].std()
    model = LogisticRegression(class_weight="balanced").fit(np.r_[real, fake][:, None] / unit, [0] * 300 + [1] * 100)
    for score in (-2.0, 1.0, 4.0):
        expected = model.predict_proba([[score / unit]])[0, 1]
        assert even.judge(rows([score])[0]).probability == pytest.approx(expected)
        odds = expected / (1 - expected) * 0.01 / 0.99
        assert rare.judge(rows([score])[0]).probability == pytest.approx(odds / (1 + odds))
    assert even.judge(rows([-1e9])[0]).probability == 0 and even.judge(rows([1e9])[0]).probability == 1


def test_photographs_are_held_against_their_kind_where_there_are_enough(run):
    generator = np.random.default_rng(0)
    png, strong = generator.normal(size=100).tolist(), (generator.normal(size=100) + 5).tolist()
    weak = generator.normal(size=20).tolist()
    kinds = rows(png) + rows(strong, format="JPEG", jpeg_quality=50) + rows(weak, format="JPEG", jpeg_quality=95)
    found = calibrate(kinds, run, fpr=0.05)
    # Thin ones go with the thinner of their neighbours.
    pooled = "lossless to JPEG 90 and above"
    assert {name: len(stratum.scores) for name, stratum in found.strata.items()} == {
        ALL: 220, pooled: 120, "JPEG below 70": 100}  # fmt: skip
    plain, compressed, thin, unlike = (
        found.judge(row)
        for row in (
            *rows([5.0]),
            *rows([5.0], format="JPEG", jpeg_quality=60),
            *rows([5.0], jpeg_quality=92),
            *rows([5.0], format="WEBP"),
        )
    )
    assert (plain.verdict, compressed.verdict) == (LIKELY_GENERATED, INCONCLUSIVE)
    assert (plain.stratum, compressed.stratum, thin.stratum) == (pooled, "JPEG below 70", pooled)
    assert unlike.stratum == UNLIKE and unlike.threshold == found.strata[ALL].threshold
    alike = calibrate(kinds, run, fpr=0.05, strata=())
    assert set(alike.strata) == {ALL} and alike.judge(rows([5.0], format="WEBP")[0]).stratum == ALL


@pytest.mark.parametrize(
    ("known", "kind"),
    [
        ({}, "lossless | below 0.3 Mpx | textured"),
        ({"format": "AVIF", "width": 1000, "texture": 0.5}, "other lossy | 0.3 to 1.5 Mpx | half textured"),
        ({"jpeg_quality": 75, "width": 4000, "texture": 0.1}, "JPEG 70 to 89 | above 1.5 Mpx | smooth"),
    ],
)
def test_kinds_are_told_by_compression_size_and_texture(known, kind):
    assert cell_of(rows([0.0], **known)[0], tuple(FACETS)) == kind


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=300))
def test_each_photograph_is_in_one_stratum_and_none_is_thin(levels):
    """However the kinds are mixed, unless there are too few of all."""
    kinds = [
        row
        for compression, size, texture in levels
        for row in rows([0.0], jpeg_quality=(None, 95, 80, 50)[compression], width=(100, 2000, 9000)[size],
                        texture=(0.1, 0.5, 0.9)[texture])
    ]  # fmt: skip
    cells, own = strata_of(kinds, tuple(FACETS), 20)
    assert [cells[cell_of(row, tuple(FACETS))] for row in kinds] == own
    counts = Counter(own)
    assert min(counts.values()) >= min(20, len(kinds))


@pytest.mark.slow
def test_the_promise_is_kept_in_every_stratum(run):
    """A thousand calibrations of two kinds of photographs with scores of their own."""
    broken = 0
    for seed in range(1000):
        generator = np.random.default_rng(seed)
        plain, strong = generator.normal(size=150).tolist(), (2 * generator.normal(size=150) + 3).tolist()
        found = calibrate(rows(plain) + rows(strong, jpeg_quality=50), run, fpr=0.05)
        true = stats.norm.sf(found.strata["JPEG below 70"].threshold, 3, 2)
        broken += true > 0.05
        assert stats.norm.sf(found.strata["lossless"].threshold) < 0.2
    assert 1 <= broken <= stats.binom.isf(0.001, 1000, 0.05)


def test_written_and_read_back(run, tmp_path):
    generated = rows([5.0, 6.0], "generated")
    found = calibrate(rows(np.arange(80.0).tolist()) + generated, run, fpr=0.05, data="eighty numbers")
    found.write(tmp_path / "cal.json")
    assert Calibration.read(tmp_path / "cal.json") == found
    assert repr(found) == (
        "Calibration(aeroblade, FPR 5.00% with 95% confidence; 80 photographs, 2 generated images; "
        f"{run.in_short}; {found.digest})"
    )
    assert repr(found.strata[ALL]) == f"Stratum(80 photographs, threshold={found.strata[ALL].threshold})"
    content = json.loads((tmp_path / "cal.json").read_text())
    assert content["data"] == "eighty numbers" and content["schema"] == 3 and content["fpr"] == 0.05
    (tmp_path / "edited.json").write_text(json.dumps(content | {"fpr": 0.001}))
    with pytest.raises(CalibrationError, match="not what its digest .* says: damaged, or edited"):
        Calibration.read(tmp_path / "edited.json")
    (tmp_path / "later.json").write_text(json.dumps(content | {"schema": 9}))
    with pytest.raises(CalibrationError, match="schema 9, this version reads up to 3"):
        Calibration.read(tmp_path / "later.json")
    for text in ("", "[]", "{}", '{"schema": 1, "digest": "", "strata": 3}'):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(CalibrationError, match="damaged"):
            Calibration.read(tmp_path / "broken.json")
    with pytest.raises(CalibrationError, match="No such file"):
        Calibration.read(tmp_path / "none.json")


def test_a_file_of_the_first_schema_is_read(run, tmp_path):
    content = {
        "run": json.loads(json.dumps(run.to_dict())),
        "method": "aeroblade",
        "fpr": 0.05,
        "confidence": 0.95,
        "strata": {
            "all": {"scores": list(range(120)), "threshold": 118.0},
            "lossless": {"scores": list(range(60)), "threshold": 59.0},
        },
        "generated": [130.0],
        "real_threshold": None,
        "platt": [0.5, -2.0],
        "prior": 0.5,
        "data": "",
        "made": "2026-11-20T00:00:00+00:00",
        "version": "0.1.0",
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    path = tmp_path / "first.json"
    path.write_text(json.dumps({"schema": 1, "digest": digest} | content))
    found = Calibration.read(path)
    png, webp = (found.judge(rows([100.0], format=kind)[0]) for kind in ("PNG", "WEBP"))
    assert (png.stratum, png.verdict, webp.stratum, webp.verdict) == (
        "lossless",
        LIKELY_GENERATED,
        UNLIKE,
        INCONCLUSIVE,
    )
    assert png.probability == pytest.approx(1 / (1 + np.exp(-48)))
    path.write_text(json.dumps({"schema": 1, "digest": digest} | content | {"fpr": 0.5}))
    with pytest.raises(CalibrationError, match="damaged, or edited"):
        Calibration.read(path)


def test_another_detector_is_refused_with_what_differs(run, tiny_model, kl_model):
    found = calibrate(rows([0.0]), run)
    found.check(run)
    other = load_detector("aeroblade", models=kl_model, distance="l2", device="cpu")
    with pytest.raises(CalibrationError, match="of another detector: methods was .* models was .*tiny.*, is .*kl"):
        other.with_calibration(found)
    low = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", dtype="bfloat16")
    with pytest.raises(CalibrationError, match="float32.*, is .*bfloat16"):
        low.with_calibration(found)
    with pytest.raises(CalibrationError, match="methods was aeroblade l2, is aeroblade l1"):
        found.check(dataclasses.replace(run, methods=(dataclasses.replace(run.methods[0], distance="l1"),)))
    # A copy that is known to hold the same weights is no other model.
    there, here = AUTOENCODERS["taesd"].files[0].sha256, AUTOENCODERS["taesd"].local_sha256[0]
    model = dataclasses.replace(run.models[0], sha256=here)
    copied = calibrate(rows([0.0]), dataclasses.replace(run, models=(model,)))
    copied.check(dataclasses.replace(run, models=(dataclasses.replace(model, sha256=there),)))
    # Neither device nor versions decide.
    found.check(dataclasses.replace(run, device="cuda", versions={}))


@pytest.mark.parametrize("row", AUTOENCODERS.values(), ids=lambda row: row.name)
def test_weights_of_every_model_can_be_compared(run, row):
    """Those of the package have no file on the hub."""
    for sha256 in row.sums:
        models = (dataclasses.replace(run.models[0], sha256=sha256),)
        calibrate(rows([0.0]), dataclasses.replace(run, models=models)).check(dataclasses.replace(run, models=models))
        assert same_weights(sha256) == row.sums[0]


def test_shares_and_labels_are_checked(run):
    for name in ("fpr", "confidence", "prior"):
        with pytest.raises(UsageError, match=f"{name} is 1.5; expected more than 0 and less than 1"):
            calibrate(rows([0.0]), run, **{name: 1.5})
    with pytest.raises(UsageError, match="no photographs with scores"):
        calibrate(rows([None]) + rows([1.0], "generated"), run)


def test_a_calibrated_detector_judges(tiny_model, picture):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    real = [picture(seed=seed) for seed in range(30)]
    found = detector.calibrate(real, fpr=0.1)
    judging = detector.with_calibration(found)
    result = judging.score([*real[:3], b"broken"], progress=False)
    assert [row.verdict.verdict for row in result[:3]] == [INCONCLUSIVE] * 3 and result[3].verdict is None
    assert result.run.calibration == found.digest and detector.run_info.calibration is None
    assert result[0].verdict.threshold == result.scores[:0].max(initial=found.strata[ALL].threshold)
    assert result[0].to_dict("x")["p_value"] == result[0].verdict.p_value
    assert "verdict" not in detector.score(real[0], progress=False)[0].to_dict("x")


def test_images_of_both_kinds(tiny_model, picture, tmp_path):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    path = tmp_path / "real" / "a.png"
    path.parent.mkdir()
    Image.fromarray(picture()).save(path)
    # What a folder is called does not matter where it is said what its images are.
    found = detector.calibrate([picture(seed=1)], [path, picture(seed=2)])
    assert len(found.strata[ALL].scores) == 1 and len(found.generated) == 2
