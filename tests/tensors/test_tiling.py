import dataclasses
import json

import numpy as np
import pytest
import torch
from conftest import enliven, save_model
from safetensors.torch import save_file

from recon_detect import load_detector
from recon_detect.evidence import distances as distances_module
from recon_detect.evidence import evidence
from recon_detect.evidence.distances import DISTANCES, Distances, Of
from recon_detect.models import autoencoders
from recon_detect.models.adapters import tiny_radius
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.lpips import load_lpips
from recon_detect.models.weights import find_weights
from recon_detect.tensors import tiling

CPU = torch.device("cpu")


def test_a_local_function_gives_the_same_in_tiles():
    x = torch.rand(2, 3, 37, 51)
    pool = torch.nn.functional.avg_pool2d
    blur = torch.nn.Conv2d(3, 3, 5, padding=2)
    with torch.no_grad():
        same, half = tiling.tiled(
            lambda part: (blur(part), pool(blur(part), 2)), [x], [lambda n: n, lambda n: n // 2], tile=8, halo=2
        )
        assert torch.allclose(same, blur(x), atol=1e-6)
        assert torch.allclose(half, pool(blur(x), 2), atol=1e-6)


@pytest.fixture
def small_tiles(monkeypatch):
    for module in (tiling, autoencoders):
        monkeypatch.setattr(module, "TILE", 16, raising=False)
        monkeypatch.setattr(module, "TILED_ABOVE", 100, raising=False)


def both(folder, x, monkeypatch):
    model = load_reconstructor(find_weights(str(folder)), CPU)
    with torch.inference_mode():
        in_tiles = model.encode(x), model.decode(model.encode(x))
        monkeypatch.setattr(model, "_halo", None)
        whole = model.encode(x), model.decode(model.encode(x))
    return in_tiles, whole


@pytest.mark.parametrize("blocks", [(1, 1, 1), (1, 3, 2)])
def test_tiny_autoencoders_give_the_same_in_tiles(blocks, tmp_path, small_tiles, monkeypatch):
    folder = save_model(tmp_path / "t", "AutoencoderTiny", num_encoder_blocks=blocks, num_decoder_blocks=blocks[::-1])
    in_tiles, whole = both(folder, torch.rand(1, 3, 100, 148) * 2 - 1, monkeypatch)
    for a, b in zip(in_tiles, whole, strict=True):
        assert a.shape == b.shape and (a - b).abs().max() < 1e-5


def test_a_pooled_one_gives_the_same_but_for_its_lowest_resolution(tmp_path, small_tiles, monkeypatch):
    from recon_detect.models.tiny import AutoencoderTiny

    config = {"num_encoder_blocks": [1, 2, 2], "num_decoder_blocks": [2, 2, 1], "use_midblock_gn": True}
    config |= {f"{part}_block_out_channels": [8, 8, 8] for part in ("encoder", "decoder")}
    folder = tmp_path / "pooled"
    folder.mkdir()
    module = enliven(AutoencoderTiny(config), 2)
    save_file(module.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "AutoencoderTiny"}))
    in_tiles, whole = both(folder, torch.rand(1, 3, 100, 148) * 2 - 1, monkeypatch)
    for a, b in zip(in_tiles, whole, strict=True):
        assert a.shape == b.shape and (a - b).abs().max() < 1e-4 < b.std() * 1e-2


@pytest.mark.slow
def test_real_tiny_autoencoders_give_the_same_in_tiles(shared_weights, small_tiles, monkeypatch):
    monkeypatch.setattr(autoencoders, "TILE", 160)
    in_tiles, whole = both(shared_weights / "taesd", torch.rand(1, 3, 168, 344) * 2 - 1, monkeypatch)
    for a, b in zip(in_tiles, whole, strict=True):
        assert (a - b).abs().max() < 1e-4


def test_the_radius_is_that_of_the_receptive_field(tmp_path):
    """What a change of one pixel, or one latent, can reach, against what the halo allows."""
    blocks = (1, 2, 1)
    folder = save_model(tmp_path / "t", "AutoencoderTiny", num_encoder_blocks=blocks, num_decoder_blocks=blocks[::-1])
    model = load_reconstructor(find_weights(str(folder)), CPU)
    module = model._module
    for parameter in module.parameters():  # no activation is switched off, no path cancels another
        parameter.data = torch.rand_like(parameter) / 100
    radius = tiny_radius(module.config)
    x = torch.zeros(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    module.double().requires_grad_(False)
    module.encode(x)[..., 32, 32].sum().backward()
    reached = np.flatnonzero(x.grad.abs().sum(dim=(0, 1, 2)).numpy())
    assert radius - 8 <= 128 - reached.min() <= radius and reached.max() - 128 <= radius
    z = torch.zeros(1, 4, 64, 64, dtype=torch.float64, requires_grad=True)
    module.decode(z)[..., 128, 128].sum().backward()
    reached = np.flatnonzero(z.grad.abs().sum(dim=(0, 1, 2)).numpy())
    assert (32 - reached.min()) * 4 <= radius and (reached.max() - 32) * 4 <= radius


@pytest.mark.parametrize("name", [row.name for row in DISTANCES.values() if row.of is Of.PIXELS])
def test_each_distance_of_pixels_has_the_halo_that_its_function_needs(name, monkeypatch):
    """No less, or tiles would differ from the whole; and no more than its window."""
    monkeypatch.setattr("recon_detect.evidence.distances.TILE", 16)
    x, y = torch.rand(2, 2, 3, 45, 62) * 2 - 1
    row = DISTANCES[name]
    whole = row.function(x, y)
    assert (Distances([name]).maps_in_tiles(x, y, [name])[name] - whole).abs().max() < 1e-6
    if row.halo:
        monkeypatch.setitem(DISTANCES, name, dataclasses.replace(row, halo=row.halo - 1))
        assert (Distances([name]).maps_in_tiles(x, y, [name])[name] - whole).abs().max() > 1e-6


@pytest.mark.parametrize("names", [["lpips_vgg_1", "lpips_vgg_2", "l1"], ["lpips_vgg_3"], ["ssim", "highpass_l2"]])
def test_distances_give_the_same_in_tiles(names, shared_weights, monkeypatch):
    distances = Distances(names, load_lpips(names, CPU))
    monkeypatch.setattr("recon_detect.evidence.distances.TILE", 32)
    x, y = torch.rand(2, 1, 3, 75, 102) * 2 - 1
    with torch.inference_mode():
        in_tiles = distances.maps_in_tiles(x, y, names)
        features = [{net: distances.features(image, net) for net in distances.nets(names)} for image in (x, y)]
        whole = distances.maps(x, y, *features, names)
    assert list(in_tiles) == list(whole)
    for name in names:
        assert in_tiles[name].shape == whole[name].shape
        assert (in_tiles[name] - whole[name]).abs().max() < 1e-5
    assert distances.tiled and not Distances(["lpips_alex_1"]).tiled


def test_a_large_image_has_the_score_of_its_whole(tiny_model, picture, monkeypatch):
    image = picture(180, 260)
    whole = load_detector("aeroblade", models=tiny_model, distance="l2").score(image, progress=False).scores
    for module in (tiling, autoencoders, evidence, distances_module):
        for name, value in (("TILE", 64), ("TILED_ABOVE", 1000)):
            monkeypatch.setattr(module, name, value, raising=False)
    in_tiles = load_detector("aeroblade", models=tiny_model, distance="l2").score(image, progress=False).scores
    assert in_tiles[0] == pytest.approx(whole[0], rel=1e-5)


def test_networks_that_see_everything_are_not_tiled(kl_model, small_tiles):
    assert not load_reconstructor(find_weights(str(kl_model)), CPU).tiled
