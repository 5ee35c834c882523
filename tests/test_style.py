"""House style that no linter checks: how docstrings begin, and what locals are called."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A docstring begins with a noun or a verb that names its subject.
VAGUE = frozenset(
    ("what", "whether", "how", "where", "when", "which", "who", "whose", "why", "from", "as", "in", "of", "that",
     "those", "these", "this", "it", "to", "so", "for", "with", "if")
)  # fmt: skip
# Names that say that a value is there, and not what it is.
EMPTY_NAMES = frozenset(("found", "told", "said", "own", "kept", "known"))


def trees() -> Iterator[tuple[str, ast.Module]]:
    for room in ("recon_detect", "benchmarks", "assets"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def vague_docstrings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node) or ""
        if text and text.split()[0].strip("`\"'.,:;").lower() in VAGUE:
            yield f"line {getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"


def empty_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        name = None
        if isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if name in EMPTY_NAMES:
            yield f"line {node.lineno}: {name}"


def test_docstrings_name_their_subject():
    vague = [f"{name}, {text}" for name, tree in trees() for text in vague_docstrings(tree)]
    assert not vague, "begin with a noun or a verb:\n" + "\n".join(vague)


def test_values_are_named_after_what_they_are():
    empty = [f"{name}, {text}" for name, tree in trees() for text in empty_names(tree)]
    assert not empty, "\n".join(empty)


def test_both_checks_can_fail():
    tree = ast.parse('"""What."""\ndef f(known):\n    """`Of` a list."""\n    found = [said for said in known]\n')
    assert [*vague_docstrings(tree)] == ["line 1: What.", "line 2: `Of` a list."]
    assert sorted(empty_names(tree)) == ["line 2: known", "line 4: found", "line 4: said"]
