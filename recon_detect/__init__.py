"""Detects AI-generated images by the reconstruction error of pretrained autoencoders, without training a network.

>>> from recon_detect import load_detector
>>> load_detector("aeroblade").score("picture.png").scores
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from recon_detect._version import __version__

if TYPE_CHECKING:
    from recon_detect.answers import Answer, answer_of
    from recon_detect.calibration import Calibration
    from recon_detect.claims import Claims, read_claims
    from recon_detect.detector import Detector, load_detector
    from recon_detect.errors import ReconDetectError
    from recon_detect.evidence import Evidence
    from recon_detect.images import Picture, Provenance, Source, find_sources, open_picture
    from recon_detect.methods import Method
    from recon_detect.models.own import EncoderDecoder
    from recon_detect.pages import Explanation, explain
    from recon_detect.results import Row, RunInfo
    from recon_detect.score_result import ScoreResult

# Looked up on first use: torch and diffusers take seconds to import.
_HOMES = {
    "Answer": "answers",
    "Calibration": "calibration",
    "Claims": "claims",
    "Detector": "detector",
    "EncoderDecoder": "models.own",
    "Evidence": "evidence",
    "Explanation": "pages",
    "Method": "methods",
    "Picture": "images",
    "Provenance": "images",
    "ReconDetectError": "errors",
    "Row": "results",
    "RunInfo": "results",
    "ScoreResult": "score_result",
    "Source": "images",
    "answer_of": "answers",
    "explain": "pages",
    "find_sources": "images",
    "load_detector": "detector",
    "open_picture": "images",
    "read_claims": "claims",
}

__all__ = [
    "Answer",
    "Calibration",
    "Claims",
    "Detector",
    "EncoderDecoder",
    "Evidence",
    "Explanation",
    "Method",
    "Picture",
    "Provenance",
    "ReconDetectError",
    "Row",
    "RunInfo",
    "ScoreResult",
    "Source",
    "__version__",
    "answer_of",
    "explain",
    "find_sources",
    "load_detector",
    "open_picture",
    "read_claims",
]

logging.getLogger("recon_detect").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
