"""The benchmark of classifiers of embeddings, with random backbones of all three kinds on made pictures."""

import csv
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import embeddings
from benchmarks.common.bottleneck import Bottleneck
from benchmarks.common.data import read_table
from recon_detect.calibration.classifiers import CLASSIFIERS


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """A ViT as DINO's, a ResNet, and CLIP's vision tower, all small and random."""
    from transformers import CLIPVisionConfig, CLIPVisionModel, ResNetConfig, ResNetModel, ViTConfig, ViTModel

    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 224}
    torch.manual_seed(0)
    modules = {
        "vit": ViTModel(ViTConfig(**size, intermediate_size=32, patch_size=32)),
        "resnet": ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        "clip": CLIPVisionModel(CLIPVisionConfig(**size, intermediate_size=32, patch_size=32)),
    }
    folder = tmp_path_factory.mktemp("backbones")
    for name, module in modules.items():
        module.save_pretrained(folder / name)
    return {name: str(folder / name) for name in modules}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two data sets; what is generated is brighter."""
    folders = []
    for name in ("first", "second"):
        folder = tmp_path_factory.mktemp("data") / name
        folder.mkdir()
        rows = []
        for number in range(12):
            generator = np.random.default_rng([number, len(folders)])
            pixels = generator.normal(90 + 70 * (number % 2), 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
            label = "generated" if number % 2 else "real"
            rows.append({"path": f"{number}.png", "label": label, "generator": "g", "autoencoder": "A",
                         "width": 40, "height": 40, "source": f"s{number // 6}"})  # fmt: skip
        with (folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        folders.append(folder)
    return folders


def run(monkeypatch, output, data, models, *arguments):
    fixed = ["--data", *map(str, data), "--models", ",".join(models), "--crop", "32", "--components", "4"]
    monkeypatch.setattr(sys, "argv", ["embeddings", *fixed, "--device", "cpu", "--output", str(output), *arguments])
    embeddings.main()
    return read_table(output)


def test_one_data_set_to_another(backbones, sets, tmp_path, monkeypatch):
    way = ("--augmentations", "none", "--reductions", "pca", "--classifiers", "polynomial-svm")
    conditions, lines = run(monkeypatch, tmp_path / "x.csv", sets, [backbones["vit"]], *way)
    assert "first, second, centre crop of 32 px" in conditions and "4 components" in conditions
    assert [(line["fitted to"], line["photographs"], line["generated"]) for line in lines] == [
        ("first", "6", "6"), ("second", "6", "6")
    ]  # fmt: skip
    assert (tmp_path / "x.png").stat().st_size > 10_000


@pytest.mark.slow
def test_each_backbone_augmentation_and_reduction_from_set_to_set(backbones, sets, tmp_path, monkeypatch):
    chosen = ("--classifiers", "logistic", "--augmentations", "none,blur+jitter")
    _, lines = run(monkeypatch, tmp_path / "x.csv", sets, backbones.values(), *chosen)
    ways = {(line["backbone"], line["augmentation"], line["reduction"], line["kind"]) for line in lines}
    assert len(ways) == len(backbones) * 2 * len(embeddings.REDUCTIONS)
    assert [line["fitted to"] for line in lines].count("first") == len(lines) / 2 == len(ways)
    plain = [line for line in lines if line["reduction"] != "autoencoder"]
    assert np.mean([float(line[name]) for line in plain for name in ("first", "second")]) > 0.9


@pytest.mark.slow
def test_all_classifiers_by_the_sources_of_one_folder(backbones, sets, tmp_path, monkeypatch):
    way = ("--augmentations", "none", "--reductions", "none")
    _, lines = run(monkeypatch, tmp_path / "x.csv", sets[:1], [backbones["resnet"]], *way)
    assert len(CLASSIFIERS) == 12 and {line["kind"] for line in lines} == set(CLASSIFIERS)
    assert {line["fitted to"] for line in lines} == {"others"}  # both sources are small
    assert [line["kind"] for line in lines if line["others"] == ""] == ["qda"]  # 6 images of a class, 16 features


@pytest.mark.slow
def test_five_parts_are_judged_together_and_embeddings_are_computed_once(backbones, sets, tmp_path, monkeypatch):
    way = ("--augmentations", "blur", "--reductions", "pca", "--classifiers", "polynomial-svm", "--crops", "5")
    conditions, lines = run(monkeypatch, tmp_path / "x.csv", sets, [backbones["resnet"]], *way)
    assert "5 part(s)" in conditions and float(lines[0]["second"]) > 0.9
    monkeypatch.setattr("recon_detect.detector.Detector.stream", lambda *_: pytest.fail("computed again"))
    assert run(monkeypatch, tmp_path / "x.csv", sets, [backbones["resnet"]], *way) == (conditions, lines)


def test_what_is_unknown_is_told(backbones, sets, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "x.csv", sets, backbones.values(), "--classifiers", "oracle")
    assert "'oracle': expected some of logistic" in capsys.readouterr().err


def test_a_bottleneck_keeps_what_varies_together():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 2)) @ generator.normal(size=(2, 10))
    z = Bottleneck(4).fit(x / x.std(0)).transform(x / x.std(0))
    again = np.linalg.lstsq(np.c_[z, np.ones(len(z))], x, rcond=None)[0]
    assert z.shape == (200, 4) and np.var(x - np.c_[z, np.ones(len(z))] @ again) < 0.2 * np.var(x)
