"""Error maps as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from recon_detect.atomic import replacing
from recon_detect.images.heat import colour
from recon_detect.names import short_stem, written

if TYPE_CHECKING:
    from recon_detect.results import Row

__all__ = ["colour", "heatmap_path", "picture_of", "save_heatmap"]


def picture_of(row: Row) -> Image.Image | None:
    """Colours the error map of a row, at the size of the image; None if it has no map."""
    if row.map is None or row.map_scale is None or row.provenance is None:
        return None
    size = row.provenance.width, row.provenance.height
    return Image.fromarray(colour(row.map, row.map_scale)).resize(size, Image.Resampling.BILINEAR)


def heatmap_path(name: str, folder: Path) -> Path:
    """Path of the heat map of an image: its name, and digits of its path so that equal names do not collide."""
    return folder / f"{short_stem(Path(name).stem, name)}.png"


def save_heatmap(row: Row, folder: Path) -> Path | None:
    """Writes the error map of a row as PNG, at the size of the image; None if it has no map.

    It is at `heatmap_path`. Score and scale are in the PNG's text entries.
    """
    picture = picture_of(row)
    if picture is None:
        return None
    path = heatmap_path(row.path, folder)
    text = PngInfo()
    text.add_text("Source", written(row.path))
    text.add_text("Description", f"score {row.score:.6g}; brightest colour: {row.map_scale:g} and above")
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)
    return path
