"""The report: one file that asks nothing of the network, whatever results there are."""

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from benchmarks import detection
from benchmarks.common.data import RESULTS, journal_of, write_manifest, write_table
from benchmarks.common.metrics import auroc
from benchmarks.report import figures, ranges, report, sections
from recon_detect import Row, load_detector

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """What a page holds and asks for."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.asked, self.images, self.tags, self.texts, self.open = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if tag not in ("meta", "link", "img", "input", "br", "hr"):
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img":
            self.images.append(found)
        self.asked += [found[name] for name in ("src", "href", "srcset", "action", "data", "poster") if name in found]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(text)

    def of(self, tag):
        return [found for name, found in self.tags if name == tag]


def check(text):
    """A page that is whole, embeds what it shows, and can be read by ear."""
    page = Page(text)
    assert not page.open and text.startswith("<!doctype html>")
    assert len(page.ids) == len(set(page.ids))
    inside = [address for address in page.asked if address.startswith("#")]
    assert {address[1:] for address in inside} <= set(page.ids)
    assert all(address.startswith("data:") for address in page.asked if address not in inside)
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text
    assert all(len(image["alt"]) > 10 for image in page.images)
    assert all(head.get("scope") in ("col", "row") for head in page.of("th")) and page.of("th")
    assert "nan" not in " ".join(page.texts).split() and "None" not in " ".join(page.texts).split()
    return page


def width(path):
    with Image.open(path) as image:
        return image.width


@pytest.fixture
def data(tmp_path, picture):
    folder = tmp_path / "set"
    folder.mkdir()
    rows = []
    for number in range(60):
        label, family = ("real", "") if number % 2 else ("generated", ("SD kl-f8", "SDXL VAE")[number % 4 // 2])
        Image.fromarray(picture(40, 40, seed=number)).save(folder / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": label, "generator": family and f"<{family}>", "width": 40,
                     "autoencoder": family, "height": 40})  # fmt: skip
    write_manifest(folder, rows)
    return folder


@pytest.fixture
def table(data, tmp_path, tiny_model):
    """The table of a run with made-up scores, which lie beside it."""
    run = load_detector(["aedr", "did"], models=tiny_model, device="cpu").run_info
    rows = detection.read_manifest(data)
    generator = np.random.default_rng(0)
    entries = []
    for number, row in enumerate(rows):
        scores = {"aedr": generator.normal() + 2 * (row["label"] == "generated"), "did": generator.normal()}
        per_model = {name: {"a": value, "b": generator.normal()} for name, value in scores.items()}
        written = Row(number, row["path"], label=row["label"]).to_dict(run.fingerprint)
        entries.append(written | row | {"scores": scores, "per_model": per_model, "sha256": number})
    output = tmp_path / "results" / "mine.csv"
    lines = [line for method in run.methods for line in detection.lines_of(method, entries, rows, run, 0.1)]
    write_table(output, "set, middle of 32 px, both classes as png; thresholds & <intervals>", lines)
    journal_of(output).write_text("".join(json.dumps(row) + "\n" for row in [run.to_dict(), *entries]))
    return output


@pytest.mark.slow
def test_the_committed_results():
    found = report.chapters(report.gather(sorted(RESULTS.glob("*.csv")), None), RESULTS, None)
    assert {"Robustness", "Attribution", "Generalisation", "Calibration"} <= {section.title for section in found}
    page = check(report.page(found, [], []))
    assert len(page.of("table")) > 15
    text = report.markdown(found)
    assert text.count("| --- |") > 15 and "Conditions: eval" in text and "<" not in text.replace("<!--", "")


def test_a_run_with_its_scores_and_images(table, data):
    report.accompany(table, data)
    text = table.with_suffix(".html").read_text()
    page = check(text)
    titles = "ROC curves", "Distribution of the scores", "Reliability of probabilities", "Evidence in two dimensions"
    assert all(title in page.texts for title in titles)
    assert "Photographs with the highest scores" in page.texts and len(page.images) == 4 + 12
    assert all(image["src"].startswith("data:image/") for image in page.images)
    rows = {row["label"]: [] for row in detection.read_manifest(data)}
    for line in journal_of(table).read_text().splitlines()[1:]:
        row = json.loads(line)
        rows[row["label"]].append(row["scores"]["aedr"])
    area = auroc(np.array(rows["real"]), np.array(rows["generated"]))
    assert any(f"AUROC: aedr {area:.3f}" in image["alt"] for image in page.images)
    assert "&lt;SDXL VAE&gt;" in text and "<SDXL" not in text and "thresholds &amp; &lt;intervals&gt;" in text
    assert "photograph; score" in text and "balanced accuracy at it" in text
    assert width(table.with_suffix(".png")) > 600
    before = text, table.with_suffix(".png").read_bytes()
    report.accompany(table, data)
    assert before == (table.with_suffix(".html").read_text(), table.with_suffix(".png").read_bytes())


def test_maps_of_a_localisation_are_shown_one_below_the_other(tmp_path):
    line = {"model": "a", "map": "contrast", "images": 2, "auroc": 0.9, "ap": 0.5, "changed": 0.2}
    write_table(tmp_path / "localisation.csv", "planted", [line])
    (tmp_path / "localisation").mkdir()
    Image.fromarray(np.zeros((64, 256, 3), np.uint8)).save(tmp_path / "localisation" / "one.png")
    (section,) = report.chapters(report.gather([tmp_path / "localisation.csv"], None), None, None)
    page = check(report.page([section], [], []))
    assert section.title == "Localisation" and "contrast" in page.texts
    told = ["AUROC of pixels, mean over images: a, contrast 0.900", "one: image, mask, error, contrast"]
    assert [image["alt"] for image in page.images] == told
    assert "gallery wide" in [found.get("class") for found in page.of("ul")]


def test_groups_without_a_name_are_left_out(tmp_path):
    line = {
        "method": "dire",
        "distance": "l1",
        "models": "a",
        "dtype": "float32",
        "real": 5,
        "generated": 4,
        "auroc": 0.9,
    }
    groups = ("all", "autoencoder: ", "generator: own")
    write_table(tmp_path / "detection.csv", "set", [line | {"group": group} for group in groups])
    results = report.gather([tmp_path / "detection.csv"], None)
    assert sections.groups(results, "autoencoder", "Decoder family") == []
    (table,) = sections.groups(results, "generator", "Generator")
    assert [row[0] for row in table.rows] == ["own"]


def test_values_are_drawn_with_their_intervals(tmp_path):
    lines = [
        {"score": score, "images": "png", "strata": strata, "splits_above": 0, "target": 0.1}
        | {"fpr": 0.05, "fpr_low": 0.01, "fpr_high": high}
        for score, high in (("contrast", 0.2), ("grain", 0.11))
        for strata in ("with", "without")
    ]
    write_table(tmp_path / "thresholds.csv", "set", lines)
    drawn = ranges.chart(*report.gather([tmp_path / "thresholds.csv"], None))
    assert "contrast, png, with strata 0.050; contrast, png, without strata 0.050; grain, png" in drawn.alt
    assert drawn.note == "Dashed: 0.1. Conditions: set."
    (axes,) = drawn.drawing.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["png, with strata", "png, without strata"]
    intervals = [segment for lines in axes.collections for segment in lines.get_segments()]
    assert [tuple(segment[:, 0]) for segment in intervals] == [(0.01, 0.2)] * 2 + [(0.01, 0.11)] * 2
    assert len({segment[0, 1] for segment in intervals}) == 4
    write_table(tmp_path / "speed.csv", "files", [{"way": "ours", "images_per_s": 3.0, "ratio": 2.5}])
    assert ranges.chart(*report.gather([tmp_path / "speed.csv"], None)).alt.endswith("second: ours 2.500")


def test_without_images_and_scores_there_is_less(table, tmp_path, monkeypatch, capsys):
    arguments = ["--results", str(table.parent), "--markdown", str(tmp_path / "t.md"), "--figures", str(tmp_path / "f")]
    monkeypatch.setattr(sys, "argv", ["report", *arguments])
    report.main()
    page = check((table.parent / "report.html").read_text())
    assert len(page.images) == 4 and "Photographs with the highest scores" not in page.texts
    assert "no thumbnails" in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "f").iterdir()}
    assert {"roc-mine.png", "roc-mine.svg", "densities-mine.png", "evidence-mine.svg"} < names
    assert "| `aedr` |" in (tmp_path / "t.md").read_text()
    journal_of(table).unlink()
    report.main()
    assert not check((table.parent / "report.html").read_text()).images


def test_the_verdict_of_an_audit(table):
    finding = {"measurement": "file format", "group": "file", "auroc": 1.0, "shortcut": "solves the set"}
    told = {"verdict": "This set can be solved by file format alone.", "conditions": "5 + 5", "findings": [finding]}
    (table.parent / "audit-set.json").write_text(json.dumps(told))
    told_of_table = "other: Nothing was found. But beware. 9 photographs and 9 generated images as is"
    write_table(table.parent / "audit-other.csv", told_of_table, [finding])
    paths = sorted(table.parent.glob("*.csv"))
    first, *_ = report.write(table.parent / "report.html", paths, table.parent)
    assert [part.title for part in first.parts] == ["audit-other", "audit-set"]
    assert first.parts[0].note == (
        "other: Nothing was found. But beware. Conditions: 9 photographs and 9 generated images as is."
    )
    texts = check((table.parent / "report.html").read_text()).texts
    assert "Audit, audit-set: This set can be solved by file format alone." in texts
    assert "Audit, other: Nothing was found." in texts


def test_other_files_are_left_out_and_named(tmp_path, capsys):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert report.gather([tmp_path / "other.csv"], None) == []
    assert "left out: " in capsys.readouterr().err


def test_curves_of_robustness(tmp_path):
    lines = [
        {"method": m, "condition": c, "real": 9, "generated": 9, "auroc": a, "auroc_low": a - 0.1, "auroc_high": a,
         "tpr_at_5_fpr": a}
        for m in ("x", "y")
        for c, a in (("png", 0.9), ("jpeg-90", 0.8), ("jpeg-50", 0.6), ("resize-0.5", 0.55), ("mirror", 0.9))
    ]  # fmt: skip
    table = tmp_path / "r.csv"
    write_table(table, "set, crop, both classes alike", lines)
    report.accompany(table, None)
    page = check(table.with_suffix(".html").read_text())
    (image,) = page.images
    assert "The lowest is 0.55, x under resize-0.5" in image["alt"]
    assert width(table.with_suffix(".png")) > 500


def test_figures_carry_light_and_dark_colours():
    drawing = figures.robustness({"a": {"jpeg": [(90, 0.9, 0.8, 1.0), (50, 0.6, 0.5, 0.7)]}})
    text = figures.svg(drawing)
    assert text.startswith("<svg") and "prefers-color-scheme:dark" in text and "<!DOCTYPE" not in text
    body = text.partition("</style>")[2]
    assert "var(--c" in body and not any(colour in body for colour in (figures.INK, figures.FAINT, *figures.COLOURS))
    assert text == figures.svg(drawing) and figures.png(drawing).startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")
def test_a_browser_opens_it_without_complaint(table, data, tmp_path):
    """The page's own policy forbids every request, so that one would be an error on the console."""
    report.accompany(table, data)
    page = table.with_suffix(".html")
    text = page.read_text()
    assert console(page, tmp_path) == []
    for number, bad in enumerate(('<img src="https://example.org/a.png" alt="">', "<script>undefined_name()</script>")):
        wrong = page.with_name(f"wrong{number}.html")
        wrong.write_text(text.replace("</main>", f"{bad}</main>"))
        assert console(wrong, tmp_path), bad


def console(page: Path, folder: Path) -> list[str]:
    """What a browser says of a page, which it has to have understood to its end."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
               f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "</footer>" in done.stdout
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_summary_leaves_out_searches_of_former_names():
    results = report.gather(sorted(RESULTS.glob("robustness-*.csv")), None)
    assert len(results) > 2
    sentences = " ".join(report.summary(results, None))
    assert "glance" not in sentences and "grain" not in sentences
