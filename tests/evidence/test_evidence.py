from collections import Counter

import numpy as np
import pytest
import torch
from conftest import save_model

from recon_detect.errors import InputError, NumericalError, UnknownName, UsageError
from recon_detect.evidence import Evidence, PublishedEvidence
from recon_detect.evidence.distances import Distances
from recon_detect.models.loading import Models, load_reconstructor
from recon_detect.models.lpips import load_lpips
from recon_detect.models.sharing import share_equal_parts
from recon_detect.models.weights import find_weights

CPU = torch.device("cpu")


def load(folder, dtype="auto"):
    return load_reconstructor(find_weights(str(folder)), CPU, dtype)


def models_of(reconstructors, names):
    return Models(tuple(reconstructors), tuple(names), load_lpips(names, CPU))


@pytest.fixture
def calls(monkeypatch):
    """Counts the images that go through encoders, decoders and a VGG16 of random weights."""
    from recon_detect.models.autoencoders import Autoencoder

    shapes = {"features.0": (64, 3), "features.2": (64, 64)}
    trunk = {f"{name}.weight": torch.randn(*shape, 3, 3) / 10 for name, shape in shapes.items()}
    trunk |= {f"{name}.bias": torch.zeros(64) for name in shapes}
    monkeypatch.setattr("recon_detect.models.lpips.find_trunk", lambda net, names: trunk)
    counted = Counter()
    for owner, name in ((Autoencoder, "encode"), (Autoencoder, "decode"), (Distances, "features")):
        original = getattr(owner, name)

        def wrapper(self, x, *args, original=original, name=name, **options):
            counted[name] += x.shape[0]
            return original(self, x, *args, **options)

        monkeypatch.setattr(owner, name, wrapper)
    return counted


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(3, 3, 16, 24) * 2 - 1


def test_error_is_the_mean_distance_to_the_reconstruction(x, kl_model, tiny_model):
    models = [load(kl_model), load(tiny_model)]
    with torch.inference_mode():
        e = Evidence(x, models_of(models, ["l2", "l1"]))
        expected = [(x - m.decode(m.encode(x)).clamp(-1, 1)).double().square().mean(dim=(1, 2, 3)) for m in models]
        assert len(e) == 3
        assert torch.allclose(e.error(), torch.stack(expected, 1), atol=1e-6)
        assert e.error("l1").shape == (3, 2)
        assert e.error_map(1, "l1").shape == (3, 1, 16, 24)


def test_everything_is_computed_once(x, kl_model, calls):
    e = Evidence(x, models_of([load(kl_model)], ["l2", "lpips_vgg_1"]))
    with torch.inference_mode():
        for _ in range(2):
            e.error("l2")
            e.error("lpips_vgg_1")
            e.error_map(0)
            e.reconstruction(0)
    assert calls == {"encode": 3, "decode": 3, "features": 6}


def test_equal_encoders_run_once_and_equal_models_once_altogether(x, tmp_path, calls):
    folders = [save_model(tmp_path / name) for name in "abc"]
    models = [load(folder) for folder in folders]
    for parameter in models[1]._module.decoder.parameters():
        parameter.data.add_(0.02)
    share_equal_parts(models)
    e = Evidence(x, models_of(models, ["lpips_vgg_1"]))
    with torch.inference_mode():
        error = e.error()
    assert calls == {"encode": 3, "decode": 6, "features": 9}
    assert torch.equal(error[:, 0], error[:, 2]) and not torch.allclose(error[:, 0], error[:, 1])


def test_a_method_sees_its_own_models_and_distance_and_shares_the_rest(x, kl_model, tiny_model, calls):
    e = Evidence(x, models_of([load(kl_model), load(tiny_model)], ["l2", "lpips_vgg_1"]))
    first, second = (
        e.using("lpips_vgg_1", [e.reconstructors[0].name]),
        e.using("l2", [a.name for a in e.reconstructors[::-1]]),
    )
    with torch.inference_mode():
        a, b = first.error(), second.error()
        assert calls == {"encode": 6, "decode": 6, "features": 6}
        assert torch.equal(a, e.error("lpips_vgg_1")[:, :1]) and torch.equal(b, e.error("l2")[:, [1, 0]])
        with pytest.raises(UnknownName, match="unknown distance of this run 'l1'"):
            first.error("l1")


def test_views_of_one_size_go_through_the_network_together(x, kl_model, monkeypatch):
    views = ("identity", "hflip", "rot180", "rot90", "shift4,0", "hflip")
    alone = Evidence(x, models_of([load(kl_model)], ["l2"]))
    batches = []
    encode = type(alone.reconstructors[0]).encode
    monkeypatch.setattr(
        type(alone.reconstructors[0]),
        "encode",
        lambda self, x, *a, **o: batches.append(len(x)) or encode(self, x, *a, **o),
    )
    with torch.inference_mode():
        expected = torch.stack([alone.error(view=view) for view in views])
        assert batches == [3] * 5
        together = Evidence(x, models_of([load(kl_model)], ["l2"]))
        assert torch.allclose(together.errors(views), expected, atol=1e-6)
        assert batches[5:] == [9, 3, 3]
        together.errors(views)
        assert len(batches) == 8
        monkeypatch.setattr("recon_detect.evidence.evidence.TILED_ABOVE", 2 * 3 * 16 * 24)
        few = Evidence(x, models_of([load(kl_model)], ["l2"]))
        assert torch.allclose(few.errors(views), expected, atol=1e-6)
        assert sorted(batches[8:]) == [3, 3, 3, 6]


def test_passes_reconstruct_the_reconstruction(x, kl_model, calls):
    model = load(kl_model)
    e = Evidence(x, models_of([model], ["l2"]))
    with torch.inference_mode():
        once = e.reconstruction(0)
        twice = model.decode(model.encode(once)).clamp(-1, 1)
        assert torch.allclose(e.error(passes=2)[:, 0], (once - twice).double().square().mean(dim=(1, 2, 3)), atol=1e-6)
        assert torch.equal(e.reconstruction(0, passes=0), x)
    assert calls["encode"] == 3 + 3 + 3  # ours, the check's, the first pass


def test_views_are_reconstructed_as_they_are_seen(x, kl_model):
    e = Evidence(x, models_of([load(kl_model)], ["l2"]))
    with torch.inference_mode():
        turned = Evidence(torch.rot90(x, 1, (2, 3)), models_of([load(kl_model)], ["l2"]))
        assert torch.allclose(e.error(view="rot90"), turned.error(), atol=1e-6)
        assert e.reconstruction(0, view="rot90").shape == (3, 3, 24, 16)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (7, 9), (17, 16)])
def test_any_size_is_padded_on_the_right_and_the_bottom(size, tiny_model):
    model = load(tiny_model)
    x = torch.rand(2, 3, *size) * 2 - 1
    e = Evidence(x, models_of([model], ["l2"]))
    with torch.inference_mode():
        y = e.reconstruction(0)
        assert y.shape == x.shape and e.error().isfinite().all()
        padded = torch.from_numpy(
            np.pad(x.numpy(), ((0, 0), (0, 0), (0, -size[0] % 4), (0, -size[1] % 4)), mode="reflect")
        )
        expected = model.decode(model.encode(padded))[..., : size[0], : size[1]].clamp(-1, 1)
        assert torch.allclose(y, expected, atol=1e-5)


def test_what_overflows_in_low_precision_is_repeated_in_float32(x, tiny_model, monkeypatch):
    model = load(tiny_model, "float16")
    exact = Evidence(x, models_of([load(tiny_model)], ["l2"]))
    original = type(model).decode

    def overflow(self, z, *, precise=False):
        y = original(self, z, precise=precise)
        if not precise and y.shape[0] == 3:
            y[1] = float("nan")
        return y

    monkeypatch.setattr(type(model), "decode", overflow)
    e = Evidence(x, models_of([model], ["l2"]))
    with torch.inference_mode():
        error = e.error()
        assert error.isfinite().all()
        monkeypatch.undo()
        assert torch.allclose(error[1], exact.error()[1], atol=1e-6)
    assert e.retried == {(1, model.name)}


def test_repetitions_in_parts_of_images_are_of_the_images(x, tiny_model, monkeypatch):
    """Rows of methods that work on parts of images say too that something was repeated."""
    model = load(tiny_model, "float16")
    original = type(model).decode

    def overflow(self, z, *, precise=False):
        y = original(self, z, precise=precise)
        if not precise:
            y[-1] = float("nan")
        return y

    monkeypatch.setattr(type(model), "decode", overflow)
    e = Evidence(x, models_of([model], ["l2"]))
    with torch.inference_mode():
        e.at(x[1:, :, :8, :8], [1, 2]).at(x[1:2, :, :8, :8], [0]).error()
        assert e.retried == {(1, model.name)}
        e.only(0).at(torch.cat([x, x])).error()
        assert e.retried == {(1, model.name), (2, model.name)}
        with pytest.raises(UsageError, match="2 images of a batch of 3"):
            e.at(x[:2])


def test_what_is_not_finite_in_float32_is_an_error(x, tiny_model, monkeypatch):
    model = load(tiny_model)
    monkeypatch.setattr(type(model), "decode", lambda self, z, precise=False: torch.full((3, 3, 16, 24), float("nan")))
    with torch.inference_mode(), pytest.raises(NumericalError, match="not finite in float32"):
        Evidence(x, models_of([model], ["l2"])).error()


def test_published_mode_refuses_what_the_scripts_cannot_do(kl_model):
    e = PublishedEvidence(torch.zeros(1, 3, 15, 16), models_of([load(kl_model)], ["l2"]), [torch.zeros])
    with torch.inference_mode(), pytest.raises(InputError, match="16x15: .* multiples of 2"):
        e.error()
