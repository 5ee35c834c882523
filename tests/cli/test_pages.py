"""``explain`` and ``report`` as commands."""

import re
import shlex
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from pages.pictures import save_hostile
from PIL import Image
from typer.testing import CliRunner

from recon_detect import load_detector
from recon_detect.cli.app import app
from recon_detect.errors import UsageError


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_picture_is_explained_and_its_results_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = save_hostile(tmp_path)
    result = run("explain", picture, "--method", "grid")
    assert result.exit_code == 0 and "no trace of a known decoder" in result.output
    html = (tmp_path / "explanation.html").read_text(encoding="utf-8")
    assert "What the file says of itself" in html
    assert run("explain", picture, "--method", "grid", "--no-claims", "-o", "sheet.png", "-q").output == ""
    with Image.open("sheet.png") as image:
        assert image.format == "PNG"
    assert run("score", picture, "--method", "grid", "--output", "rows.csv", "-q").exit_code == 0
    result = run("report", "rows.csv")
    assert result.exit_code == 0 and "1 row written to report.html" in result.output
    assert "data:image/jpeg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    run("report", "rows.csv", "--no-thumbnails", "-o", "plain.html")
    assert "data:image/jpeg" not in (tmp_path / "plain.html").read_text(encoding="utf-8")


def test_the_command_of_an_explanation_names_its_calibration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (96, 96, 3), np.uint8)
        Image.fromarray(pixels).save(photos / f"{seed}.png")
    calibration = load_detector("grid").calibrate(photos, fpr=0.5, confidence=0.5, progress=False)
    calibration.write(tmp_path / "thresholds of mine.json")
    command = ("explain", photos / "0.png", "--method", "grid", "--calibration", "thresholds of mine.json", "-q")
    assert run(*command).exit_code == 0
    html = Path("explanation.html").read_text(encoding="utf-8")
    assert "--calibration 'thresholds of mine.json' --output explanation.html" in unescape(html)


@pytest.mark.parametrize(("command", "name"), [("explain", "page.pdf"), ("report", "report.csv")])
def test_other_outputs_are_refused_before_anything_is_computed(command, name, tmp_path):
    with pytest.raises(UsageError, match="expected a name that ends in .html"):
        run(command, tmp_path / "missing", "-o", tmp_path / name)


def test_commands_of_the_guide_run(tmp_path, monkeypatch):
    """With a method that costs nothing, in place of the default."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    save_hostile(tmp_path).rename("picture.png")
    save_hostile(tmp_path / "photos")
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "pages.md").read_text(encoding="utf-8")
    commands = re.findall(r"^recon-detect (.*)$", guide, re.M)
    assert len(commands) == 5
    for command in commands:
        name, *options = shlex.split(command)
        assert run(name, *options, *([] if name == "report" else ["--method", "grid"])).exit_code == 0, command
    written = {path.name for path in tmp_path.iterdir()}
    assert written >= {
        "explanation.html",
        "explanation.png",
        "report.html",
        "small.html",
    }
    assert Path("small.html").stat().st_size < Path("report.html").stat().st_size
