import csv
import json

import pytest

from benchmarks.common.data import RESULTS, read_table, write_table
from recon_detect.output.csvw import metadata_path


def test_a_table_is_read_back_with_its_conditions(tmp_path, capsys):
    write_table(tmp_path / "t.csv", "set, n = 5", [{"a": 1, "b": "x"}, {"a": 2}])
    assert "t.csv" in capsys.readouterr().err
    assert read_table(tmp_path / "t.csv") == ("set, n = 5", [{"a": "1", "b": "x"}, {"a": "2", "b": ""}])


def test_tables_without_their_conditions_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("# set, n = 5\na\n1\n")
    with pytest.raises(ValueError, match="expected the header, got a comment.* into t.csv-metadata.json"):
        read_table(path)
    path.write_text("a\n1\n")
    with pytest.raises(ValueError, match="expected t.csv-metadata.json beside it"):
        read_table(path)
    for broken in ("{", "[]", '{"url": "t.csv"}', '{"dc:description": 3}'):
        metadata_path(path).write_text(broken)
        with pytest.raises(ValueError, match=r't.csv-metadata.json: expected JSON with "dc:description"'):
            read_table(path)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.csv")), ids=lambda path: path.name)
def test_results_of_the_repository_begin_with_their_header(path):
    conditions, lines = read_table(path)
    assert conditions and lines and not any(None in line for line in lines)
    assert json.loads(metadata_path(path).read_text(encoding="utf-8"))["url"] == path.name
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == list(lines[0])
