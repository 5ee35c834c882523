"""Damaged files of every format through `open_picture`: each gives a picture or an error, in bounded time and memory.

    python -m benchmarks.fuzz --files 20000
    python -m benchmarks.fuzz --folder FOLDER       # the files of a folder as they are, such as Pillow's Tests/images

Each file is decoded twice in a worker process of limited address space and processor time. A worker that takes too long
counts as a hang, one that ends as a crash; their files are kept in --output, and the run ends with 1.
"""

from __future__ import annotations

import argparse
import io
import math
import multiprocessing
import random
import resource
import signal
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from recon_detect.errors import InputError
from recon_detect.images import open_picture
from recon_detect.settings import DEFAULTS

SIDE = 48
# (format, mode, options of Pillow's writer)
_WRITTEN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("PNG", mode, {}) for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")),
    *(("JPEG", mode, options) for mode in ("L", "RGB", "CMYK") for options in ({}, {"progressive": True})),
    *(("WEBP", mode, {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)),
    *(("TIFF", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "LAB")),
    *(("TIFF", "RGB", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "RGB", {"big_tiff": True}),
    *(("GIF", mode, {}) for mode in ("L", "P")),
    *(("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(("AVIF", mode, {"speed": 10}) for mode in ("RGB", "RGBA")),
    *(("JPEG2000", mode, {}) for mode in ("L", "RGB", "RGBA", "I;16")),
    *(("PPM", mode, {}) for mode in ("1", "L", "RGB", "I")),
    *(("PCX", mode, {}) for mode in ("1", "L", "P", "RGB")),
    *(("SGI", mode, {}) for mode in ("L", "RGB", "RGBA")),
    *(("TGA", mode, {"compression": "tga_rle"}) for mode in ("L", "P", "RGB", "RGBA")),
    ("QOI", "RGB", {}),
    *((name, "RGB", {"animated": True}) for name in ("PNG", "WEBP", "GIF", "TIFF", "AVIF", "MPO")),
)
_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> dict[str, list[bytes]]:
    """Whole files by format."""
    by_format: dict[str, list[bytes]] = {"PSD": [_psd()], "SUN": [_sun()]}
    rgb = Image.fromarray(_smooth(0))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    for name, mode, given in _WRITTEN:
        options = dict(given)
        image = Image.fromarray(_smooth(0)[..., 0].astype(np.uint16) * 257) if mode == "I;16" else rgb.convert("L" if mode in "IF" else mode)  # fmt: skip  # noqa: E501
        image = image.convert(mode) if mode in "IF" else image
        if options.pop("animated", False):
            options |= {"save_all": True, "append_images": [Image.fromarray(_smooth(n)) for n in (1, 2)]}
        if name in ("PNG", "JPEG", "WEBP", "AVIF", "MPO"):
            options |= {"exif": exif, "icc_profile": b"profile" * 20}
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        by_format.setdefault(name, []).append(buffer.getvalue())
    return by_format


def mutants(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Damaged files with their names, the same for the same seed."""
    generator = random.Random(seed)
    files = seeds()
    formats = sorted(files)
    for number in range(count):
        name = formats[number % len(formats)]
        data = bytearray(generator.choice(files[name]))
        for _ in range(generator.choice((1, 1, 1, 2, 4))):
            data = generator.choice(_MUTATIONS)(data, generator, files[name])
        yield f"{number:06d}.{name.lower()}", bytes(data)


def _smooth(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _psd() -> bytes:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, SIDE, SIDE, 8, 3)
    return header + struct.pack(">III", 0, 0, 0) + b"\0\0" + _smooth(0).transpose(2, 0, 1).tobytes()


def _sun() -> bytes:
    return struct.pack(">8I", 0x59A66A95, SIDE, SIDE, 24, 3 * SIDE * SIDE, 1, 0, 0) + _smooth(0).tobytes()


def _bytes(data: bytearray, generator: random.Random, others: list[bytes]) -> bytearray:
    for _ in range(generator.randint(1, 8)):
        if data:
            data[generator.randrange(len(data))] = generator.randrange(256)
    return data


def _header(data: bytearray, generator: random.Random, others: list[bytes]) -> bytearray:
    for _ in range(generator.randint(1, 3)):
        data[generator.randrange(min(len(data), 64) or 1) : 1] = b""
        if data:
            data[generator.randrange(min(len(data), 64))] = generator.choice((0, 1, 0x7F, 0x80, 0xFF))
    return data


def _lengths(data: bytearray, generator: random.Random, _: list[bytes]) -> bytearray:
    if len(data) > 8:
        layout = generator.choice((">I", "<I", ">H", "<H"))
        at = generator.randrange(min(len(data) - 4, generator.choice((64, 512, len(data)))))
        value = generator.choice(_EXTREMES) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF)
        struct.pack_into(layout, data, at, value)
    return data


def _cut(data: bytearray, generator: random.Random, _: list[bytes]) -> bytearray:
    return data[: generator.randrange(len(data) + 1)]


def _moved(data: bytearray, generator: random.Random, _: list[bytes]) -> bytearray:
    start, end, at = sorted(generator.randrange(len(data) + 1) for _ in range(3))
    part = data[start : min(end, start + 4096)]
    return generator.choice((data[:start] + data[end:], data[:at] + part + data[at:], data[:at] + bytes(len(part)) + data[at:]))  # fmt: skip  # noqa: E501


def _spliced(data: bytearray, generator: random.Random, others: list[bytes]) -> bytearray:
    other = generator.choice(others)
    return data[: generator.randrange(len(data) + 1)] + other[generator.randrange(len(other)) :]


def _chunks(data: bytearray, generator: random.Random, others: list[bytes]) -> bytearray:
    """Chunks of PNG dropped, repeated, exchanged or changed, with sums that fit; bytes of other formats."""
    if not data.startswith(b"\x89PNG"):
        return _bytes(data, generator, others)
    parts, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append((bytes(data[at + 4 : at + 8]), bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    if not parts:
        return data
    place, other = generator.randrange(len(parts)), generator.randrange(len(parts))
    action = generator.randrange(4)
    if action == 0:
        del parts[place]
    elif action == 1:
        parts.insert(other, parts[place])
    elif action == 2:
        parts[place], parts[other] = parts[other], parts[place]
    else:
        parts[place] = (parts[place][0], _bytes(parts[place][1], generator, others))
    body = [struct.pack(">I", len(p)) + n + p + struct.pack(">I", zlib.crc32(n + p)) for n, p in parts]
    return bytearray(data[:8] + b"".join(body))


_MUTATIONS = (_bytes, _header, _lengths, _lengths, _cut, _moved, _spliced, _chunks)


def outcome(data: bytes) -> str:
    """``"read"``, or the type of the error; anything but an `InputError` goes up."""
    settings = replace(DEFAULTS, max_bytes=len(data) + 1)
    sums = []
    for _ in range(2):
        try:
            sums.append(open_picture(data, settings).provenance.sha256)
        except (InputError, MemoryError) as error:
            sums.append(f"{type(error).__name__}")
    if sums[0] != sums[1]:
        raise AssertionError(f"decoded in two ways: {sums}")
    return "read" if len(sums[0]) == 64 else sums[0]


def _work(connection: Connection, seconds: float, address_space: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    while True:
        try:
            data = connection.recv()
        except EOFError:
            return
        begin = time.process_time()
        # Twice the limit, for each file is decoded twice. Beyond it the system ends the process with SIGXCPU.
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(begin + 2 * seconds), resource.RLIM_INFINITY))
        try:
            result = outcome(data)
        except BaseException as error:
            result = f"RAISED {type(error).__name__}: {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        connection.send(Answer(result, time.process_time() - begin, peak))


class Answer(NamedTuple):
    """The outcome of a file, processor seconds for both decodings, and the worker's peak memory so far in kB."""

    result: str
    seconds: float = 0.0
    memory: int = 0


class Worker:
    """A process that decodes; started again after it was killed or ended. Its limit is processor time."""

    def __init__(self, seconds: float, address_space: int) -> None:
        self._seconds, self._address_space = seconds, address_space
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, self._seconds, self._address_space), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, data: bytes) -> Answer:
        """Decodes one file; never raises."""
        try:
            self._connection.send(data)
            if self._connection.poll(60 * self._seconds):  # of waiting, as in a deadlock, no processor time is used
                answer: Answer = self._connection.recv()
                return answer
        except (EOFError, OSError):
            pass
        else:
            self._process.kill()
        self._process.join()
        code = self._process.exitcode
        self._start()
        return Answer("HANG" if code in (-signal.SIGXCPU, -signal.SIGKILL) else f"CRASH {code}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--files", type=int, default=2000)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--gigabytes", type=float, default=1.5)
    arguments.add_argument("--output", type=Path, default=Path("fuzz-failures"))
    options = arguments.parse_args()
    if options.folder:
        paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
        files: Iterator[tuple[str, bytes]] = ((path.name, path.read_bytes()) for path in paths)
    else:
        files = mutants(options.files, options.seed)
    worker = Worker(options.seconds, int(options.gigabytes * 1e9))
    worker(b"")  # imports are not a file's time
    counts: Counter[str] = Counter()
    slowest, peak, start = (0.0, ""), (0, ""), time.monotonic()
    for name, data in files:
        result, seconds, memory = worker(data)
        slowest = max(slowest, (seconds, name))
        peak = (memory, name) if memory > peak[0] else peak
        counts[result.partition(":")[0]] += 1
        if result.startswith(("HANG", "CRASH", "RAISED")):
            options.output.mkdir(exist_ok=True)
            (options.output / name).write_bytes(data)
            print(f"{name}: {result}", file=sys.stderr)
    print(f"{counts.total()} files in {time.monotonic() - start:.0f} s: {dict(counts.most_common())}")
    print(
        f"slowest {slowest[1]}: {slowest[0]:.1f} s of processor for two decodings; "
        f"peak memory {peak[0] / 1e6:.2f} GB ({peak[1]})"
    )
    raise SystemExit(any(name.startswith(("HANG", "CRASH", "RAISED")) for name in counts))


if __name__ == "__main__":
    main()
