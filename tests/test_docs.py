"""What README and docs say is true."""

import argparse
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from recon_detect.audit import separation
from recon_detect.models.converters.guided_diffusion import Heads, convert
from tests.models.adm import ADM

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_compile_and_import_what_exists(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, str(page), "exec")
        imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
        exec("\n".join(imports), {})


def test_tables_are_those_of_the_results_and_the_registry(monkeypatch):
    from benchmarks import tables

    monkeypatch.setattr(sys, "argv", ["tables", "--check"])
    assert tables.main() == 0


def test_options_named_in_the_docs_exist():
    import typer

    from recon_detect.cli.app import app

    commands = typer.main.get_command(app).commands
    known = {option for command in commands.values() for parameter in command.params for option in parameter.opts}
    for page in PAGES:
        for line in re.findall(
            r"recon-detect (?:score|demo|calibrate|audit|reconstruct)[^`\n]*", page.read_text(encoding="utf-8")
        ):
            assert set(re.findall(r"--[a-z-]+", line)) <= known | {"--help"}, line


class Parsed(Exception):
    """The options of a benchmark have been understood."""


def test_benchmarks_of_the_docs_take_the_options_that_are_shown(monkeypatch):
    def parse(self, given=None, parse=argparse.ArgumentParser.parse_args):
        parse(self, given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    shown = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    commands = sorted(set(re.findall(r"^python -m (benchmarks.*?)(?: +#.*)?$", shown, re.MULTILINE)))
    assert len(commands) > 20
    for command in commands:
        module, *options = shlex.split(command)
        found = importlib.import_module(f"{module}.__main__" if module == "benchmarks.datasets" else module)
        monkeypatch.setattr(sys, "argv", [module, *options])
        with pytest.raises(Parsed):
            found.main()


def test_every_measurement_of_an_audit_is_named():
    from recon_detect.audit import FEATURES

    lines = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8").splitlines()
    for feature in FEATURES:
        assert any(line.startswith(f"| {feature.group} |") and feature.title in line for line in lines), feature


@pytest.mark.parametrize("example", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_run(example, shared_weights, tmp_path, picture, monkeypatch, capsys):
    image = tmp_path / "picture.png"
    Image.fromarray(picture(64, 72)).save(image)
    photographs, generated = tmp_path / "photographs", tmp_path / "generated"
    arguments = {
        "error_map.py": [image, tmp_path / "maps"],
        "calibrate.py": [image, image],
        "inversion.py": [image, tmp_path / "adm"],
        "combine.py": [photographs, generated, image],
        "audit.py": [photographs, generated, tmp_path / "picture-matched"],
    }.get(example.name, [image])
    if example.name == "inversion.py":
        torch.save(ADM().state_dict(), tmp_path / "adm.pt")
        convert(tmp_path / "adm.pt", tmp_path / "adm", heads=Heads(16), image_size=16)
    if example.name in ("combine.py", "audit.py"):
        for folder, seeds in ((photographs, range(30)), (generated, range(30, 42))):
            folder.mkdir()
            for seed in seeds:
                Image.fromarray(picture(40, 48, seed=seed)).save(folder / f"{seed}.png")
    monkeypatch.setattr(separation, "_TREES", 15)
    # In this process: importing torch takes longer than any of them.
    monkeypatch.setattr(sys, "argv", [str(example), *map(str, arguments)])
    runpy.run_path(str(example), run_name="__main__")
    assert "picture" in capsys.readouterr().out
