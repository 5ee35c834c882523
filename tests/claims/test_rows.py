"""Claims beside the scores: in rows, files and on the terminal, where they are asked for."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from recon_detect import Row, load_detector
from recon_detect.cli import score as score_module
from recon_detect.cli.app import app
from tests.claims.files import picture, png
from tests.conftest import read_jsonl

TEXTS = {"parameters": "a secret cat\nSteps: 20, Model: m"}


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(TEXTS))
    (folder / "b.png").write_bytes(png())
    (folder / "c.png").write_bytes(b"not an image")
    return folder


def score(*arguments) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)])
    assert result.exit_code == 3, result.output
    return result.stdout


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_results_have_claims_where_they_are_asked_for_and_nothing_of_them_elsewhere(
    suffix, files, method_file, tmp_path
):
    method = ("--method", f"{method_file}:METHOD", "--device", "cpu", "--quiet")
    plain, full = tmp_path / f"plain{suffix}", tmp_path / f"full{suffix}"
    score(files, *method, "-o", plain)
    score(files, *method, "-o", full, "--provenance")
    if suffix == ".parquet":
        rows = pq.read_table(full).to_pylist()
        claims = [json.loads(row["claims"]) if row["claims"] else None for row in rows]
        scores = [[row["roughness"] for row in pq.read_table(path).to_pylist()] for path in (plain, full)]
        assert scores[0] == scores[1] and "claims" not in pq.read_table(plain).column_names
    elif suffix == ".jsonl":
        claims = [row.get("claims") for row in read_jsonl(full)]
        assert [row["scores"] for row in read_jsonl(plain)] == [row["scores"] for row in read_jsonl(full)]
    else:
        assert "a secret cat" in full.read_text() and "claims" in full.read_text().splitlines()[0].split(",")
    assert b"secret" not in plain.read_bytes() and b"claims" not in plain.read_bytes()
    if suffix != ".csv":
        assert claims[0]["generation"] == {
            "program": "AUTOMATIC1111 or a program that writes like it",
            "model": "m",
            "prompt": "a secret cat",
        }
        assert claims[1]["silent"] and claims[1]["generation"] is None
    refused = CliRunner().invoke(app, ["score", str(files), *method, "-o", str(plain), "--provenance"])
    assert refused.exception and "other limits" in str(refused.exception)


def test_the_terminal_shows_sentences_below_the_table(files, method_file, monkeypatch):
    method = ("--method", f"{method_file}:METHOD", "--device", "cpu", "--quiet")
    monkeypatch.setattr(score_module.sys.stdout.__class__, "isatty", lambda stream: True, raising=False)
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda stream: True, raising=False)
    text = score(files, *method, "--provenance")
    assert "a.png says of itself:" in text and 'prompt "a secret cat"' in text
    assert "Absence proves nothing" in text
    assert "says of itself" not in score(files, *method)


def test_rows_of_pixels_have_no_claims(files, method_file):
    detector = load_detector(f"{method_file}:METHOD", device="cpu", provenance=True)
    of_pixels, of_bytes, of_dict = detector.score([picture(), png(TEXTS), {"bytes": png(TEXTS)}])
    assert of_pixels.claims is None and of_bytes.claims["generation"]["prompt"] == "a secret cat"
    assert of_dict.claims == of_bytes.claims
    assert Row.from_dict(of_bytes.to_dict("run")).claims == of_bytes.claims
    assert "claims" not in of_pixels.to_dict("run")
    plain = load_detector(f"{method_file}:METHOD", device="cpu")
    assert plain.run_info.fingerprint == detector.run_info.fingerprint
    assert [row.claims for row in plain.score([png(TEXTS)])] == [None]
