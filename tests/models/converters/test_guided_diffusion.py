import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.converters.guided_diffusion import Architecture, Heads, convert, renamed, usual_size
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.pixel_diffusion import PixelDiffusion, build_unet, check_shapes
from recon_detect.models.weights import find_weights
from tests.models.adm import ADM

VARIANTS = {
    "as published": {},
    "convolutions change the resolution": {"resblock_updown": False},
    "two blocks, three levels": {"blocks": 2, "mult": (1, 2, 2), "attention": (False, True, True)},
    "attention in the middle alone": {"attention": (False, False)},
    "attention at full resolution": {"attention": (True, False), "mult": (1, 1)},
    "new order": {"new_order": True},
    "heads by number": {"heads": 2, "mult": (1, 2, 4), "attention": (False, True, True)},
    "narrow first level": {"channels": 64, "mult": (0.5, 1), "head_channels": 32},
    "shift alone": {"scale_shift": False},
    "class-conditional": {"classes": 5},
    "no learned variance": {"out": 3},
    "one level": {"mult": (1,), "attention": (True,)},
}


@pytest.fixture
def checkpoint(tmp_path):
    def make(**options):
        model = ADM(**options).eval()
        torch.save(model.state_dict(), tmp_path / "adm.pt")
        return model, tmp_path / "adm.pt"

    return make


def heads_of(options):
    number = options.get("heads")
    channels = None if number else options.get("head_channels", 16)
    return Heads(channels, number, options.get("new_order", False))


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_the_converted_network_predicts_what_the_original_predicts(checkpoint, tmp_path, options):
    model, path = checkpoint(**options)
    found = convert(path, tmp_path / "out", heads=heads_of(options), image_size=16)
    assert found.blocks == options.get("blocks", 1) and found.classes == options.get("classes")
    converted = PixelDiffusion.from_pretrained(tmp_path / "out").eval()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for time in (0, 950):
            expected = model(x, time, 0 if found.classes else None)[:, :3]
            assert torch.allclose(converted.predict(x, time), expected, atol=2e-5)


def test_the_other_order_or_other_heads_predict_something_else(checkpoint, tmp_path):
    """Which the tensors do not tell: the options matter."""
    model, path = checkpoint()
    x = torch.randn(1, 3, 16, 16)
    for heads in (Heads(16, new_order=True), Heads(32)):
        convert(path, tmp_path / "out", heads=heads, image_size=16)
        with torch.inference_mode():
            found = PixelDiffusion.from_pretrained(tmp_path / "out").predict(x, 0)
            assert not torch.allclose(found, model(x, 0)[:, :3], atol=1e-3)


def test_the_size_is_that_of_the_published_model_with_these_channels(checkpoint, tmp_path):
    _, path = checkpoint(mult=(1, 2, 3, 4), attention=(False, True, True, True))
    convert(path, tmp_path / "out", heads=Heads(16))
    assert json.loads((tmp_path / "out" / "config.json").read_text())["sample_size"] == 64
    _, path = checkpoint(mult=(1, 2))
    with pytest.raises(UsageError, match="channels .32, 64. are those of no published size"):
        convert(path, tmp_path / "out", heads=Heads(16))


def test_the_whole_256_px_architecture_has_a_place_for_every_tensor():
    """Names and shapes alone: 550 million parameters stay on the meta device."""
    mult, attention = (1, 1, 2, 2, 4, 4), (False, False, False, True, True, True)
    with torch.device("meta"):
        state = ADM(256, mult, attention, 2, head_channels=64).state_dict()
    found = Architecture.infer(state)
    assert found.level_channels == (256, 256, 512, 512, 1024, 1024) and found.attention == attention
    assert found.blocks == 2 and found.resblock_updown and found.scale_shift and usual_size(found) == 256
    placed = renamed(state, found, Heads())
    with torch.device("meta"):
        unet = build_unet(found.config(image_size=256, heads=Heads()))
    check_shapes(unet, placed)
    assert sum(tensor.numel() for tensor in placed.values()) == sum(tensor.numel() for tensor in state.values())
    assert sum(parameter.numel() for parameter in unet.parameters()) == pytest.approx(553e6, rel=0.01)


@pytest.mark.slow
def test_the_whole_256_px_checkpoint_is_converted(tmp_path):
    """In a process of its own, whose peak of memory is that of the conversion; a checkpoint in float16."""
    with torch.device("meta"):
        state = ADM(256, (1, 1, 2, 2, 4, 4), (False, False, False, True, True, True), 2, head_channels=64).state_dict()
    torch.manual_seed(0)
    torch.save({name: torch.randn(tensor.shape, dtype=torch.float16) for name, tensor in state.items()},
               tmp_path / "adm.pt")  # fmt: skip
    script = (
        "import resource, sys; from recon_detect.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, "convert", "guided-diffusion", tmp_path / "adm.pt", tmp_path / "adm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "every tensor placed" in done.stdout, done.stderr
    with safe_open(tmp_path / "adm" / "diffusion_pytorch_model.safetensors", "pt") as written:
        sizes = [math.prod(written.get_slice(name).get_shape()) for name in written.keys()]  # noqa: SIM118
    assert sum(sizes) == sum(tensor.numel() for tensor in state.values())
    assert int(done.stderr.split()[-1]) < 2_500_000  # kB, of a file of 1.1 GB


def test_what_cannot_be_placed_is_named(checkpoint, tmp_path):
    model, path = checkpoint()
    torch.save(model.state_dict() | {"input_blocks.1.0.gate.weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"1 tensors have no place .* input_blocks.1.0.gate.weight"):
        convert(path, tmp_path / "out", heads=Heads(16), image_size=16)
    torch.save(model.state_dict() | {"out.2.bias": torch.zeros(7)}, path)
    with pytest.raises(WeightsError, match=r"conv_out.bias: expected \(6,\), got \(7,\)"):
        convert(path, tmp_path / "out", heads=Heads(16), image_size=16)
    with pytest.raises(UsageError, match="64 channels of attention do not divide into heads of 48"):
        convert(checkpoint()[1], tmp_path / "out", heads=Heads(48), image_size=16)


def test_a_folder_with_other_tensors_is_refused(checkpoint, tmp_path):
    for options in ({}, {"mult": (1, 1)}):
        convert(checkpoint(**options)[1], tmp_path / str(len(options)), heads=Heads(16), image_size=16)
    (tmp_path / "0" / "config.json").write_text((tmp_path / "1" / "config.json").read_text())
    with pytest.raises(WeightsError, match="UNet2DModel does not load: [0-9]+ tensors do not fit the configuration"):
        load_reconstructor(find_weights(str(tmp_path / "0")), torch.device("cpu"))


def test_schedules_are_read_from_diffusers_configurations(checkpoint, tmp_path):
    convert(checkpoint()[1], tmp_path / "out", heads=Heads(16), image_size=16, noise_schedule="cosine")
    cosine = PixelDiffusion.from_pretrained(tmp_path / "out").schedule.alpha_bar
    assert cosine[10] == pytest.approx(np.cos(0.5095 / 1.008 * np.pi / 2) ** 2, rel=0.01)
    scheduler = tmp_path / "out" / "scheduler_config.json"
    scheduler.write_text('{"beta_schedule": "linear", "beta_start": 0.001, "beta_end": 0.01}')
    assert PixelDiffusion.from_pretrained(tmp_path / "out").schedule.alpha_bar[0] == pytest.approx(0.999)
    for changed in ({"prediction_type": "sample"}, {"beta_schedule": "sigmoid"}):
        scheduler.write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=next(iter(changed.values()))):
            PixelDiffusion.from_pretrained(tmp_path / "out")
    with pytest.raises(UsageError, match="unknown noise schedule 'sigmoid'; known: linear, cosine"):
        convert(checkpoint()[1], tmp_path / "out", heads=Heads(16), image_size=16, noise_schedule="sigmoid")


def test_other_files_are_refused_with_a_reason(tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        convert(tmp_path / "none.pt", tmp_path / "out")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(WeightsError, match="not a checkpoint of tensors alone"):
        convert(tmp_path / "text.pt", tmp_path / "out")
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "nested.pt")
    with pytest.raises(WeightsError, match="expected a state dict"):
        convert(tmp_path / "nested.pt", tmp_path / "out")
    torch.save({"encoder.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="not a UNet of guided-diffusion: 'output_blocks"):
        convert(tmp_path / "other.pt", tmp_path / "out")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of tensors alone"):
        convert(tmp_path / "evil.pt", tmp_path / "out")
