"""Rows and loaders of data sets, on trees that follow their layouts."""

import csv
import hashlib
import sys
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks import datasets
from benchmarks.datasets import DATASETS, check, how_to_get, rows_of, rows_of_any, sample, write_manifest
from benchmarks.datasets import __main__ as command
from recon_detect.errors import UsageError


def concrete(pattern: str, split: str) -> str:
    """A folder that a pattern matches."""
    for wildcard, name in (("[0-9]*", "00000"), ("[!r]*", "adm"), ("raise*", "raise-1k"), ("*", "some")):
        pattern = pattern.replace(wildcard, name)
    return pattern.format(split=split)


def tree(root, dataset, *, place=0, split=None, images=2):
    """Writes the layout of a set, by the pattern of this place of each part."""
    split = dataset.splits[0] if split is None else split
    for number, part in enumerate(dataset.parts):
        folder = root / concrete(part.folders[min(place, len(part.folders) - 1)], split)
        folder.mkdir(parents=True, exist_ok=True)
        for image in range(images):
            Image.new("RGB", (8 + image, 8), (number, image, 0)).save(folder / f"{number}-{image}.png")
    return root


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_layouts_become_rows(tmp_path, dataset, place):
    rows = rows_of(dataset, tree(tmp_path, dataset, place=place))
    assert len(rows) == len({row["path"] for row in rows}) == 2 * len(dataset.parts)
    assert {row["label"] for row in rows} == {part.label for part in dataset.parts}
    made = {row["generator"] for row in rows if row["label"] == "generated"}
    assert made == {"adm" if name == "*" else name for name in dataset.generators}
    assert all(row["generator"] == row["autoencoder"] == "" for row in rows if row["label"] == "real")
    assert all(row["autoencoder"] for row in rows if row["label"] == "generated")


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_rows_say_what_a_reader_needs(dataset):
    said = how_to_get(dataset)
    assert dataset.url in said and dataset.how in said and dataset.paper in said
    assert ("checksums are published" in said) == (not dataset.sums)
    assert dataset.url.startswith("https://") and dataset.name == dataset.name.lower()
    for published in dataset.sums.values():
        algorithm, _, value = published.partition(":")
        assert len(bytes.fromhex(value)) == hashlib.new(algorithm).digest_size


def test_the_sets_of_the_field_are_there():
    named = (
        "aeroblade genimage synthbuster diffusion-forensics universal-fake-detect forensynths cifake drct-2m elsa-d3"
    )
    assert {*named.split(), "raise", "coco", "laion", "140k-faces"} <= set(DATASETS)
    assert DATASETS["synthbuster"].images("generated") == 9000 and DATASETS["elsa-d3"].images("real") is None


def test_splits_are_told_apart(tmp_path):
    genimage = DATASETS["genimage"]
    tree(tmp_path, genimage)
    tree(tmp_path, genimage, split="train", images=1)
    assert len(rows_of(genimage, tmp_path)) == 32 and len(rows_of(genimage, tmp_path, "train")) == 16
    with pytest.raises(UsageError, match="no split 'test'; there are val, train"):
        rows_of(genimage, tmp_path, "test")


def test_what_is_missing_or_incomplete_is_told(tmp_path):
    cifake = replace(DATASETS["cifake"], parts=tuple(replace(part, images=2) for part in DATASETS["cifake"].parts))
    tree(tmp_path, cifake)
    assert [(found, good) for _, found, good in check(cifake, tmp_path)] == [(2, True), (2, True)]
    (tmp_path / "test" / "FAKE" / "0-0.png").unlink()
    assert [(found, good) for _, found, good in check(cifake, tmp_path)] == [(1, False), (2, True)]
    assert [good for *_, good in check(cifake, tmp_path, "train")] == [False, False]
    with pytest.raises(UsageError, match=r"(?s)nothing of genimage lies here.*get it from https://github.com/GenImage"):
        rows_of(DATASETS["genimage"], tmp_path)


def test_archives_are_verified(tmp_path):
    data = b"an archive"
    sums = {"a.zip": f"md5:{hashlib.md5(data).hexdigest()}", "b.zip": "md5:" + "0" * 32, "c.zip": "md5:" + "0" * 32}
    dataset = replace(DATASETS["cifake"], sums=sums)
    (tmp_path / "a.zip").write_bytes(data)
    (tmp_path / "b.zip").write_bytes(data)
    assert list(datasets.verify(dataset, tmp_path)) == [("a.zip", True), ("b.zip", False)]


def test_manifests_have_sizes_and_leave_out_what_cannot_be_read(tmp_path):
    tree(tmp_path / "data", DATASETS["cifake"])
    broken = tmp_path / "data" / "test" / "FAKE" / "broken.png"
    broken.write_bytes(b"no image")
    output = tmp_path / "out" / "manifest.csv"
    assert write_manifest(rows_of(DATASETS["cifake"], tmp_path / "data"), output) == (4, [str(broken)])
    with output.open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["width"] for line in table] == ["8", "9", "8", "9"] and {line["height"] for line in table} == {"8"}
    assert all((output.parent / line["path"]).is_file() for line in table)
    # What the benchmarks ask of a manifest.
    assert {"path", "label", "generator", "autoencoder", "width", "height"} == set(table[0])
    assert {(line["label"], line["generator"], line["autoencoder"]) for line in table} == {
        ("generated", "Stable Diffusion 1.4", "SD kl-f8"),
        ("real", "", ""),
    }


def test_samples_are_the_same_for_the_same_names(tmp_path):
    for root in ("here", "elsewhere"):
        tree(tmp_path / root, DATASETS["synthbuster"], images=5)
    here, there = (sample(rows_of(DATASETS["synthbuster"], tmp_path / root), 3) for root in ("here", "elsewhere"))
    assert len(here) == 30 and len({row["generator"] for row in here}) == 10
    assert [row["path"].rpartition("/")[2] for row in here] == [row["path"].rpartition("/")[2] for row in there]
    assert len(sample(here, None)) == 30


def test_any_folder_or_manifest_works(tmp_path):
    for folder in ("real", "fake/sd"):
        (tmp_path / "any" / folder).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "any" / folder / "a.png")
    rows = rows_of_any(tmp_path / "any")
    assert [(row["label"], row["generator"], row["autoencoder"]) for row in rows] == [
        ("generated", "sd", "unknown"),
        ("real", "", ""),
    ]
    manifest = tmp_path / "m.csv"
    manifest.write_text(
        "path,label,generator,autoencoder\nany/real/a.png,real,,\nany/fake/sd/a.png,fake,sdxl,SDXL VAE\n"
    )
    assert [row["autoencoder"] for row in rows_of_any(manifest)] == ["", "SDXL VAE"]
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no image has a label"):
        rows_of_any(tmp_path / "a.png")


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["datasets", *map(str, arguments)])
        assert command.main() == code
        done = capsys.readouterr()
        return done.out + done.err

    return call


def test_command_lists_says_checks_and_writes(run, tmp_path):
    listed = run()
    assert all(name in listed for name in DATASETS)
    assert "get it from https://zenodo.org/records/10066460" in run("synthbuster")
    assert "nothing of synthbuster lies here" in run("synthbuster", "--root", tmp_path, code=2)
    tree(tmp_path / "s", DATASETS["synthbuster"])
    said = run("synthbuster", "--root", tmp_path / "s", "--output", tmp_path / "s" / "manifest.csv", "--images", "1")
    assert "OTHER   2 of 1,000 dalle2" in said and "10 images written" in said
    again = run(tmp_path / "s" / "manifest.csv", "--output", tmp_path / "again.csv")
    assert "10 images written" in again
    assert "unknown data set, and no folder or manifest 'genimge'" in run("genimge", code=2)
    assert "Did you mean 'genimage'?" in run("genimge", code=2)
