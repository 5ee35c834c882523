import hashlib
import shutil
from pathlib import Path

import pytest
from conftest import save_model

from recon_detect.errors import HubUnreachable, UnknownName, WeightsCorrupt, WeightsMissing
from recon_detect.models.registry import AUTOENCODERS, MODEL_SETS, expand, find_row, shorten
from recon_detect.models.weights import find_weights, search_folders


def test_rows_are_complete_and_pinned():
    for name, row in AUTOENCODERS.items():
        assert row.name == name and row.licence and row.paper and (row.files or len(row.local_sha256) == 1)
        assert row.low_precision in ("float16", "bfloat16")
        for file in row.files:
            assert file.revision is None or len(file.revision) == 40
            assert file.sha256 is None or len(file.sha256) == 64
    assert AUTOENCODERS["sdxl"].low_precision != "float16"
    assert len(AUTOENCODERS["sd2"].files) > 1


def test_sets_expand_in_order_without_repetition():
    assert expand(("taef1", "tiny")) == ("taef1", "taesd", "taesdxl", "taesd3")
    assert shorten(expand(("tiny",))) == ("tiny",) and shorten(("taesdxl", "taesd")) == ("taesdxl", "taesd")
    assert all(member in AUTOENCODERS for members in MODEL_SETS.values() for member in members)
    with pytest.raises(UnknownName, match="known: .*taesd"):
        find_row("tasd")


def test_a_folder_is_taken_as_it_is(kl_model):
    found = find_weights(str(kl_model))
    assert (found.origin, found.folder, found.repo) == ("folder", kl_model, None)
    assert found.sha256 == hashlib.sha256((kl_model / found.filename).read_bytes()).hexdigest()


def test_a_pipeline_folder_holds_it_in_a_subfolder(kl_model, tmp_path):
    shutil.copytree(kl_model, tmp_path / "pipe" / "vae")
    assert find_weights(str(tmp_path / "pipe")).folder == tmp_path / "pipe" / "vae"


def test_pickled_weights_are_not_read(kl_model, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(kl_model / "config.json", folder)
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(WeightsMissing, match="pickled weights .* are not read"):
        find_weights(str(folder))


def test_a_folder_under_the_name_of_a_row_must_have_its_sum(tmp_path, monkeypatch):
    save_model(tmp_path / "taesd", "AutoencoderTiny")
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsCorrupt, match="pass the folder itself"):
        find_weights("taesd")
    assert find_weights(str(tmp_path / "taesd")).origin == "folder"


def test_several_folders_are_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("RECON_DETECT_WEIGHTS", f"{tmp_path}:{tmp_path / 'b'}")
    save_model(tmp_path / "b" / "kandinsky21", "VQModel")  # a row without a known sum
    assert find_weights("kandinsky21").folder == tmp_path / "b" / "kandinsky21"


def test_shared_folder_is_the_fallback(tmp_path, monkeypatch):
    monkeypatch.delenv("RECON_DETECT_WEIGHTS")
    monkeypatch.setenv("RECON_DETECT_SHARED", str(tmp_path))
    assert search_folders() == [tmp_path / "weights"]
    monkeypatch.delenv("RECON_DETECT_SHARED")
    assert search_folders() == [Path("../shared/weights")]


def test_missing_weights_name_the_file_and_the_command(monkeypatch):
    with pytest.raises(WeightsMissing, match="recon-detect models download taesd"):
        find_weights("taesd", fetch=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="madebyollin/taesd/diffusion_pytorch_model.safetensors"):
        find_weights("taesd")


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownName, match="unknown model 'no such model'; known: .*taesd"):
        find_weights("no such model")


def test_real_weights_have_the_sums_of_the_registry(shared_weights):
    for name in MODEL_SETS["tiny"]:
        assert find_weights(name).folder == shared_weights / name
