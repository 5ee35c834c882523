"""The methods that compare embeddings, against a rewrite in NumPy and Pillow, on a small random DINOv2."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from recon_detect import load_detector
from recon_detect.errors import UsageError, WeightsError
from recon_detect.models.backbones import load_backbone
from recon_detect.models.weights import find_weights


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14, layerscale_value=0.5
    )
    folder = tmp_path_factory.mktemp("backbone") / "dino"
    Dinov2Model(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def embed(backbone):
    """transformers' own model: (3, S, S) in [0, 1] to its class token."""
    from transformers import Dinov2Model

    module = Dinov2Model.from_pretrained(backbone).eval()
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]

    def once(x):
        with torch.inference_mode():
            pixels = torch.from_numpy((x - mean) / deviation).float()[None]
            return module(pixel_values=pixels).pooler_output[0].double().numpy()

    return once


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def resized(image, width, height):
    """Pillow's bicubic filter on each channel in floats: (3, height, width) in [0, 1]."""
    channels = [Image.fromarray(image[..., c].astype(np.float32) / 255) for c in range(3)]
    return np.stack([np.asarray(c.resize((width, height), Image.Resampling.BICUBIC)) for c in channels]).clip(0, 1)


def thumbnail(image):
    height, width = image.shape[:2]
    factor = 256 / min(height, width)
    x = resized(image, round(width * factor), round(height * factor))
    top, left = (x.shape[1] - 224) // 2, (x.shape[2] - 224) // 2
    return x[:, top : top + 224, left : left + 224].astype(np.float64)


def rigid(image, f):
    x = thumbnail(image)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).numpy()
    return -cosine(f(x), f((x + 0.05 * noise).clip(0, 1)))


def minder(image, f):
    x = thumbnail(image)
    blurred = np.stack([ndimage.gaussian_filter(channel, 0.8, mode="mirror", radius=1) for channel in x])
    return max(rigid(image, f), -cosine(f(x), f(blurred)))


def warpad(image, f):
    x = resized(image, 896, 896).astype(np.float64)
    # Two levels of the Haar transform without their details: means of 2x2, twice.
    means = x
    for _ in range(2):
        means = (means[:, ::2, ::2] + means[:, 1::2, ::2] + means[:, ::2, 1::2] + means[:, 1::2, 1::2]) / 4
    smooth = x - 0.1 * (x - np.kron(means, np.ones((1, 4, 4))))
    tiles = [np.s_[:, y : y + 224, z : z + 224] for y in range(0, 896, 224) for z in range(0, 896, 224)]
    return -np.mean([cosine(f(x[tile]), f(smooth[tile])) for tile in tiles])


SLOW = {"rigid": rigid, "minder": minder, "warpad": warpad}


@pytest.mark.parametrize("method", SLOW)
def test_scores_equal_a_slow_rewrite(method, backbone, embed, picture):
    images = [picture(height, width, seed=height) for height, width in ((300, 280), (64, 97))]
    result = load_detector(method, models=backbone, device="cpu").score(images, progress=False).raise_for_errors()
    assert np.allclose(result.scores, [SLOW[method](image, embed) for image in images], rtol=1e-5, atol=1e-6)
    assert result.run.methods[0].distance == "cosine" and result.run.models[0].sha256


def test_embeddings_beside_reconstructions_in_one_run(backbone, tiny_model, picture, monkeypatch):
    """Each method takes the models of its kind; a set or a row of the other kind is not its own."""
    from recon_detect.models import registry

    monkeypatch.setitem(registry.BACKBONES, str(backbone), None)
    monkeypatch.setitem(registry.AUTOENCODERS, str(tiny_model), None)
    monkeypatch.setattr("recon_detect.models.weights.MODELS", {})
    monkeypatch.setattr("recon_detect.models.loading.AUTOENCODERS", {})
    images = [picture(64, 64, seed=n) for n in range(3)]
    detector = load_detector(["rigid", "aeroblade", "minder"], models=[backbone, tiny_model], distance="l2")
    result = detector.score(images, progress=False).raise_for_errors()
    assert [method.distance for method in result.run.methods] == ["cosine", "l2", "cosine"]
    assert [method.models for method in result.run.methods] == [(str(m),) for m in (backbone, tiny_model, backbone)]
    for name, model, distance in (("rigid", backbone, None), ("aeroblade", tiny_model, "l2")):
        alone = load_detector(name, models=model, distance=distance).score(images, progress=False)
        assert np.allclose(result.scores_of(name), alone.scores, rtol=1e-5)
    with pytest.raises(UsageError, match="rigid has no error map"):
        detector.score(images, maps=True, progress=False)


def test_batches_and_precision(backbone, picture):
    images = [picture(64, 64, seed=n) for n in range(4)]
    whole, single, low = (
        load_detector("rigid", models=backbone, device="cpu", **options).score(images, progress=False)
        for options in ({"batch_size": 4}, {"batch_size": 1}, {"dtype": "bfloat16"})
    )
    assert np.allclose(whole.scores, single.scores, rtol=1e-5)
    assert np.allclose(whole.scores, low.scores, atol=0.02) and low.run.models[0].dtype == "bfloat16"


def test_what_is_no_backbone_is_refused(tiny_model, backbone, tmp_path):
    with pytest.raises(WeightsError, match="model_type is None; expected one of dinov2"):
        load_detector("rigid", models=tiny_model)
    (tmp_path / "config.json").write_text((backbone / "config.json").read_text())
    from safetensors.torch import load_file, save_file

    tensors = load_file(backbone / "model.safetensors")
    tensors.pop("layernorm.weight")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 tensors, such as layernorm\.weight"):
        load_backbone(find_weights(str(tmp_path)), torch.device("cpu"))


def small_backbones():
    from transformers import (
        CLIPVisionConfig,
        CLIPVisionModel,
        Dinov2Config,
        Dinov2Model,
        ResNetConfig,
        ResNetModel,
        ViTConfig,
        ViTModel,
    )

    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 224}
    return {
        "dinov2": lambda: Dinov2Model(Dinov2Config(**size, patch_size=14)),
        "dino-vit": lambda: ViTModel(ViTConfig(**size, intermediate_size=32, patch_size=16)),
        "dino-resnet": lambda: ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        "clip": lambda: CLIPVisionModel(CLIPVisionConfig(**size, intermediate_size=32, patch_size=16)),
    }


@pytest.mark.parametrize("kind", small_backbones())
def test_embeddings_of_all_kinds_are_features(kind, tmp_path, picture):
    torch.manual_seed(0)
    module = small_backbones()[kind]().eval()
    module.save_pretrained(tmp_path / kind)
    images = [picture(230, 300, seed=seed) for seed in range(2)]
    result = load_detector("embedding", models=tmp_path / kind, device="cpu").score(images, progress=False)
    found = np.array([list(row.details["features"].values()) for row in result.raise_for_errors()])
    of_clip = [[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]]
    mean, deviation = np.array(
        of_clip if kind == "clip" else [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]  # fmt: skip
    pixels = torch.from_numpy(np.stack([(thumbnail(image) - mean) / deviation for image in images])).float()
    with torch.inference_mode():
        output = module(pixel_values=pixels)
    expected = output.last_hidden_state[:, 0] if kind == "dino-vit" else output.pooler_output.flatten(1)
    assert np.allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4) and found.std() > 0
    assert result.scores.tolist() == [0, 0]


def test_a_classifier_of_embeddings(backbone, picture):
    detector = load_detector("embedding", models=backbone, device="cpu")

    def speckled(seed):
        noise = np.random.default_rng(seed).integers(0, 24, (64, 64, 3))
        return np.clip(picture(64, 64, seed=seed) + noise, 0, 255).astype(np.uint8)

    real = [speckled(seed) for seed in range(60)]
    dark = [speckled(seed) // 3 for seed in range(60, 90)]
    calibration = detector.calibrate(real, dark, fpr=0.1, combine="logistic", pca=8, fit_share=0.3)
    assert len(calibration.combiner.features) == 17  # and the score that is none
    judging = detector.with_calibration(calibration)
    assert judging.score(speckled(99) // 3, progress=False)[0].verdict.verdict == "likely generated"
    assert judging.score(speckled(99), progress=False)[0].verdict.verdict != "likely generated"
