"""Outputs of the published code on small networks with the real LPIPS-VGG16."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from recon_detect import load_detector, open_picture

FOLDERS = ["aeroblade_kl", "aeroblade_vq"]
# Layers 1 to 3; the sum and layers 4 and 5 need the whole of VGG16, see RECON_DETECT_VGG16 below.
LAYERS = (1, 2, 3)


@pytest.fixture(params=FOLDERS)
def reference(request, shared):
    folder = shared / "parity" / request.param
    files = [folder / name for name in (folder / "files.txt").read_text().split()]
    return folder / "autoencoder", files, load_file(folder / "expected.safetensors")


@pytest.fixture
def layers(shared_weights, monkeypatch):
    """All six distances where RECON_DETECT_VGG16 names a folder with all convolutions of VGG16."""
    if full := os.environ.get("RECON_DETECT_VGG16"):
        monkeypatch.setenv("RECON_DETECT_WEIGHTS", full)
        return range(6)
    return LAYERS


def test_published_scores_are_reproduced(reference, layers):
    autoencoder, files, expected = reference
    for layer in layers:
        detector = load_detector(
            "aeroblade", models=autoencoder, distance=f"lpips_vgg_{layer}", compat="published", device="cpu"
        )
        scores = detector.score(files, progress=False).raise_for_errors().scores
        theirs = expected["distance_compat_fp16"][:, layer].double().numpy()
        ulp = np.spacing(np.abs(theirs).astype(np.float16)).astype(np.float64)
        assert (np.abs(scores - theirs) <= ulp + 1e-4 * np.abs(theirs)).all()


def test_published_reconstructions_are_reproduced(reference, shared_weights):
    autoencoder, files, expected = reference
    detector = load_detector("aeroblade", models=autoencoder, compat="published", device="cpu")
    generator = torch.Generator().manual_seed(1)
    for number, file in enumerate(files):
        with torch.inference_mode():
            evidence = detector.evidence(
                open_picture(file).tensor()[None], noise=[lambda shape: torch.randn(shape, generator=generator)]
            )
            stored = ((evidence.reconstruction(0)[0] + 1) * 127.5).round()
        apart = (stored - expected["recon_sample_u8"][number]).abs()
        assert (apart <= 1).float().mean() >= 0.999
        assert apart.max() <= 1


def test_improved_distances_are_exact(reference, layers):
    autoencoder, files, expected = reference
    for layer in layers:
        detector = load_detector("aeroblade", models=autoencoder, distance=f"lpips_vgg_{layer}", device="cpu")
        scores = detector.score(files, progress=False).raise_for_errors().scores
        assert np.abs(-scores - expected["distance_mode_fp32"][:, layer].numpy()).max() < 1e-5


def test_published_scores_depend_on_the_order_and_improved_ones_do_not(shared, shared_weights):
    """Why the improved path takes the mode of the posterior: the noise of a file depends on the files before it."""
    folder = shared / "parity" / "aeroblade_kl"
    files = sorted(folder.glob("*.png"))
    published = load_detector("aeroblade", models=folder / "autoencoder", compat="published", device="cpu")
    improved = load_detector("aeroblade", models=folder / "autoencoder", device="cpu")
    forward, backward = (published.score(order, progress=False).scores for order in (files, files[::-1]))
    assert np.array_equal(forward, published.score(files, progress=False).scores)
    assert not np.array_equal(forward, backward[::-1])
    forward, backward = (improved.score(order, progress=False).scores for order in (files, files[::-1]))
    assert np.allclose(forward, backward[::-1], rtol=1e-6)
