"""How far decoding goes ahead, and that no image costs the others their rows."""

import io
import struct
import threading
import time
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from recon_detect.engine import loader
from recon_detect.errors import OutOfMemory, UnreadableImage, UsageError
from recon_detect.images import Source, as_sources
from recon_detect.settings import Settings


def png(width: int, height: int) -> bytes:
    """A picture of the declared size in a few bytes."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(width)) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def load(images, **settings):
    return list(loader.load((Source(image, str(n)) for n, image in enumerate(images)), Settings(**settings)))


def test_broken_images_of_every_kind_are_items_with_errors(picture):
    data = io.BytesIO()
    Image.fromarray(picture()).save(data, "PNG")
    closed = Image.open(io.BytesIO(data.getvalue()))
    closed.close()
    images = [
        picture(),
        Image.open(io.BytesIO(data.getvalue()[:-60])),
        closed,
        Image.new("RGB", (0, 0)),
        "x" * 5000,
        "a\0b",
        torch.zeros(3, 8, 8).to_sparse(),
        torch.zeros(3, 8, 8, device="meta"),
        object(),
        picture(),
    ]
    items = load(images)
    assert [item.index for item in items] == list(range(10))
    assert [item.error is None for item in items] == [True, *[False] * 8, True]
    assert all(isinstance(item.error, UnreadableImage | UsageError) for item in items[1:9])


def test_an_error_that_nobody_foresaw_is_an_item_too(monkeypatch, picture):
    def broken(source, *_):
        raise RuntimeError("a bug") if source == b"bad" else KeyError("another")

    monkeypatch.setattr(loader, "open_picture", broken)
    assert [type(item.error) for item in load([b"bad", b"x"])] == [RuntimeError, KeyError]


class Watched:
    """Counts declared pixels that are past the turnstile and not yet taken."""

    def __init__(self, monkeypatch):
        self.most = 0
        enter = loader.Turnstile.enter

        def watched(turnstile, index, pixels, file_bytes):
            enter(turnstile, index, pixels, file_bytes)
            self.most = max(self.most, sum(turnstile._held.values()))

        monkeypatch.setattr(loader.Turnstile, "enter", watched)


def test_look_ahead_is_bounded_by_declared_pixels(monkeypatch):
    monkeypatch.setattr(loader, "_AHEAD_PIXELS", 250_000)
    watched = Watched(monkeypatch)
    images = [png(400, 300), png(400, 300), b"broken", png(1000, 1000), png(100, 100), png(400, 300)] * 3
    items = load(images, workers=4)
    assert [item.size for item in items[:6]] == [(300, 400), (300, 400), (0, 0), (1000, 1000), (100, 100), (300, 400)]
    assert len(items) == 18
    assert watched.most == 1_000_000  # the large one, alone


def test_small_images_are_decoded_side_by_side(monkeypatch):
    watched = Watched(monkeypatch)
    load([png(100, 100)] * 8, workers=4)
    assert watched.most <= 8 * 10_000


def test_an_image_that_does_not_fit_is_an_item_with_an_error(monkeypatch):
    monkeypatch.setattr(loader, "available_memory", lambda: 1_000_000)
    items = load([png(100, 100), png(400, 400), png(100, 100)])
    assert [type(item.error) for item in items] == [type(None), OutOfMemory, type(None)]
    assert "crop the image" in str(items[1].error)


def test_images_that_fit_one_at_a_time_wait_for_each_other(monkeypatch):
    monkeypatch.setattr(loader, "available_memory", lambda: 100 * 100 * loader._BYTES_PER_PIXEL + 1000)
    watched = Watched(monkeypatch)
    assert all(item.error is None for item in load([png(100, 100)] * 6, workers=4))
    assert watched.most == 100 * 100


@pytest.mark.timeout(60)
def test_closing_frees_threads_that_wait_for_their_turn(monkeypatch):
    monkeypatch.setattr(loader, "_AHEAD_PIXELS", 1)
    items = loader.load((Source(png(64, 64), str(n)) for n in range(100)), Settings(workers=4))
    next(items)
    items.close()
    deadline = time.monotonic() + 30
    while any(t.name.startswith("recon_detect") for t in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("recon_detect")]


def test_frames_of_an_opened_image_are_those_that_were_given(picture):
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(4)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])

    def walk(image):
        for number in range(4):
            image.seek(number)
            yield image

    with Image.open(buffer) as image:
        items = list(loader.load(as_sources(walk(image)), Settings()))
    for item, frame in zip(items, frames, strict=True):
        assert (item.picture.pixels == np.asarray(frame)).all()
