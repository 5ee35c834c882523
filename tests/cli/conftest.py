import multiprocessing
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


@pytest.fixture
def forked(monkeypatch):
    """Starts the command line in a fork: a process of its own, but for the seconds that its imports take."""

    def start(*arguments):
        monkeypatch.setattr(sys, "argv", ["recon-detect", *map(str, arguments)])
        process = multiprocessing.get_context("fork").Process(target=main, daemon=True)
        process.start()
        return process

    return start
