import sys

import pytest

from recon_detect.devices import keep_freed_memory


def test_memory_settings_are_taken_by_glibc_and_left_alone_elsewhere(monkeypatch):
    assert keep_freed_memory() == (sys.platform == "linux")
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False


@pytest.mark.skipif(sys.platform != "linux", reason="there is no mallopt to be missing")
def test_a_c_library_without_the_setting_is_no_error(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
