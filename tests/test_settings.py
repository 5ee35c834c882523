import inspect
from typing import get_type_hints

import numpy as np
import pytest

from recon_detect import explain, load_detector
from recon_detect.calibration.fit import fitting_of
from recon_detect.errors import UnknownName, UsageError
from recon_detect.scale.batches import BatchScorer
from recon_detect.settings import DetectorOptions, Fitting, FittingOptions, Settings, SettingsOptions


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


@pytest.mark.parametrize(("options", "fields"), [(SettingsOptions, Settings), (FittingOptions, Fitting)])
def test_keywords_have_the_names_and_types_of_the_fields(options, fields):
    of_fields = get_type_hints(fields)
    if fields is Settings:  # arguments of their own
        del of_fields["device"], of_fields["dtype"]
    assert get_type_hints(options) == of_fields and options.__optional_keys__ == of_fields.keys()


def test_keywords_of_a_detector_are_the_arguments_of_its_loading():
    of_loading = inspect.signature(load_detector).parameters.keys() - {"options"}
    assert DetectorOptions.__optional_keys__ == of_loading | SettingsOptions.__optional_keys__


def test_an_unknown_keyword_is_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown option 'confidance'; known: .* Did you mean 'confidence'?"):
        fitting_of(confidance=0.9)
    with pytest.raises(UnknownName, match="Did you mean 'models'?"):
        BatchScorer(model="tiny")
    with pytest.raises(UnknownName, match="Did you mean 'effort'?"):
        explain(np.zeros((64, 64, 3), np.uint8), efort="quick")
