"""DIRE's classifier against a ResNet in plain torch, with torchvision's names, made small."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from recon_detect import load_detector
from recon_detect.errors import UsageError, WeightsError
from recon_detect.evidence import TRAINED
from recon_detect.models.converters.dire_classifier import convert_classifier
from recon_detect.models.converters.guided_diffusion import Heads, convert
from recon_detect.models.dire_classifier import DireClassifier
from recon_detect.settings import Settings
from tests.models.adm import ADM


class Bottleneck(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or before != 4 * width:
            shortcut = nn.Conv2d(before, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        h = self.bn1(self.conv1(x)).relu()
        h = self.bn3(self.conv3(self.bn2(self.conv2(h)).relu()))
        return (h + (self.downsample(x) if self.downsample else x)).relu()


class ResNet(nn.Module):
    def __init__(self, width=8, depths=(2, 1, 1, 1), outputs=1):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        before = width
        for stage, depth in enumerate(depths):
            blocks = []
            for block in range(depth):
                blocks.append(Bottleneck(before, width * 2**stage, 2 if stage and not block else 1))
                before = 4 * width * 2**stage
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, outputs)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)

    def forward(self, x):
        h = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for stage in range(1, 5):
            h = getattr(self, f"layer{stage}")(h)
        return self.fc(h.mean(dim=(2, 3)))


@pytest.fixture
def classifier(tmp_path):
    model = ResNet().eval()
    torch.save(
        {"model": model.state_dict(), "optimizer": {"state": {}, "step": 3}, "total_steps": 7}, tmp_path / "c.pth"
    )
    convert_classifier(tmp_path / "c.pth", tmp_path / "classifier")
    return model, tmp_path / "classifier"


def slow_logit(model, image):
    """As the authors read a saved map (H, W, 3) uint8: Pillow, then ImageNet's normalisation."""
    picture = Image.fromarray(image)
    scale = 256 / min(picture.size)
    picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BILINEAR)
    left, top = (round((side - 224) / 2) for side in picture.size)
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), dtype=np.float64) / 255
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.inference_mode():
        return model(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float())[0, 0].item()


def test_the_converted_network_says_what_the_original_says(classifier, picture):
    model, folder = classifier
    found = DireClassifier(str(folder), torch.device("cpu"))
    images = [picture(256, 256, seed) for seed in range(3)]
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    expected = [slow_logit(model, image) for image in images]
    assert np.allclose(found.logit(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    # Other sizes are resized: Pillow rounds to 8 bits, this does not.
    other = picture(64, 80)
    y = torch.from_numpy(other.copy()).permute(2, 0, 1)[None] / 255
    assert found.logit(y).item() == pytest.approx(slow_logit(model, other), abs=2e-3)


def test_images_are_scored_by_their_dire_maps(classifier, tmp_path, picture):
    model, folder = classifier
    torch.save(ADM().state_dict(), tmp_path / "adm.pt")
    convert(tmp_path / "adm.pt", tmp_path / "adm", heads=Heads(16), image_size=16)
    options = {"models": tmp_path / "adm", "device": "cpu"}
    detector = load_detector(["dire-resnet", "dire"], classifier=str(folder), **options)
    row = detector.score(picture(16, 20), maps=True, progress=False)[0]
    with torch.inference_mode():
        e = detector.evidence(torch.from_numpy(picture(16, 20).copy()).permute(2, 0, 1)[None] / 127.5 - 1)
        image, again = (e.reconstruction(0, view=TRAINED, passes=passes)[0].numpy() for passes in (0, 1))
    saved = (np.abs(image - again) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    assert row.score == pytest.approx(slow_logit(model, saved), abs=2e-3)
    assert [info.name for info in detector.run_info.models] == [str(tmp_path / "adm"), str(folder)]
    assert Settings().classifier is None
    with pytest.raises(UsageError, match="dire-resnet needs a classifier: pass the folder that 'recon-detect convert'"):
        load_detector("dire-resnet", **options)


def test_other_checkpoints_are_refused(tmp_path):
    for name, state, complaint in (
        ("two.pth", ResNet(outputs=2).state_dict(), "2 outputs; expected the one of DIRE's classifier"),
        ("none.pth", {"a": torch.zeros(1)}, "not a ResNet with bottlenecks"),
        ("more.pth", ResNet().state_dict() | {"gate.weight": torch.zeros(1)}, "1 tensors do not fit .* gate.weight"),
    ):
        torch.save(state, tmp_path / name)
        with pytest.raises(WeightsError, match=complaint):
            convert_classifier(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    from tests.conftest import save_model

    with pytest.raises(WeightsError, match="does not load|expected a whole ResNet"):
        DireClassifier(str(save_model(tmp_path / "kl")), torch.device("cpu"))
