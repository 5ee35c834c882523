import logging
import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from recon_detect.errors import UnreadableImage, UsageError
from recon_detect.images import find_sources, open_picture


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(path)
    return folder


def listed(*inputs) -> list[tuple[str, str | None]]:
    return [(Path(source.id).name, source.label) for source in find_sources(inputs)]


def test_folders_are_searched_in_order_and_other_files_left_out(tmp_path):
    make(tmp_path, "b.PNG", "a.jpg", "sub/c.webp", ".hidden.png")
    (tmp_path / "notes.txt").write_text("x")
    assert listed(tmp_path) == [("a.jpg", None), ("b.PNG", None), ("c.webp", None)]


@pytest.mark.parametrize(
    ("real", "generated"), [("real", "fake"), ("0_real", "1_fake"), ("nature", "ai"), ("real", "generated")]
)
def test_layouts_give_labels(tmp_path, real, generated):
    make(tmp_path, f"{real}/x.png", f"{generated}/deep/y.png")
    assert sorted(listed(tmp_path)) == [("x.png", "real"), ("y.png", "generated")]


def test_nearest_folder_labels(tmp_path):
    make(tmp_path, "fake/nature/x.png")
    assert listed(tmp_path / "fake") == [("x.png", "real")]


def test_glob_file_and_order_of_inputs(tmp_path):
    make(tmp_path, "z.png", "a.png", "c.jpg")
    assert listed(tmp_path / "z.png", str(tmp_path / "*.png")) == [("z.png", None), ("a.png", None), ("z.png", None)]


def test_a_file_with_brackets_in_its_name_is_a_file(tmp_path):
    make(tmp_path, "photo [1].png")
    assert listed(str(tmp_path / "photo [1].png")) == [("photo [1].png", None)]


def test_list_file_is_relative_to_itself(tmp_path):
    make(tmp_path, "pics/a.png", "b.png")
    (tmp_path / "list.txt").write_text("# comment\npics/a.png\n\n" + str(tmp_path / "b.png") + "\n")
    assert listed(tmp_path / "list.txt") == [("a.png", None), ("b.png", None)]


def test_manifest_has_paths_and_labels(tmp_path):
    make(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "m.csv").write_text("\ufefffile,Label,extra\na.png,real,1\nb.png,fake,2\nc.png,,3\n", encoding="utf-8")
    assert listed(tmp_path / "m.csv") == [("a.png", "real"), ("b.png", "generated"), ("c.png", None)]


def test_json_lines_are_manifests_too_and_other_columns_are_kept(tmp_path):
    make(tmp_path, "a.png", "b.png")
    (tmp_path / "m.jsonl").write_text('{"path": "a.png", "label": "real", "generator": null}\n\n{"path": "b.png"}\n')
    (tmp_path / "m.csv").write_text("path,label,generator\na.png,fake,sd,and more\nb.png\n")
    assert listed(tmp_path / "m.jsonl") == [("a.png", "real"), ("b.png", None)]
    assert listed(tmp_path / "m.csv") == [("a.png", "generated"), ("b.png", None)]
    about = [dict(source.about) for name in ("m.jsonl", "m.csv") for source in find_sources([tmp_path / name])]
    assert about[:2] == [{"generator": None}, {}]
    assert about[2]["generator"] == "sd" and about[3] == {"generator": None}


@pytest.mark.parametrize("line", ["not json", "[1]"])
def test_a_broken_line_of_json_is_named(tmp_path, line):
    (tmp_path / "m.jsonl").write_text('{"path": "a.png"}\n' + line + "\n")
    with pytest.raises(UsageError, match="line 2: expected a JSON object"):
        listed(tmp_path / "m.jsonl")


def test_manifest_without_path_column_says_what_it_has(tmp_path):
    (tmp_path / "m.csv").write_text("name,label\na,real\n")
    with pytest.raises(UsageError, match="expected a column path or file.*got name, label"):
        listed(tmp_path / "m.csv")


def test_missing_files_are_kept_and_empty_places_are_errors(tmp_path):
    assert listed(tmp_path / "missing.png") == [("missing.png", None)]
    with pytest.raises(UsageError, match="no images in this folder"):
        listed(tmp_path)
    with pytest.raises(UsageError, match="no file matches"):
        listed(str(tmp_path / "*.png"))


def test_labels_come_from_folders_inside_what_was_given(tmp_path):
    make(tmp_path / "fake", "x.png", "sub/y.png", "real/z.png")
    assert listed(tmp_path / "fake") == [("x.png", None), ("z.png", "real"), ("y.png", None)]
    assert listed(tmp_path / "fake" / "x.png", tmp_path / "fake" / "real") == [("x.png", None), ("z.png", None)]
    assert listed(str(tmp_path / "f*" / "x.png")) == [("x.png", "generated")]
    assert listed(str(tmp_path / "fake" / "*.png")) == [("x.png", None)]
    (tmp_path / "list.txt").write_text("fake/x.png\n" + str(tmp_path / "fake" / "x.png"))
    assert listed(tmp_path / "list.txt") == [("x.png", "generated"), ("x.png", None)]


def test_numbers_are_labels_as_a_pair_alone(tmp_path):
    make(tmp_path, "pair/0/a.png", "pair/1/b.png", "pair/2/c.png", "one/1/d.png")
    assert listed(tmp_path / "pair") == [("a.png", "real"), ("b.png", "generated"), ("c.png", None)]
    assert listed(tmp_path / "one") == [("d.png", None)]
    for rows, labels in (("a,0\nb,1\n", ["real", "generated"]), ("a,1\nb,1\n", [None, None])):
        (tmp_path / "m.csv").write_text("path,label\n" + rows)
        assert [label for _, label in listed(tmp_path / "m.csv")] == labels


def test_unknown_labels_are_reported(tmp_path, caplog):
    (tmp_path / "m.csv").write_text("path,label\na,real\nb,cat\nc,cat\nd,dog\n")
    left_out = Counter()
    assert [source.label for source in find_sources([tmp_path / "m.csv"], left_out)] == ["real", None, None, None]
    assert left_out == {"label 'cat'": 2, "label 'dog'": 1}
    assert "labels that are not known, whose rows have none: 'cat' 2, 'dog' 1" in caplog.text


def test_what_folders_hold_besides_is_left_out_with_a_line(tmp_path, caplog):
    make(tmp_path, "a.png", ".hidden.png", ".git/b.png", "__MACOSX/a.png", "@eaDir/a.png", ".ipynb_checkpoints/a.png")
    for name in ("1.heic2", "2.heic2", "3.svg", "README"):
        (tmp_path / name).write_bytes(b"x")
    left_out = Counter()
    with caplog.at_level(logging.WARNING):
        assert [Path(source.id).name for source in find_sources([tmp_path], left_out)] == ["a.png"]
    assert left_out == {".heic2": 2, ".svg": 1, "without suffix": 1, "hidden": 1, "hidden folder": 4}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{tmp_path}: 9 entries left out: ") and ".heic2 2" in line and ".svg 1" in line


def test_linked_folders_are_followed_once(tmp_path):
    make(tmp_path / "elsewhere", "x.png")
    make(tmp_path / "set", "a.png", "sub/b.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "sub" / "loop").symlink_to(tmp_path / "set")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    assert [name for name, _ in listed(tmp_path / "set")] == ["a.png", "x.png", "b.png"]


def test_a_link_that_leads_nowhere_or_in_a_circle_costs_its_own_row_alone(tmp_path):
    make(tmp_path, "a.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    (tmp_path / "nowhere.png").symlink_to("missing.png")
    names = ["a.png", "circle.png", "nowhere.png"]
    for inputs in (tmp_path, tmp_path / "*.png"):
        assert [name for name, _ in listed(inputs)] == names
    for name in names[1:]:
        with pytest.raises(UnreadableImage, match=r"No such file|symbolic links"):
            open_picture(tmp_path / name)


def test_folders_that_cannot_be_read_are_reported(tmp_path, caplog, monkeypatch):
    make(tmp_path, "a.png", "locked/b.png")
    scandir = os.scandir

    def denied(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert listed(tmp_path) == [("a.png", None)]
    assert "locked (Permission denied)" in caplog.text


def test_an_empty_path_is_not_the_current_folder():
    for empty in ([""], [Path("a.png"), ""]):
        with pytest.raises(UsageError, match="expected a path; got an empty one"):
            listed(*empty)


def test_an_existing_path_with_brackets_is_no_pattern(tmp_path):
    make(tmp_path, "set [a]/x.png", "set a/y.png")
    assert listed(str(tmp_path / "set [a]")) == [("x.png", None)]
    (tmp_path / "broken [1].png").symlink_to(tmp_path / "missing")
    assert listed(str(tmp_path / "broken [1].png")) == [("broken [1].png", None)]


def test_names_that_no_file_has_are_sources_whose_errors_come_later():
    for text in ("x" * 5000, "a\0*.png", "data:image/png;base64," + "A" * 100_000):
        (source,) = find_sources([text])
        assert len(source.id) <= 5000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("name", ["list.txt", "m.csv"])
def test_lists_in_other_encodings_name_the_same_files(tmp_path, encoding, name):
    make(tmp_path, "café.png", "b.png")
    head = "path,label\n" if name == "m.csv" else ""
    (tmp_path / name).write_bytes((head + "café.png\nb.png\n").encode(encoding))
    assert [Path(source.id) for source in find_sources([tmp_path / name])] == [
        tmp_path / "café.png",
        tmp_path / "b.png",
    ]


def test_lists_of_names_that_are_not_utf8(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.png\n")
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(path)).write_bytes(b"x")
    (source,) = find_sources([tmp_path / "list.txt"])
    assert os.fsencode(source.id) == path


def test_lists_that_are_no_text_or_cannot_be_read_are_usage_errors(tmp_path, monkeypatch):
    (tmp_path / "list.txt").write_bytes(b"\x89PNG\0\0")
    with pytest.raises(UsageError, match="got binary data"):
        listed(tmp_path / "list.txt")
    (tmp_path / "m.csv").write_text('path\n"' + "a" * 200_000 + '"\n')
    with pytest.raises(UsageError, match="expected a table"):
        listed(tmp_path / "m.csv")
