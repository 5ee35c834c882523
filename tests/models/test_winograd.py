import copy

import pytest
import torch
from conftest import save_model
from torch import nn

from recon_detect.models import engines, winograd
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.pixel_diffusion import DiffusionReconstructor
from recon_detect.models.weights import find_weights

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("no_engine_choices")
WIDE = {"block_out_channels": (128, 128), "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2, "layers_per_block": 1, "norm_num_groups": 8}  # fmt: skip


@pytest.fixture
def by_winograd(monkeypatch):
    monkeypatch.setenv(engines.ENGINE_VARIABLE, "winograd")


@pytest.fixture(params=[1, 2])
def threads(request):
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(1)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 4, 4), (2, 1, 1), (1, 5, 7), (3, 16, 9), (1, 70, 33), (1, 9, 1100)])
def test_the_result_is_that_of_the_direct_algorithm(shape, bias, threads, monkeypatch):
    # Rows of tiles are computed in several parts, by several threads.
    monkeypatch.setattr(winograd, "_TILES", 40)
    monkeypatch.setattr(winograd, "_VALUES", 64)
    number, height, width = shape
    x, weight = noise(number, 6, height, width), noise(10, 6, 3, 3)
    offset = noise(10) if bias else None
    expected = nn.functional.conv2d(x, weight, offset, padding=1)
    for memory in (torch.contiguous_format, torch.channels_last):
        result = winograd.winograd(x.contiguous(memory_format=memory), weight, offset)
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(result, expected, atol=2e-4)
    assert torch.get_num_threads() == threads


def test_the_error_is_a_hundred_thousandth_of_the_range_at_many_channels():
    x, weight = noise(1, 256, 32, 32), noise(256, 256, 3, 3)
    expected = nn.functional.conv2d(x.double(), weight.double(), padding=1)
    error = (winograd.winograd(x, weight) - expected).abs().max() / expected.abs().max()
    assert error < 2e-5


def test_convolutions_that_suit_are_changed_and_their_state_is_not():
    other = [nn.Conv2d(128, 128, 1), nn.Conv2d(128, 128, 3, padding=1, stride=2), nn.Conv2d(128, 64, 3, padding=1),
             nn.Conv2d(128, 128, 3), nn.Conv2d(128, 128, 3, padding=1, groups=2),
             nn.Conv2d(128, 128, 3, padding=1, padding_mode="reflect")]  # fmt: skip
    network = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), *other)
    before = copy.deepcopy(network.state_dict())
    assert winograd.use_winograd(network) == 1 and type(network[0]) is winograd.WinogradConv2d
    assert all(type(layer) is nn.Conv2d for layer in network[1:])
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_few_positions_and_low_precision_are_computed_directly(monkeypatch):
    monkeypatch.setattr(winograd, "winograd", lambda *_: pytest.fail("by Winograd's algorithm"))
    layer = nn.Conv2d(128, 128, 3, padding=1)
    winograd.use_winograd(layer)
    with torch.inference_mode():
        assert layer(noise(1, 128, 28, 28)).shape == (1, 128, 28, 28)
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(noise(1, 128, 32, 32)).dtype == torch.bfloat16


def test_gradients_and_an_image_without_a_batch_are_those_of_the_direct_algorithm():
    layer = nn.Conv2d(128, 128, 3, padding=1)
    direct = copy.deepcopy(layer)
    winograd.use_winograd(layer)
    x = noise(1, 128, 32, 32)
    gradients = []
    for network in (layer, direct):
        leaf = x.clone().requires_grad_()
        network(leaf).square().sum().backward()
        gradients.append((leaf.grad, network.weight.grad))
    assert all(torch.allclose(*pair, rtol=1e-3, atol=1e-2) for pair in zip(*gradients, strict=True))
    with torch.inference_mode():
        assert torch.allclose(layer(x[0]), direct(x[0]), atol=1e-4)


def test_weights_and_images_may_require_gradients_where_none_are_computed(threads):
    layer = nn.Conv2d(128, 128, 3, padding=1)
    direct = copy.deepcopy(layer)
    winograd.use_winograd(layer)
    x = noise(1, 128, 64, 64).requires_grad_()
    with torch.no_grad():
        assert torch.allclose(layer(x), direct(x), atol=1e-4)


def test_an_autoencoder_by_it_is_that_by_torch(by_winograd, tmp_path):
    weights = find_weights(str(save_model(tmp_path / "wide", "AutoencoderKL", **WIDE)))
    fast, exact = (load_reconstructor(weights, CPU, dtype) for dtype in ("auto", "float32"))
    assert (fast.engine, exact.engine) == ("winograd", "torch")
    x = noise(2, 3, 34, 32).clamp(-1, 1)
    with torch.inference_mode():
        z = exact.encode(x)
        assert torch.allclose(fast.encode(x), z, atol=1e-4)
        assert torch.allclose(fast.decode(z), exact.decode(z), atol=1e-4)


def test_few_channels_are_left_to_torch(by_winograd, tmp_path):
    weights = find_weights(str(save_model(tmp_path / "narrow", "AutoencoderKL")))
    assert load_reconstructor(weights, CPU).engine == "torch"


def test_a_diffusion_model_by_it_is_that_by_torch(by_winograd, tmp_path):
    adm = save_model(
        tmp_path / "adm", "UNet2DModel", sample_size=32, block_out_channels=(128,), norm_num_groups=8,
        layers_per_block=1, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip
    from diffusers import DDPMScheduler

    DDPMScheduler().save_pretrained(adm)
    fast, exact = (load_reconstructor(find_weights(str(adm)), CPU, dtype) for dtype in ("auto", "float32"))
    assert isinstance(fast, DiffusionReconstructor) and (fast.engine, exact.engine) == ("winograd", "torch")
    x = noise(1, 3, 32, 32).clamp(-1, 1)
    with torch.inference_mode():
        assert torch.allclose(fast.encode(x), exact.encode(x), atol=1e-3)


def test_it_is_measured_once_and_remembered(monkeypatch, tmp_path):
    monkeypatch.delenv(engines.ENGINE_VARIABLE)
    measured = iter([{"torch": 1.3, "winograd": 1.0}])
    monkeypatch.setattr(engines, "_measure", lambda work: next(measured))
    for _ in range(2):
        assert engines.use_fastest(nn.Conv2d(128, 128, 3, padding=1)) == "winograd"
    assert '"winograd": 1.0' in engines.choices_file().read_text()


def test_both_are_measured_on_the_same_noise(monkeypatch):
    monkeypatch.delenv(engines.ENGINE_VARIABLE)
    work = {}

    def look(given):
        work.update(given)
        return {"torch": 1.0, "winograd": 1.0}

    monkeypatch.setattr(engines, "_measure", look)
    layer = nn.Conv2d(128, 128, 3, padding=1)
    assert engines.use_fastest(layer) == "torch" and type(layer) is nn.Conv2d
    assert torch.allclose(work["torch"](), work["winograd"](), atol=1e-2)
