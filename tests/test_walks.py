"""The guides for readers, the hook, the action, the completion and the manual page: their commands exist, and run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from sklearn.datasets import load_sample_images

from recon_detect import load_detector
from recon_detect.audit import separation
from recon_detect.cli import main
from recon_detect.cli.app import app
from recon_detect.examples import decoded

ROOT = Path(__file__).parents[1]
READERS = sorted((ROOT / "docs" / "guide" / "readers").glob("*.md"))
AROUND = ROOT / "docs" / "guide" / "ecosystem.md"
ACTION = ROOT / "docs" / "examples" / "github-action.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def blocks(page: Path, language: str = "") -> list[str]:
    """The fenced blocks of a language; of none, what is typed into a shell."""
    text = page.read_text(encoding="utf-8")
    return [code for name, code in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if name == language]


def commands_of(page: Path) -> list[str]:
    """The commands that a page has typed into a shell."""
    return re.findall(r"^recon-detect .*$", "\n".join(blocks(page)), re.M)


def check(words: list[str]) -> None:
    """Parses a command without running it; raises for an unknown command or option."""
    command = typer.main.get_command(app)
    name, *rest = words
    while isinstance(command, typer.core.TyperGroup):
        if rest[0].startswith("-"):
            assert rest[0] in {name for parameter in command.params for name in parameter.opts}, rest[0]
            return
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest)


@pytest.mark.parametrize("page", [*READERS, AROUND], ids=lambda page: page.stem)
def test_commands_of_the_guides_are_understood(page):
    commands = commands_of(page)
    assert commands and len(page.read_text(encoding="utf-8").splitlines()) <= (100 if page == AROUND else 60)
    for command in commands:
        check(shlex.split(command))


def test_a_command_that_does_not_exist_is_not_understood():
    for command in ("recon-detect scores a.png", "recon-detect score --no-such-option a.png", "recon-detect --nothing"):
        with pytest.raises((KeyError, AssertionError, Exception), match="scores|no-such-option|nothing"):
            check(shlex.split(command))


def test_there_is_a_guide_for_each_reader():
    assert [page.stem for page in READERS] == ["curator", "journalist", "moderator", "researcher"]


def test_the_action_and_the_hook_are_yaml_with_commands_that_are_understood():
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    check([*shlex.split(hook["entry"]), "--effort", "quick", "picture.png"])
    (used,) = yaml.safe_load(blocks(AROUND, "yaml")[0])["repos"][0]["hooks"]
    assert used["id"] == hook["id"] and "image" not in hook["types_or"]  # SVG is an image there
    check([*shlex.split(hook["entry"]), *used["args"], "picture.png"])
    steps = yaml.safe_load(ACTION.read_text(encoding="utf-8"))["jobs"]["recon-detect"]["steps"]
    commands = re.findall(r"recon-detect (?:score|report).*", "\n".join(step.get("run", "") for step in steps))
    assert [shlex.split(command)[1] for command in commands] == ["score", "report"]
    for command in commands:
        check([*shlex.split(command), *(["picture.png"] if command.endswith(" --") else [])])
    assert "${{" not in "".join(step.get("run", "") for step in steps)  # which a pull request could fill with commands


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_given_a_completion(shell, monkeypatch, capsys):
    monkeypatch.setenv("_RECON_DETECT_COMPLETE", f"source_{shell}")
    monkeypatch.setattr(sys, "argv", ["recon-detect"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code and "_RECON_DETECT_COMPLETE=complete_" in capsys.readouterr().out


def test_commands_and_options_are_completed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recon-detect"])
    monkeypatch.setenv("_RECON_DETECT_COMPLETE", "complete_bash")
    for typed, completed in (("sc", "score"), ("score --eff", "--effort")):
        words = f"recon-detect {typed}"
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        with pytest.raises(SystemExit):
            main()
        assert completed in capsys.readouterr().out.split()


def test_the_manual_page_has_every_command_and_is_roff(tmp_path):
    page = tmp_path / "recon-detect.1"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "scripts" / "man.py", page], check=True, env=environment)
    text = page.read_text(encoding="utf-8").replace(r"\-", "-")
    assert text.startswith(".TH RECON-DETECT 1")
    for words in ("score", "audit", "models download", "convert guided-diffusion", "explain"):
        assert f'.SS "recon-detect {words}"' in text
    assert ".SH EXIT STATUS\n0 done" in text and "--fail-on" in text
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", page], capture_output=True, text=True, check=True)
        assert not done.stderr


def run(command: str, monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


@pytest.fixture
def folders(tmp_path, monkeypatch, picture):
    """The folders that the guides say a reader has, as small pictures with some texture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(separation, "_TREES", 15)
    for name, count in {"photos": 30, "inbox": 3, "dataset/real": 6, "dataset/generated": 6}.items():
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            seed = 100 * len(name) + number
            noise = np.random.default_rng(seed).integers(-12, 13, (64, 72, 3))
            pixels = np.clip(picture(64, 72, seed=seed) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    shutil.copy(ROOT / "docs" / "examples" / "new_method.py", tmp_path / "my_method.py")
    return tmp_path


@pytest.mark.skipif("RECON_DETECT_WALKS" not in os.environ, reason="minutes: set RECON_DETECT_WALKS")
@pytest.mark.slow
@pytest.mark.parametrize("page", READERS, ids=lambda page: page.stem)
def test_the_guides_can_be_walked(page, folders, monkeypatch, capsys):
    for command in commands_of(page):
        assert run(command, monkeypatch) == 0, command
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), {})
    written = {"journalist": "china.html", "moderator": "inbox.html", "curator": "photos.html"}.get(page.stem)
    assert written is None or (folders / written).read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.slow
def test_the_hook_refuses_a_decoded_picture_and_no_photograph(tmp_path, monkeypatch):
    yaml = pytest.importorskip("yaml")
    monkeypatch.chdir(tmp_path)
    photograph = Image.fromarray(load_sample_images().images[0])
    photograph.save("photograph.png")
    decoded(load_detector("glance", models="mini-sd", device="cpu"), photograph).save("decoded.png")
    (hook,) = yaml.safe_load(HOOKS.read_text(encoding="utf-8"))
    entry = f"{hook['entry']} --effort quick"
    assert run(f"{entry} photograph.png", monkeypatch) == 0
    assert run(f"{entry} photograph.png decoded.png", monkeypatch) == 1
    (tmp_path / "broken.png").write_bytes(b"nothing")
    assert run(f"{entry} broken.png", monkeypatch) == 3
