"""The rooms of the package import downwards, and no module is imported by what it imports."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import recon_detect

PACKAGE = Path(recon_detect.__file__).parent
# From the lowest room to the highest.
ROOMS = (
    "_version", "errors", "atomic", "names", "settings", "tensors", "images", "engine", "card", "results", "models",
    "evidence", "methods", "claims", "tried", "answers", "calibration", "rows", "pickling", "output", "score_result",
    "audit", "detector", "examples", "pages", "scale", "web", "cli", "__init__", "__main__",
)  # fmt: skip


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(path: Path, *, lazy: bool) -> set[str]:
    """Modules of the package that a file imports, not those for types alone; with those inside functions if `lazy`."""
    modules: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.FunctionDef) and not lazy:
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "recon_detect":
            source = (node.module or "").removeprefix("recon_detect").removeprefix(".") or "__init__"
            inner = {f"{source}.{alias.name}".removeprefix("__init__.") for alias in node.names} & set(MODULES)
            modules.update(inner or {source})
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return modules


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_lower_rooms_only(room):
    lower = set(ROOMS[: ROOMS.index(room) + 1])
    higher = {
        f"{name} imports {module}"
        for name, path in MODULES.items()
        if name.split(".")[0] == room
        for module in imports_of(path, lazy=True)
        if module.split(".")[0] not in lower
    }
    assert not higher


def test_every_room_has_its_place():
    assert {name.split(".")[0] for name in MODULES} == set(ROOMS)


def test_no_module_is_imported_by_what_it_imports():
    graph = {name: imports_of(path, lazy=False) - {name} for name, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES)
