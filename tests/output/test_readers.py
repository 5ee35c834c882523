"""Results read back from every format, with and without their description."""

import json
from dataclasses import replace

import pytest
from pages.pictures import HOSTILE, RUN, failed, row

from recon_detect.errors import UsageError
from recon_detect.output.readers import read_results
from recon_detect.output.writers import WRITERS
from recon_detect.results import MethodInfo, Score, Verdict

TWO = replace(RUN, provenance=True, methods=(*RUN.methods, MethodInfo("aedr", "l2", ("taesd",))))


def rows():
    first = row(0, 3.5, path=f'a "{HOSTILE}", b.png', notes=("one note", "another"))
    return [first, row(1, -0.5, label="real"), failed(2), row(3, 1.25, provenance=None, texture=None)]


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_rows_are_those_that_were_written(suffix, tmp_path):
    path = tmp_path / f"rows{suffix}"
    both = {"aedr": Score(0.5, {"taesd": 0.5})}
    written = [
        replace(each, claims={"c2pa": None}, scores=each.scores | both) if each.scores else each for each in rows()
    ]
    WRITERS[suffix](path, written, TWO, False)
    _, read = read_results(path)
    run = TWO.fingerprint
    assert [each.to_dict(run) for each in read] == [each.to_dict(run) for each in written]


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_verdicts_of_a_calibration_are_read(suffix, tmp_path):
    judged = replace(RUN, calibration="4567")
    verdict = Verdict("likely generated", None, 0.01, 0.75, "all", 1.5, decoder="sdxl")
    WRITERS[suffix](tmp_path / f"rows{suffix}", [row(0, 3.5, verdict=verdict), failed(1)], judged, False)
    first, second = read_results(tmp_path / f"rows{suffix}")[1]
    assert first.verdict == verdict
    assert second.error and not second.scores


def test_the_run_is_described_beside_in_or_not_at_all(tmp_path):
    for suffix in WRITERS:
        path = tmp_path / f"rows{suffix}"
        WRITERS[suffix](path, rows(), RUN, False)
        run, _ = read_results(path)
        assert (run == RUN) == (suffix == ".parquet")  # which holds it
        assert [method.name for method in run.methods] == ["trace"] and run.methods[0].models == ("sd", "sdxl")
        path.with_name(f"{path.name}.run.json").write_text(json.dumps(RUN.to_dict()))
        assert read_results(path)[0] == RUN


def test_methods_are_those_of_the_first_row_that_has_scores(tmp_path):
    WRITERS[".jsonl"](tmp_path / "rows.jsonl", [failed(0), failed(1), *rows()], RUN, False)
    run, read = read_results(tmp_path / "rows.jsonl")
    assert [method.name for method in run.methods] == ["trace"]
    assert [each.index for each in read] == list(range(6))


def test_the_shards_of_a_folder_are_one_run(tmp_path):
    for number in range(2):
        WRITERS[".parquet"](tmp_path / f"{number}.parquet", [row(number, 1.0)], RUN, False)
    (tmp_path / "run.json").write_text(json.dumps({"detector": RUN.to_dict()}))
    run, read = read_results(tmp_path)
    assert run == RUN and [(each.index, each.path) for each in read] == [
        (0, "photos/00000.jpg"),
        (1, "photos/00001.jpg"),
    ]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("rows.txt", "", "ends in .jsonl"),
    ("rows.jsonl", '{"path": 3}\n', "line 1: not a row of 'recon-detect score'"),
    ("rows.jsonl", "no json\n", "line 1: not a row of"),
    ("rows.csv", "path,label\na.png,real\n", "line 2: not a row of .*expected columns score and answer"),
    ("rows.parquet", "no parquet", "row 1: not a row of"),
])  # fmt: skip
def test_other_files_are_refused(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=message):
        list(read_results(tmp_path / name)[1])


def test_a_missing_file_and_a_folder_without_shards_are_refused(tmp_path):
    for path, message in ((tmp_path, "expected a results file"), (tmp_path / "rows.csv", "no such file; ")):
        with pytest.raises(UsageError, match=message):
            read_results(path)
