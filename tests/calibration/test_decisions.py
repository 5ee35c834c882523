"""Combinations, attribution, probabilities and drift, as a calibration has them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from recon_detect import Source, load_detector, open_picture
from recon_detect.calibration import ALL, UNLIKE, Calibration, calibrate, drift
from recon_detect.calibration.attribution import GAN, LATENT, NONE, PIXEL, UNKNOWN, family_of_generator
from recon_detect.calibration.probability import fit_probability, probability_of
from recon_detect.errors import UnknownName, UsageError
from recon_detect.images.augment import augmented
from recon_detect.results import LIKELY_GENERATED
from tests.calibration.scored import rows


@pytest.fixture
def run(tiny_model):
    return load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu").run_info


def several(n, seed, shift=(0.0, 0.0, 0.0)):
    return (np.random.default_rng(seed).normal(size=(n, 3)) + shift).tolist()


@pytest.mark.parametrize("combine", ["cauchy", "two-sided-fisher", "logistic", "naive-bayes"])
def test_a_combination_is_fitted_to_one_part_and_held_to_the_other(run, combine, tmp_path):
    real, fake = rows(several(400, 0)), rows(several(200, 1, (0, 4, 0)), "generated")
    found = calibrate(real + fake, run, fpr=0.05, combine=combine)
    assert found.combiner.features == ("aeroblade.m0", "aeroblade.m1", "aeroblade.m2")
    assert 160 < len(found.strata[ALL].scores) < 240 and 60 < len(found.generated) < 140
    assert found.combiner.effective == pytest.approx(3, abs=0.1)
    judged = [found.judge(row) for row in rows(several(300, 2, (0, 4, 0)))]
    assert np.mean([v.verdict == LIKELY_GENERATED for v in judged]) > 0.8
    fresh = [found.judge(row) for row in rows(several(1000, 3))]
    assert np.mean([v.verdict == LIKELY_GENERATED for v in fresh]) < 0.08
    assert judged[0].combined == pytest.approx(found.scores(rows(several(300, 2, (0, 4, 0)))[:1])[0])
    # The same images in another order, and a file of it, give the same.
    assert calibrate(fake[::-1] + real[::-1], run, fpr=0.05, combine=combine).strata == found.strata
    found.write(tmp_path / "cal.json")
    assert Calibration.read(tmp_path / "cal.json").judge(real[0]) == found.judge(real[0])


def with_grid(glance, grid):
    """Rows of two methods: one score by `glance`, one for each of two families by `grid`."""
    both = zip(rows(grid, method="grid"), rows(glance, method="glance"), strict=True)
    return [replace(row, scores=row.scores | other.scores) for row, other in both]


@pytest.mark.parametrize("combine", ["min-p", "fisher", "logistic"])
def test_grid_joins_other_methods(run, combine):
    run = replace(run, methods=tuple(replace(run.methods[0], name=name) for name in ("grid", "glance")))
    generator = np.random.default_rng(0)

    def photographs(n):
        return with_grid(generator.normal(size=(n, 1)).tolist(), generator.normal(size=(n, 2)).tolist())

    fake = with_grid(generator.normal(3, 1, (60, 1)).tolist(), generator.normal([1, 4], 1, (60, 2)).tolist())
    fake = [
        replace(row, path=f"fake{n}", label="generated", provenance=replace(row.provenance, sha256=f"fake{n}"))
        for n, row in enumerate(fake)
    ]
    found = calibrate(photographs(600) + fake, run, fpr=0.05, combine=combine)
    assert found.combiner.features == ("grid.m0", "grid.m1", "glance.m0")
    assert found.combiner.effective == pytest.approx(3, abs=0.1)
    # Either method alone is enough, and what neither sees is no evidence.
    verdicts = [found.judge(row) for row in with_grid([[0.0], [6.0], [0.0]], [[0.0, 6.0], [0.0, 0.0], [0.0, 0.0]])]
    assert [verdict.verdict == LIKELY_GENERATED for verdict in verdicts] == [True, True, False]
    # Weak evidence of both: less than either threshold asks for.
    weak = found.scores(with_grid([[1.8], [1.8], [0.0]], [[1.0, 1.8], [0.0, 0.0], [1.0, 1.8]]))
    assert weak[0] > max(weak[1:]) or combine == "min-p"
    assert found.judge(with_grid([[0.0]], [[0.0, 6.0]])[0]).decoder == "m1"


def test_combinations_that_cannot_be_are_told(run):
    real = rows(several(40, 0))
    with pytest.raises(UnknownName, match="combination 'best'"):
        calibrate(real, run, combine="best")
    with pytest.raises(UsageError, match="0 generated images to train logistic on; .* by min-p, fisher"):
        calibrate(real, run, combine="logistic")
    with pytest.raises(UsageError, match="photographs to fit cauchy to; expected 3 or more"):
        calibrate(real[:2], run, combine="cauchy")
    with pytest.raises(UnknownName, match="stratum 'camera'"):
        calibrate(real, run, strata=("camera",))
    with pytest.raises(UnknownName, match="probability 'beta'"):
        calibrate(real, run, probability="beta")
    with pytest.raises(UsageError, match="takes scores that are log odds: combine by logistic or lda"):
        calibrate(real, run, probability="temperature")


def test_an_image_without_one_of_the_numbers_has_no_verdict(run):
    found = calibrate(rows(several(100, 0)), run, combine="cauchy", fpr=0.1)
    (whole,), (lacking,) = rows([[1.0, 2.0, 3.0]]), rows([[1.0, 2.0]])
    assert found.judge(whole) is not None and found.judge(lacking) is None


def test_the_decoder_is_the_one_whose_score_is_least_like_photographs(run):
    found = calibrate(rows(several(400, 0)), run, fpr=0.05)
    verdicts = [found.judge(row) for row in rows([[0, 0, 9.0], [8.0, 0, 0], [0.0, 0, 0]])]
    assert [v.decoder for v in verdicts] == ["m2", "m0", None]
    assert [v.family for v in verdicts] == [LATENT, LATENT, None]
    # By a combination an image may be called generated though no model stands out.
    combined = calibrate(rows(several(800, 0)), run, fpr=0.05, combine="fisher")
    spread = combined.judge(rows([[2.0, 2.0, 2.0]])[0])
    assert (spread.verdict, spread.decoder, spread.family) == (LIKELY_GENERATED, NONE, UNKNOWN)


def test_generators_with_names_are_told_apart_and_strangers_are_none_of_them(run):
    kinds = {"sd-1.5": (5, 0, 0), "stylegan2": (0, 5, 0), "adm": (0, 0, 5)}
    generated = [
        row
        for seed, (name, shift) in enumerate(kinds.items())
        for row in rows(several(80, seed, shift), "generated", generator=name)
    ]
    found = calibrate(rows(several(400, 9)) + generated, run, fpr=0.05)
    for seed, (name, shift) in enumerate(kinds.items()):
        verdicts = [found.judge(row) for row in rows(several(100, 20 + seed, shift))]
        told = [v.decoder for v in verdicts if v.verdict == LIKELY_GENERATED]
        assert told.count(name) > 0.85 * len(told)
        assert {v.family for v in verdicts if v.decoder == name} == {family_of_generator(name)}
    # Between all of them: generated, and by none of these.
    strangers = [found.judge(row) for row in rows(several(100, 30, (5, 5, 5)))]
    assert np.mean([v.decoder == NONE for v in strangers]) > 0.5
    few = [*generated[:80], *generated[80:84]]
    with pytest.raises(UsageError, match="two or more generators with five images each; got sd-1.5: 80, stylegan2: 4"):
        calibrate(rows(several(400, 9)) + few, run)


def test_families_of_generators():
    names = ("sdxl", "flux.1-dev", "ADM", "glide", "ProGAN", "stylegan3", "dall-e 3", "camera")
    expected = [LATENT, LATENT, PIXEL, PIXEL, GAN, GAN, UNKNOWN, UNKNOWN]
    assert [family_of_generator(name) for name in names] == expected


def test_probabilities_of_three_kinds():
    generator = np.random.default_rng(0)
    real, fake = generator.normal(-1, size=400), generator.normal(1, size=200)
    # Two normal distributions of variance 1 at -1 and 1: the log odds are 2 x.
    for kind in ("platt", "temperature", "isotonic"):
        fitted = fit_probability(kind, real, fake)
        for x in (-1.0, 0.0, 0.5):
            assert probability_of(fitted, x, 0.5) == pytest.approx(1 / (1 + np.exp(-2 * x)), abs=0.1), kind
        rare, even = (probability_of(fitted, 0.5, prior) for prior in (0.01, 0.5))
        assert rare / (1 - rare) == pytest.approx(even / (1 - even) / 99)
    assert fit_probability("temperature", real, fake).intercept == 0
    steps = fit_probability("isotonic", real, fake)
    weights = np.r_[np.ones(400) / 400, np.ones(200) / 200]
    model = IsotonicRegression(out_of_bounds="clip").fit(
        np.r_[real, fake], np.r_[np.zeros(400), np.ones(200)], weights)  # fmt: skip
    assert probability_of(steps, 0.3, 0.5) == pytest.approx(model.predict([0.3])[0])
    assert 0 < probability_of(steps, -9, 0.5) < 0.01 < 0.99 < probability_of(steps, 9, 0.5) < 1


def test_drift_is_told_and_generated_images_are_none(run):
    generator = np.random.default_rng(0)
    found = calibrate(rows(generator.normal(size=500).tolist()), run)
    alike, mixed, lower, noisy, few = (
        drift(found, rows(values.tolist()))
        for values in (
            generator.normal(size=300),
            np.r_[generator.normal(size=200), generator.normal(6, size=100)],
            generator.normal(-1, size=300),
            3 * generator.normal(size=300),
            generator.normal(size=19),
        )
    )
    assert few is None and not alike.warnings and not mixed.warnings
    assert alike.photographs == pytest.approx(1, abs=0.15) and mixed.photographs == pytest.approx(0.67, abs=0.1)
    assert any("scores are lower" in text for text in lower.warnings)
    assert any("are not those of the calibration's photographs" in text for text in noisy.warnings)
    other = drift(found, rows(generator.normal(size=100).tolist(), jpeg_quality=50))
    assert other.unlike == 1 and "100% of the images are of a kind" in other.warnings[0]
    assert found.judge(rows([0.0], jpeg_quality=50)[0]).stratum == UNLIKE


def test_drift_is_seldom_told_where_there_is_none(run):
    told = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        found = calibrate(rows(generator.normal(size=100).tolist()), run)
        told += bool(drift(found, rows(generator.normal(size=100).tolist())).warnings)
    assert told <= 4


def test_only_generated_images_are_no_drift_of_photographs(run):
    found = calibrate(rows(np.arange(100.0).tolist()), run)
    assert drift(found, rows([500.0] * 30)).warnings == ()


@pytest.mark.slow
def test_a_detector_tells_drift(tiny_model, picture, caplog):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    judging = detector.with_calibration(detector.calibrate([picture(seed=seed) for seed in range(20)], fpr=0.1))
    assert judging.score([picture(seed=seed) for seed in range(20)], progress=False).drift.warnings == ()
    larger = judging.score([picture(800, 800, seed=0)] * 20, progress=False)
    assert larger.drift.unlike == 1 and "are of a kind that the calibration has no photographs of" in caplog.text
    assert detector.score(picture(), progress=False).drift is None


def test_generators_are_named_in_python(tiny_model, picture):
    detector = load_detector(["aeroblade", "contrast"], models=tiny_model, distance="l2", device="cpu")
    generated = {name: [picture(seed=seed + offset) for seed in range(8)] for offset, name in ((50, "a"), (90, "b"))}
    found = detector.calibrate([picture(seed=seed) for seed in range(20)], generated, fpr=0.1, combine="lda")
    assert set(found.attribution.classes) == {"a", "b"} and len(found.combiner.features) == 2


@pytest.mark.slow
def test_changed_copies_are_fitted_to_and_nothing_else(tiny_model, picture):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    real, fake = [picture(seed=seed) for seed in range(60)], [picture(seed=seed) // 2 for seed in range(60, 90)]
    options = {"fpr": 0.1, "combine": "logistic", "fit_share": 0.3}
    plain, more = (detector.calibrate(real, fake, augment=copies, **options) for copies in (0, 2))
    count = len(plain.strata[ALL].scores)
    assert len(more.strata[ALL].scores) == count < 60 and len(more.generated) == len(plain.generated) < 30
    assert more.combiner.parameters != plain.combiner.parameters
    assert detector.calibrate(real, fake, augment=2, **options).combiner == more.combiner
    # Without a combination there is nothing to fit.
    assert detector.calibrate(real, augment=2, fpr=0.1).strata == detector.calibrate(real, fpr=0.1).strata


def test_copies_of_one_name_stay_in_their_class(run):
    """Arrays are named by their place: the first photograph and the first generated image have one name."""
    real = [replace(row, path=f"image {n}") for n, row in enumerate(rows(several(200, 0)))]
    fake = [replace(row, path=f"image {n}") for n, row in enumerate(rows(several(200, 1, (6, 0, 0)), "generated"))]
    copies = [replace(row, path=f"{row.path}#changed-copy-0") for row in real + fake]
    plain, more = (calibrate(given, run, combine="lda", strata=()) for given in (real + fake, real + fake + copies))
    # The same images twice: the same classes, not a mixture of both.
    slopes = [np.array(found.combiner.parameters.coefficients) for found in (plain, more)]
    assert np.allclose(*slopes, rtol=0.1, atol=0.1) and slopes[0][0, 0] > 4


def test_copies_differ_from_the_original_and_are_the_same_again(picture, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    sources = [Source(picture(40, 50), "a", "real"), Source(str(tmp_path / "broken.png"), "b")]
    first, again = ([*augmented(sources, 2)] for _ in range(2))
    assert [(s.id, s.label) for s in first] == [("a#changed-copy-0", "real"), ("a#changed-copy-1", "real")]
    assert first == again and first[0].image != first[1].image
    pixels = open_picture(first[0].image).pixels
    assert pixels.shape == (40, 50, 3) and 0 < np.abs(pixels.astype(float) - picture(40, 50)).mean() < 80
