"""What the methods share that hold contrasts against photographs."""

import numpy as np
import pytest

# A distribution over photographs at one scale.
SCALE = {
    "mean": {"identity": 0.01, "hflip": 0.02},
    "variance": {"identity": 0.5, "hflip": 0.4},
    "spread": {"identity": 0.6, "hflip": 0.7},
    "area": 0.7,
    "freedom": 5.0,
}


@pytest.fixture
def textured(picture):
    def make(height=96, width=128, seed=0):
        noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
        return (picture(height, width, seed) + noise).clip(0, 255).astype(np.uint8)

    return make
