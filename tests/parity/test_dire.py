"""DIRE's loops and UNet against what the authors' code computed (shared/parity/dire_64)."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recon_detect.models.converters.guided_diffusion import Heads, convert
from recon_detect.models.inversion import dire_inversion, dire_sampling
from recon_detect.models.pixel_diffusion import PixelDiffusion

FOLDER = Path(os.environ.get("RECON_DETECT_SHARED", "../shared")) / "parity" / "dire_64"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no reference outputs in {FOLDER}")


@pytest.fixture(scope="module")
def expected():
    return load_file(FOLDER / "expected.safetensors")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "adm"
    convert(FOLDER / "adm.pt", folder, heads=Heads(16), image_size=64)
    return PixelDiffusion.from_pretrained(folder).eval().requires_grad_(False)


@pytest.mark.parametrize("time", [0, 950])
def test_the_network(model, expected, time):
    assert torch.allclose(model.unet(expected["x"], time).sample, expected[f"eps_t{time}"], atol=1e-4, rtol=0)


def test_the_loops_and_what_is_saved(model, expected):
    latent = model.invert(expected["x"])
    recon = model.sample(latent)
    assert torch.allclose(latent, expected["latent"], atol=1e-3, rtol=0)
    assert torch.allclose(recon, expected["recon"], atol=5e-3, rtol=0)
    dire = ((expected["x"] - recon).abs() * 127.5).clamp(0, 255).byte()
    assert ((dire.int() - expected["dire_u8"].int()).abs() <= 1).float().mean() >= 0.99


def test_the_first_steps_alone(model, expected):
    latent = dire_inversion(model.predict, expected["x"], model.schedule, steps=5)
    recon = dire_sampling(model.predict, latent, model.schedule, steps=5)
    assert torch.allclose(recon, expected["recon_real_step5"], atol=5e-3, rtol=0)
