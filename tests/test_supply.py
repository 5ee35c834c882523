"""What is installed with the package, and how it is put into containers."""

import importlib.metadata
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
# Licences that allow any use; MPL asks for changes of its own files to be published.
FREE = re.compile(r"\b(MIT|BSD|0BSD|Apache|PSF|Python Software Foundation|MPL|Mozilla|ISC|Zlib|CC0|BSL|HPND|CNRI)\b")
BOUND = re.compile(r"\b(A?GPL|LGPL|GNU|Proprietary|NVIDIA|Commons Clause|NonCommercial|CC-BY-NC)\b", re.IGNORECASE)
# Its metadata name no licence; its file LICENSE is that of MIT.
MIT_BY_FILE = {"skops"}


def dependencies(name: str, seen: set[str]) -> set[str]:
    """Names of the installed packages that a package needs, without extras."""
    if name in seen:
        return seen
    seen.add(name)
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            try:
                importlib.metadata.version(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                continue  # torchvision, which lpips names and scripts/install leaves out
            dependencies(requirement.name, seen)
    return seen


def licence(name: str) -> str:
    about = importlib.metadata.metadata(name)
    classifiers = [text for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    return about.get("License-Expression") or " ".join([*classifiers, (about.get("License") or "")[:60]])


def test_every_dependency_has_a_licence_that_allows_any_use():
    names = dependencies("recon-detect", set()) - {"recon-detect"}
    assert {"torch", "pillow", "numpy", "certifi"} <= names
    packages = {name: licence(name) for name in names - MIT_BY_FILE if not name.startswith("nvidia-")}
    wrong = {name: text for name, text in packages.items() if not FREE.search(text) or BOUND.search(text)}
    assert not wrong


def test_dependencies_that_are_tested_are_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 20 and all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line) for line in pins)


def instructions(path: Path) -> list[tuple[str, str]]:
    """Instruction and argument of each line of a Dockerfile; continued lines are joined."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_containers_run_without_rights_on_a_pinned_image(path):
    listed = instructions(path)
    of = {name: [rest for key, rest in listed if key == name] for name, _ in listed}
    assert all(re.search(r":\d+\.\d+\.\d+-", image) for image in of["FROM"])
    assert listed.index(("USER", "10001")) < [name for name, _ in listed].index("ENTRYPOINT")
    assert of["ENTRYPOINT"] == ['["recon-detect"]'] and "ADD" not in of
    assert all("requirements.txt" in command and "curl" not in command for command in of["RUN"])
    sources = [name for copied in of["COPY"] for name in copied.split()[:-1]]
    assert sources and all((ROOT / name).exists() for name in sources)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert all(f"!{name}" in ignored for name in sources)


def test_both_kinds_of_container_are_there():
    assert [path.name for path in DOCKERFILES] == ["cpu.Dockerfile", "cuda.Dockerfile"]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint (scripts/supply brings one)")
def test_hadolint_has_no_remarks():
    done = subprocess.run(["hadolint", *DOCKERFILES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
