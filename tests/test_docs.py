"""README and docs: links lead somewhere, examples run, numbers are current, sentences are plain."""

import argparse
import importlib
import json
import re
import runpy
import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from recon_detect.audit import separation
from recon_detect.cli import main
from recon_detect.models.converters.guided_diffusion import Heads, convert
from tests.models.adm import ADM

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
# Phrases that are not English, or no words of the field.
BANNED = (
    "can be told", "cannot be told", "not be told", "was told", "tells images", "told apart", "told of", "tell apart",
    "to be had", "what that can tell", "so many of them", "is known twice", "whose decoder an image",
)  # fmt: skip
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str = "") -> list[str]:
    """The fenced blocks of a language; of none, what is typed into a shell."""
    return [code for name, code in re.findall(r"^```(\w*)\n(.*?)^```", read(page), re.M | re.S) if name == language]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_every_page_is_linked_from_the_index():
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", read(index))}
    results = ROOT / "docs" / "results" / "index.md"
    linked |= {(results.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", read(results))}
    assert not [page for page in PAGES if page not in linked | {index}]


def test_pages_that_the_code_names_exist():
    for folder in ("recon_detect", "benchmarks", "assets", "scripts", ".ci"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".md", ""):
                text = read(file) if file.is_file() else ""
                for name in re.findall(r"\bdocs/[\w/-]+\.md", text):
                    assert (ROOT / name).is_file(), f"{file.relative_to(ROOT)}: {name}"


@every_page
def test_plain_english(page):
    text = re.sub(r"\s+", " ", re.sub(r"<!-- table.*?<!-- /table -->", "", read(page), flags=re.S)).lower()
    assert not [phrase for phrase in BANNED if phrase in text]


def test_readme_is_short_and_says_what_the_package_does():
    text = read(README)
    assert len(text.splitlines()) <= 130
    assert len(re.findall(r"^\|[ :|-]+\|$", text, re.M)) <= 1
    description = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["description"]
    assert "Detects AI-generated images" in text and description.startswith("Detects AI-generated images")


@every_page
def test_python_blocks_compile_and_import_what_exists(page):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")
        imports = [line for line in block.splitlines() if line.startswith(("from ", "import "))]
        if find_spec("ray") is None:  # an extra, which the tests do without
            imports = [line for line in imports if line.split()[1].partition(".")[0] != "ray"]
        exec("\n".join(imports), {})


@pytest.fixture
def small_files(tmp_path, monkeypatch, picture):
    """The files that the pages name, as pictures so small that the default models take no time."""
    monkeypatch.chdir(tmp_path)

    def save(name: str, seed: int) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(-12, 13, (64, 72, 3))  # a small or flat picture is undecided
        Image.fromarray(np.clip(picture(64, 72, seed=seed) + noise, 0, 255).astype(np.uint8)).save(path)

    for seed, name in enumerate(("demo/photograph/china.png", "demo/decoded/china.png", "picture.png", "a.jpg")):
        save(name, seed)
    for seed in range(30):
        save(f"photos/{seed}.png", seed)
    for seed in range(2):
        save(f"inbox/{seed}.png", 40 + seed)
        save(f"folder/{seed}.png", 50 + seed)
    for seed in range(6):
        save(f"dataset/real/{seed}.png", 60 + seed)
        save(f"dataset/generated/{seed}.png", 70 + seed)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", pytest.param("docs/guide/quickstart.md", marks=pytest.mark.slow)])
def test_python_blocks_of_the_first_pages_run(page, small_files, capsys):
    for block in blocks(ROOT / page, "python"):
        exec(compile(block, page, "exec"), {})
    assert "picture.png" in capsys.readouterr().out or page == "README.md"


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/guide/python.md", "docs/guide/calibration.md", "docs/guide/ecosystem.md"])
def test_python_blocks_of_the_guides_run(page, small_files, shared_weights):
    names = {}
    for block in blocks(ROOT / page, "python"):
        exec(compile(block, page, "exec"), names)
    assert names["detector"]


@pytest.mark.slow
def test_commands_of_readme_run(small_files, monkeypatch):
    monkeypatch.setattr(separation, "_TREES", 15)
    commands = re.findall(r"^(?:\$ )?(recon-detect .*)$", read(README), re.M)
    commands += re.findall(r"`(recon-detect [^`\n]+)`", read(README))
    assert {shlex.split(command)[1] for command in commands} == {
        "demo", "score", "calibrate", "audit", "run", "explain", "picture.png",
    }  # fmt: skip
    for command in commands:
        if shlex.split(command)[1] != "demo":
            monkeypatch.setattr(sys, "argv", shlex.split(command))
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code, command
    assert (small_files / "scores.csv").is_file() and (small_files / "cal.json").is_file()
    assert list((small_files / "results").glob("*.parquet")) and (small_files / "page.html").is_file()


@pytest.mark.slow
def test_demo_prints_what_readme_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sys, "argv", ["recon-detect", "demo", "--keep", "demo"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    pattern = re.compile(r"^(demo/\S+) .* (-?\d+\.\d+) +\d+x\d+ ", re.M)
    shown, printed = (dict(pattern.findall(text)) for text in (read(README), capsys.readouterr().out))
    assert shown and shown.keys() == printed.keys()
    for path, score in shown.items():
        assert float(printed[path]) == pytest.approx(float(score), abs=0.01), path
    for name in ("china.png", "flower.png"):
        assert float(printed[f"demo/decoded/{name}"]) > float(printed[f"demo/photograph/{name}"])
    assert len(list(tmp_path.rglob("*.png"))) == 4


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
        for line in re.findall(r"recon-detect (?:score|demo|calibrate|audit|reconstruct)[^`\n#]*", read(page)):
            assert set(re.findall(r"--[a-z-]+", line)) <= known | {"--help"}, line


class Parsed(Exception):
    """The options of a benchmark have been understood."""


def test_benchmarks_of_the_docs_take_the_options_that_are_shown(monkeypatch):
    def parse(self, given=None, parse=argparse.ArgumentParser.parse_args):
        parse(self, given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    shown = "\n".join(read(page) for page in PAGES)
    commands = sorted(set(re.findall(r"^python -m (benchmarks.*?)(?: +#.*)?$", shown, re.MULTILINE)))
    assert len(commands) > 15
    for command in commands:
        module, *options = shlex.split(command)
        package = (ROOT / module.replace(".", "/")).is_dir()
        command_module = importlib.import_module(f"{module}.__main__" if package else module)
        monkeypatch.setattr(sys, "argv", [module, *options])
        with pytest.raises(Parsed):
            command_module.main()


def test_every_measurement_of_an_audit_is_named():
    from recon_detect.audit import FEATURES

    lines = read(ROOT / "docs" / "guide" / "audit.md").splitlines()
    for feature in FEATURES:
        assert any(line.startswith(f"| {feature.group} |") and feature.title in line for line in lines), feature


# Each of these fits or measures for a while.
LONG_EXAMPLES = ("audit.py", "combine.py")
EXAMPLES = [
    pytest.param(path, id=path.name, marks=[pytest.mark.slow] if path.name in LONG_EXAMPLES else [])
    for path in sorted((ROOT / "docs" / "examples").glob("*.py"))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(example, shared_weights, tmp_path, picture, monkeypatch, capsys):
    image = tmp_path / "picture.png"
    Image.fromarray(picture(64, 72)).save(image)
    photographs, generated = tmp_path / "photographs", tmp_path / "generated"
    arguments = {
        "error_map.py": [image, tmp_path / "maps"],
        "calibrate.py": [image, image],
        "inversion.py": [image, tmp_path / "adm"],
        "shards.py": [image, tmp_path / "rows"],
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


def test_the_example_of_a_new_method_scores_on_the_command_line(shared_weights, tmp_path, picture, monkeypatch):
    from typer.testing import CliRunner

    from recon_detect.cli.app import app

    Image.fromarray(picture(64, 72)).save(tmp_path / "picture.png")
    example = ROOT / "docs" / "examples" / "new_method.py"
    monkeypatch.chdir(example.parent)
    for place, output in ((f"{example}:RATIO", "file.jsonl"), ("new_method:RATIO", "module.jsonl")):
        options = ["--method", place, "--models", "taesd", "--device", "cpu", "-o", str(tmp_path / output)]
        result = CliRunner().invoke(app, ["score", str(tmp_path / "picture.png"), *options])
        assert result.exit_code == 0, result.output
    rows = [json.loads((tmp_path / name).read_text().splitlines()[-1]) for name in ("file.jsonl", "module.jsonl")]
    assert rows[0]["scores"] == rows[1]["scores"] and rows[0]["scores"]["ratio"] < 0
    monkeypatch.delitem(sys.modules, "new_method")
