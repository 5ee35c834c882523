"""CUDA beside the CPU: the same scores, memory that runs short, and the loop. Skipped where there is no GPU."""

import numpy as np
import pytest
import torch
from conftest import enliven, save_model
from PIL import Image

from recon_detect import load_detector
from recon_detect.engine.memory import BatchSizer
from recon_detect.models.tiny import AutoencoderTiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

METHODS = ("aeroblade", "contrast", "hfi", "rdd", "aedr", "did", "regap")


@pytest.fixture(scope="module")
def lively_model(tmp_path_factory):
    """A random AutoencoderTiny whose output follows its input."""
    from diffusers import AutoencoderTiny as Theirs

    folder = save_model(tmp_path_factory.mktemp("models") / "tiny", "AutoencoderTiny")
    enliven(Theirs.from_pretrained(folder), 2).save_pretrained(folder)
    return folder


@pytest.fixture
def files(tmp_path, picture):
    """Pictures of three sizes, in turn."""
    paths = [tmp_path / f"{number:02}.png" for number in range(12)]
    for number, path in enumerate(paths):
        Image.fromarray(picture(64 + 8 * (number % 3), 96, seed=number)).save(path)
    return paths


def scores(method, images, device, **options):
    detector = load_detector(method, device=device, **options)
    return detector.score(images, progress=False).raise_for_errors().scores


@pytest.mark.parametrize("method", METHODS)
def test_float32_scores_are_those_of_the_cpu(method, lively_model, files):
    options = {"models": lively_model, "distance": "l2", "dtype": "float32"}
    on_cpu, on_gpu = (scores(method, files, device, **options) for device in ("cpu", "cuda"))
    assert np.allclose(on_gpu, on_cpu, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["trace", "grid"])
def test_the_methods_of_the_package_score_as_on_the_cpu(method, picture):
    images = [picture(256, 320, seed=seed) for seed in range(2)]
    on_cpu, on_gpu = (scores(method, images, device, dtype="float32") for device in ("cpu", "cuda"))
    assert np.allclose(on_gpu, on_cpu, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_near_float32(dtype, files):
    exact, low = (
        scores("aeroblade", files, "cuda", models="mini-sd", distance="l2", dtype=d) for d in ("float32", dtype)
    )
    assert np.abs(np.log(low / exact)).max() < 0.1


def test_memory_that_runs_short_halves_the_batch(lively_model, picture, monkeypatch):
    """The sizer is told that much is free; the allocator gives little."""
    images = [picture(512, 512, seed=seed) for seed in range(8)]
    detector = load_detector("aeroblade", models=lively_model, distance="l2", device="cuda", dtype="float32")
    expected = detector.score(images, progress=False).raise_for_errors().scores
    shrunk = []
    shrink = BatchSizer.shrink
    monkeypatch.setattr(BatchSizer, "shrink", lambda self, *size: (shrunk.append(size), shrink(self, *size)))
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 120e6) / total)
    try:
        in_halves = detector.score(images, progress=False).raise_for_errors().scores
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert shrunk and np.allclose(in_halves, expected, rtol=1e-3)


def test_batches_from_files_come_in_order_through_pinned_memory(lively_model, files, monkeypatch):
    pinned = []
    pin = torch.Tensor.pin_memory
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: pinned.append(self.dtype) or pin(self))
    detector = load_detector("aeroblade", models=lively_model, distance="l2", device="cuda", batch_size=4)
    rows = list(detector.stream(files * 3))
    assert [row.path for row in rows] == [str(path) for path in files] * 3
    assert pinned and set(pinned) == {torch.uint8}
    by_path = {}
    for row in rows:
        by_path.setdefault(row.path, []).append(row.score)
    assert all(np.ptp(values) < 1e-3 for values in by_path.values())


def test_the_pooling_of_taef2_is_that_of_the_cpu():
    torch.manual_seed(0)
    module = enliven(AutoencoderTiny({"use_midblock_gn": True}), 2).eval()
    x = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        on_cpu = module.decode(module.encode(x))
        on_gpu = module.cuda().decode(module.encode(x.cuda())).cpu()
    assert torch.allclose(on_gpu, on_cpu, atol=1e-3)
