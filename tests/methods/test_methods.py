"""Each method against a rewrite in NumPy and SciPy that loops over images and shares nothing with the package."""

import dataclasses
import itertools
import sys
import types

import numpy as np
import pytest
import torch
from scipy import ndimage

from recon_detect import Method, load_detector
from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods import METHODS, Need, find_method
from recon_detect.methods.aedr import homogeneity
from tests.conftest import enliven


@pytest.fixture(scope="module")
def lively_model(tiny_model, tmp_path_factory):
    """The random autoencoder, whose output follows its input."""
    from diffusers import AutoencoderTiny

    folder = tmp_path_factory.mktemp("models") / "lively"
    enliven(AutoencoderTiny.from_pretrained(tiny_model), 2).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reconstruct(lively_model):
    """The autoencoder alone: (3, H, W) in [-1, 1] with sides that are multiples of 4, as NumPy."""
    from diffusers import AutoencoderTiny

    module = AutoencoderTiny.from_pretrained(lively_model).eval()

    def once(x):
        with torch.inference_mode():
            tensor = torch.from_numpy(np.ascontiguousarray(x)).float()[None]
            return module.decode(module.encode(tensor).latents).sample[0].clamp(-1, 1).double().numpy()

    return once


def mse(x, y):
    return ((x - y) ** 2).mean()


def blurred(x):
    return np.stack([ndimage.gaussian_filter(channel, 0.8, mode="mirror", radius=1) for channel in x])


def rot90(x):
    return np.rot90(x, axes=(1, 2))


def slow_homogeneity(x):
    """From the whole co-occurrence matrix."""
    red, green, blue = (x + 1) * 127.5
    level = (np.round(0.299 * red + 0.587 * green + 0.114 * blue) / 8).astype(int)
    matrix = np.zeros((32, 32))
    for row in level:
        for a, b in itertools.pairwise(row):
            matrix[a, b] += 1
            matrix[b, a] += 1
    i, j = np.indices((32, 32))
    return (matrix / matrix.sum() / (1 + np.abs(i - j))).sum()


def aeroblade(x, r):
    return -mse(x, r(x))


def hfi(x, r):
    return -(mse(x, r(x)) - mse(blurred(x), r(blurred(x))))


def rdd(x, r):
    return hfi(x, r) - 0.5 * hfi(rot90(x), r)


def regap(x, r):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).numpy() / 127.5
    edits = [blurred(x), x + noise, x[::-1]]
    return max(abs(mse(edited, r(edited)) - mse(x, r(x))) for edited in edits)


def aedr(x, r):
    return -mse(x, r(x)) / mse(r(x), r(r(x)))


def aedr_homogeneity(x, r):
    return aedr(x, r) * slow_homogeneity(x)


def did(x, r):
    return -(np.abs(x - r(x)).mean() - np.abs(r(x) - r(r(x))).mean())


def contrast(x, r):
    views = (rot90(x), x[:, :, ::-1])
    return np.mean([np.log(mse(v, r(v))) for v in views]) - np.log(mse(x, r(x)))


SLOW = {
    "aeroblade": aeroblade,
    "aedr": aedr,
    "aedr-homogeneity": aedr_homogeneity,
    "contrast": contrast,
    "did": did,
    "hfi": hfi,
    "rdd": rdd,
    "regap": regap,
}


@pytest.mark.parametrize("name", list(SLOW))
def test_scores_equal_a_slow_rewrite(name, lively_model, reconstruct, picture):
    pictures = [picture(32, 40, seed=n) for n in range(3)]
    distance = "l1" if name == "did" else "l2"
    result = load_detector(name, models=lively_model, distance=distance, device="cpu").score(pictures, progress=False)
    expected = [SLOW[name](p.transpose(2, 0, 1) / 127.5 - 1, reconstruct) for p in pictures]
    assert np.allclose(result.raise_for_errors().scores, expected, rtol=1e-5, atol=1e-7)


def test_the_distance_of_latents_equals_a_slow_rewrite(lively_model, reconstruct, picture):
    from diffusers import AutoencoderTiny

    module = AutoencoderTiny.from_pretrained(lively_model).eval()

    def encode(x):
        with torch.inference_mode():
            return module.encode(torch.from_numpy(np.ascontiguousarray(x)).float()[None]).latents.double().numpy()

    image = picture(32, 40)
    x = image.transpose(2, 0, 1) / 127.5 - 1
    result = load_detector("aeroblade", models=lively_model, distance="latent_l2", device="cpu").score(
        image, maps=True, progress=False
    )
    assert result.scores[0] == pytest.approx(-mse(encode(x), encode(reconstruct(x))), rel=1e-5)
    assert result[0].map.shape == (8, 10)


@pytest.mark.parametrize("size", [(32, 40), (33, 39)])
def test_distance_in_features_of_the_encoder(reconstruct, lively_model, picture, size):
    """As LPIPS without weights, after the block at half the resolution."""
    from diffusers import AutoencoderTiny

    layers = AutoencoderTiny.from_pretrained(lively_model).eval().encoder.layers
    assert [type(layer).__name__ for layer in layers[:4]] == ["Conv2d", "AutoencoderTinyBlock"] * 2
    height, width = size

    def padded(x):
        return np.pad(x, ((0, 0), (0, -height % 4), (0, -width % 4)), mode="reflect")

    def features(x):
        x = padded(x)
        with torch.inference_mode():
            found = layers[:4]((torch.from_numpy(x).float()[None] + 1) / 2)[0].double().numpy()
        found = found[:, : -(-height // 2), : -(-width // 2)]
        return found / np.sqrt((found**2).sum(axis=0))

    x = picture(*size).transpose(2, 0, 1) / 127.5 - 1
    detector = load_detector("aeroblade", models=lively_model, distance="encoder_features", device="cpu")
    result = detector.score(picture(*size), maps=True, progress=False)
    expected = ((features(x) - features(reconstruct(padded(x))[:, :height, :width])) ** 2).sum(axis=0)
    assert result.scores[0] == pytest.approx(-expected.mean(), rel=1e-5)
    assert np.allclose(result[0].map, expected, rtol=1e-3, atol=1e-6)


def test_features_of_other_encoders_are_refused(kl_model, picture):
    detector = load_detector("aeroblade", models=kl_model, distance="encoder_features", device="cpu")
    assert "encoder_features is that of tiny autoencoders" in detector.score(picture(), progress=False)[0].error


def test_every_method_is_complete_and_rewritten():
    # in files of their own
    elsewhere = {
        "deep",
        "dire",
        "dire-resnet",
        "embedding",
        "glance",
        "grain",
        "grid",
        "lare",
        "minder",
        "rdd-latent",
        "rigid",
        "sedid",
        "trace",
        "warpad",
    }
    assert set(METHODS) == {*SLOW, *elsewhere}
    for name in METHODS:
        method = find_method(name)
        assert method.name == name and method.title and method.paper
        # No weights of theirs are known by name.
        assert method.models or name in ("dire", "dire-resnet", "grid", "sedid")


def test_a_contrast_knows_left_from_right_and_up_from_down(tiny_model, picture):
    """Mirroring the input exchanges numerator and denominator of the mirrored quotient."""
    detector = load_detector("contrast", models=tiny_model, distance="l2", device="cpu")
    with torch.inference_mode():
        x = torch.from_numpy(picture().copy()).permute(2, 0, 1)[None] / 127.5 - 1
        straight, mirrored = detector.evidence(x), detector.evidence(x.flip(3))
        assert torch.allclose(straight.error(view="hflip"), mirrored.error(), atol=1e-6)


def test_homogeneity_of_flat_and_of_alternating_images():
    assert homogeneity(torch.zeros(1, 3, 8, 8)).item() == 1
    stripes = torch.zeros(1, 3, 8, 8) - 1
    stripes[..., ::2] = 1
    assert homogeneity(stripes).item() == pytest.approx(1 / 32)


def test_an_image_without_a_finite_score_is_an_error(monkeypatch, tiny_model):
    detector = load_detector("contrast", models=tiny_model, distance="l2", device="cpu")
    monkeypatch.setattr(
        type(detector.models.reconstructors[0]), "decode", lambda self, z, precise=False: torch.ones(len(z), 3, 8, 8)
    )
    row = detector.score(np.full((8, 8, 3), 255, np.uint8), progress=False)[0]
    assert row.error == "NumericalError: no finite score: the image may have no texture at all"


def spread(e):
    """Written as its file would be: a formula over evidence."""
    return e.error_map(0).flatten(1).std(dim=1, keepdim=True)


SPREAD = Method("spread", "spread of the error", spread, False, "l2", ("taesd",), "none")


def test_a_new_method_is_one_file_and_one_line(monkeypatch, tiny_model, picture):
    module = types.ModuleType("spread")
    module.SPREAD = SPREAD
    monkeypatch.setitem(sys.modules, "spread", module)
    monkeypatch.setitem(METHODS, "spread", "spread:SPREAD")
    result = load_detector("spread", models=tiny_model).score([picture(seed=n) for n in range(2)], progress=False)
    assert result.run.methods[0].name == "spread" and np.isfinite(result.scores).all() and (result.scores < 0).all()


def test_a_method_of_ones_own_is_an_object_a_file_or_a_module(tmp_path, monkeypatch, tiny_model, picture):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "own_spread.py").write_text(
        "from recon_detect import Method\n"
        "def spread(e):\n"
        "    return e.error_map(0).flatten(1).std(dim=1, keepdim=True)\n"
        "SPREAD = Method('spread', 'spread of the error', spread, False, 'l2', ('taesd',), 'none')\n"
    )
    (folder / "json.py").write_text("raise RuntimeError('an installed module goes first')")
    monkeypatch.chdir(folder)
    image, before = picture(), list(sys.path)
    methods = [SPREAD, "own_spread.py:SPREAD", f"{folder / 'own_spread.py'}:SPREAD", "own_spread:SPREAD"]
    scores = [load_detector(method, models=tiny_model).score(image, progress=False).scores[0] for method in methods]
    assert scores == [scores[0]] * 4 and scores[0] < 0 and sys.path == before
    both = load_detector(["aeroblade", SPREAD], models=tiny_model, distance="l2").score(image, progress=False)
    assert both.scores_of("spread")[0] == scores[0]
    monkeypatch.delitem(sys.modules, "own_spread")


def test_wrong_methods_of_ones_own_say_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "good.py").write_text("from tests.methods.test_methods import SPREAD\nNUMBER = 1\n")
    for place, error, message in (
        ("broken.py:X", UsageError, "broken.py does not run: ZeroDivisionError: division by zero"),
        ("none.py:X", UsageError, "no file .*none.py"),
        ("no_such_module:X", UsageError, "No module named 'no_such_module'; a module is installed or in"),
        ("good.py:SPRAED", UnknownName, "unknown method in good.py 'SPRAED'; known: SPREAD. Did you mean 'SPREAD'"),
        ("good.py:NUMBER", UsageError, "expected a recon_detect.Method, got int"),
        ("good.py:", UsageError, "expected module:NAME"),
    ):
        with pytest.raises(error, match=message):
            find_method(place)
    with pytest.raises(UsageError, match="'hfi' is a method of the package"):
        load_detector(dataclasses.replace(SPREAD, name="hfi"))
    with pytest.raises(UsageError, match="two methods have the name 'spread'"):
        load_detector([SPREAD, dataclasses.replace(SPREAD, distance="l1")])


def brightness(e):
    return torch.stack([e.image().mean(dim=(1, 2, 3)), e.image().amax(dim=(1, 2, 3))], dim=1)


def test_a_method_without_networks_has_columns_of_its_own(tmp_path, picture):
    data = tmp_path / "measured.json"
    data.write_text("{}")
    method = Method(
        "brightness", "mean and maximum", brightness, True, "none", (), "none", frozenset(),
        columns=("mean", "maximum"), data=data,
    )  # fmt: skip
    detector = load_detector(method, models="tiny")
    result = detector.score([picture(seed=n) for n in range(2)], progress=False).raise_for_errors()
    assert result.models == ("mean", "maximum") and result.run.models == () and result.per_model.shape == (2, 2)
    assert np.array_equal(result.scores, result.per_model.max(axis=1)) and set(result[0].per_model) == set(
        result.models
    )
    data.write_text("{ }")
    assert load_detector(method).run_info.fingerprint != detector.run_info.fingerprint
    with pytest.raises(UsageError, match="brightness has no error map"):
        detector.score(picture(), maps=True, progress=False)
    wrong = load_detector(dataclasses.replace(method, columns=("one",))).score(picture(), progress=False)
    assert "expected a statistic of shape (images, columns) = (1, 1), got (1, 2)" in wrong[0].error


def test_details_of_a_row_are_its_own(tiny_model, picture):
    first, second = load_detector("aeroblade", models=tiny_model, distance="l2", batch_size=2).score(
        [picture(), picture(seed=1)], progress=False
    )
    first.details["seen"] = True
    assert second.details == {}


@pytest.mark.parametrize("name", list(SLOW))
def test_the_cost_is_the_number_of_reconstructions(name, tiny_model, picture, monkeypatch):
    detector = load_detector(name, models=tiny_model, distance="l2", device="cpu")
    decoded = []
    model = type(detector.models.reconstructors[0])
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda self, z, **o: decoded.append(len(z)) or decode(self, z, **o))
    detector.score(picture(), progress=False).raise_for_errors()
    assert int(find_method(name).cost.split()[0]) == sum(decoded)


def test_every_need_is_declared():
    assert all(find_method(name).cost for name in METHODS)
    assert find_method("aeroblade").needs == {Need.AUTOENCODERS}
    assert find_method("lare").needs == {Need.AUTOENCODERS, Need.DENOISERS, Need.TRAINED_SIZE}
    assert find_method("trace").needs == {Need.AUTOENCODERS, Need.NULLS} and not find_method("trace").takes_distance
