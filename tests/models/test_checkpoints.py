"""Files that are given as weights and are something else."""

import shutil

import pytest
import torch

from recon_detect.errors import WeightsCorrupt, WeightsError
from recon_detect.models.checkpoints import read_pickled
from recon_detect.models.weights import find_weights

OTHERS = {
    b"": "an empty file",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n": "a pointer of Git LFS.*git lfs pull",
    b"<!DOCTYPE html>\n<html><body>Not found</body></html>": "an HTML page",
    b'{"error": "Repository not found"}': "JSON",
    b"\0" * 64: "nothing but zeros",
}


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_no_weights_says_what_it_is(content, kl_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(kl_model, folder)
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=f"expected safetensors; this is {OTHERS[content]}"):
        find_weights(str(folder))
    checkpoint = tmp_path / "model.pt"
    checkpoint.write_bytes(content)
    with pytest.raises(WeightsError, match=f"expected a checkpoint of torch.*; this is {OTHERS[content]}"):
        read_pickled(checkpoint)


@pytest.mark.parametrize("new", [True, False])
def test_checkpoints_under_the_name_of_safetensors_are_named(new, kl_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(kl_model, folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsCorrupt, match="convert it with safetensors"):
        find_weights(str(folder))


def test_safetensors_that_are_cut_off_are_named(kl_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(kl_model, folder)
    path = folder / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsCorrupt, match="cut off in its header"):
        find_weights(str(folder))


@pytest.mark.parametrize("new", [True, False])
def test_both_formats_of_torch_are_read(new, tmp_path):
    state = {"a": torch.arange(4.0), "b": torch.ones(2, 2)}
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=new)
    read = read_pickled(tmp_path / "model.pt")
    assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)


def test_safetensors_need_no_conversion(kl_model):
    with pytest.raises(WeightsError, match="needs no conversion"):
        read_pickled(kl_model / "diffusion_pytorch_model.safetensors")


@pytest.mark.parametrize("new", [True, False])
def test_code_in_a_checkpoint_is_not_run(new, tmp_path):
    class Code:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"a": Code()}, tmp_path / "model.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(WeightsError, match="not a checkpoint of tensors alone"):
        read_pickled(tmp_path / "model.pt")
