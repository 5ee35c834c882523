import pytest
import torch

from recon_detect.evidence.texture import BLOCK, STEP, most_textured, texture, textured_blocks, textured_share


def noise(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator) * 2 - 1


def test_texture_is_measured_block_by_block():
    x = torch.zeros(1, 3, 96, 128)
    x[..., 2:30, 34:62] = noise(28, 28)
    blocks = texture(x)
    assert blocks.shape == (1, 3, 4)
    assert blocks[0, 0, 1] == blocks.max() > 0.5 and blocks[0, 2, 3] == 0
    assert textured_share(x).tolist() == [pytest.approx(1 / 12)]
    assert textured_blocks(x).tolist() == [1] and textured_blocks(torch.zeros(2, 3, 9, 9)).tolist() == [0, 0]


def test_a_large_image_is_looked_at_where_its_texture_is():
    x = torch.zeros(2, 3, 700, 900)
    x[0, :, 300:500, 600:800] = noise(200, 200)[0]
    x[1, :, :200, :200] = noise(200, 200)[0]
    (left, top, right, bottom), other = most_textured(x, 256)
    assert left <= 600 + BLOCK and right >= 800 - BLOCK and top <= 300 + BLOCK and bottom >= 500 - BLOCK
    assert left % STEP == top % STEP == 0 and (right - left, bottom - top) == (256, 256)
    assert other[:2] == (0, 0)
