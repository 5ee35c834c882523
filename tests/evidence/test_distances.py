"""Each distance against a slow rewrite in NumPy and SciPy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from recon_detect.errors import UnknownName
from recon_detect.evidence.distances import DISTANCES, Distances, bandpass_l2, highpass_l2, l1, l2, ssim
from recon_detect.models.lpips import load_lpips

CPU = torch.device("cpu")


@pytest.fixture
def pair():
    return np.random.default_rng(0).random((2, 2, 3, 19, 23)) * 2 - 1


def blur(image, sigma, radius):
    return ndimage.gaussian_filter(image, sigma, mode="mirror", radius=radius)


def slow_highpass(x, y):
    total = 0
    for colour in range(3):
        difference = x[colour] - y[colour]
        total = total + (difference - blur(difference, 0.8, 1)) ** 2 / 3
    return total


def slow_bandpass(x, y):
    total = 0
    for colour in range(3):
        difference = x[colour] - y[colour]
        total = total + (blur(difference, 0.8, 1) - blur(difference, 2, 6)) ** 2 / 3
    return total


def slow_ssim(x, y):
    total = 0
    for colour in range(3):
        a, b = (x[colour] + 1) / 2, (y[colour] + 1) / 2
        ma, mb = blur(a, 1.5, 5), blur(b, 1.5, 5)
        va, vb, cov = (blur(p * q, 1.5, 5) - m * n for p, q, m, n in ((a, a, ma, ma), (b, b, mb, mb), (a, b, ma, mb)))
        total = total + (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)) / 3
    return 1 - total


SLOW = {
    l1: lambda x, y: np.abs(x - y).mean(0),
    l2: lambda x, y: ((x - y) ** 2).mean(0),
    highpass_l2: slow_highpass,
    bandpass_l2: slow_bandpass,
    ssim: slow_ssim,
}


@pytest.mark.parametrize("fast", list(SLOW), ids=lambda f: f.__name__)
def test_maps_equal_a_slow_rewrite(fast, pair):
    x, y = pair
    maps = fast(torch.from_numpy(x).float(), torch.from_numpy(y).float())
    assert maps.shape == (2, 1, 19, 23)
    for number in range(2):
        assert np.abs(maps[number, 0].numpy() - SLOW[fast](x[number], y[number])).max() < 1e-5


@pytest.mark.parametrize("fast", list(SLOW), ids=lambda f: f.__name__)
def test_equal_images_have_no_distance_and_order_does_not_matter(fast, pair):
    x, y = (torch.from_numpy(side).float() for side in pair)
    assert fast(x, x).abs().max() < 1e-6
    assert torch.allclose(fast(x, y), fast(y, x), atol=1e-6)


def test_names_are_checked_and_networks_are_loaded_once_and_shallow(shared_weights):
    names = ["lpips_vgg_2", "l2", "lpips_vgg_1", "l2"]
    distances = Distances(names, load_lpips(names, CPU))
    assert distances.names == ("lpips_vgg_2", "l2", "lpips_vgg_1")
    x, y = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    assert distances.computed_with("lpips_vgg_1") == ("lpips_vgg_2", "lpips_vgg_1")
    assert distances.computed_with("l2") == ("l2",)
    features = [{"vgg": distances.features(image, "vgg")} for image in (x, y)]
    assert sorted(features[0]["vgg"]) == [1, 2]
    maps = distances.maps(x, y, *features, distances.names)
    assert {name: tuple(m.shape[-2:]) for name, m in maps.items()} == {
        "lpips_vgg_2": (8, 8),
        "l2": (16, 16),
        "lpips_vgg_1": (16, 16),
    }
    with pytest.raises(UnknownName, match="unknown distance 'lpips_vgg_9'; known: .*lpips_vgg_2"):
        Distances(["lpips_vgg_9"])


def test_every_distance_has_a_scale_for_its_heat_map():
    assert "lpips_squeeze_7" in DISTANCES
    assert all(name == row.name and row.map_scale > 0 for name, row in DISTANCES.items())
