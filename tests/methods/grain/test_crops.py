import numpy as np
import pytest
import torch

from recon_detect.evidence.texture import DECODER_GRID
from recon_detect.methods.grain.crops import CROP_SIDE, SCALES, crop


def noise(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator) * 2 - 1


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(64, 64), (160, 240), (320, 320), (413, 512), (1100, 700)])
def test_looks_of_a_batch_have_one_size_wherever_the_texture_is(scale, size):
    x = torch.zeros(2, 3, *size)
    x[0, :, :48, :48] = x[1, :, -48:, -48:] = noise(48, 48)[0]
    part, boxes = crop(x, scale)
    assert all(right <= size[1] and bottom <= size[0] for _, _, right, bottom in boxes)
    assert len({(right - left, bottom - top) for left, top, right, bottom in boxes}) == 1 and len(part) == 2
    # Whole periods of the grid, so that a mirrored look lies on the grid of JPEG if it does upright.
    assert all(side % DECODER_GRID == 0 for box in boxes for side in box)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", [(64, 64), (160, 240), (1100, 700)])
def test_looks_are_of_bounded_size_and_on_the_grid_of_their_scale(scale, size):
    part, (box,) = crop(noise(*size), scale)
    assert max(part.shape[-2:]) <= CROP_SIDE
    assert (np.array(box[:2]) * scale % 8 < 1e-6).all()
    assert tuple(part.shape[-2:]) == (round((box[3] - box[1]) * scale), round((box[2] - box[0]) * scale))
    assert part.abs().max() <= 1


def test_a_look_as_it_is_changes_no_pixel_and_one_scaled_up_undoes_scaling_down():
    x = noise(64, 96)
    assert torch.equal(crop(x, 1.0)[0], x)
    smooth = torch.nn.functional.interpolate(noise(8, 12), size=(128, 192), mode="bicubic").clamp(-1, 1)
    half = torch.nn.functional.interpolate(smooth, scale_factor=0.5, mode="bicubic", antialias=True)
    restored, _ = crop(half, 2.0)
    assert restored.shape == smooth.shape and (restored - smooth).abs().mean() < 0.02
