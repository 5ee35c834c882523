"""Data for the measurements: small photographs of noise, in shards."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 64
METHOD = f"{Path(__file__).with_name('roughness.py')}:METHOD"


def encoded(number: int) -> bytes:
    """A JPEG of smooth noise, the same for the same number."""
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def images(start: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of images."""
    for number in range(start, start + count):
        yield f"{number:08}.jpg", encoded(number)


def make_shards(folder: Path, count: int, per_shard: int) -> Path:
    """Writes tar archives of so many images in all, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, count, per_shard):
        path = folder / f"{start:08}.tar"
        if not path.exists():
            write_tar(path, images(start, min(per_shard, count - start)))
    return folder


def write_tar(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Writes a tar archive as WebDataset has it."""
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_parquet(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Writes Parquet as data sets of Hugging Face have it."""
    rows = [{"bytes": data, "path": name} for name, data in files]
    pq.write_table(pa.table({"image": rows}), path, row_group_size=100)


def write_folder(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """Writes single files."""
    path.mkdir(parents=True)
    for name, data in files:
        (path / name).write_bytes(data)
