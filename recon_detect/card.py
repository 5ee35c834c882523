"""Cards for notebooks: a few lines beside small pictures, as HTML without scripts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from PIL import Image, ImageOps

from recon_detect.errors import ReconDetectError
from recon_detect.images import Provenance, open_picture
from recon_detect.images.urls import data_url
from recon_detect.names import path_of, shown

# Longer side of a picture, in pixels.
_SIDE = 160


def card(title: str, lines: Iterable[str], pictures: Iterable[tuple[str, Image.Image | None]] = ()) -> str:
    """A card: a title, lines of text, and before them pictures with a description each, without those that are None.

    All text is escaped, and pictures are JPEGs with a longer side of 160 px within the HTML.
    """
    images = "".join(
        f'<img src="{_small(picture)}" alt="{escape(description)}" title="{escape(description)}" '
        'style="margin:0 8px 0 0">'
        for description, picture in pictures
        if picture
    )
    text = "".join(f"<div>{escape(shown(line))}</div>" for line in lines)
    return (
        '<div style="display:flex;align-items:flex-start;margin:8px 0;text-align:left">'
        f"{images}<div><strong>{escape(shown(title))}</strong>{text}</div></div>"
    )


def picture_of_file(path: str, provenance: Provenance | None) -> Image.Image | None:
    """The picture of a file that was scored; None where it is not there, is no longer of that size, or was no file."""
    file = Path(path_of(path))
    try:
        if provenance is None or not file.is_file() or file.stat().st_size != provenance.file_bytes:
            return None
        return Image.fromarray(open_picture(file).bytes())
    except (OSError, ValueError, ReconDetectError):  # ValueError: a NUL in a name
        return None


def _small(picture: Image.Image) -> str:
    return data_url(ImageOps.contain(picture.convert("RGB"), (_SIDE, _SIDE)), "JPEG", quality=80)
