import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from assets.students import autoencoders, diffusion, ship
from assets.students.optimiser import orthogonal
from assets.students.precision import PRECISION
from assets.students.training import CHECKPOINT, Crops
from recon_detect.models.pixel_diffusion import build_unet
from tests.conftest import enliven, save_model


@pytest.fixture
def photographs(tmp_path, picture):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(picture(160, 144, seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    from diffusers import AutoencoderTiny

    channels = {"encoder_block_out_channels": (16,) * 3, "decoder_block_out_channels": (16,) * 3}
    folder = save_model(tmp_path_factory.mktemp("models") / "taesd", "AutoencoderTiny", **channels)
    enliven(AutoencoderTiny.from_pretrained(folder), 2).save_pretrained(folder)
    return folder


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


def log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_muon_keeps_the_directions_and_makes_their_lengths_alike():
    matrices = torch.randn(2, 16, 40, generator=torch.Generator().manual_seed(0)) * torch.logspace(-1, 1, 40)
    u, s, v = torch.linalg.svd(orthogonal(matrices), full_matrices=False)
    assert s.min() > 0.3 and s.max() < 1.4
    wanted = torch.linalg.svd(matrices, full_matrices=False)
    assert torch.linalg.matrix_norm(u @ v - wanted.U @ wanted.Vh).max() < 0.4 * 4


def test_crops_of_one_seed_are_the_same(photographs):
    images = [Image.open(path).convert("RGB") for path in sorted(photographs.glob("*.png"))]
    first, again = (Crops(images, np.random.default_rng(3), 32).draw(4) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (4, 3, 32, 32)
    assert first.min() >= 0 and first.max() <= 1


@pytest.fixture
def small(monkeypatch):
    """Crops of 64 px, few of them, and a checkpoint after every few rounds."""
    for name, value in {"REPORT": 10, "CROP": 64, "POOL_START": 4, "POSITIONS": 2048}.items():
        monkeypatch.setattr(autoencoders, name, value)


@pytest.mark.slow
def test_a_student_comes_near_its_teacher_and_goes_on(small, monkeypatch, tmp_path, photographs, teacher):
    arguments = (teacher, "--photographs", photographs, "--runs", tmp_path)
    run(autoencoders, monkeypatch, *arguments, "--rounds", 10)
    first = load_file(tmp_path / "taesd" / CHECKPOINT)
    run(autoencoders, monkeypatch, *arguments, "--rounds", 40)
    lines = log(tmp_path / "taesd")
    assert [line["round"] for line in lines] == [10, 20, 30, 40]
    assert lines[-1]["seconds"] >= lines[0]["seconds"]
    assert lines[-1]["layers"][1] > lines[0]["layers"][1] + 3 and lines[-1]["decoder"] > lines[0]["decoder"]
    second = load_file(tmp_path / "taesd" / CHECKPOINT)
    assert first.keys() == second.keys() and any(name.startswith("optimiser.0.") for name in second)


def test_each_layer_is_held_to_the_same_layer_of_the_teacher(photographs, teacher):
    """With the teacher's weights there is nothing left to learn."""
    from diffusers import AutoencoderTiny

    images = [Image.open(path).convert("RGB") for path in sorted(photographs.glob("*.png"))]
    module = AutoencoderTiny.from_pretrained(teacher).to(PRECISION).requires_grad_(False)
    pool = autoencoders.ActivationPool(module, Crops(images, np.random.default_rng(0), 64))
    pool.renew()
    student = AutoencoderTiny.from_pretrained(teacher)
    assert min(autoencoders.gradients(student, pool)) > 40
    assert all(layer.weight.grad is not None for layer in autoencoders.convolutions(student).values())
    other = AutoencoderTiny.from_config(student.config)
    assert max(autoencoders.gradients(other, pool)) < 20


def test_a_student_is_shipped_with_a_card_of_what_was_measured(small, monkeypatch, tmp_path, photographs, teacher):
    from diffusers import AutoencoderTiny

    monkeypatch.setattr(ship, "EMBEDDED", tmp_path / "package")
    monkeypatch.setattr(ship, "find_weights", lambda name: autoencoders.find_weights(str(teacher)))
    run(autoencoders, monkeypatch, teacher, "--photographs", photographs, "--runs", tmp_path, "--rounds", 2)
    run(ship, monkeypatch, "taesd", "--runs", tmp_path)
    folder = tmp_path / "package" / "mini-sd"
    shipped = load_file(folder / "diffusion_pytorch_model.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in shipped.values())
    trained = load_file(tmp_path / "taesd" / CHECKPOINT)
    assert all(torch.equal(tensor, trained[f"student.{name}"].half()) for name, tensor in shipped.items())
    AutoencoderTiny.from_pretrained(folder, local_files_only=True)
    card = (folder / "README.md").read_text()
    last = log(tmp_path / "taesd")[-1]
    assert f"both {last['both']} dB" in card and "taesd`, 2 rounds, seed 0" in card and "MIT" in card


def test_images_are_noised_as_the_schedule_says():
    x = torch.ones(4, 3, 2, 2)
    signal = torch.linspace(0.99, 0.01, 100)
    noisy, t, noise = diffusion.noised(x, signal, np.random.default_rng(0))
    kept = signal[t].view(-1, 1, 1, 1)
    assert torch.allclose(noisy, kept.sqrt() + (1 - kept).sqrt() * noise)
    assert sorted((t // 25).tolist()) == [0, 1, 2, 3]


def test_coarse_differences_of_white_noise_weigh_as_much_as_fine_ones():
    noise = torch.randn(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert diffusion.coarse(noise).item() == pytest.approx(3, rel=0.1)
    assert diffusion.coarse(torch.full((1, 3, 64, 64), 0.1)).item() == pytest.approx(0.01 * (16 + 256 + 4096), rel=1e-3)


def test_muted_pieces_keep_their_texture_and_lose_colour():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.5
    found = diffusion.muted(x)
    assert torch.allclose(found.mean(dim=(2, 3)), diffusion.MUTED * x.mean(dim=(2, 3)), atol=1e-6)
    assert torch.allclose(found.diff(dim=3), x.diff(dim=3), atol=1e-6)
    assert diffusion.muted(torch.stack([x[0], -x[0]]) * 1.4).abs().max() <= 1


def test_the_diffusion_model_is_trained_and_averaged_and_goes_on(monkeypatch, tmp_path, photographs):
    small = diffusion.CONFIG | {"block_out_channels": [16, 16, 16], "sample_size": 16, "attention_head_dim": 8}
    monkeypatch.setattr(diffusion, "CONFIG", small)
    monkeypatch.setattr(diffusion, "SAMPLE_SIDE", 16)
    monkeypatch.setattr(diffusion, "REPORT", 2)
    monkeypatch.setattr(diffusion, "PLAIN", 3)
    arguments = ("--photographs", photographs, "--runs", tmp_path, "--batch-size", 2)
    run(diffusion, monkeypatch, *arguments, "--rounds", 2)
    first = load_file(tmp_path / "diffusion" / CHECKPOINT)
    run(diffusion, monkeypatch, *arguments, "--rounds", 4)
    assert [line["round"] for line in log(tmp_path / "diffusion")] == [2, 4]
    state = load_file(tmp_path / "diffusion" / CHECKPOINT)
    names = list(build_unet(small).state_dict())
    assert all(f"averaged.{name}" in state and f"network.{name}" in state for name in names)
    assert any(not torch.equal(first[f"averaged.{name}"], state[f"averaged.{name}"]) for name in names)
