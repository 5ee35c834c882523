"""A torchvision that cannot be imported is treated as not installed.

PyPI has no CPU build of torchvision; the CUDA build beside a CPU torch fails on import ("operator torchvision::nms does
not exist"), and as diffusers and transformers find it by name, they fail with it. Nothing here needs torchvision.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys

log = logging.getLogger("recon_detect")


def hide_broken_torchvision() -> str | None:
    """Hides torchvision from this process if it is installed and broken; returns what was wrong with it.

    ``sys.modules["torchvision"] = None`` is Python's own way to say "not installed": `find_spec` gives None and
    `import torchvision` raises ModuleNotFoundError.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # RuntimeError or OSError, depending on the versions
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]
        log.warning("torchvision is installed but broken (%s); going on without it", error)
        return str(error)
    return None
