import pytest

from recon_detect.errors import UsageError
from recon_detect.settings import Settings


@pytest.mark.parametrize("name", ["batch_size", "workers", "window", "max_pixels", "max_bytes", "middle_square"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "8", True])
def test_counts_are_whole_and_positive(name, value):
    with pytest.raises(UsageError, match=f"{name}=.*expected a whole number of at least 1"):
        Settings(**{name: value})
    assert getattr(Settings(**{name: 1}), name) == 1


def test_alpha_is_one_of_three():
    with pytest.raises(UsageError, match="alpha='purple': expected one of white, black, drop"):
        Settings(alpha="purple")


def test_a_square_is_no_larger_than_an_image():
    with pytest.raises(UsageError, match="middle_square=8193: expected at most 8192"):
        Settings(middle_square=8193)
