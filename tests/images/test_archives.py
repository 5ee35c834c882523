"""Images in ZIP, tar and Parquet, and what hostile or damaged ones become."""

import gzip
import io
import random
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recon_detect.errors import ImageTooLarge, InputError, UnreadableImage, UsageError
from recon_detect.images import find_sources, open_picture
from recon_detect.settings import DEFAULTS, Settings

ARCHIVES = ("a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz")


@pytest.fixture
def files(picture) -> dict[str, bytes]:
    """Forty PNG files by name, half in a folder ``real`` and half in ``fake``."""
    encoded = {}
    for number in range(40):
        buffer = io.BytesIO()
        Image.fromarray(picture(16, 16, seed=number)).save(buffer, "png")
        encoded[f"{'real' if number % 2 else 'fake'}/{number:02}.png"] = buffer.getvalue()
    return encoded


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """Writes an archive of the kind that its name says."""
    if path.suffix == ".parquet":
        rows = [{"bytes": data, "path": name} for name, data in files.items()]
        pq.write_table(pa.table({"image": rows}), path, row_group_size=7)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        kind = {".tar": "", ".tgz": "gz"}.get(path.suffix, path.suffix[1:])
        with tarfile.open(path, f"w:{kind}") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def digests(*inputs) -> list[str]:
    return [open_picture(source.image).provenance.sha256 for source in find_sources(inputs)]


def problems(*inputs, settings=DEFAULTS) -> dict[str, InputError]:
    """Errors by name."""
    errors = {}
    for source in find_sources(inputs):
        try:
            open_picture(source.image, settings)
        except InputError as error:
            errors[source.id] = error
    return errors


@pytest.mark.parametrize("name", [*ARCHIVES, "a.parquet"])
def test_an_archive_is_like_a_folder(name, files, tmp_path):
    for inside, data in files.items():
        path = tmp_path / "folder" / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    ordered = dict(sorted(files.items()))
    archive = pack(tmp_path / name, ordered)
    from_folder, from_archive = (list(find_sources([path])) for path in (tmp_path / "folder", archive))
    assert [source.label for source in from_archive] == [source.label for source in from_folder]
    assert digests(archive) == digests(tmp_path / "folder")
    rows = [f"{row}/{Path(inside).name}" for row, inside in enumerate(ordered)]
    names = rows if name == "a.parquet" else list(ordered)
    assert [source.id for source in from_archive] == [f"{archive}/{inside}" for inside in names]


def test_what_is_no_image_is_left_out(files, tmp_path):
    others = {"1.json": b"{}", "1.cls": b"0", "__MACOSX/._1.png": b"", ".hidden.png": b"", "sub/.git/x.png": b""}
    archive, counts = pack(tmp_path / "a.tar", files | others), Counter()
    assert len(list(find_sources([archive], counts))) == 40
    assert counts == {".json": 1, ".cls": 1, "hidden": 3}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_no_name_leads_out_of_an_archive(name, files, tmp_path):
    data = files["real/01.png"]
    archive = pack(tmp_path / name, {"../../a.png": data, "/etc/b.png": data, "./c.png": data})
    sources = list(find_sources([archive]))
    assert [source.id for source in sources] == [f"{archive}/{inside}" for inside in ("a.png", "etc/b.png", "c.png")]
    assert not problems(archive) and list(tmp_path.iterdir()) == [archive]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_equal_names_in_an_archive_are_images_of_their_own(name, files, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped, tarfile.open(tmp_path / "a.tar", "w") as tarred:
        for data in list(files.values())[:2]:
            zipped.writestr("x.png", data)
            info = tarfile.TarInfo("x.png")
            info.size = len(data)
            tarred.addfile(info, io.BytesIO(data))
    archive = tmp_path / name
    assert [source.id for source in find_sources([archive])] == [f"{archive}/x.png", f"{archive}/x.png (2)"]
    assert len(set(digests(archive))) == 2


def test_links_and_devices_in_a_tar_are_no_images(files, tmp_path):
    (tmp_path / "secret.png").write_bytes(files["real/01.png"])
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("x.png")
            info.type, info.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(info)
    assert list(find_sources([tmp_path / "a.tar"])) == []


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_bomb_is_a_row_with_an_error(name, files, tmp_path):
    bomb = {"bomb.png": bytes(3_000_000), **files}
    (error,) = problems(pack(tmp_path / name, bomb), settings=Settings(max_bytes=1_000_000)).values()
    assert isinstance(error, ImageTooLarge) and "3,000,000 bytes" in str(error)


def test_a_zip_that_declares_less_than_it_holds_is_a_row_with_an_error(files, tmp_path):
    archive = pack(tmp_path / "a.zip", {"bomb.png": bytes(3_000_000)})
    raw = archive.read_bytes()
    assert raw.count((3_000_000).to_bytes(4, "little")) == 2  # in the local header and in the directory
    archive.write_bytes(raw.replace((3_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    (error,) = problems(archive, settings=Settings(max_bytes=1_000_000)).values()
    assert isinstance(error, UnreadableImage)


def test_an_encrypted_member_says_so(files, tmp_path):
    archive = pack(tmp_path / "a.zip", dict(list(files.items())[:1]))
    data = bytearray(archive.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    (error,) = problems(archive).values()
    assert str(error) == "cannot be read from its archive: it is encrypted; unpack it with its password"


def test_a_tar_header_of_gigabytes_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(100_000))
    (error,) = problems(tmp_path / "a.tar.gz").values()
    assert "a header of 4,294,967,296 bytes" in str(error)


@pytest.mark.parametrize("name", [*ARCHIVES, "a.parquet"])
@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_archive_is_a_row_with_an_error(name, damage, files, tmp_path):
    archive = pack(tmp_path / name, files)
    raw = archive.read_bytes()
    archive.write_bytes({"cut": raw[: len(raw) // 2], "other": files["real/01.png"], "empty": b""}[damage])
    errors = problems(archive)
    assert str(archive) in errors and "damaged or something else" in str(errors[str(archive)])


@pytest.mark.parametrize("place", [0, 511, 512, 700])
def test_a_tar_that_is_cut_anywhere_says_so(place, files, tmp_path):
    archive = pack(tmp_path / "a.tar", files)
    with tarfile.open(archive) as opened:
        third = opened.getmembers()[3].offset
    archive.write_bytes(archive.read_bytes()[: third + place])
    assert str(archive) in problems(archive) and len(list(find_sources([archive]))) in (4, 5)


def test_one_damaged_member_costs_no_other(files, tmp_path):
    archive = pack(tmp_path / "a.zip", files)
    raw = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        start = opened.infolist()[5].header_offset
    raw[start + 60 : start + 90] = bytes(30)
    archive.write_bytes(raw)
    assert list(problems(archive)) == [f"{archive}/{list(files)[5]}"]


def test_rows_of_parquet_are_read_in_any_order(files, tmp_path):
    sources = list(find_sources([pack(tmp_path / "a.parquet", files)]))
    expected = [open_picture(data).provenance.sha256 for data in files.values()]
    order = list(range(40))
    random.Random(0).shuffle(order)
    for place in order:
        assert open_picture(sources[place].image).provenance.sha256 == expected[place]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes(kind, files, tmp_path):
    table = pa.table({"jpg": pa.array(list(files.values()), kind), "caption": ["x"] * 40, "label": ["real"] * 40})
    pq.write_table(table, tmp_path / "a.parquet")
    sources = list(find_sources([tmp_path / "a.parquet"]))
    assert [Path(source.id).name for source in sources] == [str(row) for row in range(40)]
    assert {source.label for source in sources} == {"real"} and not problems(tmp_path / "a.parquet")


def test_parquet_of_paths_is_a_manifest(files, tmp_path):
    (tmp_path / "x.png").write_bytes(files["real/01.png"])
    pq.write_table(pa.table({"path": ["x.png", "gone.png"], "label": [0, 1]}), tmp_path / "a.parquet")
    sources = list(find_sources([tmp_path / "a.parquet"]))
    assert [(source.id, source.label) for source in sources] == [
        (str(tmp_path / "x.png"), "real"), (str(tmp_path / "gone.png"), "generated")
    ]  # fmt: skip
    assert list(problems(tmp_path / "a.parquet")) == [str(tmp_path / "gone.png")]


def test_a_row_without_bytes_is_read_from_its_path(files, tmp_path):
    (tmp_path / "x.png").write_bytes(files["real/01.png"])
    rows = [{"bytes": None, "path": "x.png"}, {"bytes": None, "path": None}, None, {"bytes": b"", "path": "x.png"}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    errors = problems(tmp_path / "a.parquet")
    assert [Path(name).name for name in errors] == ["1", "2", "x.png"]
    assert "neither bytes nor a path" in str(errors[f"{tmp_path}/a.parquet/1"])


def test_class_labels_of_hugging_face(files, tmp_path):
    names = b'{"info": {"features": {"label": {"names": ["AI", "nature", "other"], "_type": "ClassLabel"}}}}'
    rows = [{"bytes": data, "path": None} for data in files.values()][:3]
    table = pa.table({"image": rows, "label": [0, 1, 2]}).replace_schema_metadata({b"huggingface": names})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [source.label for source in find_sources([tmp_path / "a.parquet"])] == ["generated", "real", None]


def test_parquet_without_images_says_what_it_has(tmp_path):
    pq.write_table(pa.table({"text": ["x"], "number": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"expected one column of images.*got text \(string\), number \(int64\)"):
        list(find_sources([tmp_path / "a.parquet"]))


@pytest.mark.parametrize("values", [[1, 2], [[1], [2]], [{"path": 1}], pa.array([b"x"]).dictionary_encode()])
def test_a_column_of_paths_has_text(values, tmp_path):
    pq.write_table(pa.table({"image": values}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=r"expected one column of images.*got image"):
        list(find_sources([tmp_path / "a.parquet"]))


def test_several_labels_of_an_image_are_none(files, tmp_path):
    rows = [{"bytes": data, "path": 5} for data in list(files.values())[:2]]
    pq.write_table(pa.table({"image": rows, "label": [[0, 1], [1]]}), tmp_path / "a.parquet")
    assert not problems(tmp_path / "a.parquet")
    assert [source.label for source in find_sources([tmp_path / "a.parquet"])] == [None, None]


@pytest.mark.parametrize("structs", [True, False])
def test_of_several_columns_the_one_named_image_is_taken(structs, files, tmp_path):
    image, mask = ([{"bytes": data, "path": "x.png"} if structs else data] for data in list(files.values())[:2])
    pq.write_table(pa.table({"mask": mask, "image": image}), tmp_path / "a.parquet")
    (source,) = find_sources([tmp_path / "a.parquet"])
    assert source.image.read() == next(iter(files.values()))
    pq.write_table(pa.table({"mask": mask, "edited": image}), tmp_path / "b.parquet")
    with pytest.raises(UsageError, match="several of which one is named 'image'; got mask .*edited"):
        list(find_sources([tmp_path / "b.parquet"]))


def test_a_damaged_row_group_costs_its_rows_alone(files, tmp_path):
    archive = pack(tmp_path / "a.parquet", files)
    chunk = pq.ParquetFile(archive).metadata.row_group(2).column(0)
    raw = bytearray(archive.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    raw[start : start + 40] = b"\xff" * 40
    archive.write_bytes(raw)
    assert [Path(name).parent.name for name in problems(archive)] == [str(row) for row in range(14, 21)]


def test_a_store_that_fsspec_reaches(files, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for name in ("a.zip", "a.tar", "a.tar.gz", "a.parquet"):
        store.pipe(f"/{tmp_path.name}/{name}", pack(tmp_path / name, files).read_bytes())
    store.pipe(f"/{tmp_path.name}/real/x.png", files["real/01.png"])
    url = f"memory://{tmp_path.name}"
    for name in ("a.zip", "a.tar", "a.tar.gz", "a.parquet"):
        assert digests(f"{url}/{name}") == digests(tmp_path / name)
    name = f"memory:///{tmp_path.name}/real/x.png"
    assert [(source.id, source.label) for source in find_sources([f"{url}/real"])] == [(name, None)]
    assert (name, "real") in [(source.id, source.label) for source in find_sources([url])]
    assert len(list(find_sources([f"{url}/*.tar"]))) == 40 and len(list(find_sources([url]))) == 161


@pytest.mark.parametrize(("url", "reason"), [
    ("memory://nothing-here", "no such file"), ("nostore://x/y.tar", r"recon-detect\[remote\]"),
])  # fmt: skip
def test_a_store_that_does_not_answer_is_a_row_with_an_error(url, reason):
    pytest.importorskip("fsspec")
    assert list(problems(url)) == [url]
    with pytest.raises(UnreadableImage, match=reason):
        raise problems(url)[url]
