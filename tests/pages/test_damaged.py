"""Results with values that no run writes: an error that names the file, or a page; nothing else."""

import csv
import io
import json
import random
import re
from dataclasses import replace

import pytest
from pages.pictures import RUN, failed, row

from recon_detect.errors import UsageError
from recon_detect.output.writers import write_csv, write_jsonl, write_parquet
from recon_detect.pages import write_report
from recon_detect.pages.report import histogram
from recon_detect.results import MethodInfo, ModelInfo, Score, Verdict

DEEP = "in place of what is nested deeply"
VALUES = (
    None, True, -1, 0, 3, 1e300, -1e300, 10**400, float("nan"), float("inf"), "", "x", "0x0", "\ud800", "a\0b",
    "x" * 10_000, [], [1], [[]], [None, None], {}, {"a": []}, {"grain": {"sd": "x"}}, DEEP,
)  # fmt: skip
CELLS = ("", "x", "nan", "inf", "-1", "1e300", "1e999", "9" * 400, "[" * 50_000, "{}", "[]", "\0")
CALIBRATED = replace(
    RUN,
    calibration="4567",
    provenance=True,
    methods=(*RUN.methods, MethodInfo("grid", "cosine", ("sd",), "0")),
    models=(ModelInfo("mini-sd", "00", "embedded", None, None, "float32"),),
)


def rows():
    details = {"scales": 3, "places": 64, "area": 0.5, "mirrored": True, "detectable": {"grain": {"sd": 1.5}}}
    found, nothing = row(0, 3.5), row(1, 0.5)
    other = {"grid": Score(4.0, {"sd": 4.0}, {"family": "sd", "place": "shift-4-4"})}
    scores = found.scores["trace"]
    found = replace(found, scores={"trace": replace(scores, details=scores.details | details)} | other)
    verdict = Verdict("likely generated", 3.5, 0.01, 0.75, "all", 1.5, "latent diffusion", "sdxl")
    return [
        replace(found, verdict=verdict, claims={"c2pa": None}),
        replace(found, index=1, path="photos/1.jpg"),
        replace(nothing, scores=nothing.scores | other),
        failed(3),
    ]


def places(values, path=()):
    """Each place in JSON values, as keys from the outside in."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(text, chance):
    """JSON with a value replaced or left out, or with a piece of its text cut out."""
    if chance.random() < 0.1:
        start = chance.randrange(len(text))
        return text[:start] + text[start + chance.randrange(9) :]
    values = json.loads(text)
    *outer, key = chance.choice(list(places(values)))
    holder = values
    for name in outer:
        holder = holder[name]
    value = chance.choice(VALUES)
    if value == "x" and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = value
    return json.dumps(values).replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000)


def reported(results):
    """Whether a page was made, which is whole."""
    try:
        write_report(results, results.with_name("report.html"))
    except UsageError as error:
        assert results.name in str(error)
        return False
    html = results.with_name("report.html").read_text(encoding="utf-8")
    assert json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])["rows"]
    return True


def test_values_of_json_lines_and_of_the_run(tmp_path):
    results, chance = tmp_path / "rows.jsonl", random.Random(0)
    write_jsonl(results, rows(), CALIBRATED)
    lines, run = results.read_text().splitlines(), json.dumps(CALIBRATED.to_dict())
    made = 0
    for _ in range(400):
        damaged, described = list(lines), run
        if chance.random() < 0.7:
            number = chance.randrange(len(lines))
            damaged[number] = changed(lines[number], chance)
        else:
            described = changed(run, chance)
        results.write_text("\n".join(damaged), encoding="utf-8", errors="surrogatepass")
        results.with_name("rows.jsonl.run.json").write_text(described)
        made += reported(results)
    assert 40 < made < 360  # neither all harmless nor all refused


def test_cells_of_a_table(tmp_path):
    results, chance = tmp_path / "rows.csv", random.Random(1)
    write_csv(results, rows(), CALIBRATED)
    table = list(csv.reader(io.StringIO(results.read_text(encoding="utf-8"))))
    results.with_name("rows.csv.run.json").write_text(json.dumps(CALIBRATED.to_dict()))
    made = 0
    for _ in range(150):
        damaged = [list(line) for line in table]
        line = chance.choice(damaged)
        value = chance.choice(
            ["", "x", "nan", "inf", "-1", "1e300", "1e999", "9" * 400, "[" * 50_000, "{}", "[]", "\0"]
        )
        line[chance.randrange(len(line))] = value
        if chance.random() < 0.1:
            del line[-1]
        with results.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(damaged)
        made += reported(results)
    assert 15 < made < 135


@pytest.mark.parametrize("size", [0, 3, 400, -1, -9])
def test_a_parquet_file_that_is_cut(size, tmp_path):
    write_parquet(tmp_path / "rows.parquet", rows(), CALIBRATED)
    data = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(data[:size])
    assert not reported(tmp_path / "rows.parquet")


@pytest.mark.parametrize(("change", "message"), [
    ({"width": -1}, r"rows.jsonl, line 3: not a row of 'recon-detect score' \(width: expected 1 to"),
    ({"texture": float("nan")}, r"line 3: .*texture: expected a finite number, got nan"),
    ({"scores": {"trace": "3"}}, "line 3: .*scores.trace: expected a finite number, got '3'"),
    ({"scores": [3]}, "line 3: .*scores: expected an object"),
    ({"notes": {}}, "line 3: .*notes: expected a list, got {}"),
    ({"details": {"trace": {"sizes": ["all"]}}}, "line 3: .*details.trace.sizes: expected WIDTHxHEIGHT, got 'all'"),
    ({"verdict": "fake", "p_value": 0.5, "combined": None, "probability": None, "stratum": "", "threshold": None},
     "line 3: .*verdict: expected one of likely generated, .*got 'fake'"),
    ({"scores": {"hfi": 3.0}}, "row 2: scores of hfi, but the run is of trace"),
])  # fmt: skip
def test_the_error_names_file_line_and_value(change, message, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [row(0, 1.0), row(1, 2.0)], RUN)
    first, second = (tmp_path / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text(f"{first}\n\n{json.dumps(json.loads(second) | change)}\n")
    with pytest.raises(UsageError, match=message):
        write_report(tmp_path / "rows.jsonl", tmp_path / "report.html")


@pytest.mark.parametrize("path", ["x" * 10_000, "photos/" + "x" * 300, "a\0b.png", "\udc80.png", "\ud800.png", ""])
def test_a_path_that_no_file_can_have_is_a_row_without_a_thumbnail(path, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [row(0, 1.0, path=path)], RUN)
    assert reported(tmp_path / "rows.jsonl")


def test_the_histogram_of_scores_that_are_as_large_as_numbers_can_be():
    for scores in ([1.7e308, -1.7e308, 0.5], [1e300], [-1e300, 2.0]):
        drawn = histogram(scores, is_deviate=True)
        assert sum(count for *_, count, _ in drawn["bars"]) == len(scores) and len(drawn["ticks"]) < 20
