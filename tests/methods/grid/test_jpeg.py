import io

import numpy as np
import pytest
import safetensors
from PIL import Image

from recon_detect.methods.grid.families import digest, read_whitening
from recon_detect.methods.grid.jpeg import TEMPLATE, jpeg_match, jpeg_origin
from tests.methods.grid.pictures import photograph


@pytest.fixture
def plain():
    return ((photograph(0, 320).permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)


@pytest.fixture
def jpeg(plain):
    buffer = io.BytesIO()
    Image.fromarray(plain).save(buffer, "jpeg", quality=75)
    return np.asarray(Image.open(buffer))


def test_the_grid_is_where_it_was_cropped(jpeg):
    assert jpeg_match(jpeg)[1] == (0, 0) and jpeg_match(jpeg[5:, 3:])[1] == (3, 5)
    assert jpeg_match(np.zeros((40, 80, 3), np.uint8)) is None


@pytest.mark.parametrize(("left", "top"), [(3, 5), (0, 4), (8, 1)])
def test_the_grid_of_a_cropped_jpeg_begins_elsewhere(jpeg, plain, left, top):
    cropped = jpeg[top:, left:]
    x, y = jpeg_origin(cropped)
    assert (x, y) == ((8 - left) % 8, 8 - top)
    assert jpeg_origin(jpeg) == jpeg_origin(cropped[y:, x:]) == (0, 0)
    assert jpeg_origin(plain[top:, left:]) is None


def test_a_picture_without_a_table_has_no_origin():
    assert jpeg_origin(np.zeros((40, 80, 3), np.uint8)) is None


def test_the_template_is_whitened_like_tables():
    with safetensors.safe_open(TEMPLATE, framework="pt") as file:
        assert file.metadata()["whitening"] == digest(read_whitening())
