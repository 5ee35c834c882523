"""What a first answer needs: no network, few imports, some memory."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import read_jsonl
from PIL import Image
from sklearn.datasets import load_sample_images

from recon_detect.models.registry import MODEL_SETS

# The command line, the modules that it imported, and what its process held at most, where the system tells.
MEASURED = """
import atexit, pathlib, sys
from recon_detect.cli import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(status.read_text() if status.is_file() else "", *sys.modules, sep="\\n", file=sys.stderr))
main()
"""

# Packages and modules that some runs need, and a default one does not.
NEEDLESS = (
    "accelerate", "diffusers", "huggingface_hub", "lpips", "matplotlib", "pandas", "pyarrow", "scipy.optimize",
    "scipy.stats", "sklearn", "sympy", "torch._dynamo", "torch._inductor", "torchvision", "transformers",
)  # fmt: skip


def needless(modules):
    return sorted(
        name for name in NEEDLESS if any(module == name or module.startswith(f"{name}.") for module in modules)
    )


def test_the_detector_is_imported_without_what_it_may_not_need():
    program = "import sys, recon_detect.detector; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = done.stdout.split()
    assert "torch" in modules and not needless(modules)


@pytest.fixture
def pictures(tmp_path):
    """A photograph as it comes with scikit-learn, and a part of another."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    first, second = map(Image.fromarray, load_sample_images().images)
    first.save(folder / "a.png")
    second.crop((0, 0, 224, 224)).save(folder / "b.png")
    return folder


@pytest.mark.slow
def test_the_first_command_asks_nobody_names_its_models_and_imports_nothing_needless(pictures, tmp_path):
    """In a process of its own: no cache, no folder of weights, and a hub that is not there."""
    empty = {
        "HF_HOME": str(tmp_path / "hf"),
        "TORCH_HOME": str(tmp_path / "torch"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-c", MEASURED, "score", str(pictures), "--effort", "quick"]
    command += ["--output", str(tmp_path / "scores.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | empty, check=True)
    assert all(f"{name} (float32)" in done.stderr for name in MODEL_SETS["embedded"])
    assert re.search(r"2 images, 0 failed; trace \(encoder_features\)", done.stderr)
    run = json.loads((tmp_path / "scores.jsonl.run.json").read_text(encoding="utf-8"))
    assert [model["origin"] for model in run["models"]] == ["package"] * 4
    rows = read_jsonl(tmp_path / "scores.jsonl")
    assert len(rows) == 2 and all(abs(row["score"]) < 4 for row in rows)
    assert not (tmp_path / "hf").exists()
    modules = done.stderr.split()
    assert "recon_detect.models.tiny" in modules and not needless(modules)
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stderr)
    assert int(peak[1]) * 1024 < 1.5e9 if peak else sys.platform != "linux"
