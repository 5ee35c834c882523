"""The hub path in a process of its own, with HF_ENDPOINT at a local server, as a user's machine would have it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_server import COMMIT, Hub, serve
from safetensors.torch import load_file, save

from recon_detect.models.registry import AUTOENCODERS

FILE = "diffusion_pytorch_model.safetensors"
WEIGHTS = save({"x": torch.arange(50_000, dtype=torch.float32)})
CONFIG = json.dumps({"_class_name": "AutoencoderTiny"}).encode()

FIND = """
import sys
from recon_detect.errors import ReconDetectError
from recon_detect.models.weights import find_weights
try:
    w = find_weights(sys.argv[1])
    print(w.origin, w.repo, w.revision, w.sha256, w.folder)
except ReconDetectError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def hub():
    hub = Hub()
    with serve(hub) as hub.endpoint:
        yield hub


@pytest.fixture
def ask(hub, tmp_path):
    """Runs a program against the hub, with a cache that lasts for the test."""

    def run(*arguments: str, program: str = FIND, **environment: str) -> str:
        env = os.environ | {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "TORCH_HOME": str(tmp_path / "torch"),
            "RECON_DETECT_WEIGHTS": str(tmp_path / "none"),
            "HF_HUB_DOWNLOAD_TIMEOUT": "5",
        }
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=env | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def fill(hub: Hub, repo: str, subfolder: str = "", data: bytes = WEIGHTS) -> None:
    prefix = f"{subfolder}/" if subfolder else ""
    hub.add(repo, prefix + FILE, data)
    hub.add(repo, prefix + "config.json", CONFIG)


def test_fetched_once_then_found_in_the_cache(hub, ask):
    fill(hub, "owner/model")
    origin, repo, revision, sha256, folder = ask("owner/model").split()
    assert (origin, repo, revision) == ("hub", "owner/model", COMMIT)
    assert sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (Path(folder) / "config.json").is_file()
    requests = len(hub.log)
    assert ask("owner/model").split()[0] == "cache"
    assert ask("owner/model", HF_HUB_OFFLINE="1").split()[0] == "cache"
    assert len(hub.log) == requests


def test_a_file_that_changed_in_the_cache_is_not_used(hub, ask):
    fill(hub, "owner/model")
    file = Path(ask("owner/model").split()[-1]) / FILE
    file.resolve().write_bytes(WEIGHTS[:-1] + b"x")
    assert ask("owner/model").startswith("WeightsCorrupt")
    assert ask("owner/model").split()[0] == "hub"


def test_only_the_autoencoder_of_a_pipeline_is_fetched(hub, ask):
    fill(hub, "owner/pipeline", "vae")
    hub.add("owner/pipeline", "unet/" + FILE, bytes(10_000_000))
    folder = ask("owner/pipeline:vae").split()[-1]
    assert folder.endswith("/vae")
    assert {path.rsplit("/", 1)[1] for _, path, _ in hub.log} == {FILE, "config.json"}
    assert hub.sent < 1_000_000
    assert ask("owner/pipeline").split()[-1].endswith("/vae")


def test_a_revision_can_be_asked_for(hub, ask):
    fill(hub, "owner/model")
    revision = "d" * 40
    assert ask(f"owner/model@{revision}").split()[2] == revision
    assert any(f"/resolve/{revision}/" in path for _, path, _ in hub.log)


def test_broken_transfer_resumes(hub, ask):
    large = save({"x": torch.arange(6_000_000, dtype=torch.float32)})  # the library resumes by pieces of 10 MB
    fill(hub, "owner/model", data=large)
    hub.break_after = 15_000_000
    assert ask("owner/model").split()[0] == "hub"
    ranges = [wanted for command, path, wanted in hub.log if command == "GET" and FILE in path]
    assert ranges == [None, f"bytes={10 * 1024 * 1024}-"]
    assert hub.sent < 1.5 * len(large)


def test_wrong_sum_is_refused_and_not_kept(hub, ask):
    fill(hub, "owner/model")
    hub.lie_about_sum = True
    answer = ask("owner/model")
    assert answer.startswith("WeightsCorrupt") and hashlib.sha256(WEIGHTS).hexdigest() in answer
    hub.lie_about_sum = False
    assert ask("owner/model").split()[0] == "hub"


def test_a_row_takes_nothing_but_its_own_sum(hub, ask):
    row = AUTOENCODERS["taesd"]
    fill(hub, row.files[0].repo)
    answer = ask("taesd")
    assert answer.startswith("WeightsCorrupt") and row.files[0].sha256 in answer


def test_rows_ask_for_their_pinned_revision_and_step_to_mirrors(hub, ask):
    row = AUTOENCODERS["wuerstchen"]
    fill(hub, row.files[1].repo, "vqgan")
    origin, repo, revision, *_ = ask("wuerstchen").split()
    assert (origin, repo, revision) == ("hub", row.files[1].repo, row.files[1].revision)


def test_gated_gone_and_missing_say_what_to_do(hub, ask):
    hub.gated.add("owner/model")
    assert "Accept the terms on the page of owner/model" in ask("owner/model")
    assert "the hub has no such repository" in ask("owner/other")
    hub.add("owner/third", "README.md", b"x")
    answer = ask("owner/third")
    assert answer.startswith("WeightsMissing") and "the hub has no such file" in answer
    assert "recon-detect models download owner/third" in answer


def test_unreachable_and_offline_answer_at_once(hub, ask):
    answer = ask("taesd", HF_ENDPOINT="http://127.0.0.1:9")
    assert answer.startswith("HubUnreachable") and "cannot be reached" in answer
    answer = ask("taesd", HF_HUB_OFFLINE="1")
    assert answer.startswith("HubUnreachable") and "offline mode" in answer
    hub.fail_with = 503
    assert "answered with status 503" in ask("owner/model")


PART = """
import sys
from recon_detect.errors import ReconDetectError
from recon_detect.models.weights import find_component
try:
    print(find_component(sys.argv[1], "unet", ("config.json", "diffusion_pytorch_model.safetensors")))
except ReconDetectError as error:
    print(type(error).__name__, error)
"""


def test_a_part_of_a_pipeline_is_fetched_once(hub, ask):
    fill(hub, "owner/pipeline", "unet")
    hub.add("owner/pipeline", "unet/diffusion_pytorch_model.bin", bytes(10_000_000))
    folder = Path(ask("owner/pipeline", program=PART).strip())
    assert folder.name == "unet" and {path.name for path in folder.iterdir()} == {FILE, "config.json"}
    requests = len(hub.log)
    assert ask("owner/pipeline", program=PART, HF_HUB_OFFLINE="1").strip() == str(folder)
    assert len(hub.log) == requests and hub.sent < 1_000_000
    assert "the hub has no such repository" in ask("owner/other", program=PART)
    row = AUTOENCODERS["sd1"].files[0]
    fill(hub, row.repo, "unet")
    assert ask("sd1", program=PART).strip().endswith(f"{row.revision}/unet")


def test_a_backbone_comes_under_the_name_that_transformers_gives_it(hub, ask):
    hub.add("facebook/dinov2-small", "model.safetensors", WEIGHTS)
    hub.add("facebook/dinov2-small", "config.json", CONFIG)
    assert tuple(ask("dinov2-small").split()[:3]) == ("hub", "facebook/dinov2-small", COMMIT)
    hub.add("owner/backbone", "model.safetensors", WEIGHTS)
    hub.add("owner/backbone", "config.json", CONFIG)
    assert ask("owner/backbone").split()[:2] == ["hub", "owner/backbone"]


TENSORS = """
import sys
from recon_detect.errors import ReconDetectError
from recon_detect.models.hub import fetch_tensors
from recon_detect.models.registry import HubFile
try:
    for name, tensor in fetch_tensors(HubFile("owner/vgg"), "model.safetensors", {"b": sys.argv[1] or None}).items():
        print(name, tuple(tensor.shape), float(tensor.sum()))
except ReconDetectError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_single_tensors_come_by_ranges(hub, ask):
    b = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    big = torch.zeros(1_000_000)
    hub.add("owner/vgg", "model.safetensors", save({"a": big, "b": b, "c": big + 1}))
    assert ask(hashlib.sha256(b.numpy().tobytes()).hexdigest(), program=TENSORS).strip() == "b (2, 3) 15.0"
    assert hub.sent < 1000
    assert ask("0" * 64, program=TENSORS).startswith("WeightsCorrupt")
    hub.ignore_ranges = True
    answer = ask("", program=TENSORS)
    assert answer.startswith("WeightsError") and "does not support ranges" in answer


LAYERS = """
import sys
from recon_detect.models import trunks
copy = trunks.HubFile("owner/s", filename="m.safetensors")
trunks.TRUNKS["squeeze"] = trunks.TrunkRow("squeezenet1_1", "none.pth", {}, copy)
found = trunks.find_trunk("squeeze", tuple(sys.argv[1:]))
print(*sorted(found))
"""


@pytest.mark.slow
def test_trunk_layers_are_fetched_as_needed_and_kept(hub, ask, tmp_path):
    hub.add("owner/s", "m.safetensors", save({f"features.{n}.weight": torch.ones(4) * n for n in range(4)}))
    ask("features.0.weight", "features.1.weight", program=LAYERS)
    requests = len(hub.log)
    ask("features.0.weight", program=LAYERS)
    assert len(hub.log) == requests
    assert ask("features.0.weight", "features.2.weight", program=LAYERS).split() == [
        "features.0.weight",
        "features.2.weight",
    ]
    assert sum(command == "GET" for command, _, _ in hub.log) == 4 + 3  # header and tensors: 2 + 2, then 2 + 1
    assert [path.name for path in (tmp_path / "hf" / "recon_detect").iterdir()] == ["squeezenet1_1.safetensors"]


@pytest.mark.slow
def test_one_megabyte_of_vgg16_is_fetched(hub, ask, shared):
    """The real weights, at the size and place of the hub's copy: only layers 1 and 2 of LPIPS travel."""
    tensors = load_file(shared / "weights" / "vgg16_features_to_relu3_3.safetensors")
    hub.add(
        "timm/vgg16.tv_in1k", "model.safetensors", save(tensors | {"pre_logits.fc1.weight": torch.zeros(5_000_000)})
    )
    program = "from recon_detect.cli import main; main()"
    assert "lpips: the first two layers of VGG16 are here" in ask("models", "download", "lpips", program=program)
    assert 1_000_000 < hub.sent < 1_100_000
    assert all("b8d8aa2dd860af9233c8c67385a8097fd6c35d3f" in path for _, path, _ in hub.log)
    hub.log.clear()
    ask("models", "download", "lpips", program=program)
    assert not hub.log


@pytest.mark.slow
def test_command_line_downloads_and_lists(hub, ask, tmp_path):
    fill(hub, "owner/model")
    program = "from recon_detect.cli import main; main()"
    assert "owner/model: hub" in ask("models", "download", "owner/model", program=program)
    assert "owner/model: cache" in ask("models", "download", "owner/model", program=program)
    listing = ask("models", "list", program=program)
    assert all(name in listing for name in AUTOENCODERS)
