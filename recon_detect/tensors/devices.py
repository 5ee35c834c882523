"""Choice of the device, and versions of the libraries that took part."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version

import torch

from recon_detect._version import __version__
from recon_detect.errors import DeviceError

_PACKAGES = ("torch", "ncnn", "diffusers", "lpips", "numpy", "pillow", "safetensors", "huggingface_hub")


def find_device(name: str | None) -> torch.device:
    """The named device, or the first of cuda, mps and cpu that is there.

    Raises:
        DeviceError: The named device is not there; there is no silent step back to the CPU.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind, available in there.items() if available))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {name!r}; known: {', '.join(there)}") from error
    missing_index = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if missing_index or not there.get(device.type, False):
        available = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise DeviceError(f"{name!r} is not available with torch {torch.__version__}; available: {available}")
    return device


# Instructions for products in bfloat16, by the names that torch gives them on x86-64 and on ARM.
_BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")


def has_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 saves time: a CPU without instructions for it takes many times as long as in float32.

    True where torch does not report it.
    """
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _BFLOAT16)


def sum_dtype(device: torch.device) -> torch.dtype:
    """Precision of means: methods subtract them from each other, and float32 keeps seven digits of each."""
    return torch.float32 if device.type == "mps" else torch.float64  # Metal has no float64


# <malloc.h>; glibc's defaults hand every tensor beyond 32 MB back to the system as soon as it is freed.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Lets the C library keep freed memory for the next tensor instead of paging in anew; False where it cannot.

    The layers of an image above about 300 px square are mapped, zeroed page by page and unmapped again otherwise, which
    costs a third of the time of an autoencoder on the CPU. What is kept is held until exit. Tensors above 128 MB, as in
    tiles of large images, go back: with them, the peak of a photograph of 6 million pixels was twice as high.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    limits = {_M_MMAP_THRESHOLD: 2**27, _M_TRIM_THRESHOLD: 2**31 - 1}
    return mallopt is not None and all(mallopt(parameter, limit) == 1 for parameter, limit in limits.items())


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Computes in `dtype` with weights in float32; nothing at all for float32 itself."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@contextmanager
def convolutions(device: torch.device, dtype: str) -> Iterator[None]:
    """Computes float32 convolutions in float32 where that was asked for: cuDNN takes TF32, with ten bits, otherwise."""
    if device.type != "cuda" or dtype != "float32":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def fast_layout(x: torch.Tensor) -> torch.memory_format:
    """Channels last is about 1.5 times as fast for 2-D convolutions, on the CPU and on tensor cores."""
    return torch.channels_last if x.ndim == 4 else torch.contiguous_format


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that take part in a score."""
    installed = {"recon_detect": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "missing"
    return installed
