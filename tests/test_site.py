"""The site of the documentation: every page is in its navigation, links hold, and nothing comes from other hosts."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")
import yaml

import recon_detect

ROOT = Path(__file__).parents[1]
# Made while the site is built.
MADE = {"api.md", "gallery/index.md"}


def in_navigation(entry) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    values = entry.values() if isinstance(entry, dict) else entry
    return set().union(*map(in_navigation, values))


@pytest.fixture(scope="module")
def hook():
    specification = importlib.util.spec_from_file_location("docs_hook", ROOT / "docs" / "hook.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert in_navigation(settings["nav"]) == pages | MADE


def test_links_out_of_the_folder_lead_into_the_site(hook):
    page = "docs/results/detection.md"
    text = "[a](../../README.md#commands) [b](../index.md) [c](https://arxiv.org) [d](no-such.md) [e](#here)"
    assert hook.turned(text, page) == (
        "[a](../repository/README.md#commands) [b](../index.md) [c](https://arxiv.org) [d](no-such.md) [e](#here)"
    )
    assert hook.targets(text, page) == {"README.md", "docs/index.md"}
    assert hook.turned("[a](docs/index.md)", "README.md") == "[a](../index.md)"
    assert hook.targets("[a](../../../../etc/passwd)", page) == set()


def test_the_page_of_the_api_has_every_exported_name(hook):
    names = re.findall(r"^::: recon_detect\.(\w+)$", hook.api(), re.M)
    assert names == [name for name in recon_detect.__all__ if name != "__version__"]


class Loaded(HTMLParser):
    """What a page loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        loads = tag == "link" and set((values.get("rel") or "").split()) & {
            "stylesheet",
            "icon",
            "preconnect",
            "preload",
        }
        address = values.get("href") if loads else values.get("src")
        if address:
            self.addresses.append(address)


@pytest.mark.slow
def test_the_site_is_built_and_loads_nothing_from_other_hosts(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", site]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    pages = [path for path in site.rglob("*.html") if "gallery" not in path.parts]
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        addresses = Loaded(text).addresses
        assert addresses and not [name for name in addresses if re.match(r"(https?:)?//", name)], page
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.search(r"url\([\"']?(https?:)?//", styles)
    api = (site / "api.html").read_text(encoding="utf-8")
    assert 'id="recon_detect.Detector.score"' in api and "Scores one image or many." in api
    assert not (site / "hook.py").exists()
