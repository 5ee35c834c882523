import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks import robustness
from benchmarks.common.data import read_table, write_manifest


@pytest.fixture
def data(tmp_path, picture):
    """Six photographs and four generated images of 40 px."""
    rows = []
    for number in range(10):
        Image.fromarray(picture(40, 40, seed=number)).save(tmp_path / f"{number}.png")
        family = "" if number % 5 < 3 else "SD kl-f8"
        label = "generated" if family else "real"
        rows.append({"path": f"{number}.png", "label": label, "autoencoder": family, "width": 40, "height": 40})
    write_manifest(tmp_path, rows)
    return tmp_path


@pytest.fixture
def run(data, monkeypatch):
    def benchmark(*arguments):
        output = data / "robustness.csv"
        fixed = ["--data", str(data), "--models", "mini-sd", "--crop", "32", "--output", str(output)]
        monkeypatch.setattr(sys, "argv", ["robustness", *fixed, *arguments])
        robustness.main()
        return read_table(output)

    return benchmark


def test_all_methods_and_conditions_in_one_pass_and_resumed(run, data):
    arguments = ("--methods", "glance,aedr,did", "--conditions", "png,jpeg-75+mirror")
    _, few = run(*arguments, "--images", "4")
    assert {(line["real"], line["generated"]) for line in few} == {("2", "2")}
    journal = data / "robustness.scores.jsonl.partial"
    before = journal.read_text()
    head, table = run(*arguments)
    assert "centre crop of 32 px" in head and journal.read_text().startswith(before)
    assert [(line["method"], line["condition"]) for line in table] == [
        (method, condition) for condition in ("png", "jpeg-75+mirror") for method in ("glance", "aedr", "did")
    ]
    entries = [entry for entry in robustness.read_journal(journal)[1] if entry["path"].startswith("png:")]
    labels, scores = [e["label"] == "generated" for e in entries], [e["scores"]["aedr"] for e in entries]
    line = next(line for line in table if (line["method"], line["condition"]) == ("aedr", "png"))
    assert (line["real"], line["generated"], line["SD kl-f8 n"]) == ("6", "4", "4")
    assert float(line["auroc"]) == pytest.approx(roc_auc_score(labels, scores), abs=1e-4) and len(entries) == 10
    assert line["fpr_at_nominal_0.05"] == "" and table[0]["fpr_at_nominal_0.05"] != ""
    journal.write_text(journal.read_text() + '{"path": "half a li')
    assert run(*arguments, "--report")[1] == table
    assert np.isfinite([float(line["auroc_low"]) for line in table]).all()
