"""Fixtures for all tests: no network but loopback, empty caches, and small networks made on the spot."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image

# Before huggingface_hub is imported anywhere: no test sees the caches or tokens of the machine.
_HOME = Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", "/tmp")) / f"recon_detect-tests-{os.getpid()}"
os.environ |= {"HF_HOME": str(_HOME / "hf"), "TORCH_HOME": str(_HOME / "torch"), "HF_HUB_DISABLE_TELEMETRY": "1"}
# One thread in each process, also in those that tests start: the networks are tiny, and the tests run side by side.
os.environ["OMP_NUM_THREADS"] = "1"
# Which engine is faster depends on the machine and on what else it does; tests of engines name one.
os.environ["RECON_DETECT_ENGINE"] = "torch"
os.environ.pop("HF_TOKEN", None)
os.environ.pop("RECON_DETECT_WEIGHTS", None)

torch.set_num_threads(1)

# How long an example takes depends on the machine.
hypothesis.settings.register_profile(
    "tests", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def _only_loopback():
    """Fails any connection that leaves the machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            raise AssertionError(f"a test wants to connect to {address}")
        return connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture
def no_engine_choices(monkeypatch, tmp_path):
    """An empty file of the engines that were measured, which is the user's otherwise."""
    from recon_detect.models import engines

    monkeypatch.setattr(engines, "choices_file", lambda: tmp_path / "cache" / "engines.json")


def _shared_folder() -> Path:
    return Path(os.environ.get("RECON_DETECT_SHARED", Path(__file__).parents[1] / ".." / "shared")).resolve()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real weights, images and reference outputs, which are not part of the repository."""
    folder = _shared_folder()
    if not (folder / "weights").is_dir():
        pytest.skip(f"no {folder}: set RECON_DETECT_SHARED to the folder with weights, eval and parity")
    return folder


@pytest.fixture
def shared_weights(shared, monkeypatch) -> Path:
    """Real weights are found by name."""
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(shared / "weights"))
    return shared / "weights"


@pytest.fixture(autouse=True)
def no_shared_by_default(monkeypatch, tmp_path):
    """Only tests that ask for `shared_weights` find them: the others must not depend on what lies beside the clone."""
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path / "no-weights"))


def save_model(folder: Path, class_name: str = "AutoencoderKL", *, seed: int = 0, **changes) -> Path:
    """Writes a small random autoencoder in diffusers' format and returns its folder."""
    import diffusers

    torch.manual_seed(seed)
    channels = {"block_out_channels": (16, 16), "norm_num_groups": 8}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    configs = {
        "AutoencoderKL": channels | blocks | {"layers_per_block": 1},
        "AutoencoderTiny": {
            "encoder_block_out_channels": (8, 8, 8),
            "decoder_block_out_channels": (8, 8, 8),
            "num_encoder_blocks": (1, 1, 1),
            "num_decoder_blocks": (1, 1, 1),
        },
        # Spatial normalisation works on groups of 32.
        "VQModel": blocks | {"block_out_channels": (32, 32), "num_vq_embeddings": 8, "norm_type": "spatial"},
    }
    module = getattr(diffusers, class_name)(**(configs.get(class_name, {}) | changes))
    module.save_pretrained(folder)
    return folder


def enliven(module, factor: float):
    """Multiplies the weights of a random network, so that its output follows its input as a trained one's does.

    Otherwise what a second pass or a turn changes is 1e-4 of a pixel, of which float32 keeps two or three digits.
    """
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight.mul_(factor)
    return module


@pytest.fixture(scope="session")
def kl_model(tmp_path_factory) -> Path:
    """A random AutoencoderKL, factor 2."""
    return save_model(tmp_path_factory.mktemp("models") / "kl")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A random AutoencoderTiny, factor 4."""
    return save_model(tmp_path_factory.mktemp("models") / "tiny", "AutoencoderTiny")


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


@pytest.fixture(autouse=True)
def _level_of_the_log():
    """Restores what a command with --quiet leaves behind, so that tests do not depend on their order."""
    logger = logging.getLogger("recon_detect")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def picture():
    """Makes smooth random pictures, uint8 (H, W, 3), the same for the same arguments."""

    def make(height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
        coarse = np.random.default_rng(seed).integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def folder_of(tmp_path, picture):
    """Makes the folder ``photos`` with so many pictures of 16 px."""

    def make(count: int) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir()
        for number in range(count):
            name = f"{number:0{len(str(count - 1))}}.png"
            Image.fromarray(picture(16, 16, seed=number)).save(folder / name)
        return folder

    return make


@pytest.fixture
def image_folder(tmp_path, picture) -> Path:
    """Eight PNG files of two sizes, one of them broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(7):
        size = (24, 32) if number % 2 else (32, 32)
        Image.fromarray(picture(*size, seed=number)).save(folder / f"{number}.png")
    (folder / "3_broken.png").write_bytes(b"not an image")
    return folder


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
