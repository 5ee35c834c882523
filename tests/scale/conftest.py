from pathlib import Path

import pytest

from recon_detect import load_detector

ROUGHNESS = """
from recon_detect import Method


def roughness(e):
    x = e.image()
    return (x[..., 1:] - x[..., :-1]).abs().mean(dim=(1, 2, 3))[:, None]


METHOD = Method("roughness", "roughness", roughness, True, "l1", (), "none", needs=frozenset())
"""


@pytest.fixture(scope="session")
def method_file(tmp_path_factory) -> Path:
    """A file with a method that costs nothing."""
    path = tmp_path_factory.mktemp("method") / "roughness.py"
    path.write_text(ROUGHNESS)
    return path


@pytest.fixture(scope="session")
def detector(method_file):
    return load_detector(f"{method_file}:METHOD", device="cpu")
