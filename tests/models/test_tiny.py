"""Our AutoencoderTiny beside diffusers' class, and TAEF2 beside its authors' output."""

import json
import shutil

import pytest
import torch
from conftest import enliven, save_model
from safetensors.torch import load_file, save_file

from recon_detect import load_detector
from recon_detect.errors import WeightsCorrupt, WeightsError, WeightsMissing
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.tiny import AutoencoderTiny, load_tiny
from recon_detect.models.weights import RELEASE, find_weights

CPU = torch.device("cpu")


def reconstructed(module, x):
    """Latents and image of an `AutoencoderTiny`, or of diffusers' class of this name."""
    with torch.inference_mode():
        z = module.encode(x)
        z = getattr(z, "latents", z)
        y = module.decode(z)
        return z, getattr(y, "sample", y)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"act_fn": "gelu", "latent_channels": 16, "upsample_fn": "bilinear"},
        {"num_encoder_blocks": (1, 3, 2), "num_decoder_blocks": (2, 3, 1), "act_fn": "swish"},
    ],
)
def test_results_equal_those_of_diffusers_bit_by_bit(changes, tmp_path):
    import diffusers

    folder = save_model(tmp_path / "model", "AutoencoderTiny", **changes)
    theirs = enliven(diffusers.AutoencoderTiny.from_pretrained(folder), 2).eval()
    theirs.save_pretrained(folder)
    ours = load_tiny(find_weights(str(folder)))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    x = torch.rand(2, 3, 24, 40) * 2 - 1
    for a, b in zip(reconstructed(ours, x), reconstructed(theirs, x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", ["mini-sd", "mini-flux1"])
def test_the_models_of_the_package_equal_those_of_diffusers(name):
    import diffusers

    weights = find_weights(name)
    x = torch.rand(1, 3, 48, 64) * 2 - 1
    theirs = diffusers.AutoencoderTiny.from_pretrained(weights.folder, torch_dtype=torch.float32).eval()
    for a, b in zip(reconstructed(load_tiny(weights), x), reconstructed(theirs, x), strict=True):
        assert torch.equal(a, b)


def test_taef2_gives_what_its_authors_code_gives(shared, shared_weights):
    expected = load_file(shared / "parity" / "taef2" / "expected.safetensors")
    model = load_reconstructor(find_weights("taef2"), CPU)
    with torch.inference_mode():
        latents = model.encode(expected["x"] * 2 - 1)
        decoded = (model.decode(expected["latents"]) + 1) / 2
    assert (latents - expected["latents"]).abs().max() < 2e-5
    assert (decoded - expected["decoded"]).abs().max() < 2e-5


def test_the_pooling_of_taef2_sees_the_whole_image(shared_weights):
    model = load_reconstructor(find_weights("taef2"), CPU)
    x = torch.rand(1, 3, 64, 512) * 2 - 1
    changed = x.clone()
    changed[..., -32:] = 0
    with torch.inference_mode():
        far = (model.encode(x) - model.encode(changed))[..., :8].abs().max()
        assert 1e-4 < far < 1
        # The features that images are compared by lie before it.
        near = [model.encode_features(image)[1][..., :128] for image in (x, changed)]
    assert torch.equal(*near)


def release(folder, module):
    """The two files of the authors: the decoder begins with a layer without tensors."""
    folder.mkdir()
    state = module.state_dict()
    for part, filename, moved in zip(("encoder", "decoder"), RELEASE, (0, 1), strict=True):
        tensors = {}
        for name, tensor in state.items():
            if name.startswith(f"{part}.layers."):
                layer, _, rest = name.removeprefix(f"{part}.layers.").partition(".")
                tensors[f"{int(layer) + moved}.{rest}"] = tensor
        save_file(tensors, folder / filename)
    return folder


@pytest.mark.parametrize("pooled", [False, True])
def test_the_authors_files_have_the_configuration_in_their_tensors(pooled, tmp_path, picture):
    torch.manual_seed(0)
    module = enliven(AutoencoderTiny({"latent_channels": 32, "use_midblock_gn": pooled}), 2)
    folder = release(tmp_path / "model", module)
    loaded = load_tiny(find_weights(str(folder)))
    assert loaded.config == module.config
    x = torch.rand(1, 3, 32, 48) * 2 - 1
    for a, b in zip(reconstructed(loaded, x), reconstructed(module, x), strict=True):
        assert torch.equal(a, b)
    detector = load_detector("contrast", models=folder, distance="encoder_features", device="cpu")
    assert detector.score(picture(), progress=False).raise_for_errors()
    assert detector.run_info.models[0].sha256 == find_weights(str(folder)).sha256


def test_the_sum_is_that_of_both_files(tmp_path, monkeypatch):
    folder = release(tmp_path / "taef2", AutoencoderTiny({"use_midblock_gn": True}))
    first = find_weights(str(folder)).sha256
    state = load_file(folder / "decoder.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, folder / "decoder.safetensors")
    assert find_weights(str(folder)).sha256 != first
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsCorrupt, match="none of the known files of 'taef2'"):
        find_weights("taef2")
    (folder / "decoder.safetensors").unlink()
    with pytest.raises(WeightsMissing, match=r"expected config\.json"):
        find_weights(str(folder))


def test_weights_on_no_hub_say_where_they_are():
    with pytest.raises(WeightsMissing, match=r"no copy on the hub .*[\s\S]*taef2_encoder\.pth .*encoder\.safetensors"):
        find_weights("taef2")


def test_configurations_and_tensors_that_do_not_fit_are_weights_errors(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config, weights = folder / "config.json", folder / "diffusion_pytorch_model.safetensors"
    original = json.loads(config.read_text())
    for changes, problem in (
        ({"act_fn": "sine"}, "act_fn 'sine': expected one of relu"),
        ({"latent_channels": 5}, "size mismatch"),
        ({"num_encoder_blocks": [1, 1]}, "encoder: 3 levels by block_out_channels, 2 by num_blocks"),
    ):
        config.write_text(json.dumps(original | changes))
        with pytest.raises(WeightsError, match=problem):
            load_reconstructor(find_weights(str(folder)), CPU)
    config.write_text(json.dumps(original))
    save_file(load_file(weights) | {"encoder.other": torch.ones(1)}, weights)
    with pytest.raises(WeightsError, match="1 weights are without a place, such as encoder.other"):
        load_reconstructor(find_weights(str(folder)), CPU)


def test_no_random_numbers_are_drawn(tiny_model):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_reconstructor(find_weights(str(tiny_model)), CPU)
    assert torch.equal(torch.rand(3), expected)
