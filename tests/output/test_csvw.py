import json

import pytest

from recon_detect.output.csvw import metadata_path, write_table


def test_a_table_begins_with_its_header_and_its_conditions_lie_beside_it(tmp_path):
    path = tmp_path / "50 % off, größer.csv"
    write_table(path, [{"a": 1, "b": "x,\ny"}, {"a": 2, "c": 3}], 'of "n" images, größer')
    assert path.read_bytes() == b'a,b,c\r\n1,"x,\ny",\r\n2,,3\r\n'
    assert json.loads(metadata_path(path).read_text(encoding="utf-8")) == {
        "@context": "http://www.w3.org/ns/csvw",
        "url": "50%20%25%20off%2C%20gr%C3%B6%C3%9Fer.csv",
        "dc:description": 'of "n" images, größer',
    }
    assert {each.name for each in tmp_path.iterdir()} == {path.name, f"{path.name}-metadata.json"}


def test_a_table_that_fails_leaves_the_one_before(tmp_path):
    class Unwritable:
        def __str__(self):
            raise OSError("no space left")

    path = tmp_path / "t.csv"
    write_table(path, [{"a": 1}], "first")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    with pytest.raises(OSError, match="no space"):
        write_table(path, [{"a": Unwritable()}], "second")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
