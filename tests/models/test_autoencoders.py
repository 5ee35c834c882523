import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import save_model
from safetensors.torch import save_file

from recon_detect import RunInfo, load_detector
from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.adapters import ADAPTERS, Adapter
from recon_detect.models.autoencoders import Autoencoder
from recon_detect.models.loading import choose_dtype, load_reconstructor
from recon_detect.models.registry import AUTOENCODERS
from recon_detect.models.sharing import share_equal_parts
from recon_detect.models.weights import find_weights

CPU = torch.device("cpu")

# Small random configurations of every class in the registry.
QWEN = {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [False],
        "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4}  # fmt: skip
DC = {"latent_channels": 8, "attention_head_dim": 8, "encoder_block_out_channels": (16, 16),
      "decoder_block_out_channels": (16, 16), "encoder_layers_per_block": (1, 1), "decoder_layers_per_block": (1, 1),
      "encoder_block_types": "ResBlock", "decoder_block_types": "ResBlock",
      "encoder_qkv_multiscales": ((), ()), "decoder_qkv_multiscales": ((), ())}  # fmt: skip
# As the registry's: attention in the last stage.
DC_ATTENTION = DC | {
    "encoder_block_types": ("ResBlock", "EfficientViTBlock"), "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
    "encoder_qkv_multiscales": ((), (5,)), "decoder_qkv_multiscales": ((), (5,)),
    "decoder_norm_types": ("rms_norm",) * 2, "decoder_act_fns": ("silu",) * 2,
}  # fmt: skip
VIDEO = QWEN | {"dim_mult": [1, 1, 1], "temperal_downsample": [False, True]}
WAN22 = VIDEO | {"decoder_base_dim": 8, "is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12,
                 "scale_factor_spatial": 8}  # fmt: skip
CASES = {
    "AutoencoderKL": ({}, 2),
    "AutoencoderTiny": ({}, 4),
    "VQModel": ({}, 2),
    "AutoencoderKLFlux2": (
        {"block_out_channels": (16, 16), "norm_num_groups": 8, "latent_channels": 8, "layers_per_block": 1,
         "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}, 2),
    "AsymmetricAutoencoderKL": (
        {"down_block_types": ("DownEncoderBlock2D",) * 2, "down_block_out_channels": (16, 16), "norm_num_groups": 8,
         "up_block_types": ("UpDecoderBlock2D",) * 2, "up_block_out_channels": (16, 16), "layers_per_down_block": 1,
         "layers_per_up_block": 1}, 2),
    "AutoencoderDC": (DC, 2),
    "AutoencoderKLQwenImage": (QWEN, 2),
    "AutoencoderKLWan": (VIDEO, 4),
}  # fmt: skip
# Classes of the full tier besides AutoencoderKL, as their rows configure them.
FULL = [
    ("AutoencoderKLQwenImage", VIDEO, 4),
    ("AutoencoderKLWan", VIDEO, 4),
    ("AutoencoderKLWan", WAN22, 8),
    ("AutoencoderDC", DC_ATTENTION, 2),
]


def build(tmp_path, class_name, **changes):
    return load_reconstructor(find_weights(str(save_model(tmp_path / class_name, class_name, **changes))), CPU)


@pytest.mark.parametrize("class_name", list(CASES))
def test_every_class_encodes_and_decodes(class_name, tmp_path):
    config, factor = CASES[class_name]
    autoencoder = build(tmp_path, class_name, **config)
    assert autoencoder.factor == factor
    x = torch.rand(2, 3, 16, 24) * 2 - 1
    with torch.inference_mode():
        z = autoencoder.encode(x)
        y = autoencoder.decode(z)
        alone = autoencoder.decode(autoencoder.encode(x[1:]))
    assert z.shape[-2:] == (16 // factor, 24 // factor)
    assert y.shape == x.shape and y.isfinite().all()
    assert (y[1:] - alone).abs().max() < 1e-4


@pytest.mark.parametrize(("class_name", "config", "factor"), FULL)
def test_classes_of_the_full_tier_reconstruct_as_diffusers_does_at_odd_sizes(class_name, config, factor, tmp_path):
    """Reflected to whole latents and cropped back; scores are finite and do not depend on the batch."""
    import diffusers

    folder = save_model(tmp_path / "model", class_name, **config)
    detector = load_detector("aeroblade", models=folder, distance="l2", device="cpu")
    module = getattr(diffusers, class_name).from_pretrained(folder).eval()
    x = torch.rand(2, 3, 37, 45, generator=torch.Generator().manual_seed(0)) * 2 - 1
    height, width = ((-side) % factor for side in x.shape[-2:])
    padded = torch.nn.functional.pad(x, (0, width, 0, height), mode="reflect")
    with torch.inference_mode():
        if class_name == "AutoencoderDC":
            expected = module.decode(module.encode(padded).latent).sample
        else:
            expected = module.decode(module.encode(padded[:, :, None]).latent_dist.mode()).sample[:, :, 0]
        e = detector.evidence(x)
        ours = e.reconstruction(0)
        assert ours.shape == x.shape and torch.allclose(ours, expected[..., :37, :45].clamp(-1, 1), atol=1e-4)
        alone = detector.evidence(x[1:]).error("l2")
        assert torch.allclose(e.error("l2")[1:], alone, rtol=1e-4) and e.error("l2", passes=2).isfinite().all()


@pytest.mark.parametrize(("class_name", "config", "factor"), FULL)
def test_classes_of_the_full_tier_in_low_precision(class_name, config, factor, tmp_path):
    weights = find_weights(str(save_model(tmp_path / "model", class_name, **config)))
    exact, low = load_reconstructor(weights, CPU), load_reconstructor(weights, CPU, "bfloat16")
    assert exact.factor == factor
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        reference = exact.decode(exact.encode(x))
        difference = (low.decode(low.encode(x)).float() - reference).abs().max()
    assert 0 < difference < 0.1 * max(reference.abs().max(), 1)


def test_stage_a_of_wuerstchen_works_on_zero_to_one(tmp_path):
    from diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model import PaellaVQModel

    torch.manual_seed(0)
    module = PaellaVQModel(levels=2, bottleneck_blocks=1, embed_dim=16, num_vq_embeddings=8)
    module.save_pretrained(tmp_path / "a")
    autoencoder = load_reconstructor(find_weights(str(tmp_path / "a")), CPU)
    assert autoencoder.factor == 4
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    module.eval()
    with torch.inference_mode():
        expected = module((x + 1) / 2).sample * 2 - 1
        assert torch.allclose(autoencoder.decode(autoencoder.encode(x)), expected, atol=1e-5)


def test_tiny_latents_are_not_rounded(tiny_model):
    from diffusers import AutoencoderTiny

    module = AutoencoderTiny.from_pretrained(tiny_model).eval()
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    autoencoder = load_reconstructor(find_weights(str(tiny_model)), CPU)
    with torch.inference_mode():
        exact = module.decode(module.encode(x).latents).sample
        ours = autoencoder.decode(autoencoder.encode(x))
        assert torch.allclose(ours, exact, atol=1e-5)
        assert not torch.allclose(ours, module(x).sample, atol=1e-5)


def test_mode_and_sample_of_the_posterior(kl_model):
    autoencoder = load_reconstructor(find_weights(str(kl_model)), CPU)
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    with torch.inference_mode():
        mode = autoencoder.encode(x)
        assert torch.equal(autoencoder.encode(x, torch.zeros), mode)
        generator = torch.Generator().manual_seed(3)
        sample = autoencoder.encode(x, lambda shape: torch.randn(shape, generator=generator))
        posterior = autoencoder._module.encode(x).latent_dist
        assert torch.allclose(sample, posterior.sample(torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_keeps_weights_and_results_close(dtype, tiny_model):
    weights = find_weights(str(tiny_model))
    exact, low = load_reconstructor(weights, CPU), load_reconstructor(weights, CPU, dtype)
    assert low.low_precision and not exact.low_precision
    assert next(low._module.parameters()).dtype == torch.float32
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.inference_mode():
        y = low.decode(low.encode(x))
        assert y.dtype == getattr(torch, dtype)
        reference = exact.decode(exact.encode(x))
        assert (y.float() - reference).abs().max() < 0.1
        assert torch.equal(low.decode(low.encode(x, precise=True), precise=True), reference)


def test_pure_precision_converts_weights_and_can_lift_them_once(tiny_model):
    weights = find_weights(str(tiny_model))
    low = load_reconstructor(weights, CPU, "bfloat16", pure=True)
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.inference_mode():
        assert low.decode(low.encode(x)).dtype == torch.bfloat16
        assert low.decode(low.encode(x, precise=True), precise=True).dtype == torch.float32
        assert low.decode(low.encode(x)).dtype == torch.bfloat16


def test_dtype_policy():
    cuda = torch.device("cuda")
    assert choose_dtype("sdxl", cuda, "auto") == torch.bfloat16
    assert choose_dtype("sd1", cuda, "auto") == torch.float16
    assert choose_dtype("sd1", CPU, "auto") == torch.float32
    assert choose_dtype("owner/unknown", cuda, "auto") == torch.bfloat16
    assert choose_dtype("sd1", cuda, "auto", pure=True) == torch.float16
    assert choose_dtype("sdxl", cuda, "auto", pure=True) == torch.float32
    assert choose_dtype("sd1", CPU, "auto", pure=True) == torch.float32
    with pytest.raises(UsageError, match="sdxl overflows in float16"):
        choose_dtype("sdxl", cuda, "float16")
    with pytest.raises(UsageError, match="unknown dtype"):
        choose_dtype("sdxl", cuda, "int8")


def test_equal_encoders_are_recognised(tmp_path):
    """Like Stable Diffusion 1 and 2: one encoder, two decoders."""
    first = build(tmp_path / "a", "AutoencoderKL")
    second = build(tmp_path / "b", "AutoencoderKL")
    third = build(tmp_path / "c", "AutoencoderKL", seed=1)
    same = build(tmp_path / "d", "AutoencoderKL")
    for name, parameter in second._module.named_parameters():
        if name.startswith("decoder."):
            parameter.data.add_(0.01)
    share_equal_parts([first, second, third, same])
    assert first.encoder_key == second.encoder_key == same.encoder_key != third.encoder_key
    assert first.key == same.key
    assert len({first.key, second.key, third.key}) == 3


class FakeAutoencoder(torch.nn.Module):
    """A class whose tensors have names that no other class has."""

    def __init__(self, analysis, synthesis):
        super().__init__()
        self.config = {}
        self.analysis = torch.nn.Parameter(torch.full((3,), analysis))
        self.synthesis = torch.nn.Parameter(torch.full((3,), synthesis))


def test_a_new_class_shares_latents_only_where_its_encoder_is_known_to_be_equal(tiny_model, monkeypatch):
    def keys(encoder):
        adapter = Adapter(lambda m, x: x * m.analysis[:, None, None], lambda m, z: z, lambda m: 1, encoder)
        monkeypatch.setitem(ADAPTERS, "FakeAutoencoder", adapter)
        weights = find_weights(str(tiny_model))
        pairs = ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (1.0, 1.0))
        models = [Autoencoder(weights, FakeAutoencoder(*pair), CPU, torch.float32) for pair in pairs]
        share_equal_parts(models)
        return [model.encoder_key for model in models], [model.key for model in models]

    for encoder in ((), ("encoder.",)):  # none named, and names that the class does not have
        one, other_encoder, other_decoder, same = keys(encoder)[0]
        assert one == same and len({one, other_encoder, other_decoder}) == 3
    (one, other_encoder, other_decoder, same), whole = keys(("analysis",))
    assert one == same == other_decoder != other_encoder and len(set(whole)) == 3


def test_equal_tensors_under_another_configuration_are_another_model(tmp_path, picture):
    """An activation has no tensors: it changes scores, keys and the fingerprint of the run."""
    folders = [
        save_model(tmp_path / name, "AutoencoderTiny", act_fn=act) for name, act in (("a", "relu"), ("b", "silu"))
    ]
    first, second = (load_reconstructor(find_weights(str(folder)), CPU) for folder in folders)
    assert first.weights.sha256 == second.weights.sha256
    share_equal_parts([first, second])
    assert first.encoder_key != second.encoder_key and first.key != second.key
    detectors = [load_detector("aeroblade", models=folder, distance="l2") for folder in folders]
    assert len({detector.run_info.fingerprint for detector in detectors}) == 2
    assert len({detector.score(picture(), progress=False).scores[0] for detector in detectors}) == 2
    config = json.loads((folders[0] / "config.json").read_text())
    (folders[0] / "config.json").write_text(json.dumps(config | {"_diffusers_version": "0.0.1"}))
    again = load_detector("aeroblade", models=folders[0], distance="l2")
    assert again.run_info.fingerprint == detectors[0].run_info.fingerprint


def test_configurations_of_the_registry_are_pinned_and_edited_ones_count(tmp_path, monkeypatch):
    shipped = load_detector("trace").run_info
    assert [model.config_sha256 for model in shipped.models] == [None] * 4
    row = AUTOENCODERS["mini-sd"]
    assert load_detector("dire").run_info.models[0].config_sha256 is None
    monkeypatch.setitem(AUTOENCODERS, "mini-sd", dataclasses.replace(row, config_sha256="0" * 64))
    edited = load_detector("trace").run_info
    assert edited.models[0].config_sha256 == row.config_sha256
    assert edited.fingerprint != shipped.fingerprint
    without = {"schema": 3, **shipped.to_dict()}
    for model in without["models"]:
        del model["config_sha256"]
    assert RunInfo.from_dict(without).fingerprint == shipped.fingerprint


def test_other_classes_and_broken_folders_are_errors(tmp_path, kl_model):
    folder = save_model(tmp_path / "kl")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "UNet2DConditionModel"}))
    with pytest.raises(WeightsError, match="_class_name is 'UNet2DConditionModel'; expected one of AutoencoderKL"):
        load_reconstructor(find_weights(str(folder)), CPU)
    (folder / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="not a diffusers configuration"):
        load_reconstructor(find_weights(str(folder)), CPU)
    (folder / "config.json").write_text(json.dumps(config | {"block_out_channels": [8, 8]}))
    with pytest.raises(WeightsError, match="does not load"):
        load_reconstructor(find_weights(str(folder)), CPU)


@pytest.mark.slow
def test_a_broken_torchvision_is_treated_as_absent(tmp_path, kl_model):
    """As PyPI's CUDA build beside a CPU torch: installed, found by name, and failing on import."""
    package = tmp_path / "site" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    dist = tmp_path / "site" / "torchvision-0.28.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: torchvision\nVersion: 0.28.0\n")
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "import torch, logging; logging.basicConfig()\n"
        "from recon_detect.models.loading import load_reconstructor\n"
        "from recon_detect.models.weights import find_weights\n"
        f"print(load_reconstructor(find_weights({str(kl_model)!r}), torch.device('cpu')).factor)\n"
        "from transformers import CLIPVisionModel; print(CLIPVisionModel.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "CLIPVisionModel"], done.stderr
    assert "torchvision is installed but broken" in done.stderr


def test_weights_that_lack_some_and_settings_nested_too_deep_are_weights_errors(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    save_file({}, folder / "diffusion_pytorch_model.safetensors")
    with pytest.raises(WeightsError, match=r"weights are not in the file, such as"):
        load_detector("aeroblade", models=folder, distance="l2", device="cpu")
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="not a diffusers configuration"):
        load_detector("aeroblade", models=folder, distance="l2", device="cpu")
