import numpy as np
import pytest
import torch
from scipy import stats

from recon_detect import load_detector
from recon_detect.evidence.distances import FEATURES
from recon_detect.methods import find_method
from recon_detect.methods.grain import contrasts, nulls
from recon_detect.methods.grain.contrasts import FLOOR, PRIOR
from recon_detect.methods.grain.glance import GLANCE_SIDE, POSES
from tests.methods.conftest import SCALE


@pytest.fixture
def detector(monkeypatch, tiny_model):
    row = {"distances": [FEATURES], "scales": {"1.0000": SCALE}, "searches": {}}
    monkeypatch.setattr(nulls, "_read", lambda method: {str(tiny_model): row} if method == "glance" else {})
    return load_detector("glance", models=tiny_model, device="cpu")


def test_rewritten(detector, textured):
    """Each pose in question against the other two, by the moderated t, then corrected for two poses."""
    image = textured(96, 128)
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        e = detector.evidence(x).using(FEATURES, [detector.methods[0].models[0]])
        logs = np.array([np.log(e.error(view=pose).item() + FLOOR) for pose in POSES])
        blocks = e.error_map(0)[0, 0].numpy().reshape(3, 16, 4, 16).mean(axis=(1, 3))
    area = (blocks.sum() ** 2 / (blocks**2).sum()) ** SCALE["area"]
    p = []
    for pose, share in PRIOR.items():
        others = np.delete(logs, POSES.index(pose))
        common, own = SCALE["variance"][pose] / area, others.var(ddof=1) / SCALE["spread"][pose]
        spread = np.sqrt((SCALE["freedom"] * common + own) / (SCALE["freedom"] + 1))
        t = (others.mean() - logs[POSES.index(pose)] - SCALE["mean"][pose]) / spread
        p.append(1 - (1 - stats.t(SCALE["freedom"] + 1).sf(t)) ** (1 / share))
    result = detector.score(image, progress=False)
    assert result.scores[0] == pytest.approx(stats.norm.isf(min(p)), rel=1e-4)
    found = result[0].details
    assert found["mirrored"] == (p[1] < p[0]) and found["box"] == [0, 0, 128, 96]


def test_only_the_most_textured_part_is_looked_at(detector, textured):
    image = np.full((GLANCE_SIDE + 96, GLANCE_SIDE + 200, 3), 90, np.uint8)
    image[96 : 96 + GLANCE_SIDE, 96 : 96 + GLANCE_SIDE] = textured(GLANCE_SIDE, GLANCE_SIDE)
    whole, part = (
        detector.score(x, progress=False) for x in (image, image[96 : 96 + GLANCE_SIDE, 96 : 96 + GLANCE_SIDE])
    )
    assert whole[0].details["box"] == [96, 96, 96 + GLANCE_SIDE, 96 + GLANCE_SIDE]
    assert whole.scores[0] == pytest.approx(part.scores[0], rel=1e-4)


def test_a_decoder_is_named_only_where_the_score_is_remarkable(detector, tiny_model, textured, monkeypatch):
    for threshold in (-9.0, 9.0):
        monkeypatch.setattr(contrasts, "REMARKABLE", threshold)
        details = detector.score(textured(96, 96), progress=False)[0].details
        assert details.get("decoder") == (str(tiny_model) if threshold < 0 else None) and "box" in details


def test_without_texture_there_is_nothing_to_tell(detector):
    row = detector.score(np.full((128, 128, 3), 90, np.uint8), progress=False)[0]
    assert row.score == 0 and "not enough texture to tell" in row.notes


def test_a_row_says_that_its_image_was_repeated_in_float32(detector, tiny_model, textured, monkeypatch):
    low = load_detector("glance", models=tiny_model, device="cpu", dtype="float16", batch_size=2)
    model = type(low.models.reconstructors[0])
    decode = model.decode

    def overflow(self, z, *, precise=False):
        y = decode(self, z, precise=precise)
        return y if precise else y * float("inf")

    monkeypatch.setattr(model, "decode", overflow)
    flat, full = low.score([np.full((96, 96, 3), 9, np.uint8), textured(96, 96)], progress=False)
    assert full.notes == (f"{tiny_model} repeated in float32",)
    assert flat.notes == ("not enough texture to tell",)


def test_a_batch_is_scored_as_its_images_are(detector, textured):
    images = [textured(96, 96, seed) for seed in range(3)] + [np.full((96, 96, 3), 9, np.uint8)]
    together = detector.score(images, progress=False).scores
    alone = [detector.score(image, progress=False).scores[0] for image in images]
    assert np.allclose(together, alone, rtol=1e-3, atol=1e-5)


def test_the_default_goes_by_the_models():
    assert find_method("default").name == find_method("default", ("mini-sd",)).name == "glance"
    assert find_method("default", ("embedded",)).name == "glance"
    assert find_method("default", ("tiny",)).name == find_method("default", ("mini-sd", "sd1")).name == "grain"
