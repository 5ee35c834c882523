"""The benchmarks that go on from stored scores, on scores that are made up."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from benchmarks import attribution, calibration, classifiers, levels
from benchmarks.common.data import read_manifest, read_table, write_manifest
from recon_detect import load_detector
from recon_detect.results import RunInfo
from tests.calibration.scored import rows

MODELS = ("taesd", "taesdxl", "taesd3", "taef1")
FAMILIES = {"SD kl-f8": "sd", "SDXL VAE": "sdxl", "SD3 16ch VAE": "sd3", "Flux.1 16ch VAE": "flux1"}


@pytest.fixture
def run(tiny_model):
    info = load_detector(["contrast", "aedr"], models=tiny_model, distance="l2", device="cpu").run_info
    methods = [dataclasses.replace(method, models=MODELS) for method in info.methods]
    return dataclasses.replace(info, methods=tuple(methods))


@pytest.fixture
def data(tmp_path, run):
    """Each family stands out in its own model; JPEG hides a part of it."""
    generator = np.random.default_rng(0)
    manifest = []
    lines = {"png": [json.dumps(run.to_dict())], "jpeg-75": [json.dumps(run.to_dict())]}
    for number in range(220):
        family = [*FAMILIES, *[""] * 6][number % 10]
        path, label = f"{number}.png", "generated" if family else "real"
        source = "a/a" if number < 120 else "b/b"
        manifest.append({"path": path, "label": label, "generator": family, "autoencoder": family, "source": source})
        for encoding, height in (("png", 6.0), ("jpeg-75", 3.0)):
            own = [height * (family == name) for name in FAMILIES]
            values = (generator.normal(size=4) + own).tolist()
            (row,) = rows([values], label, path=path, jpeg_quality=75 if encoding == "jpeg-75" else None)
            entry = row.to_dict(run.fingerprint)
            by = {"contrast": dict(zip(MODELS, values, strict=True)), "aedr": dict.fromkeys(MODELS, values[0])}
            scores = {name: max(of.values()) for name, of in by.items()}
            lines[encoding].append(json.dumps(entry | {"per_model": by, "scores": scores, "error": None}))
    write_manifest(tmp_path, manifest)
    for encoding, of in lines.items():
        (tmp_path / f"scores-{encoding}").write_text("\n".join(of) + "\n")
    return tmp_path


def start(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, arguments)])
    module.main()


def test_a_run_is_read_back(run):
    assert RunInfo.from_dict(json.loads(json.dumps(run.to_dict()))) == run


@pytest.mark.slow
def test_thresholds_on_halves(data, monkeypatch):
    monkeypatch.setattr(calibration, "SPLITS", 5)
    monkeypatch.setattr(calibration, "scores_of", lambda encoding, name: data / f"scores-{encoding}")
    start(monkeypatch, calibration, "--data", data, "--output", data / "out.csv")
    found = {(line["score"], line["images"], line["strata"]): line for line in read_table(data / "out.csv")[1]}
    assert len(found) == 3 * 4 * 2
    assert "jpeg-75, with strata" in (data / "out.html").read_text() and (data / "out.png").stat().st_size > 10_000
    clean = found["contrast", "png", "without"]
    assert float(clean["fpr"]) < 0.1 and float(clean["tpr"]) > 0.9 and float(clean["splits_above"]) <= 0.2
    both = found["contrast", "png and jpeg-75", "with"]
    assert float(both["strata_found"]) == 2
    assert float(found["contrast", "png, used on jpeg-75", "with"]["drift_told"]) == 1


def test_classifiers_on_what_they_do_not_know(data, monkeypatch):
    quick = {name: classifiers.SCORERS[name] for name in ("cauchy (photographs alone)", "logistic", "tree")}
    monkeypatch.setattr(classifiers, "SCORERS", quick)
    start(monkeypatch, classifiers, "--data", data, "--scores", data / "scores-png", "--output", data)
    found = {(line["features"], line["classifier"]): line for line in read_table(data / "classifiers-png.csv")[1]}
    assert len(found) == 6
    untrained, trained = (found["contrast", name] for name in ("cauchy (photographs alone)", "logistic"))
    # What is not trained has nothing to unlearn; of what is, a family that was left out is unknown.
    assert float(untrained["without sdxl"]) > 0.9 > float(trained["without sdxl"])
    assert float(trained["trained on all"]) > 0.9
    assert "trained on one set" in (data / "classifiers-png.html").read_text()
    assert (data / "classifiers-png.png").stat().st_size > 10_000
    crossed = read_table(data / "crossed-png.csv")[1]
    assert [(line["trained on"], line["features"]) for line in crossed] == [
        (source, features) for features in ("contrast", "all methods") for source in ("a/a", "b/b")
    ]
    assert all(0.5 < float(line[source]) <= 1 for line in crossed for source in ("a/a", "b/b"))


def test_whose_decoder(data, monkeypatch, capsys):
    start(monkeypatch, attribution, "--data", data, "--scores", data / "scores-png", "--output", data)
    found = {(line["by"], line["true"]): line for line in read_table(data / "attribution-png.csv")[1]}
    for family in FAMILIES.values():
        assert int(found["contrast, no labels", family][family]) >= 20
        assert int(found["nearest class, the true one not known", family]["none of the known"]) >= 18
        assert int(found["nearest class, the true one not known", family][family]) == 0
    assert int(found["contrast, no labels", "none of the known"]["none of the known"]) > 115
    reports = json.loads((data / "attribution-png.json").read_text())
    assert reports["nearest class, all families known"]["accuracy"] > 0.9
    assert (data / "attribution-png.png").stat().st_size > 10_000
    assert "Decoder that an image is attributed to" in (data / "attribution-png.html").read_text()
    assert "precision" in (data / "attribution-png.txt").read_text() and "precision" in capsys.readouterr().out


@pytest.mark.parametrize(
    "module, table", [(attribution, "x.csv"), (classifiers, "x.csv"), (calibration, "evidence-png.csv")]
)
def test_missing_scores_are_told_how_to_come_by(module, table, data, monkeypatch):
    monkeypatch.setattr("benchmarks.common.scores.RESULTS", data)
    scores = ["--scores", data / "x.scores.jsonl.partial"] if table == "x.csv" else []
    with pytest.raises(SystemExit, match=f"benchmarks.detection .*--output .*{table} leaves them"):
        start(monkeypatch, module, "--data", data, *scores)


def test_three_levels_of_what_is_known_and_what_is_not(data, monkeypatch, capsys):
    manifest = read_manifest(data)
    gan = [row | {"generator": "stylegan2"} for row in manifest if row["generator"] == "SD3 16ch VAE"]
    rows_of_gan = {row["path"]: row for row in gan}
    write_manifest(data, [rows_of_gan.get(row["path"], row) for row in manifest])
    start(monkeypatch, levels, "--data", data, "--scores", data / "scores-png", "--methods", "contrast",
          "--output", data)  # fmt: skip
    lines = {line["generator"]: line for line in read_table(data / "levels-png.csv")[1]}
    assert set(lines) == {"real", "stylegan2", "SD kl-f8", "SDXL VAE", "Flux.1 16ch VAE"}
    assert lines["stylegan2"]["of"] == "GAN" and lines["SDXL VAE"]["of"] == "latent diffusion"
    known = [float(line[f"known: {level}"]) for line in lines.values() for level in levels.LEVELS]
    assert min(known) > 0.6 and np.mean(known) > 0.85
    # Of a family without another generator in the training, nothing can be known; of a generator that was left out,
    # its name cannot be right, and a classifier takes it for a photograph more often.
    assert lines["stylegan2"]["left out: family"] == "" and lines["real"]["left out: AUROC"] == ""
    assert all(float(lines[name]["left out: AUROC"]) < 0.9 for name in ("SD kl-f8", "SDXL VAE", "stylegan2"))
    text = (data / "levels-png.txt").read_text()
    assert "precision" in text and "stylegan2" in text and text in capsys.readouterr().out
    assert (data / "levels-png.png").stat().st_size > 10_000
