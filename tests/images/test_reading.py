"""Which files are opened, and which images callers may hold."""

import io
import os
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recon_detect.errors import ImageTooLarge, UnreadableImage, UsageError
from recon_detect.images import as_sources, open_picture
from recon_detect.images.reading import read_file
from recon_detect.settings import DEFAULTS


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.timeout(10)
def test_pipes_sockets_devices_and_folders_are_named_and_not_read(tmp_path):
    pipe, link = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "c.png"))
        names = [(pipe, "a pipe"), (link, "a device"), (tmp_path / "c.png", "a socket"), (tmp_path, "a folder")]
        for path, kind in names:
            with pytest.raises(UnreadableImage, match=f"{kind}, not a file"):
                read_file(path)


def test_no_more_bytes_than_allowed_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100))
    with pytest.raises(ImageTooLarge, match="100 bytes, limit 99"):
        read_file(path, replace(DEFAULTS, max_bytes=99))
    assert len(read_file(path, replace(DEFAULTS, max_bytes=100))) == 100
    # Files of /proc have the size 0 and content all the same.
    with pytest.raises(ImageTooLarge, match="more than 10 bytes"):
        read_file(Path("/proc/self/status"), replace(DEFAULTS, max_bytes=10))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\0b.png", "NUL"),
        ("x" * 5000 + ".png", "File name too long"),
        ("data:image/png;base64,iVBORw0KGgo=", "data: URL"),
        ("https://example.org/a.png", "https URL, which is not fetched"),
        ("s3://bucket/a.png", "s3 URL"),
        ("missing.png", "No such file"),
    ],
)
def test_texts_that_are_no_files_say_what_they_are(name, message):
    (source,) = as_sources(name)
    with pytest.raises(UnreadableImage, match=message) as caught:
        open_picture(source.image)
    assert len(str(caught.value)) < 500


def test_files_whose_names_are_not_utf8_are_opened(tmp_path, picture):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(png(picture()))
    assert (open_picture(path).pixels == picture()).all()
    assert [source.id for source in as_sources(tmp_path)] == [str(path)]


def test_open_files_are_read_from_their_start(tmp_path, picture):
    data = png(picture())
    buffer = io.BytesIO(data)
    buffer.seek(0, io.SEEK_END)
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb") as file:
        sources = list(as_sources([buffer, file]))
        assert [source.id for source in sources] == ["image 0", str(tmp_path / "a.png")]
        for source in [*sources, *as_sources(buffer), *as_sources(file)]:
            assert (open_picture(source.image).pixels == picture()).all()
    with pytest.raises(UnreadableImage, match="closed file"):
        open_picture(file)
    with pytest.raises(UsageError, match="binary mode"):
        open_picture(io.StringIO("text"))
    with pytest.raises(ImageTooLarge):
        open_picture(buffer, replace(DEFAULTS, max_bytes=10))


def test_many_paths_come_in_any_container(tmp_path, picture):
    names = []
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(png(picture(seed=number)))
        names.append(str(tmp_path / f"{number}.png"))

    class Series:
        """What pandas gives: iterable, with dimensions, and no array."""

        ndim = 1

        def __iter__(self):
            return iter(names)

    for paths in (tuple(names), np.array(names), np.array(names, dtype=object), Series(), iter(names)):
        assert [source.id for source in as_sources(paths)] == names


def test_dicts_of_data_sets_are_one_image(tmp_path, picture):
    data = png(picture())
    (tmp_path / "a.png").write_bytes(data)
    sources = list(as_sources({"bytes": data, "path": "train/a.png"}))
    sources += as_sources([{"bytes": None, "path": str(tmp_path / "a.png")}, {"bytes": data, "path": None}])
    assert [source.id for source in sources] == ["a.png", str(tmp_path / "a.png"), "image 1"]
    for source in sources:
        assert (open_picture(source.image).pixels == picture()).all()
    with pytest.raises(UsageError, match="'bytes' or 'path'.*got label"):
        list(as_sources({"label": 3}))


@pytest.mark.parametrize("nothing", [{"bytes": None, "path": None}, {}, {"label": 3}, None, float("nan")])
def test_of_several_what_is_no_image_costs_its_own_row_alone(nothing, picture):
    first, second = as_sources([nothing, png(picture())])
    with pytest.raises(UsageError, match="expected a"):
        open_picture(first.image)
    assert (open_picture(second.image).pixels == picture()).all()


@pytest.mark.parametrize("images", [3, None, 2.5, object()])
def test_what_cannot_be_an_image_is_one_usage_error(images):
    with pytest.raises(UsageError, match="expected a path, encoded bytes"):
        list(as_sources(images))


def test_a_batch_of_grey_arrays_is_not_taken_for_rows_of_pixels():
    with pytest.raises(UsageError, match=r"\(64, 64, 3, 1\)"):
        list(as_sources(np.zeros((64, 64, 3, 1), np.uint8)))
    assert len(list(as_sources(np.zeros((4, 64, 64, 3), np.uint8)))) == 4
    assert len(list(as_sources(torch.zeros(4, 1, 8, 8)))) == 4


def test_frames_of_one_opened_image_stay_apart(picture):
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])

    def walk():
        with Image.open(buffer) as image:
            for number in range(3):
                image.seek(number)
                yield image

    sources = list(as_sources(walk()))  # by now the file is closed
    for source, frame in zip(sources, frames, strict=True):
        assert (open_picture(source.image).pixels == np.asarray(frame)).all()


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(3, 8, 8).to_sparse(), torch.zeros(3, 8, 8, device="meta"), torch.zeros(3, 0, 8)],
    ids=["sparse", "meta", "empty"],
)
def test_tensors_without_values_are_errors_of_that_image(tensor):
    with pytest.raises(UsageError, match="expected a"):
        open_picture(tensor)
