"""Files that are whole or not there, and what killed processes leave."""

import os
import subprocess
import sys

import pytest

from recon_detect.atomic import replacing

LEAVE = """
import os, sys
from pathlib import Path
from recon_detect.atomic import replacing
with replacing(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "out.csv"
    assert subprocess.run([sys.executable, "-c", LEAVE, path]).returncode == 9
    (left,) = tmp_path.iterdir()
    living = tmp_path / left.name.replace(left.name.split("-")[3], str(os.getppid()))
    living.write_text("being written")
    with replacing(path) as temporary:
        assert not left.exists() and living.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole" and set(tmp_path.iterdir()) == {path, living}


def test_a_block_that_fails_leaves_nothing_and_the_longest_name_fits(tmp_path):
    path = tmp_path / ("x" * 255)
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert not [*tmp_path.iterdir()]
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert [*tmp_path.iterdir()] == [path]
