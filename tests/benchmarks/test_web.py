import sys

import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmarks import web
from benchmarks.common import conditions, families
from benchmarks.common.data import journal_of, read_table, write_manifest
from benchmarks.common.scores import read_journal
from benchmarks.report import web as web_tables
from benchmarks.report.report import gather
from benchmarks.report.report import web as web_report
from recon_detect.errors import UsageError

ENCODERS = ("SD kl-f8", "Flux.2 32ch VAE", "SD kl-f8 (ft-mse)", "unknown")


@pytest.fixture
def data(tmp_path, picture):
    """Six photographs, four generated images and one that was cropped."""
    rows = []
    for number in range(11):
        side = 96 if number % 2 else 128
        Image.fromarray(picture(side, 128, seed=number)).save(tmp_path / f"{number}.png")
        autoencoder = "" if number < 6 else ENCODERS[(number - 6) % 4]
        size = {"width": 128, "height": side, "crop": "centre" if number == 10 else ""}
        label = "generated" if autoencoder else "real"
        rows.append({"path": f"{number}.png", "label": label, "autoencoder": autoencoder} | size)
    write_manifest(tmp_path, rows)
    return tmp_path


@pytest.fixture
def run(data, monkeypatch):
    def benchmark(*arguments, recipes="png,longest-100+jpeg-85"):
        output = data / "web.csv"
        fixed = ["--data", str(data), "--recipes", recipes, "--device", "cpu", "--output", str(output)]
        monkeypatch.setattr(sys, "argv", ["web", *fixed, *arguments])
        web.main()
        return read_table(output)

    return benchmark


def test_both_classes_by_recipe_and_family_and_resumed(run, data):
    _, few = run("--methods", "grid", "--images", "4")
    assert {(line["real"], line["generated"]) for line in few if line["group"] == "all"} == {("2", "2")}
    journal = journal_of(data / "web-grid.csv")
    before = journal.read_text()
    head, table = run("--methods", "grid", "--images", "all")
    assert "whole pictures" in head and "grid:" in head and journal.read_text().startswith(before)
    groups = [("all", "4"), ("SD", "2"), ("FLUX.2", "1"), ("other", "1")]
    assert [(line["recipe"], line["group"], line["generated"]) for line in table] == [
        (recipe, *group) for recipe in ("png", "longest-100+jpeg-85") for group in groups
    ]
    entries = [entry for entry in read_journal(journal)[1] if entry["path"].startswith("longest")]
    labels, scores = [e["label"] == "generated" for e in entries], [e["scores"]["grid"] for e in entries]
    line = next(line for line in table if line["recipe"] != "png")
    assert float(line["auroc"]) == pytest.approx(roc_auc_score(labels, scores), abs=1e-4) and len(entries) == 10
    assert (line["real_of_other_size"], line["generated_of_other_size"], line["failed"]) == ("6", "4", "0")
    assert (
        float(line["seconds"]) > 0
        and float(line["cpu_seconds"]) > 0
        and line["passes"] == ""
        and 0 <= float(line["fpr_at_nominal_0.05"]) <= 1
    )
    assert table[0]["real_of_other_size"] == "0" and table[1]["seconds"] == ""
    assert (data / "web.png").read_bytes().startswith(b"\x89PNG")
    assert run("--methods", "grid", "--report")[1] == table


def entry(path, value, **more):
    return {"path": path, "scores": {"grain": value}, "details": {}, "width": 8, "height": 8} | more


def test_families_passes_and_nominal_rates():
    rows = [
        {"path": str(number), "label": label, "autoencoder": autoencoder, "width": "8", "height": "8"}
        for number, (label, autoencoder) in enumerate(
            [("real", "")] * 3 + [("generated", "SDXL VAE"), ("generated", "SDXL VAE"), ("generated", "unknown")]
        )
    ]
    details = [{"grain": {"passes": n, "decoder": d}} for n, d in ((4, ""), (4, ""), (8, "sd"), (2, "sdxl"), (2, "sd"))]
    values = (0.1, -1.0, 2.0, 3.0, 2.5)
    entries = [
        entry(f"png:{number}", value, details=detail, seconds=number, width=4 if number == 3 else 8)
        for number, (value, detail) in enumerate(zip(values, details, strict=True))
    ]
    entries.append(entry("png:5", None, scores={}, error="UnreadableImage: no"))
    scored = web.scored_under(web.Trial("grain", "quick"), entries, rows, "png")
    every, sdxl = web.lines_of(scored, "png")
    assert (every["effort"], every["failed"], every["real"], every["generated"]) == ("quick", 1, 3, 2)
    assert (every["fpr_at_nominal_0.05"], every["fpr_at_nominal_0.01"]) == (0.3333, 0)
    assert (every["tpr_at_nominal_0.05"], every["tpr_at_nominal_0.01"]) == (1, 1)
    assert (every["family_right"], every["family_named"]) == (0.5, 2)
    assert (every["seconds"], every["passes"], every["generated_of_other_size"]) == (2, 4, 1)
    assert (sdxl["group"], sdxl["auroc"], sdxl["seconds"]) == ("SDXL", 1, "")


def test_efforts_are_of_methods_that_search():
    assert web.trials_of("grid,trace", "quick,normal") == [
        web.Trial("grid", None), web.Trial("trace", "quick"), web.Trial("trace", "normal")
    ]  # fmt: skip
    assert web.trials_of("default", None) == [web.Trial("trace", None)]


def test_recipes_are_conditions():
    assert conditions.expand(web.RECIPES) == list(web.RECIPES)


def test_a_report_of_nothing_says_what_is_missing(run):
    with pytest.raises(SystemExit, match="no scores of grid: run without --report"):
        run("--methods", "grid", "--report")
    run("--methods", "grid", "--images", "2", recipes="png")
    with pytest.raises(SystemExit, match="both classes"):
        run("--methods", "grid", "--images", "2", "--report", recipes="mirror")


def test_an_effort_that_there_is_not_is_refused(run):
    with pytest.raises(UsageError, match="effort"):
        run("--methods", "trace", "--efforts", "slow", "--images", "2")


@pytest.mark.parametrize(("label", "group"), [
    ("SD kl-f8 (finetuned VAE)", ("SD", "sd")), ("Flux.2 32ch VAE", ("FLUX.2", "flux2")), ("DC-AE", ("other", "")),
    ("SDXL VAE", ("SDXL", "sdxl")), ("", ("other", "")),
])  # fmt: skip
def test_groups(label, group):
    assert families.group_of(label) == group


def test_tables_of_recipes_and_of_one_method(run, data):
    run("--methods", "grid", "--images", "all")
    conditions_of_run, lines = read_table(data / "web.csv")
    overview = web_tables.web(conditions_of_run, lines)
    assert [row[:2] for row in overview.rows[:2]] == [["as it is", "6 + 4"], ["at most 100 px, JPEG 85", "6 + 4"]]
    assert overview.head[2:] == ["`grid`"] and float(overview.rows[2][2]) >= 0
    detail = web_tables.web_of(conditions_of_run, lines, "grid")
    assert [len(row) for row in detail.rows] == [len(detail.head)] * 2
    assert detail.rows[0][3].endswith("(2)") and detail.rows[0][4] == "" and detail.rows[0][7].endswith("(1)")
    (result,) = gather([data / "web.csv"], None)
    assert result.kind == "web" and web_report([result]).parts == [overview]
    assert detail.rows[0][2] == overview.rows[0][2] and "[" in detail.rows[0][10]


@pytest.mark.parametrize(("recipe", "words"), [
    ("png", "as it is"), ("aspect-0.8+longest-1080+jpeg-85", "cropped to 4:5, at most 1080 px, JPEG 85"),
    ("page-0.83", "screenshot of a page at 0.83"), ("blur-1", "blur-1"),
])  # fmt: skip
def test_recipes_in_words(recipe, words):
    assert web_tables.title(recipe) == words
