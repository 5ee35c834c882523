"""What a first answer imports: seconds before the first verdict, and memory."""

import subprocess
import sys

import pytest
from PIL import Image

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


@pytest.mark.slow
def test_a_default_score_imports_nothing_needless(tmp_path, picture):
    Image.fromarray(picture(224, 224)).save(tmp_path / "picture.png")
    command = [sys.executable, "-X", "importtime", "-m", "recon_detect", "score", str(tmp_path / "picture.png")]
    command += ["--effort", "quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '"error": null' in done.stdout
    modules = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    assert "recon_detect.models.tiny" in modules and not needless(modules)
