import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assets import kinds
from benchmarks.common.data import write_manifest


@pytest.fixture
def sources(tmp_path, picture):
    """Three photographs, one of them as a camera wrote it, and packages with a transparent and a small drawing."""
    data, drawings = tmp_path / "eval", tmp_path / "packages" / "openclipart-png" / "usr/share/openclipart/png"
    data.mkdir()
    drawings.mkdir(parents=True)
    rows = []
    for number, name in enumerate(("camera_jpeg__025.jpg", "cid22_train__041_1.png", "cid22_train__042_2.png")):
        Image.fromarray(picture(64, 96, seed=number)).save(data / name)
        form, note = ("JPEG", "as the camera wrote it") if name.endswith("jpg") else ("PNG", "")
        rows.append({"path": name, "label": "real", "generator": "real", "autoencoder": "", "width": 96, "height": 64,
                     "format": form, "licence": "CC0", "source": "s", "source_path": name, "note": note})  # fmt: skip
    write_manifest(data, rows)
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(drawings / "empty.png")
    Image.new("RGBA", (100, 400), (0, 0, 0, 0)).save(drawings / "small.png")
    return kinds.Sources(data, tmp_path / "packages", None)


def test_pictures_of_a_kind_with_their_source_licence_and_fold(sources, tmp_path):
    rows = list(kinds.collect("heavy JPEG", sources, tmp_path / "out", 100))
    assert [row["path"] for row in rows] == ["heavy-jpeg/000.jpg", "heavy-jpeg/001.jpg"]
    assert [row["source"] for row in rows] == ["eval: cid22_train__041_1.png", "eval: cid22_train__042_2.png"]
    assert {(row["label"], row["licence"], row["format"]) for row in rows} == {("real", "CC0", "JPEG")}
    folds = {row["path"]: int(row["fold"]) for row in sources.photographs("lossless")}
    assert [row["fold"] for row in rows] == list(folds.values())
    (drawing,) = kinds.collect("drawing", sources, tmp_path / "out", 100)
    assert drawing["licence"] == "/usr/share/doc/openclipart-png/copyright"
    assert np.array(Image.open(tmp_path / "out" / drawing["path"])).min() == 255  # on white
    (camera,) = kinds.collect("camera JPEG", sources, tmp_path / "out", 100)
    assert (tmp_path / "out" / camera["path"]).read_bytes() == (sources.data / "camera_jpeg__025.jpg").read_bytes()


def test_what_is_there_is_not_made_again(sources, tmp_path, monkeypatch):
    first = list(kinds.collect("drawing", sources, tmp_path / "out", 100))
    monkeypatch.setattr(kinds, "_opaque", lambda path: pytest.fail("made again"))
    assert list(kinds.collect("drawing", sources, tmp_path / "out", 100)) == first


def test_missing_packages_and_networks_say_what_is_expected(sources, tmp_path):
    with pytest.raises(SystemExit, match="expected unpacked packages, such as python-skimage-doc"):
        list(kinds.collect("chart", sources, tmp_path / "out", 1))
    with pytest.raises(SystemExit, match="expected --upscaler"):
        list(kinds.collect("upscaled by a network", sources, tmp_path / "out", 1))


def test_a_decoder_of_the_package_changes_the_pixels(sources, tmp_path):
    (row,) = kinds.collect("through a decoder of the package", sources, tmp_path / "out", 1)
    decoded = np.array(Image.open(tmp_path / "out" / row["path"]).convert("RGB"), float)
    original = np.array(Image.open(sources.data / "cid22_train__041_1.png"), float)
    assert 0 < np.abs(decoded - original).mean() < 60


def test_an_upscaler_enlarges_the_reduced_picture(sources, tmp_path):
    pytest.importorskip("ncnn")
    network = "7767517\n2 2\nInput in 0 1 data\nInterp up 1 1 data output 0=1 1=4.0 2=4.0\n"  # nearest
    (tmp_path / "REALESRGAN_X4PLUS_UP4X.param").write_text(network)
    (tmp_path / "REALESRGAN_X4PLUS_UP4X.bin").touch()
    sources = replace(sources, upscaler=tmp_path)
    for row, name in zip(kinds.collect("upscaled by a network", sources, tmp_path / "out", 2),
                         ("cid22_train__041_1.png", "cid22_train__042_2.png"), strict=True):  # fmt: skip
        small = Image.open(sources.data / name).resize((24, 16), Image.Resampling.LANCZOS)
        enlarged = np.array(small).repeat(4, axis=0).repeat(4, axis=1)
        assert np.array_equal(np.array(Image.open(tmp_path / "out" / row["path"])), enlarged)


def test_pages_differ_and_are_the_same_each_time():
    pages = [kinds.page(number).tobytes() for number in (0, 1, 0)]
    assert pages[0] == pages[2] != pages[1]
    scan = Image.open(io.BytesIO(kinds.scanned(0)))
    assert scan.format == "JPEG" and scan.size == kinds.page(0).size
    assert kinds.scanned(0) == kinds.scanned(0)


def test_no_kind_has_photographs_of_the_null_distributions():
    from assets.photographs import PHOTOGRAPHS

    chosen = {Path(name).name for _, name in (*kinds.NIGHT_OF_PACKAGES, *kinds.PORTRAIT_OF_PACKAGES)}
    assert not chosen & {Path(name).name for names in PHOTOGRAPHS.values() for name in names}
