import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import today
from benchmarks.common import metrics
from benchmarks.common.data import read_table, write_manifest
from benchmarks.report import today as report
from recon_detect.audit import separation

# Of pictures and crops that take little time: the recipes are those of the benchmark, with a smaller crop.
RECIPES = tuple(recipe.replace(str(today.CROP), "96") for recipe in today.RECIPES)


@pytest.fixture
def data(tmp_path, picture):
    """Eight photographs, five pictures of a generator, and two of one that nobody knows."""
    rows = []
    for number in range(15):
        stored = "jpg" if number % 4 == 1 else "png"
        Image.fromarray(picture(104, 128, seed=number)).save(tmp_path / f"{number}.{stored}")
        generator, autoencoder = (("", ""), ("sd-1.5", "SD kl-f8"), ("new", "unknown"))[(number >= 8) + (number >= 13)]
        rows.append({"path": f"{number}.{stored}", "label": "generated" if generator else "real",
                     "generator": generator or "real", "autoencoder": autoencoder, "width": 128, "height": 104,
                     "format": "JPEG" if stored == "jpg" else "PNG"})  # fmt: skip
    write_manifest(tmp_path, rows)
    return tmp_path


def test_generators_kinds_of_photographs_and_what_an_audit_sees(data, monkeypatch):
    monkeypatch.setattr(today, "CROP", 96)
    monkeypatch.setattr(separation, "_TREES", 5)
    output = data / "today.csv"
    arguments = ["today", "--data", data, "--methods", "grid", "--device", "cpu", "--output", output]
    arguments += ["--recipes", ",".join(RECIPES)]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    today.main()
    conditions, table = read_table(output)
    assert "both classes alike" in conditions and "grid:" in conditions
    for recipe in RECIPES:
        lines = {line["group"]: line for line in table if line["recipe"] == recipe and line["method"] == "grid"}
        generators = {name: (line["expected"], line["generated"]) for name, line in lines.items() if line["generated"]}
        assert generators == {
            "sd-1.5": ("yes", "5"),
            "others, unknown": ("no", "2"),
            "every known decoder": ("yes", "5"),
        }
        photographs = {name: int(line["real"]) for name, line in lines.items() if name.startswith("photographs")}
        assert photographs == {"photographs, all": 8, "photographs, camera": 2, "photographs, lossless": 6}
        for name, line in lines.items():
            number = int(line["generated"] or line["real"])
            assert sum(int(line[kind]) for kind in ("found", "undecided", "nothing")) == number, name
    shortcuts = [line for line in table if line["method"] == "audit"]
    assert [line["recipe"] for line in shortcuts] == list(RECIPES)
    assert all(0.5 <= float(line["auroc"]) <= 1 for line in shortcuts)


def test_scores_of_several_methods_are_fused_by_photographs_of_the_other_half():
    generator = np.random.default_rng(0)
    rows = [
        {"path": str(n), "label": "real" if n < 60 else "generated", "source": "a", "source_path": str(n),
         "autoencoder": "" if n < 60 else "SD kl-f8"}
        for n in range(80)
    ]  # fmt: skip
    trials = []
    for number in range(2):
        scores = generator.normal(size=80) + np.repeat([0.0, 2.0], (60, 20)) * 10**number
        entries = [
            {"path": row["path"], "scores": {"a": score}, "details": {}}
            for row, score in zip(rows, scores, strict=True)
        ]
        trials.append(today.Scored(today.Trial("a", None), rows, entries, 0))
    trials[1] = today.Scored(today.Trial("b", None), rows[:-1], trials[1].entries[:-1], 0)
    fused = today.fused(trials)
    assert len(fused.rows) == 79 and fused.trial.method == "fusion"
    single = [metrics.auroc(of.scores[of.real], of.scores[~of.real]) for of in trials]
    assert metrics.auroc(fused.scores[fused.real], fused.scores[~fused.real]) > min(single)
    lines = list(today.lines_of(fused, None, "file", {str(n): "sd" for n in range(60, 80)}))
    assert [line["group"] for line in lines] == ["every known decoder", "sd"] and "found" not in lines[0]


def test_generators_with_few_pictures_are_put_together():
    rows = [{"path": str(n), "label": "generated", "generator": f"g{n // 5}", "autoencoder": "a"} for n in range(7)]
    groups = today.generators_of([*rows, {"path": "r", "label": "real", "generator": "real", "autoencoder": ""}])
    assert groups == {str(n): "g0" if n < 5 else "others, a" for n in range(7)}


def test_tables_of_generators_and_of_photographs():
    about = {"method": "trace", "effort": "quick", "recipe": "file", "found": "4", "undecided": "1", "nothing": "0"}
    numbers = {"auroc": "0.9", "auroc_low": "0.8", "auroc_high": "1.0", "tpr_at_5_fpr": "0.75", "generated": "5"}
    rates = {f"fpr_at_nominal_{rate}{end}": "0.02" for rate in ("0.05", "0.01") for end in ("", "_high")}
    rates |= {"score_of_0.05": "0.3", "score_of_0.01": "0.5", "score_highest": "0.9"}
    lines = [
        about | numbers | {"group": "new", "expected": "no", "family_right": "0"},
        about | numbers | {"group": "sd-1.5", "expected": "yes", "family_right": "4"},
        about | rates | {"group": "photographs, camera", "real": "5", "generated": "", "expected": ""},
    ]
    table = report.today("n photographs", lines)
    assert [row[:4] for row in table.rows] == [
        ["sd-1.5", "yes", "`trace-quick`", "5"],
        ["new", "no", "`trace-quick`", "5"],
    ]
    assert table.rows[0][4:] == ["0.900 [0.80, 1.00]", "0.75", "4", "1", "0", "4"]
    crops = [line | {"recipe": "centre-320"} for line in lines]
    audit = numbers | {"method": "audit", "effort": "", "group": "exact size", "expected": "", "recipe": "file"}
    audit |= {"found": "", "undecided": "", "nothing": "", "family_right": ""}
    assert not any("exact size" in row for row in report.today("n photographs", [*lines, audit]).rows)
    table = report.today("n photographs", [*crops, *lines, audit])
    assert [row[:2] for row in table.rows] == [
        ["crop of 320 px", "sd-1.5"],
        ["crop of 320 px", "new"],
        ["the file itself", "sd-1.5"],
        ["the file itself", "new"],
        ["the file itself", "exact size"],
    ]
    few = lines[0] | {"generated": "4"}
    assert [line["by"] for line in report.by_generator([*lines[:2], few, audit])] == ["trace-quick"] * 2
    assert {line["by"] for line in report.by_generator([*crops[:2], lines[0]])} == {
        "trace-quick, crop of 320 px",
        "trace-quick, the file itself",
    }
    table = report.photographs("n photographs", lines, "trace-quick")
    assert list(table.rows) == [
        ["camera", "file", "5", "4", "1", "0", "0.020 [0.020]", "0.020 [0.020]", "0.30", "0.50", "0.90"]
    ]
