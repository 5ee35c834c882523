"""Pictures too small for a method are rows with an error of the package, not of torch."""

import numpy as np
import pytest

from recon_detect import load_detector

SIZES = [(1, 1), (1, 300), (300, 1), (7, 7), (8, 8), (15, 15)]  # height, width
NETWORKS = ("aedr", "aedr-homogeneity", "aeroblade", "contrast", "did", "hfi", "rdd", "regap")
TOO_SMALL = {"grid": {(1, 1), (1, 300), (300, 1), (7, 7)}, "aedr-homogeneity": {(1, 1), (300, 1)}}


@pytest.mark.parametrize("method", [*NETWORKS, pytest.param("dire", marks=pytest.mark.slow), "glance", "grid", "trace"])
def test_a_picture_has_a_score_or_is_too_small(method, tiny_model):
    options = {"models": tiny_model, "distance": "l2"} if method in NETWORKS else {"effort": "quick"}
    detector = load_detector(method, device="cpu", workers=1, **options)
    rng = np.random.default_rng(0)
    rows = detector.score([rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES])
    errors = {size: row.error for size, row in zip(SIZES, rows, strict=True) if row.error}
    assert {size for size, error in errors.items() if error.startswith("ImageTooSmall: ")} == TOO_SMALL.get(
        method, set()
    )
    others = [error for size, error in errors.items() if size not in TOO_SMALL.get(method, set())]
    assert all(error.startswith("NumericalError: no finite score") for error in others)  # a quotient of nothing
    assert [row.answer.kind == "error" for row in rows] == [bool(row.error) for row in rows]
