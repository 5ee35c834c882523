import io

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra 'web'")
pytest.importorskip("prometheus_client", reason="needs the extra 'web'")
pytest.importorskip("python_multipart", reason="needs the extra 'web'")


@pytest.fixture(scope="session")
def detector():
    """A detector without networks."""
    from recon_detect import load_detector

    return load_detector("grid", max_pixels=250_000, workers=1)


@pytest.fixture
def png(picture):
    """Makes the bytes of a PNG file."""

    def make(seed: int = 0, side: int = 64, **options) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture(side, side, seed)).save(buffer, "PNG", **options)
        return buffer.getvalue()

    return make
