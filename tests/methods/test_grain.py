import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from recon_detect import load_detector, nulls
from recon_detect.looks import BLOCK
from recon_detect.methods import grain as module
from recon_detect.methods.grain import DECISIVE, ENOUGH, FLOOR, POSES, PRIOR, corrected


@pytest.fixture
def null(monkeypatch, tiny_model):
    """One of the random model, so wide that no image is decisive."""
    table = {
        str(tiny_model): {
            "mean": {"identity": 0.01, "hflip": 0.02},
            "variance": {"identity": 0.5, "hflip": 0.4},
            "area": 0.7,
        }
    }
    monkeypatch.setattr(nulls, "_read", lambda: {"grain": {"l1": table, "l2": table}})


@pytest.fixture
def textured(picture):
    def make(height=96, width=128, seed=0):
        noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
        return (picture(height, width, seed) + noise).clip(0, 255).astype(np.uint8)

    return make


def load(model, distance="l2", **options):
    return load_detector("grain", models=model, distance=distance, device="cpu", **options)


def test_correction_is_that_of_sidak():
    z = np.array([-1.0, 0.0, 2.0, 5.0])
    for tests in (1, 4, 30):
        p = 1 - (1 - stats.norm.sf(z)) ** tests
        assert np.allclose(stats.norm.sf(corrected(z, 1 / tests)), p, rtol=1e-6)
    assert np.isfinite(corrected(np.array([-30.0, 300.0]), 1e-3)).all()
    assert (np.diff(corrected(np.linspace(-9, 90, 999), 0.05)) > 0).all()


def test_of_normal_noise_one_in_twenty_is_above_its_threshold():
    """However many models and scales: the false-positive rate stays."""
    z = np.random.default_rng(0).normal(size=(20_000, 4, 4, len(PRIOR)))
    prior = np.outer([0.5, 1 / 6, 1 / 6, 1 / 6], list(PRIOR.values()))
    for models in (1, 4):
        score = module.pooled(corrected(z[:, :models], prior).max(axis=(2, 3)))
        assert np.mean(score > stats.norm.isf(0.05)) == pytest.approx(0.05, abs=0.005)


def blocks(error_map):
    rows, columns = error_map.shape[0] // BLOCK, error_map.shape[1] // BLOCK
    edges = [np.linspace(0, side, n + 1) for side, n in zip(error_map.shape, (rows, columns), strict=True)]
    return np.array(
        [
            error_map[int(np.floor(y0)) : int(np.ceil(y1)), int(np.floor(x0)) : int(np.ceil(x1))].mean()
            for y0, y1 in zip(edges[0], edges[0][1:], strict=False)
            for x0, x1 in zip(edges[1], edges[1][1:], strict=False)
        ]
    )


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_scores_equal_a_slow_rewrite(null, distance, tiny_model, textured, monkeypatch):
    """At the first scale; the others are the same on a resized image."""
    monkeypatch.setattr(module, "SCALES", (1.0,))
    detector = load(tiny_model, distance)
    autoencoder = detector._autoencoders[0]

    def reconstruct(x):
        padded = np.pad(x, ((0, 0), (0, -x.shape[1] % 4), (0, -x.shape[2] % 4)), mode="reflect")
        with torch.inference_mode():
            decoded = autoencoder.decode(autoencoder.encode(torch.from_numpy(padded)[None].float()))
        return decoded[0, :, : x.shape[1], : x.shape[2]].clamp(-1, 1).numpy().astype(np.float64)

    metrics = {"l1": lambda d: np.abs(d).mean(axis=0), "l2": lambda d: (d**2).mean(axis=0)}
    moves = {
        "identity": lambda x: x,
        "hflip": lambda x: x[:, :, ::-1],
        "rot90": lambda x: np.rot90(x, axes=(1, 2)),
        "shift4,0": lambda x: x[:, :, 4:],
        "hflip+shift4,0": lambda x: x[:, :, ::-1][:, :, 4:],
    }
    assert set(moves) == set(POSES)
    expected = []
    images = [textured(seed=n) for n in range(2)]
    for image in images:
        x = image.transpose(2, 0, 1) / 127.5 - 1
        logs, upright = {}, []
        for pose, move in moves.items():
            difference = move(x) - reconstruct(np.ascontiguousarray(move(x)))
            error = metrics[distance](difference)
            logs[pose] = np.log(error.mean() + FLOOR)
            if pose == "identity":
                upright = blocks(error)
        number = np.sum(upright) ** 2 / np.sum(upright**2)
        p = []
        for pose, mean, variance, share in (("identity", 0.01, 0.5, 0.8), ("hflip", 0.02, 0.4, 0.2)):
            others = np.mean([value for other, value in logs.items() if other != pose])
            z = (others - logs[pose] - mean) / np.sqrt(variance / number**0.7)
            p.append(1 - stats.norm.cdf(z) ** (1 / (0.5 * share)))
        expected.append(stats.norm.isf(min(p)))
    result = detector.score(images, progress=False).raise_for_errors()
    assert np.allclose(result.scores, expected, rtol=1e-5, atol=1e-5)


def test_what_was_found_is_told(null, tiny_model, textured):
    row = load(tiny_model).score(textured(96, 160), progress=False)[0]
    assert set(row.details) == {"decoder", "native_size", "mirrored", "box"}
    assert row.details["decoder"] == str(tiny_model) and row.details["mirrored"] in (True, False)
    assert row.details["native_size"] in [[160, 96], [213, 128], [320, 192], [107, 64]]
    assert row.to_dict("run")["details"] == {"grain": row.details}


def test_flat_images_tell_nothing(null, tiny_model, textured):
    """Neither a verdict nor an error, but a note."""
    nearly = textured(96, 96)
    nearly[:, 32:] = 100
    nearly[64:] = 100
    flat, little, full = load(tiny_model).score(
        [np.full((96, 96, 3), 255, np.uint8), nearly, textured(96, 96)], progress=False
    )
    assert flat.score == little.score == 0 and flat.details == little.details == {}
    assert flat.notes == little.notes == ("not enough texture to tell",)
    assert full.score != 0 and ENOUGH > 2


def test_batches_do_not_matter_nor_does_a_decided_neighbour(null, tiny_model, textured, monkeypatch):
    images = [textured(seed=n) for n in range(5)]
    one = load(tiny_model, batch_size=1).score(images, progress=False).scores
    all_ = load(tiny_model, batch_size=5).score(images, progress=False).scores
    assert np.allclose(one, all_, rtol=1e-5)
    monkeypatch.setattr(module, "DECISIVE", float(np.median(one)))
    looked = []
    original = module.look
    monkeypatch.setattr(module, "look", lambda x, scale: looked.append((scale, len(x))) or original(x, scale))
    stopped = load(tiny_model, batch_size=5).score(images, progress=False).scores
    assert looked[0] == (1.0, 5) and looked[-1][1] < 5
    assert np.allclose(stopped, [load(tiny_model).score(i, progress=False).scores[0] for i in images], rtol=1e-5)
    assert DECISIVE >= 4


def test_the_grain_of_a_decoder_is_found_mirrored_and_resized(shared_weights, picture, monkeypatch):
    """What the real decoder wrote, from a smooth picture with some texture: found by its own model in every pose."""
    from PIL import Image

    monkeypatch.setattr(module, "SCALES", (1.0, 4 / 3))
    detector = load_detector("grain", models=["taesd", "taesdxl"], device="cpu")
    base = picture(192, 192).astype(np.float64)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 60, base.shape), (1, 1, 0))
    x = torch.from_numpy((base + noise).clip(0, 255) / 127.5 - 1).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        decoded = detector.evidence(x).reconstruction(0)[0]
    pixels = ((decoded + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    mirrored, photograph = np.ascontiguousarray(pixels[:, ::-1]), (base + noise).clip(0, 255).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(pixels).resize((144, 144), Image.Resampling.LANCZOS))
    plain, turned, resized, other = detector.score([pixels, mirrored, smaller, photograph], progress=False)
    assert min(plain.score, turned.score) > 4 and other.score < 3
    assert plain.details["decoder"] == turned.details["decoder"] == "sd"
    assert (plain.details["mirrored"], turned.details["mirrored"]) == (False, True)
    assert turned.notes == ("grain of the sd decoder at 192x192, mirrored",) and other.notes == ()
    assert resized.score > other.score
