import numpy as np
import pytest
import torch

from recon_detect.errors import UnknownName
from recon_detect.evidence.views import VIEWS, find_view

EXPECTED = {
    "identity": lambda a: a,
    "rot90": lambda a: np.rot90(a),
    "rot180": lambda a: np.rot90(a, 2),
    "rot270": lambda a: np.rot90(a, 3),
    "hflip": lambda a: a[:, ::-1],
    "vflip": lambda a: a[::-1],
    "transpose": lambda a: a.T,
    "transverse": lambda a: np.rot90(a, 2).T,
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_symmetries_of_the_square(name):
    x = torch.arange(12.0).view(1, 1, 3, 4)
    assert np.array_equal(find_view(name)(x)[0, 0].numpy(), EXPECTED[name](x[0, 0].numpy()))


def test_the_eight_symmetries_are_eight():
    x = torch.rand(1, 3, 5, 5)
    views = [VIEWS[name](x) for name in EXPECTED]
    assert all(not torch.equal(a, b) for i, a in enumerate(views) for b in views[:i])


def test_moved_noisy_and_other_channel_order():
    x = torch.rand(2, 3, 8, 9)
    assert torch.equal(find_view("shift4,1")(x), x[..., 1:, 4:])
    assert torch.equal(find_view("hflip+shift1,0")(x), x.flip(3)[..., 1:])
    assert torch.equal(find_view("bgr")(x), x[:, [2, 1, 0]])
    noise = find_view("noise")(x) - x
    assert torch.allclose(noise[0], noise[1], atol=1e-6) and 0.8 < float(noise.std()) * 127.5 < 1.2


def test_views_with_numbers():
    x = torch.rand(2, 3, 40, 56) * 2 - 1
    assert find_view("squash28")(x).shape == (2, 3, 28, 28)
    assert find_view("thumbnail28")(x).shape == (2, 3, 28, 28) and find_view("thumbnail70")(x).shape[-1] == 70
    noise = (find_view("noise0.05")(x * 0.1) - x * 0.1) / 2
    assert float(noise.std()) == pytest.approx(0.05, rel=0.1) and torch.allclose(noise[0], noise[1], atol=1e-6)
    assert find_view("noise9")(x).abs().max() == 1
    flat = torch.ones(1, 3, 8, 8)
    assert torch.allclose(find_view("smooth0.1")(flat), flat)
    alternating = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 3, 8, 8)
    assert torch.allclose(find_view("smooth0.1")(alternating), 0.9 * alternating)
    for wrong in ("shift4", "shift4,0,1", "shift1,", "noise1,2", "squash", "wide3"):
        with pytest.raises(UnknownName, match="unknown view"):
            find_view(wrong)


def test_blur_keeps_shape_and_mean_level():
    x = torch.full((1, 3, 6, 7), 0.3)
    assert torch.allclose(find_view("blur")(x), x)
    with pytest.raises(UnknownName, match="unknown view 'rot45'; known: bgr, blur, direN, hflip"):
        find_view("rot45")
