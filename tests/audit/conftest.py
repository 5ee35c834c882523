import pytest

from recon_detect.audit import separation


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """The planted differences are plain enough, and a forest takes most of the time of an audit."""
    monkeypatch.setattr(separation, "_TREES", 15)
