"""Hook of mkdocs: what of the site is not in this folder.

Files of the repository that pages link to become part of the site, and their links are turned. The page of the API is
made of what the package exports. The gallery is taken from the folder that `docs/figures/gallery.py` writes.
"""

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "build" / "gallery"
NO_GALLERY = (
    "# Gallery\n\nThis site was built without it: `python docs/figures/gallery.py` makes it from evaluation images.\n"
)
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def address(file: str) -> str:
    """The place in the site of a file of the repository."""
    return file.removeprefix("docs/") if file.startswith("docs/") else f"repository/{file}"


def targets(text: str, file: str) -> set[str]:
    """Files of the repository that a page links to, by their paths from its root."""
    links = {posixpath.normpath(posixpath.join(posixpath.dirname(file), link)) for _, link, _ in _LINK.findall(text)}
    return {link for link in links if not link.startswith("..") and (ROOT / link).is_file()}


def turned(text: str, file: str) -> str:
    """A page with links that hold within the site."""
    folder, place = posixpath.dirname(file), posixpath.dirname(address(file)) or "."

    def turn(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        if ":" in match[2] or not (ROOT / target).is_file():
            return match[0]
        return f"{match[1]}{posixpath.relpath(address(target), place)}{match[3]}"

    return _LINK.sub(turn, text)


def api() -> str:
    """The page of the API: every exported name, read from the source without importing it."""
    tree = ast.parse((ROOT / "recon_detect" / "__init__.py").read_text(encoding="utf-8"))
    (names,) = (ast.literal_eval(node.value) for node in tree.body if _assigns(node, "__all__"))
    members = [f"::: recon_detect.{name}" for name in names if name != "__version__"]
    estimator = "::: recon_detect.calibration.estimator.ConformalDetector"
    return "\n\n".join(
        ["# API", "What `recon_detect` exports, and its estimator of scikit-learn.", *members, estimator]
    )


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


def on_files(files: Files, config: Any) -> Files:
    """Adds what the pages link to, the page of the API and the gallery."""
    waiting = [f"docs/{page.src_uri}" for page in files.documentation_pages()]
    for file in waiting:
        if not file.startswith("docs/"):
            options = {"abs_src_path": str(ROOT / file)}
            if file.endswith(".md"):
                options = {"content": (ROOT / file).read_text(encoding="utf-8")}
            files.append(File.generated(config, address(file), **options))
        if file.endswith(".md"):
            linked = targets((ROOT / file).read_text(encoding="utf-8"), file)
            waiting += sorted(link for link in linked - set(waiting) if not link.startswith("docs/"))
    files.append(File.generated(config, "api.md", content=api()))
    if not (GALLERY / "index.md").is_file():
        files.append(File.generated(config, "gallery/index.md", content=NO_GALLERY))
    for path in sorted(GALLERY.glob("*")):
        files.append(File.generated(config, f"gallery/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turns the links of a page."""
    place = page.file.src_uri
    return turned(markdown, place.removeprefix("repository/") if place.startswith("repository/") else f"docs/{place}")
