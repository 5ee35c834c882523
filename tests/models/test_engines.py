import json
import pickle
import sys

import pytest
import torch
from conftest import save_model

from recon_detect import load_detector
from recon_detect.errors import UsageError
from recon_detect.models import engines
from recon_detect.models.adapters import ADAPTERS, tiny_features
from recon_detect.models.loading import load_reconstructor
from recon_detect.models.lpips import LPIPS
from recon_detect.models.ncnn_graph import Block, Conv, Pool, Stage, Up
from recon_detect.models.ncnn_tiny import NcnnTiny
from recon_detect.models.tiny import AutoencoderTiny
from recon_detect.models.weights import find_weights

pytest.importorskip("ncnn")
CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("no_engine_choices")
SMALL = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
         "num_encoder_blocks": (1, 2, 1, 1), "num_decoder_blocks": (1, 1, 2, 1)}  # fmt: skip


@pytest.fixture
def by_ncnn(monkeypatch):
    monkeypatch.setenv(engines.ENGINE_VARIABLE, "ncnn")


@pytest.fixture
def measured(monkeypatch):
    """The engine is measured, as outside of tests."""
    monkeypatch.delenv(engines.ENGINE_VARIABLE)


@pytest.fixture
def tiny(tmp_path):
    return find_weights(str(save_model(tmp_path / "tiny", "AutoencoderTiny", **SMALL)))


def noise(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("latents", [4, 16])
def test_latents_features_and_images_are_those_of_torch(latents, threads):
    torch.manual_seed(0)
    module = AutoencoderTiny(SMALL | {"latent_channels": latents}).eval()
    layers, adapter = NcnnTiny(module, tiny_features(module.config)), ADAPTERS["AutoencoderTiny"]
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            # At once, and in tiles within the image and at its border at one level and at two.
            for height, width in ((8, 8), (200, 136), (400, 272)):
                x = noise(2, 3, height, width)
                z = adapter.encode(module, x)
                for mine, expected in [
                    (layers.encode(x), z),
                    (layers.features(x), adapter.features(module, x)),
                    (layers.decode(z), adapter.decode(module, z)),
                ]:
                    assert mine.shape == expected.shape
                    assert torch.allclose(mine, expected, atol=1e-5)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("size", [(66, 97), (65, 64)])
def test_tiles_are_the_image(size):
    draw = torch.Generator().manual_seed(0)
    wide, narrow = (torch.randn(shape, generator=draw) / 8 for shape in ((6, 3, 3, 3), (6, 6, 3, 3)))
    layers = [
        Conv(wide, relu=True),
        Pool(),
        Block([Conv(narrow), Conv(narrow)], Conv(narrow[..., 1:2, 1:2])),
        Up(),
        Conv(narrow),
    ]
    x = torch.randn((2, 3, *size), generator=draw)
    whole = Stage(layers)(x)
    assert whole.shape == (2, 6, size[0] // 2 * 2, size[1] // 2 * 2)
    for tile in (16, 30):
        assert torch.allclose(Stage(layers, tile=tile)(x), whole, atol=1e-5)


def test_lpips_of_vgg_is_that_of_torch():
    draw = torch.Generator().manual_seed(0)
    shapes = {0: (64, 3), 2: (64, 64), 5: (128, 64), 7: (128, 128)}
    trunk = {}
    for index, shape in shapes.items():
        trunk[f"features.{index}.weight"] = torch.randn((*shape, 3, 3), generator=draw) / (9 * shape[1]) ** 0.5
        trunk[f"features.{index}.bias"] = torch.randn(shape[0], generator=draw) / 10
    by_torch, fast = (LPIPS("vgg", (1, 2), trunk=trunk) for _ in range(2))
    fast.use_ncnn()
    for x in (noise(1, 3, 75, 66), noise(1, 3, 9, 8)):  # the second is too small for tiles
        expected, features = by_torch.features(x), fast.features(x)
        assert all(torch.allclose(features[layer], expected[layer], atol=1e-5) for layer in (1, 2))


def test_auto_takes_the_engine_and_float32_is_torch(by_ncnn, tiny):
    fast, exact = (load_reconstructor(tiny, CPU, dtype) for dtype in ("auto", "float32"))
    assert (fast.engine, exact.engine) == ("ncnn", "torch")
    x = noise(1, 3, 64, 48)
    with torch.inference_mode():
        assert torch.allclose(fast.decode(fast.encode(x)), exact.decode(exact.encode(x)), atol=1e-5)
        latents, features = fast.encode_features(x)
        expected = exact.encode_features(x)
    assert torch.allclose(latents, expected[0], atol=1e-5) and torch.allclose(features, expected[1], atol=1e-5)


def test_scores_and_their_run_are_those_of_torch(by_ncnn, tiny, rng_images):
    fast, exact = (load_detector("contrast", models=str(tiny.folder), distance="encoder_features", dtype=dtype)
                   for dtype in ("auto", "float32"))  # fmt: skip
    assert fast.run_info.fingerprint == exact.run_info.fingerprint
    assert fast.run_info.to_dict()["models"][0]["engine"] == "ncnn"
    again = pickle.loads(pickle.dumps(fast))
    expected = exact.score(rng_images).scores
    for detector in (fast, again):
        assert detector.score(rng_images).scores == pytest.approx(expected, abs=1e-4)


@pytest.fixture
def rng_images():
    return [(noise(64, 72, 3).numpy() + 1) / 2, (noise(48, 40, 3).numpy() + 1) / 2]


def test_the_engine_is_measured_once_and_remembered(measured, tiny, monkeypatch):
    first = load_reconstructor(tiny, CPU).choice
    worth_it = first.seconds["torch"] >= engines.WORTH["ncnn"] * first.seconds["ncnn"]
    assert set(first.seconds) == {"torch", "ncnn"} and first.engine == ("ncnn" if worth_it else "torch")
    monkeypatch.setattr(engines, "_measure", lambda work: pytest.fail("measured again"))
    assert load_reconstructor(tiny, CPU).choice == first


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"a": 1}', '{"a": {"torch": 1}}', '{"a": {"torch": "x", "ncnn": 1}}', "\0"]
)
def test_a_broken_file_is_measured_anew(content, measured, monkeypatch):
    path = engines.choices_file()
    path.parent.mkdir()
    path.write_text(content)
    monkeypatch.setattr(engines, "_measure", lambda work: {"torch": 2.0, "ncnn": 1.0})
    assert engines.choose_engine("ncnn", dict).engine == "ncnn"
    assert {"torch": 2.0, "ncnn": 1.0} in json.loads(path.read_text()).values()


def test_a_folder_that_cannot_be_written_is_no_error(measured, monkeypatch):
    engines.choices_file().parent.write_text("a file where the folder should be")
    monkeypatch.setattr(engines, "_measure", lambda work: {"torch": 1.0, "ncnn": 2.0})
    assert engines.choose_engine("ncnn", dict).engine == "torch"


def test_without_ncnn_torch_computes(measured, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    model = load_reconstructor(tiny, CPU)
    assert model.engine == "torch" and "recon-detect[cpu]" in model.choice.reason


def test_an_engine_that_fails_is_not_taken(measured):
    def fail():
        raise RuntimeError("no such layer")

    choice = engines.choose_engine("ncnn", lambda: {"torch": lambda: None, "ncnn": fail})
    assert choice.engine == "torch" and "no such layer" in choice.reason and not engines.choices_file().exists()


def test_threads_and_versions_are_measured_apart(measured, monkeypatch):
    taken = iter([{"torch": 1.0, "ncnn": 2.0}, {"torch": 2.0, "ncnn": 1.0}])
    monkeypatch.setattr(engines, "_measure", lambda work: next(taken))
    assert engines.choose_engine("ncnn", dict).engine == "torch"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    assert engines.choose_engine("ncnn", dict).engine == "ncnn"


def test_an_unknown_engine_is_an_error(monkeypatch):
    monkeypatch.setenv(engines.ENGINE_VARIABLE, "cudnn")
    with pytest.raises(UsageError, match="expected torch, ncnn or winograd"):
        engines.choose_engine("ncnn", dict)


def test_layers_of_another_class_are_left_to_torch(by_ncnn, tmp_path):
    weights = find_weights(str(save_model(tmp_path / "mish", "AutoencoderTiny", act_fn="mish", **SMALL)))
    assert load_reconstructor(weights, CPU).engine == "torch"
