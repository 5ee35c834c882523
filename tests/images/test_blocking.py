import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from recon_detect.images.blocking import block_strengths, with_blocking
from recon_detect.images.native import native_sizes

NATIVE = (640, 512)


@pytest.fixture
def scene():
    """Noise that is smooth enough for JPEG to leave blocks, 640 x 512; with fine noise, as a camera has."""
    noise = np.random.default_rng(0).normal(0, 1, (2, 512, 640, 3))
    pixels = 128 + 160 * gaussian_filter(noise[0], (3, 3, 0)) + 2 * noise[1]
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))


def stored(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=quality)
    return Image.open(buffer).convert("RGB")


def scaled(image, width, height):
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


SIZES = [NATIVE, (704, 563), (768, 614), (800, 640), (576, 461)]


@pytest.mark.parametrize("width", [500, 434, 560])
def test_blocks_show_the_size_that_a_jpeg_had(scene, width):
    size = (width, round(width * 0.8))
    strengths = block_strengths(scaled(stored(scene, 50), *size), SIZES)
    assert strengths[0] > 20 and strengths[0] > 2 * strengths[1:].max()
    # Interpolation alone shows a little.
    assert strengths[0] > 2 * block_strengths(scaled(scene, *size), SIZES).max()


def test_the_grid_of_the_file_itself_does_not_count(scene):
    strengths = block_strengths(np.asarray(stored(scene, 30)), [*SIZES, (320, 256), (960, 768), (1280, 1024)])
    assert strengths[0] == 0 and strengths.max() < 8


@pytest.mark.parametrize("shape", [(255, 700), (700, 255), (1, 1)])
def test_small_pictures_show_nothing(shape):
    pixels = np.random.default_rng(1).integers(0, 255, (*shape, 3)).astype(np.uint8)
    assert not block_strengths(pixels, SIZES).any()


def test_flat_pictures_show_nothing():
    assert np.abs(block_strengths(np.full((512, 640, 3), 128, np.uint8), SIZES)).max() < 8


def test_the_size_that_blocks_show_comes_first(scene):
    pixels = scaled(stored(scene, 50), 500, 400)
    before = native_sizes(500, 400, ("sd", "sdxl"))
    after = with_blocking(before, pixels)
    prior = max(size.weight for size in before if (size.width, size.height) == NATIVE)
    assert (after[0].width, after[0].height) == NATIVE and after[0].weight > 1.2 * prior
    weights = [size.weight for size in after]
    assert sum(weights) == pytest.approx(1) and weights == sorted(weights, reverse=True)
    # No size loses more than half of what it had.
    weight_before = {(size.width, size.height, size.whole): size.weight for size in before}
    assert all(s.weight > weight_before[s.width, s.height, s.whole] / 2 for s in after) and len(after) == len(before)


def test_without_texture_the_prior_stays():
    before = native_sizes(200, 200)
    after = with_blocking(before, np.zeros((200, 200, 3), np.uint8))
    assert [size.weight for size in after] == pytest.approx([size.weight for size in before])
