from pathlib import Path

import pytest
from PIL import Image

from recon_detect.errors import UsageError
from recon_detect.images import find_sources


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
