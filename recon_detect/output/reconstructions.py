"""Reconstructions and DIRE maps as files, in the folders that the authors of DIRE train their classifier on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from recon_detect.atomic import replacing
from recon_detect.errors import UsageError
from recon_detect.names import is_too_long, short_stem

if TYPE_CHECKING:
    from recon_detect.results import Reconstruction

# OpenCV's default, with which the authors' script writes.
_JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class ReconstructionFolder:
    """``recons/`` and ``dire/`` below a folder, each with the images under their own names.

    Attributes:
        root: The folder.
        inputs: What the paths of images are relative to.
        legacy: Keep the suffix and format of each image, as the authors' script does: maps of JPEG files are then JPEG
            files, and a classifier learns that instead. Else everything is PNG.
        floats: Write safetensors instead: ``image``, ``reconstruction`` (3, H, W) in [-1, 1] and ``dire``, unrounded.
    """

    root: Path
    inputs: Path
    legacy: bool = False
    floats: bool = False

    @classmethod
    def of(
        cls, root: Path, paths: Iterable[str], *, legacy: bool = False, floats: bool = False
    ) -> ReconstructionFolder:
        """Plans the files of images, by their names below the deepest folder that has them all.

        Raises:
            UsageError: Two images would have the same name.
        """
        paths = list(paths)
        if legacy and floats:
            raise UsageError("expected one of legacy and floats: the published format has no floating values")
        folder = cls(root, Path(os.path.commonpath([Path(path).resolve().parent for path in paths])), legacy, floats)
        names: dict[Path, str] = {}
        for path in paths:
            other = names.setdefault(folder.files(path)[-1], path)
            if other != path:
                raise UsageError(f"{other} and {path} would both become {folder.files(path)[-1]}: rename one of them")
        return folder

    def files(self, path: str) -> list[Path]:
        """Paths of the files of one image; the last one is written last."""
        name = Path(path).resolve().relative_to(self.inputs)
        if self.floats:
            return [self.root / "dire" / _short(name.with_suffix(".safetensors"))]
        name = name if self.legacy else _short(name.with_suffix(".png"))
        return [self.root / part / name for part in ("recons", "dire")]

    def has(self, path: str) -> bool:
        """True for an image that is done."""
        return self.files(path)[-1].is_file()

    def add(self, pair: Reconstruction) -> None:
        """Writes one image; 8-bit values are truncated, as published."""
        assert pair.image is not None and pair.reconstruction is not None
        dire = np.abs(pair.image - pair.reconstruction)
        if self.floats:
            from safetensors.numpy import save_file

            tensors = {"image": pair.image, "reconstruction": pair.reconstruction, "dire": dire}
            with replacing(self.files(pair.path)[0]) as temporary:
                save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, temporary)
            return
        for path, unit in zip(self.files(pair.path), ((pair.reconstruction + 1) / 2, dire / 2), strict=True):
            _save(path, unit)


def _short(name: Path) -> Path:
    """A name that file systems take: with its new suffix it may be too long."""
    return name.with_name(short_stem(name.stem, str(name)) + name.suffix) if is_too_long(name.name) else name


def _save(path: Path, unit: np.ndarray[Any, Any]) -> None:
    """(3, H, W) in [0, 1] in the format of the suffix."""
    picture = Image.fromarray(np.clip(unit * 255, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    kind = Image.registered_extensions().get(path.suffix.lower(), "PNG")
    with replacing(path) as temporary:
        picture.save(temporary, format=kind, **({"quality": _JPEG_QUALITY} if kind == "JPEG" else {}))
