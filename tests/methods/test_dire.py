from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from recon_detect import load_detector
from recon_detect.errors import UsageError
from recon_detect.images.picture import middle_square
from recon_detect.models.converters.guided_diffusion import Heads, convert
from recon_detect.settings import Inversion
from tests.models.adm import ADM

SIDE = 16


@pytest.fixture(scope="session")
def diffusion_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    torch.save(ADM().state_dict(), folder / "adm.pt")
    convert(folder / "adm.pt", folder / "adm", heads=Heads(16), image_size=SIDE)
    return folder / "adm"


@pytest.fixture
def slow_dire():
    """DIRE of (3, H, W) in [-1, 1], with alpha-bar by NumPy and the UNet of the tests."""
    model = ADM().eval()

    def evaluate(x, time):
        with torch.inference_mode():
            return model(torch.from_numpy(x)[None].float(), time)[0, :3].double().numpy()

    def reconstruct(x, stride=50):
        alpha = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[::stride]

        def implied(x, index):
            noise = evaluate(x, index * stride)
            clean = np.clip((x - np.sqrt(1 - alpha[index]) * noise) / np.sqrt(alpha[index]), -1, 1)
            return clean, (x - np.sqrt(alpha[index]) * clean) / np.sqrt(1 - alpha[index])

        for index in range(len(alpha)):
            onward = [*alpha[1:], 0.0][index]
            clean, noise = implied(x, index)
            x = np.sqrt(onward) * clean + np.sqrt(1 - onward) * noise
        for index in reversed(range(len(alpha))):
            before = [1.0, *alpha][index]
            clean, noise = implied(x, index)
            x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
        return x

    return reconstruct


def test_dire_is_the_error_of_inversion_and_sampling(diffusion_model, picture, slow_dire):
    images = [picture(SIDE, SIDE, seed) for seed in range(2)]
    result = load_detector("dire", models=diffusion_model, device="cpu").score(images, maps=True, progress=False)
    for row, image in zip(result.raise_for_errors(), images, strict=True):
        x = image.transpose(2, 0, 1) / 127.5 - 1
        error = np.abs(x - slow_dire(x))
        # 1e-6 of noise in the image moves the reconstruction by up to 1e-3.
        assert row.score == pytest.approx(-error.mean(), rel=1e-3)
        assert row.map.shape == (SIDE, SIDE) and np.allclose(row.map, error.mean(axis=0), atol=5e-3)
    assert result.run.inversion == Inversion(20)


def test_the_stepwise_error_equals_a_slow_rewrite(diffusion_model, picture):
    image = picture(SIDE, SIDE)
    model = ADM().eval()
    signals = [1.0, *np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[::50]]

    def move(x, index, now, then):
        with torch.inference_mode():
            noise = model(torch.from_numpy(x)[None].float(), 50 * index)[0, :3].double().numpy()
        return np.sqrt(then) * (x - np.sqrt(1 - now) * noise) / np.sqrt(now) + np.sqrt(1 - then) * noise

    x = image.transpose(2, 0, 1) / 127.5 - 1
    for index in range(5):
        x = move(x, index, signals[index], signals[index + 1])
    back = move(move(x, 5, signals[5], signals[6]), 5, signals[6], signals[5])
    detector = load_detector("sedid", models=diffusion_model, device="cpu")
    assert detector.score(image).scores[0] == pytest.approx(-((back - x) ** 2).mean(), rel=1e-4)


def test_pooled_maps_are_features(diffusion_model, picture):
    images = [picture(SIDE, SIDE, seed) for seed in range(2)]
    result = load_detector("dire", models=diffusion_model, device="cpu").score(images, maps=True, progress=False)
    for row in result.raise_for_errors():
        found = {name.rpartition(".")[2]: value for name, value in row.details["features"].items()}
        half = SIDE // 2
        blurred = ndimage.gaussian_filter(row.map, 1.0, mode="mirror", radius=3)
        expected = {
            "deviation": row.map.std(),
            "median": np.median(row.map),
            "9": np.quantile(row.map, 0.9),
            "99": np.quantile(row.map, 0.99),
            "detail": np.abs(row.map - blurred).mean(),
            "quarter 0": row.map[:half, :half].mean(),
            "quarter 1": row.map[:half, half:].mean(),
            "quarter 2": row.map[half:, :half].mean(),
            "quarter 3": row.map[half:, half:].mean(),
        }
        assert found == pytest.approx(expected, rel=1e-4)


def test_a_classifier_of_pooled_maps(diffusion_model, picture):
    def noisy(seed):
        return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)

    detector = load_detector("dire", models=diffusion_model, device="cpu", inversion=Inversion(20, real_step=1))
    smooth = [picture(SIDE, SIDE, seed) for seed in range(60)]
    calibration = detector.calibrate(
        smooth, map(noisy, range(60, 90)), fpr=0.1, combine="logistic", fit_share=0.3, strata=()
    )
    assert len(calibration.combiner.features) == 10
    judging = detector.with_calibration(calibration)
    kinds = ([picture(SIDE, SIDE, seed) for seed in range(90, 110)], map(noisy, range(90, 110)))
    low, high = ([row.verdict.combined for row in judging.score(images, progress=False)] for images in kinds)
    assert roc_auc_score([0] * 20 + [1] * 20, low + high) > 0.9


def test_the_error_of_predicted_noise_equals_a_slow_rewrite(diffusion_model, picture):
    image = picture(SIDE, SIDE)
    model = ADM().eval()
    signal = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[200]
    x = image.transpose(2, 0, 1) / 127.5 - 1
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(4):
        noise = torch.randn(x.shape, generator=generator).double().numpy()
        noisy = np.sqrt(signal) * x + np.sqrt(1 - signal) * noise
        with torch.inference_mode():
            found = model(torch.from_numpy(noisy)[None].float(), 200)[0, :3].double().numpy()
        errors.append(((found - noise) ** 2).mean())
    detector = load_detector("lare", models=diffusion_model, device="cpu")
    assert detector.score(image).scores[0] == pytest.approx(-np.mean(errors), rel=1e-5)


def test_a_stepwise_error_needs_a_diffusion_model(tiny_model, picture):
    row = load_detector("sedid", models=tiny_model, device="cpu").score(picture(SIDE, SIDE))[0]
    assert "is an autoencoder; this method needs a diffusion model of pixels" in row.error


def test_forty_evaluations_of_the_network(diffusion_model, picture, monkeypatch):
    detector = load_detector("dire", models=diffusion_model, device="cpu", batch_size=3)
    network = detector.models.reconstructors[0]._module
    calls = []
    original = network.predict
    monkeypatch.setattr(network, "predict", lambda x, time: calls.append((len(x), time)) or original(x, time))
    detector.score([picture(SIDE, SIDE, seed) for seed in range(3)], maps=True, progress=False)
    times = list(range(0, 1000, 50))
    assert calls == [(3, time) for time in [*times, *reversed(times)]]


def test_the_first_step_alone_takes_two_evaluations(diffusion_model, picture, monkeypatch):
    detector = load_detector("dire", models=diffusion_model, device="cpu", inversion=Inversion(real_step=1))
    network = detector.models.reconstructors[0]._module
    calls = []
    original = network.predict
    monkeypatch.setattr(network, "predict", lambda x, time: calls.append(time) or original(x, time))
    assert np.isfinite(detector.score(picture(SIDE, SIDE)).scores[0]) and calls == [0, 0]
    assert detector.run_info.to_dict()["inversion"] == {"steps": 20, "real_step": 1, "prompt": ""}


def test_steps_are_chosen_and_recorded(diffusion_model, picture):
    few, many = (
        load_detector("dire", models=diffusion_model, device="cpu", inversion=Inversion(steps)) for steps in (10, 20)
    )
    assert few.run_info.fingerprint != many.run_info.fingerprint and few.run_info.inversion.steps == 10
    assert few.score(picture(SIDE, SIDE)).scores[0] != many.score(picture(SIDE, SIDE)).scores[0]
    with pytest.raises(UsageError, match="no stride gives 300 of 1000 times; try 250 or 334"):
        load_detector("dire", models=diffusion_model, device="cpu", inversion=Inversion(300))


@pytest.mark.slow
def test_batches_and_sizes_do_not_matter(diffusion_model, picture):
    images = [picture(SIDE, SIDE, 0), picture(40, 23, 1), picture(SIDE, SIDE, 2), picture(9, 50, 3)]
    one = load_detector("dire", models=diffusion_model, device="cpu", batch_size=1).score(images, progress=False).scores
    many = (
        load_detector("dire", models=diffusion_model, device="cpu", batch_size=4).score(images, progress=False).scores
    )
    assert np.isfinite(one).all() and np.allclose(one, many, atol=1e-4)


def test_the_image_is_brought_to_the_size_of_the_model_as_published(diffusion_model, picture):
    """Halved by boxes, then bicubic, then the middle: by Pillow, in 8 bits."""
    image = picture(70, 90)
    small = Image.fromarray(image).resize((45, 35), Image.Resampling.BOX).resize((22, 17), Image.Resampling.BOX)
    small = small.resize((21, SIDE), Image.Resampling.BICUBIC).crop((2, 0, 2 + SIDE, SIDE))
    detector = load_detector("dire", models=diffusion_model, device="cpu")
    assert np.array_equal(detector.score(image).scores, detector.score(np.asarray(small)).scores)


@pytest.mark.slow
def test_images_of_any_size_fill_a_batch(diffusion_model, picture, monkeypatch):
    detector = load_detector("dire", models=diffusion_model, device="cpu", batch_size=4)
    network = detector.models.reconstructors[0]._module
    sizes = []
    original = network.predict
    monkeypatch.setattr(network, "predict", lambda x, time: sizes.append(len(x)) or original(x, time))
    images = [picture(SIDE + 7 * n, 40, n) for n in range(4)]
    found = detector.score(images, progress=False)
    assert sizes == [4] * 40 and [row.provenance.height for row in found] == [16, 23, 30, 37]
    # With a method that sees the image as it is, they stay apart, and the scores are the same.
    both = load_detector(["dire", "hfi"], models=diffusion_model, device="cpu", distance="l1").score(
        images, progress=False
    )
    assert np.allclose(both.scores, found.scores, atol=1e-4)


def test_the_middle_square_for_any_method(tiny_model, picture):
    image = picture(50, 70)
    square = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", middle_square=24)
    plain = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    assert square.score(image).scores[0] == plain.score(middle_square(image, 24)).scores[0]
    assert square.run_info.fingerprint != plain.run_info.fingerprint and square.run_info.middle_square == 24
    deep = (image / 255).astype(np.float32)
    assert square.score(deep).scores[0] == square.score(image).scores[0]


@pytest.mark.slow
def test_a_diffusion_model_is_a_reconstructor_for_every_method(diffusion_model, picture):
    image = picture(24, SIDE)
    names = ["dire", "did", "contrast", "aedr", "hfi"]
    row = load_detector(names, models=diffusion_model, device="cpu", distance="l1").score(image, progress=False)[0]
    assert row.error is None and all(np.isfinite(score.value) for score in row.scores.values())


def test_without_a_model_it_is_said_where_to_get_one():
    with pytest.raises(UsageError, match="sedid has no model of its own: pass one, .*recon-detect convert"):
        load_detector("sedid")


def test_two_diffusion_models_are_not_mistaken_for_one(diffusion_model, tmp_path, picture):
    torch.save(ADM(seed=1).state_dict(), tmp_path / "adm.pt")
    convert(tmp_path / "adm.pt", tmp_path / "other", heads=Heads(16), image_size=SIDE)
    both = load_detector("dire", models=[diffusion_model, tmp_path / "other"], device="cpu").score(picture(SIDE, SIDE))[
        0
    ]
    alone = load_detector("dire", models=tmp_path / "other", device="cpu").score(picture(SIDE, SIDE))[0]
    assert both.per_model[str(tmp_path / "other")] == alone.score
    assert len(set(both.per_model.values())) == 2


@pytest.mark.slow
def test_a_compiled_network_says_the_same(diffusion_model, picture, monkeypatch):
    """By the graphs that are captured; code for them takes a minute, and `benchmarks.gpu` makes it."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    images = [picture(SIDE, SIDE, seed) for seed in range(2)]
    plain, compiled = (
        load_detector("lare", models=diffusion_model, device="cpu", compile=compile_, batch_size=2).score(
            images, progress=False
        )
        for compile_ in (False, True)
    )
    assert np.allclose(plain.raise_for_errors().scores, compiled.raise_for_errors().scores, rtol=1e-4)
    assert plain.run.fingerprint == compiled.run.fingerprint
