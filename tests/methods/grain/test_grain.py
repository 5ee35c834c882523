import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats

from recon_detect import load_detector
from recon_detect.errors import UsageError
from recon_detect.evidence.texture import BLOCK, ENOUGH
from recon_detect.methods.deviates import DECISIVE, REMARKABLE, corrected
from recon_detect.methods.grain import nulls
from recon_detect.methods.grain import search as module
from recon_detect.methods.grain.contrasts import FLOOR, PRIOR
from recon_detect.methods.grain.crops import SCALES
from recon_detect.methods.grain.search import PLACES, SHARES, STAGES
from tests.methods.conftest import SCALE

SEARCHES = {"scales": {"mean": 0.1, "deviation": 0.9}, "places": {"mean": 0.2, "deviation": 0.8}}


@pytest.fixture
def null(monkeypatch, tiny_model):
    """One of the random model, so wide that no image is decisive."""

    def make(*distances):
        scales = {f"{scale:.4f}": SCALE for scale in SCALES}
        row = {"distances": list(distances), "scales": scales, "searches": SEARCHES}
        monkeypatch.setattr(nulls, "_read", lambda method: {str(tiny_model): row})

    make("l2")
    return make


def load(model, **options):
    return load_detector("grain", models=model, device="cpu", **options)


def test_of_normal_noise_one_in_twenty_is_above_its_threshold():
    """However many models and scales: the false-positive rate stays."""
    z = np.random.default_rng(0).normal(size=(20_000, 4, len(SHARES), len(PRIOR)))
    prior = np.outer(list(SHARES.values()), list(PRIOR.values()))
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


METRICS = {"l1": lambda d: np.abs(d).mean(axis=0), "l2": lambda d: (d**2).mean(axis=0)}
MOVES = {
    "identity": lambda x: x,
    "hflip": lambda x: x[:, :, ::-1],
    "shift3,3": lambda x: x[:, 3:, 3:],
    "shift5,5": lambda x: x[:, 5:, 5:],
    "shift3,5": lambda x: x[:, 5:, 3:],
}


@pytest.fixture
def slow_tests(tiny_model):
    """The corrected z of one image (3, H, W) in one stage of the search, by NumPy but for the autoencoder."""
    from diffusers import AutoencoderTiny

    module = AutoencoderTiny.from_pretrained(tiny_model).eval()

    def reconstruct(x):
        padded = np.pad(x, ((0, 0), (0, -x.shape[1] % 4), (0, -x.shape[2] % 4)), mode="reflect")
        with torch.inference_mode():
            tensor = torch.from_numpy(padded)[None].float()
            decoded = module.decode(module.encode(tensor).latents).sample
        return decoded[0, :, : x.shape[1], : x.shape[2]].clamp(-1, 1).numpy().astype(np.float64)

    def log_error(x, name):
        return np.log(METRICS[name](x - reconstruct(np.ascontiguousarray(x))).mean() + FLOOR)

    def tests(x, stage, distances):
        x = x[:, : x.shape[1] // 8 * 8, : x.shape[2] // 8 * 8]
        logs = {pose: np.mean([log_error(move(x), name) for name in distances]) for pose, move in MOVES.items()}
        upright = blocks(METRICS[distances[0]](x - reconstruct(np.ascontiguousarray(x))))
        number = np.sum(upright) ** 2 / np.sum(upright**2)
        p = []
        for pose, of_pose in PRIOR.items():
            others = [value for other, value in logs.items() if other != pose]
            common, own = SCALE["variance"][pose] / number ** SCALE["area"], np.var(others, ddof=1)
            joined = (5 * common + 3 * own / SCALE["spread"][pose]) / 8
            t = (np.mean(others) - logs[pose] - SCALE["mean"][pose]) / np.sqrt(joined)
            p.append(1 - stats.t(8).cdf(t) ** (1 / of_pose))
        null = SEARCHES.get(stage, {"mean": 0, "deviation": 1})
        z = (stats.norm.isf(min(p)) - null["mean"]) / null["deviation"]
        return stats.norm.isf(1 - stats.norm.cdf(z) ** (1 / SHARES[stage]))

    tests.log_error = log_error
    return tests


@pytest.mark.parametrize("distances", [("l1",), ("l2", "l1")])
def test_the_first_look_equals_a_slow_rewrite(null, distances, tiny_model, textured, slow_tests, monkeypatch):
    monkeypatch.setattr(module, "STAGES", {"as it is": STAGES["as it is"]})
    null(*distances)
    images = [textured(seed=0), textured(101, 98, seed=1)]
    result = load(tiny_model).score(images, progress=False).raise_for_errors()
    expected = [slow_tests(image.transpose(2, 0, 1) / 127.5 - 1, "as it is", distances) for image in images]
    assert np.allclose(result.scores, expected, rtol=1e-5, atol=1e-5)


def test_the_whole_search_equals_a_slow_rewrite(null, tiny_model, textured, slow_tests, monkeypatch):
    """The best of the image as it is, at another scale, and in the place with the least error."""
    monkeypatch.setattr(module, "SCALES", (1.0, 2.0))
    monkeypatch.setattr(module, "PLACES", ("shift1,0", "rot90"))
    image = textured(96, 96)
    x = image.transpose(2, 0, 1) / 127.5 - 1
    twice = [Image.fromarray(c.astype(np.float32)).resize((192, 192), Image.Resampling.BICUBIC) for c in x]
    # Mirrored is always tried.
    places = [x[:, :, 1:], np.ascontiguousarray(np.rot90(x, axes=(1, 2))), x[:, :, ::-1]]
    trials = [
        (x, "as it is"),
        (np.stack([np.asarray(c) for c in twice]).clip(-1, 1).astype(np.float64), "scales"),
        (min(places, key=lambda view: slow_tests.log_error(view, "l2")), "places"),
    ]
    expected = [slow_tests(view, stage, ("l2",)) for view, stage in trials]
    result = load(tiny_model).score(image, progress=False).raise_for_errors()
    assert result.scores[0] == pytest.approx(max(expected), rel=1e-5, abs=1e-5)
    for stage, score in zip(STAGES, expected, strict=True):
        only = dict.fromkeys(STAGES, 1e-9) | {stage: SHARES[stage]}
        monkeypatch.setattr(module, "SHARES", only)
        assert load(tiny_model).score(image, progress=False).scores[0] == pytest.approx(score, rel=1e-4, abs=1e-4)


def test_what_looks_generated_is_looked_at_again_on_more_of_the_image(null, tiny_model, textured, monkeypatch):
    """The larger part alone then counts, in the same place, with the same correction."""
    monkeypatch.setitem(SCALE, "variance", {"identity": 1e-3, "hflip": 1e-3})
    monkeypatch.setitem(SCALE, "mean", {"identity": -0.014, "hflip": 0})
    monkeypatch.setattr(module, "CROP_SIDE", 96)
    monkeypatch.setattr(module, "WIDE", 160)
    original = module.crop
    monkeypatch.setattr(module, "crop", lambda x, scale, side=96: original(x, scale, side))
    monkeypatch.setattr(module, "STAGES", {"as it is": STAGES["as it is"]})
    detector = load(tiny_model)
    images = [textured(160, 160, seed=seed) for seed in range(6)]
    rows = detector.score(images, progress=False)
    sides = [row.details["box"][2] - row.details["box"][0] for row in rows]
    assert set(sides) == {96, 160}
    monkeypatch.setattr(module, "WIDE", 96)
    narrow = detector.score(images, progress=False).scores
    monkeypatch.setattr(module, "crop", lambda x, scale, side=160: original(x, scale, 160))
    wide = detector.score(images, progress=False).scores
    expected = np.where(narrow > 0, wide, narrow)
    assert np.allclose([row.score for row in rows], expected, rtol=1e-5)


def test_what_was_found_is_told(null, tiny_model, textured):
    row = load(tiny_model).score(textured(96, 160), progress=False)[0]
    assert set(row.details) == {"native_size", "place", "mirrored", "box"} | (
        {"decoder"} if row.score >= REMARKABLE else set()
    )
    assert row.details["place"] in ("identity", *PLACES) and row.details["mirrored"] in (True, False)
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


@pytest.mark.slow
def test_batches_do_not_matter_nor_does_a_decided_neighbour(null, tiny_model, textured, monkeypatch):
    images = [textured(seed=n) for n in range(5)]
    one = load(tiny_model, batch_size=1).score(images, progress=False).scores
    all_ = load(tiny_model, batch_size=5).score(images, progress=False).scores
    assert np.allclose(one, all_, rtol=1e-5)
    monkeypatch.setattr(module, "DECISIVE", float(np.median(one)))
    looked = []
    original = module.crop
    monkeypatch.setattr(module, "crop", lambda x, *how: looked.append((how[0], len(x))) or original(x, *how))
    stopped = load(tiny_model, batch_size=5).score(images, progress=False).scores
    assert looked[0] == (1.0, 5) and looked[-1][1] < 5
    assert np.allclose(stopped, [load(tiny_model).score(i, progress=False).scores[0] for i in images], rtol=1e-5)
    assert DECISIVE >= 3


def test_distances_are_those_of_the_nulls(null, tiny_model):
    with pytest.raises(UsageError, match="grain compares in a way of its own: leave out distance='l1'"):
        load(tiny_model, distance="l1")
    both = load_detector(["grain", "aeroblade"], models=tiny_model, distance="l1")
    assert [method.distance for method in both.run_info.methods] == ["l2", "l1"]


def test_places_are_all_phases_of_the_grid_the_turns_and_the_mirror():
    assert len(PLACES) == len(set(PLACES)) == 8 * 8 - 1 + 3 + 1 and "shift0,0" not in PLACES
    assert sum(SHARES.values()) == pytest.approx(1) and sum(PRIOR.values()) == pytest.approx(1)
    assert list(SHARES) == list(STAGES)


@pytest.mark.slow
def test_the_grain_of_a_decoder_is_found_mirrored_resized_and_off_its_grid(shared_weights, picture, monkeypatch):
    """What the real decoder wrote, from a smooth picture with some texture: found by its own model wherever it is."""
    monkeypatch.setattr(module, "SCALES", (1.0, 4 / 3))
    monkeypatch.setattr(module, "PLACES", ("shift1,0", "shift3,5", "shift5,3", "shift4,4", "rot90", "rot180", "hflip"))
    detector = load_detector("grain", models=["taesd", "taesdxl"], device="cpu")
    base = picture(192, 192).astype(np.float64)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 60, base.shape), (1, 1, 0))
    x = torch.from_numpy((base + noise).clip(0, 255) / 127.5 - 1).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        decoded = detector.evidence(x).reconstruction(0)[0]
    pixels = ((decoded + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    mirrored, photograph = np.ascontiguousarray(pixels[:, ::-1]), (base + noise).clip(0, 255).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(pixels).resize((144, 144), Image.Resampling.LANCZOS))
    images = [pixels, mirrored, np.ascontiguousarray(pixels[3:, 5:]), smaller, photograph]
    plain, turned, cropped, resized, other = detector.score(images, progress=False)
    assert min(plain.score, turned.score) > 3 and other.score < 2 and other.notes == ()
    assert "decoder" not in other.details and "box" in other.details
    assert {row.details["decoder"] for row in (plain, turned, cropped)} == {"sd"}
    assert (plain.details["mirrored"], turned.details["mirrored"]) == (False, True)
    assert turned.notes == ("grain of the sd decoder at 192x192, mirrored",)
    assert cropped.score > 2 and cropped.details["place"] == "shift3,5"
    assert cropped.notes == ("grain of the sd decoder at 187x189, once seen as shift3,5",)
    assert resized.score > other.score
