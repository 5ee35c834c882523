import numpy as np
import pytest
import torch

from recon_detect.errors import UsageError
from recon_detect.models.inversion import (
    betas,
    ddim_inversion,
    ddim_sampling,
    dire_inversion,
    dire_sampling,
    respaced,
    step_error,
)


@pytest.fixture
def schedule():
    return respaced(betas("linear", 1000), 20)


def test_respaced_as_guided_diffusion_names_it(schedule):
    assert schedule.times == tuple(range(0, 1000, 50)) and len(schedule) == 20
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    assert np.array_equal(schedule.alpha_bar, alphas[::50]) and schedule.alpha_bar.dtype == np.float64
    assert respaced(betas("linear", 1000), 10).times[1] == 100
    assert respaced(betas("cosine", 4000), 25).times == tuple(range(0, 4000, 160))
    with pytest.raises(UsageError, match="no stride gives 999 of 1000 times; try 500 or 1000"):
        respaced(betas("linear", 1000), 999)


def test_betas_are_those_of_the_papers():
    linear, cosine = betas("linear", 1000), betas("cosine", 1000)
    assert (linear[0], linear[-1]) == (1e-4, 2e-2) and betas("linear", 500)[0] == pytest.approx(2e-4)
    signal = np.cumprod(1 - cosine)
    t = np.arange(1, 1000) / 1000
    expected = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert np.allclose(signal[:-1], expected) and cosine[-1] == 0.999
    with pytest.raises(UsageError, match="unknown schedule 'sigmoid'; known: linear, cosine"):
        betas("sigmoid", 10)


def gaussian(schedule, deviation):
    """The noise that the best predictor sees in images of independent normal pixels."""
    signals = dict(zip(schedule.times, schedule.alpha_bar.tolist(), strict=True))

    def predict(x, time):
        signal = signals[time]
        return x * (1 - signal) ** 0.5 / (signal * deviation**2 + 1 - signal)

    return predict


def test_standard_ddim_comes_back_and_dire_ends_in_noise(schedule):
    """With the exact noise of a known distribution, in float64."""
    x = 0.2 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fine = respaced(betas("linear", 1000), 500)
    predict = gaussian(fine, 0.2)
    latent = ddim_inversion(predict, x, fine)
    assert latent.std() == pytest.approx(1, abs=0.1)
    assert torch.allclose(ddim_sampling(predict, latent, fine), x, atol=1e-3, rtol=0.03)
    predict = gaussian(schedule, 0.2)
    noise = dire_inversion(predict, x, schedule)
    assert 0.5 < noise.std() < 1.2
    assert dire_sampling(predict, noise, schedule).std() == pytest.approx(0.2, abs=0.1)


def test_every_step_is_told(schedule):
    x = torch.zeros(1, 3, 4, 4)
    seen = []
    for loop in (dire_inversion, dire_sampling):
        loop(lambda x, time: torch.ones_like(x), x, schedule, callback=lambda index, x: seen.append((index, x.shape)))
    assert seen == [(index, x.shape) for index in [*range(20), *reversed(range(20))]]


def test_the_first_steps_alone(schedule):
    times = []
    predict = lambda x, time: times.append(time) or torch.zeros_like(x)  # noqa: E731
    dire_sampling(predict, dire_inversion(predict, torch.zeros(1, 3, 4, 4), schedule, steps=3), schedule, steps=3)
    assert times == [0, 50, 100, 100, 50, 0]


def test_the_image_is_kept_in_range(schedule):
    """However wrong the predictions are."""
    recon = dire_sampling(lambda x, time: 9 * torch.ones_like(x), torch.ones(1, 3, 4, 4), schedule)
    assert recon.min() == -1


def test_a_step_beyond_the_schedule_is_an_error(schedule):
    with pytest.raises(UsageError, match="expected more than 20 inversion steps, got 20"):
        step_error(gaussian(schedule, 0.5), torch.zeros(1, 3, 8, 8), schedule, step=20)
