import sys

import pytest

from recon_detect.cli import main


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs the command line in this process: importing torch for each call would take most of the time."""

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["recon-detect", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        done = capsys.readouterr()
        assert (ended.value.code or 0) == code, (ended.value.code, done.out, done.err)
        return done

    return run
