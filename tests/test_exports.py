"""What the package exports is what it lists, what type checkers see, and what the documentation names."""

import ast
import re
from pathlib import Path

import pytest

import recon_detect

ROOT = Path(__file__).parents[1]


def test_all_is_what_can_be_looked_up_and_what_type_checkers_see():
    tree = ast.parse(Path(recon_detect.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted([*typed, "__version__"]) == sorted(recon_detect.__all__) == sorted(dir(recon_detect))
    assert sorted(recon_detect._HOMES) == sorted(typed)


def test_all_is_sorted_and_names_each_once():
    assert recon_detect.__all__ == sorted(set(recon_detect.__all__))


@pytest.mark.parametrize("name", [name for name in recon_detect.__all__ if name != "__version__"])
def test_every_exported_name_is_there_and_documented(name):
    assert getattr(recon_detect, name).__doc__
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs" / "examples").glob("*.py")]
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in pages), name


def test_the_citation_is_of_this_version():
    assert f"\nversion: {recon_detect.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
