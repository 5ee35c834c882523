"""Images as URLs, for HTML that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image


def data_url(image: Image.Image, format: str = "PNG", **options: Any) -> str:
    """An image as a URL; nothing but its pixels goes into it. `options` are those of Pillow's `save`."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, format=format, **options)
    return f"data:image/{format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
