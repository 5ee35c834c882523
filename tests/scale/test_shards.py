"""Shards: the same rows from any kind of source, whatever the order, the batches, the cuts and the interruptions."""

import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from recon_detect import Source, find_sources, load_detector
from recon_detect.errors import OutputLocked, UsageError
from recon_detect.output import Journal
from recon_detect.output.lock import Lock
from recon_detect.scale import plan, score_shard

IMAGES = 12


@pytest.fixture(scope="module")
def detector(method_file):
    return load_detector(f"{method_file}:METHOD", device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    """Twelve small PNG files of two sizes by name, one of them broken."""
    import numpy as np

    chance = np.random.default_rng(0)
    encoded = {}
    for number in range(IMAGES):
        buffer = io.BytesIO()
        pixels = chance.integers(0, 256, (32, 32 + 8 * (number % 2), 3), np.uint8)
        Image.fromarray(pixels).save(buffer, "png")
        encoded[f"{number:02}.png"] = buffer.getvalue()
    return encoded | {"05.png": b"not an image"}


@pytest.fixture(scope="module")
def sources(files) -> list[Source]:
    return [Source(data, name) for name, data in files.items()]


def rows(path: Path, *without: str) -> list[dict]:
    return [{key: row[key] for key in row if key not in without} for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="module")
def expected(sources, detector, tmp_path_factory) -> dict[str, dict]:
    """Rows of an undisturbed run by name."""
    path = tmp_path_factory.mktemp("expected") / "all.parquet"
    score_shard(sources, path, detector)
    return {row["path"]: row for row in rows(path)}


def test_a_shard_has_a_row_for_each_image_in_order(files, expected, sources, detector, tmp_path):
    result = score_shard(sources, tmp_path / "a.parquet", detector)
    assert (result.images, result.failed, result.likely_generated) == (IMAGES, 1, 0) and result.seconds > 0
    assert [row["path"] for row in rows(tmp_path / "a.parquet")] == list(files)
    assert [row["path"] for row in rows(tmp_path / "a.parquet") if row["error"]] == ["05.png"]
    about = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"recon_detect"])
    assert about["schema"] == 3 and about["run"] == detector.run_info.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "a.parquet.run.json"]


def test_a_complete_shard_is_left_as_it_is(sources, detector, tmp_path):
    path = tmp_path / "a.parquet"
    first = score_shard(sources, path, detector)
    before = path.stat()
    again = score_shard(sources, path, detector)
    assert (again.images, again.failed, again.seconds) == (first.images, first.failed, 0.0)
    assert path.stat() == before


def test_a_shard_of_other_images_or_settings_is_refused(sources, detector, method_file, tmp_path):
    score_shard(sources, tmp_path / "a.parquet", detector)
    with pytest.raises(UsageError, match="other limits"):
        score_shard(sources[:-1], tmp_path / "a.parquet", detector)
    other = load_detector(f"{method_file}:METHOD", device="cpu", alpha="black")
    with pytest.raises(UsageError, match="another configuration"):
        score_shard(sources, tmp_path / "a.parquet", other)


def test_a_shard_that_is_being_written_is_refused(sources, detector, tmp_path):
    with Lock(tmp_path / "a.parquet"), pytest.raises(OutputLocked, match=f"process {os.getpid()} is writing it"):
        score_shard(sources, tmp_path / "a.parquet", detector)


def test_folder_archives_and_parquet_give_the_same_rows(files, detector, tmp_path):
    (tmp_path / "folder").mkdir()
    for name, data in files.items():
        (tmp_path / "folder" / name).write_bytes(data)
    table = pa.table({"image": [{"bytes": data, "path": name} for name, data in files.items()]})
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=5)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as zipped, tarfile.open(tmp_path / "data.tar", "w") as tarred:
        for name, data in files.items():
            zipped.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tarred.addfile(info, io.BytesIO(data))
    outputs = {}
    for name in ("folder", "data.parquet", "data.zip", "data.tar"):
        (shard,) = plan([tmp_path / name])
        score_shard(shard.images, tmp_path / "out" / f"{name}.parquet", detector)
        outputs[name] = rows(tmp_path / "out" / f"{name}.parquet", "path")
    assert all(output == outputs["folder"] for output in outputs.values())
    assert len(outputs["folder"]) == IMAGES


def test_a_plan_has_each_archive_and_each_image_once(files, tmp_path):
    for name in ("b/x.tar", "a.zip", "c/d/e.parquet", ".git/f.zip", "x.png", "images/1.png", "images/2.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    data = tmp_path / "data"
    shards = list(plan([data, data / "a.zip", data / "images", data / "images" / "*.png", data / "x.png"], 2))
    singles = [tuple(Path(source.id).name for source in shard.images) for shard in shards[3:]]
    assert [shard.title for shard in shards[:3]] == [str(data / name) for name in ("a.zip", "b/x.tar", "c/d/e.parquet")]
    assert singles == [("1.png", "2.png"), ("x.png",)]
    assert [shard.output for shard in shards] == [f"{number:06}.parquet" for number in range(5)]
    assert [shard.digest for shard in plan([data])] == [shard.digest for shard in shards[:3]]


def test_a_plan_says_what_it_leaves_out_and_what_is_not_there(tmp_path, caplog):
    for name in ("a.tar", "1.png", "2.png"):
        (tmp_path / name).write_bytes(b"")
    assert [shard.title for shard in plan([tmp_path])] == [f"{tmp_path}/a.tar"]
    assert "2 images beside its archives are left out" in caplog.text
    with pytest.raises(UsageError, match=r"b\.tar: no such file or folder"):
        list(plan([tmp_path / "a.tar", tmp_path / "b.tar"]))


def test_a_plan_notices_files_that_have_changed(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"1")
    (tmp_path / "b.png").write_bytes(b"1")
    before = [shard.digest for shard in plan([tmp_path / "a.tar", tmp_path / "b.png"])]
    (tmp_path / "a.tar").write_bytes(b"12")
    (tmp_path / "b.png").write_bytes(b"12")
    after = [shard.digest for shard in plan([tmp_path / "a.tar", tmp_path / "b.png"])]
    assert len({*before, *after}) == 4


def test_an_archive_of_something_else_is_a_shard_with_an_error(detector, tmp_path):
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "a.parquet")
    result = score_shard(tmp_path / "a.parquet", tmp_path / "out.parquet", detector)
    (row,) = rows(tmp_path / "out.parquet")
    assert result.failed == 1 and "expected one column of images" in row["error"]


def same(one: dict, other: dict) -> bool:
    """Equal rows, whose scores differ by roundings of another batch at most."""
    scores = ("score", "roughness")
    plain = [{key: value for key, value in row.items() if key not in scores} for row in (one, other)]
    return plain[0] == plain[1] and all(one[key] == pytest.approx(other[key], abs=1e-6) for key in scores)


@hypothesis_settings(max_examples=6)
@given(order=st.permutations(range(IMAGES)), batch=st.sampled_from([1, 2, 5, None]), cut=st.integers(1, IMAGES))
def test_rows_depend_neither_on_order_nor_batch_nor_shard(order, batch, cut, sources, expected, method_file):
    detector = load_detector(f"{method_file}:METHOD", device="cpu", batch_size=batch)
    waiting = iter([sources[place] for place in order])
    with tempfile.TemporaryDirectory() as folder:
        paths: list[str] = []
        while part := list(islice(waiting, cut)):
            path = Path(folder, f"{len(paths)}.parquet")
            score_shard(part, path, detector)
            got = rows(path)
            assert all(same(row, expected[row["path"]]) for row in got)
            paths += [row["path"] for row in got]
    assert paths == [sources[place].id for place in order]


class Stopped(BaseException):
    """The end of a start, which nothing catches."""


def stopping(sources: list[Source], number: int) -> Iterator[Source]:
    yield from sources[:number]
    raise Stopped


@hypothesis_settings(max_examples=6)
@given(stops=st.lists(st.integers(0, IMAGES), max_size=4), torn=st.integers(0, 60), window=st.sampled_from([1, 4, 64]))
def test_rows_do_not_depend_on_interruptions(stops, torn, window, sources, expected, method_file):
    """Each start ends at some image, with a part of its last line lost."""
    from recon_detect.scale.shards import digest_of_images, inputs_of

    detector = load_detector(f"{method_file}:METHOD", device="cpu", window=window)
    inputs = inputs_of(digest_of_images(tuple(sources)), detector)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        for stop in stops:
            with Journal(path, detector.run_info, limits=inputs) as journal, pytest.raises(Stopped):
                list(detector.run(stopping(sources, stop), journal, progress=False))
            partial = path.with_name("a.parquet.partial")
            if partial.exists():
                with partial.open("r+b") as file:
                    file.truncate(max(partial.stat().st_size - torn, 0))
        score_shard(sources, path, detector)
        assert [row["path"] for row in rows(path)] == [source.id for source in sources]
        assert all(same(row, expected[row["path"]]) for row in rows(path))
        assert sorted(file.name for file in Path(folder).iterdir()) == ["a.parquet", "a.parquet.run.json"]


def test_images_of_a_manifest_are_a_shard(files, detector, tmp_path):
    (tmp_path / "a.png").write_bytes(files["00.png"])
    (tmp_path / "list.csv").write_text("path,label\na.png,real\n")
    (shard,) = plan([tmp_path / "list.csv"])
    assert [source.label for source in shard.images] == ["real"]
    assert [source.id for source in find_sources([tmp_path / "list.csv"])] == [shard.title]
