"""Every command of docs/guide/recipes.md runs on made images, with small random networks."""

import csv
import importlib
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_model
from PIL import Image
from typer.testing import CliRunner

from benchmarks import classifiers
from recon_detect.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "recipes.md"
COMMANDS = re.findall(r"^(python -m benchmarks.*|recon-detect .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
# Of the made images, in place of crops of 320 px.
SIDE = 128
# By generator the family of its decoder, as manifests write it.
GENERATORS = {"sd": "SD kl-f8", "sdxl": "SDXL VAE", "sd3": "SD3 16ch VAE", "flux": "Flux.1 16ch VAE", "stylegan2": ""}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ``data/``, with a copy of CIFAKE's layout, and small networks in the places of the real ones."""
    from transformers import CLIPVisionConfig, CLIPVisionModel, ResNetConfig, ResNetModel, ViTConfig, ViTModel

    folder = tmp_path_factory.mktemp("recipes")
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 224, "patch_size": 32}
    torch.manual_seed(0)
    ViTModel(ViTConfig(**size, intermediate_size=32)).save_pretrained(folder / "vit")
    CLIPVisionModel(CLIPVisionConfig(**size, intermediate_size=32)).save_pretrained(folder / "clip")
    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])).save_pretrained(folder / "resnet")
    save_model(folder / "tiny", "AutoencoderTiny")
    made = {"real": ["real"] * 20, "generated": [name for name in GENERATORS for _ in range(6)]}
    for label, names in made.items():
        (folder / "data" / label).mkdir(parents=True)
        for number, name in enumerate(names):
            (folder / "data" / label / name).mkdir(exist_ok=True)
            image(number, label).save(folder / "data" / label / name / f"{number}.png")
    for split in ("train", "test"):
        for label in ("REAL", "FAKE"):
            (folder / "CIFAKE" / split / label).mkdir(parents=True)
            image(0, "real", 32).save(folder / "CIFAKE" / split / label / "0000.jpg")
    (folder / "results").mkdir()
    return folder


def image(number, label, side=SIDE):
    """Noise of all scales; what is generated is brighter."""
    generator = np.random.default_rng([number, label == "real"])
    coarse = Image.fromarray(generator.integers(0, 200, (8, 8, 3), dtype=np.uint8)).resize((side, side))
    pixels = np.asarray(coarse) + generator.normal(20 + 20 * (label == "generated"), 12, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def named(path):
    """Writes the generators and their decoders into a manifest, as who has a data set does."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        folder = Path(row["path"]).parts[-2]
        row |= {"generator": folder, "autoencoder": GENERATORS.get(folder, "")}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def made(command):
    """A command with the small networks in the place of those it names."""
    networks = {
        "facebook/dino-vitb16": "vit",
        "Ramos-Ramos/dino-resnet-50": "resnet",
        "openai/clip-vit-base-patch16": "clip",
        "--methods contrast,aedr,hfi": "--methods contrast,aedr --distance l2",
        "--models tiny": "--models ./tiny",  # which is not the set of that name
        "--pca 50": "--pca 8",
        "--fpr 0.2": "--fpr 0.3",
        "results/embeddings.csv": "results/embeddings.csv --classifiers logistic --augmentations none --reductions pca",
        "results/crops.csv": "results/crops.csv --reductions none",
    }
    for name, small in networks.items():
        command = command.replace(name, small)
    return shlex.split(command)


@pytest.mark.slow
def test_every_command_runs_and_writes_what_the_page_says(place, monkeypatch):
    monkeypatch.chdir(place)
    quick = {name: classifiers.SCORERS[name] for name in ("cauchy (photographs alone)", "logistic", "tree")}
    monkeypatch.setattr(classifiers, "SCORERS", quick)
    assert len(COMMANDS) == 12
    for command in COMMANDS:
        program, *arguments = made(command)
        if program == "recon-detect":
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, (command, done.output, done.exception)
            continue
        _, module, *arguments = arguments
        package = module == "benchmarks.datasets"
        if module in ("benchmarks.detection", "benchmarks.embeddings", "benchmarks.robustness"):
            arguments += ["--crop", str(SIDE)]
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        importlib.import_module(f"{module}.__main__" if package else module).main()
        if "data/manifest.csv" in arguments:
            named(place / "data" / "manifest.csv")
    written = {path.name for path in (place / "results").iterdir()} | {"cifake"}
    for stem in ("levels-png", "attribution-png", "embeddings", "svm", "crops", "jpeg"):
        assert {f"{stem}.csv", f"{stem}.png"} <= written
    assert {"levels-png.txt", "attribution-png.txt", "attribution-png.json", "crossed-png.csv"} <= written
    assert {"svm.json", "verdicts.csv"} <= written and (place / "cifake" / "manifest.csv").is_file()


def test_every_benchmark_of_the_table_has_a_command():
    rows = re.findall(r"\| \[(\d+)\]\(#", PAGE.read_text(encoding="utf-8"))
    headings = re.findall(r"^## (\d+) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == headings == [str(number) for number in range(1, 11)]
