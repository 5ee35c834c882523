import numpy as np
import pytest
import torch
from scipy import ndimage

from recon_detect.tensors.filters import gaussian_blur, reflect_pad


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2), (7, 9)])
@pytest.mark.parametrize("amounts", [(0, 0, 0, 0), (0, 3, 0, 1), (2, 7, 5, 30)])
def test_padding_is_numpys(size, amounts):
    left, right, top, bottom = amounts
    x = torch.rand(2, 3, *size)
    padded = reflect_pad(x, left=left, right=right, top=top, bottom=bottom)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    assert np.array_equal(padded.numpy(), expected)


@pytest.mark.parametrize(("sigma", "radius"), [(0.8, 1), (1.5, 5)])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 12)])
def test_blur_is_scipys(sigma, radius, size):
    x = np.random.default_rng(0).random((2, 3, *size))
    expected = ndimage.gaussian_filter(x, (0, 0, sigma, sigma), mode="mirror", radius=(0, 0, radius, radius))
    assert np.abs(gaussian_blur(torch.from_numpy(x), sigma=sigma, radius=radius).numpy() - expected).max() < 1e-12
