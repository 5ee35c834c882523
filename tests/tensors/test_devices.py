import logging
import sys

import pytest
import torch

from recon_detect import load_detector
from recon_detect.tensors.devices import convolutions, has_bfloat16, keep_freed_memory


def test_memory_settings_are_taken_by_glibc_and_left_alone_elsewhere(monkeypatch):
    assert keep_freed_memory() == (sys.platform == "linux")
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False


@pytest.mark.skipif(sys.platform != "linux", reason="there is no mallopt to be missing")
def test_a_c_library_without_the_setting_is_no_error(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False


@pytest.mark.parametrize("known, has", [
    ({"amx_bf16": True, "avx512_bf16": False}, True),
    ({"avx512_bf16": False, "avx2": True}, False),
    ({"neon": True, "bf16": True}, True),
    ({}, False),
])  # fmt: skip
def test_a_cpu_without_bfloat16_is_told_of_and_asked_all_the_same(known, has, monkeypatch, tiny_model, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert has_bfloat16(torch.device("cpu")) == has and has_bfloat16(torch.device("cuda"))
    for dtype in ("auto", "bfloat16"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "recon_detect"):
            load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", dtype=dtype)
        assert ("no bfloat16" in caplog.text) == (dtype == "bfloat16" and not has)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_bfloat16(torch.device("cpu"))


def test_float32_that_was_asked_for_is_no_tf32_on_cuda():
    before = torch.backends.cudnn.allow_tf32
    for device, dtype, exact in (("cuda", "float32", True), ("cuda", "auto", False), ("cpu", "float32", False)):
        with pytest.raises(ZeroDivisionError), convolutions(torch.device(device), dtype):
            assert torch.backends.cudnn.allow_tf32 == (False if exact else before)
            raise ZeroDivisionError
        assert torch.backends.cudnn.allow_tf32 == before
