"""``--copy-to`` and ``--link-to`` where names, folders and disks are against it."""

import shutil

import pytest
from conftest import read_jsonl
from PIL import Image

from recon_detect.cli import NO_SPACE


@pytest.fixture
def score(cli, method_file):
    """Runs `score` with a method that costs nothing."""

    def run(*arguments, **options):
        return cli("score", *arguments, "--method", f"{method_file}:METHOD", "--device", "cpu", **options)

    return run


def test_names_of_copies_fit_and_folders_in_their_place_are_left(score, tmp_path, picture):
    inbox, copies = tmp_path / "inbox", tmp_path / "copies"
    inbox.mkdir()
    names = ("a.png", f"{'n' * 251}.png", f"n.{'x' * 253}", "\u00e9" * 125 + ".jpeg")
    for name in names:
        Image.fromarray(picture(seed=1)).save(inbox / name, format="PNG")
    images = [inbox / name for name in names]  # of a folder, files of other suffixes are left out
    hits = ("--threshold", -1e9, "--copy-to", copies)
    score(*images, *hits)
    taken = sorted(path.name for path in copies.iterdir())
    assert len(taken) == 4
    for name in taken:
        (copies / name).unlink()
    (copies / taken[0]).mkdir()
    done = score(*images, *hits)
    assert len(done.out.splitlines()) == 4 and f"not copied to {copies / taken[0]} (Is a directory)" in done.err
    assert sorted(path.name for path in copies.iterdir() if path.is_file()) == taken[1:]


@pytest.mark.parametrize("option", ["--copy-to", "--link-to"])
def test_a_folder_of_copies_among_the_images_is_refused(option, score, tmp_path, picture):
    (tmp_path / "inbox").mkdir()
    Image.fromarray(picture()).save(tmp_path / "inbox" / "a.png")
    for folder in (tmp_path / "inbox", tmp_path / "inbox" / "hits"):
        assert "inside of" in score(tmp_path / "inbox", option, folder, code=2).err
    assert [path.name for path in (tmp_path / "inbox").iterdir()] == ["a.png"]
    score(tmp_path / "inbox" / "a.png", option, tmp_path / "inbox")  # of a single file it is not


def test_a_full_disk_of_copies_keeps_the_rows(score, tmp_path, picture, monkeypatch):
    (tmp_path / "inbox").mkdir()
    for seed in range(3):
        Image.fromarray(picture(seed=seed)).save(tmp_path / "inbox" / f"{seed}.png")
    copy, done = shutil.copyfile, []

    def full_after_one(source, target):
        if done:
            raise OSError(28, "No space left on device", str(target))
        done.append(copy(source, target))

    hits = (tmp_path / "inbox", "--threshold", -1e9, "--copy-to", tmp_path / "copies")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full_after_one)
        printed = score(*hits, code=NO_SPACE)
        assert f"{tmp_path / 'copies'}: No space left on device; with --output it can be resumed" in printed.err
        assert len(printed.out.splitlines()) == 2
        done.clear()
        (tmp_path / "copies").joinpath(next((tmp_path / "copies").iterdir()).name).unlink()
        score(*hits, "--output", tmp_path / "out.jsonl", code=NO_SPACE)
    score(*hits, "--output", tmp_path / "out.jsonl")
    assert len(list((tmp_path / "copies").iterdir())) == 3 and len(read_jsonl(tmp_path / "out.jsonl")) == 3
