"""Images as URLs, for HTML that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def data_url(image: Image.Image, format: str = "PNG", quality: int = 75) -> str:
    """An image as a URL; nothing but its pixels goes into it. `quality` is that of JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, format=format, quality=quality)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
