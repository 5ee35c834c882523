import io

import pytest
from PIL import Image

from recon_detect.images.jpeg import estimate_quality


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 90, 95, 100])
def test_quality_of_libjpeg_files_is_exact(quality, picture):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "JPEG", quality=quality)
    assert estimate_quality(Image.open(buffer).quantization) == quality


@pytest.mark.parametrize("tables", [None, {}, {0: [1, 2, 3]}])
def test_without_tables_there_is_no_quality(tables):
    assert estimate_quality(tables) is None
