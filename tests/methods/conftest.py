"""Pictures that carry evidence."""

import numpy as np
import pytest


@pytest.fixture
def textured(picture):
    def make(height=96, width=128, seed=0):
        noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
        return (picture(height, width, seed) + noise).clip(0, 255).astype(np.uint8)

    return make
