"""Parity with the package lpips 0.1.4, which is imported here and nowhere else."""

import copy
import sys
import types
import warnings

import pytest
import torch
from torch import nn

from recon_detect.errors import ImageTooSmall, WeightsCorrupt, WeightsMissing
from recon_detect.evidence.distances import _summed
from recon_detect.models import lpips as ours
from recon_detect.models import trunks


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def conv(inputs, outputs, kernel=3, stride=1, padding=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU()]


def vgg16():
    layers, channels = [], 3
    for width in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
        layers += [nn.MaxPool2d(2, 2)] if width == "M" else conv(channels, width)
        channels = channels if width == "M" else width
    return nn.Sequential(*layers)


def alexnet():
    pool = nn.MaxPool2d(3, 2)
    return nn.Sequential(
        *conv(3, 64, 11, 4, 2),
        pool,
        *conv(64, 192, 5, 1, 2),
        pool,
        *conv(192, 384),
        *conv(384, 256),
        *conv(256, 256),
        pool,
    )


def squeezenet1_1():
    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    fires = [(64, 16, 64), (128, 16, 64)], [(128, 32, 128), (256, 32, 128)]
    last = [(256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)]
    return nn.Sequential(
        *conv(3, 64, 3, 2, 0),
        pool(),
        *(Fire(*f) for f in fires[0]),
        pool(),
        *(Fire(*f) for f in fires[1]),
        pool(),
        *(Fire(*f) for f in last),
    )


TRUNKS = {"vgg": ("vgg16", vgg16), "alex": ("alexnet", alexnet), "squeeze": ("squeezenet1_1", squeezenet1_1)}


@pytest.fixture(scope="module")
def reference():
    """The real lpips on trunks like torchvision's, of which only these three functions are used."""
    torchvision, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    for name, make in TRUNKS.values():
        setattr(models, name, lambda pretrained=False, make=make: types.SimpleNamespace(features=make()))
    torchvision.models = models
    patch = pytest.MonkeyPatch()
    patch.setitem(sys.modules, "torchvision", torchvision)
    patch.setitem(sys.modules, "torchvision.models", models)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lpips

        yield {net: lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval() for net in TRUNKS}
    patch.undo()


def trunk_of(module) -> dict[str, torch.Tensor]:
    """The state of torchvision's `features`, from the slices that lpips makes of it."""
    return {
        f"features.{name.split('.', 1)[1]}": tensor
        for name, tensor in module.net.state_dict().items()
        if name.startswith("slice")
    }


@pytest.mark.parametrize("net", list(TRUNKS))
@pytest.mark.parametrize("size", [(64, 64), (71, 90)])
def test_every_layer_equals_the_package(net, size, reference):
    module = reference[net]
    count = ours.layer_count(net)
    mine = ours.LPIPS(net, tuple(range(1, count + 1)), trunk=trunk_of(module))
    torch.manual_seed(0)
    x, y = torch.rand(2, 2, 3, *size) * 2 - 1
    with torch.inference_mode():
        _, theirs = module(x, y, retPerLayer=True)
        maps = mine.maps(mine.features(x), mine.features(y))
        module.spatial = True
        summed = module(x, y)
        module.spatial = False
    for layer in range(1, count + 1):
        assert maps[layer].mean(dim=(2, 3), keepdim=True).sub(theirs[layer - 1]).abs().max() < 1e-6
    assert (_summed(maps, size) - summed).abs().max() < 1e-6


def test_only_the_layers_that_are_asked_for_are_loaded(reference):
    trunk = {name: t for name, t in trunk_of(reference["vgg"]).items() if int(name.split(".")[1]) <= 7}
    mine = ours.LPIPS("vgg", (2,), trunk=trunk)
    x = torch.rand(1, 3, 16, 16)
    assert list(mine.features(x)) == [2]
    assert mine.features(x)[2].shape == (1, 128, 8, 8)


@pytest.mark.parametrize(("net", "layers"), [("vgg", (1, 2, 3)), ("alex", (1, 2, 3, 4, 5))])
def test_real_weights_equal_the_package(net, layers, reference, shared_weights):
    mine = ours.LPIPS(net, layers)
    module = copy.deepcopy(reference[net])
    state = module.net.state_dict()
    real = {name: name.split(".", 1)[1] for name in state if f"features.{name.split('.', 1)[1]}" in mine._weights}
    module.net.load_state_dict(state | {name: mine._weights[f"features.{short}"] for name, short in real.items()})
    torch.manual_seed(123)
    x, y = (torch.rand(2, 3, 100, 100) * 2 - 1 for _ in range(2))
    with torch.inference_mode():
        _, theirs = module(x, y, retPerLayer=True)
        maps = mine.maps(mine.features(x), mine.features(y))
    for layer in layers:
        assert maps[layer].mean(dim=(2, 3), keepdim=True).sub(theirs[layer - 1]).abs().max() < 1e-6


def test_low_precision_moves_distances_little(shared_weights, picture):
    """All convolutions but the first; a contrast is a difference of logarithms, so relative errors count."""
    whole, low = ours.LPIPS("vgg", (1, 2)), ours.LPIPS("vgg", (1, 2), dtype=torch.bfloat16)
    x = torch.from_numpy(picture(128, 128).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    y = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    with torch.inference_mode():
        exact, rounded = (lpips.maps(lpips.features(x), lpips.features(y)) for lpips in (whole, low))
    for layer in (1, 2):
        assert rounded[layer].dtype == torch.float32
        assert rounded[layer].mean().item() == pytest.approx(exact[layer].mean().item(), rel=0.005)
    assert not torch.equal(rounded[2], exact[2])


def test_too_small_an_image_says_so(reference):
    mine = ours.LPIPS("vgg", (2,), trunk=trunk_of(reference["vgg"]))
    with pytest.raises(ImageTooSmall, match="1x1 is too small for layer 2 of LPIPS-vgg"):
        mine.features(torch.zeros(1, 3, 1, 1))


def test_trunk_is_checked_tensor_by_tensor(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg16.safetensors")
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsCorrupt, match=r"tensor features.0.weight: expected sha256"):
        trunks.find_trunk("vgg", ("features.0.weight",))


def test_torchvision_files_are_read_after_their_checksum_only(tmp_path, monkeypatch):
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"not the file")
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsCorrupt, match="starts with 397923af"):
        trunks.find_trunk("vgg", ("features.0.weight",))
    path = tmp_path / "squeezenet1_1-b8a52dc0.pth"
    torch.save({"features.0.weight": torch.ones(2)}, path)
    digest = trunks.hub.sha256_of(path)
    row = trunks.TrunkRow("squeezenet1_1", f"squeezenet1_1-{digest[:8]}.pth", {})
    path.rename(tmp_path / row.torchvision_file)
    monkeypatch.setitem(trunks.TRUNKS, "squeeze", row)
    assert trunks.find_trunk("squeeze", ("features.0.weight",))["features.0.weight"].tolist() == [1, 1]


def test_missing_trunk_says_where_it_looked(monkeypatch):
    with pytest.raises(WeightsMissing, match="squeezenet1_1-b8a52dc0.pth"):
        trunks.find_trunk("squeeze", ("features.0.weight",))
