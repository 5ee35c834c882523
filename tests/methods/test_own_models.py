"""Autoencoders of users' own: modules, given as objects or in a file."""

import json
import logging
import pickle

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from recon_detect import EncoderDecoder, load_detector
from recon_detect.cli.app import app
from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods.bound import bind
from recon_detect.methods.trace.trace import TRACE
from recon_detect.models.weights import looking_among

OF_A_FILE = """
import torch
from recon_detect import EncoderDecoder


class Half(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 2)


class Double(torch.nn.Module):
    def forward(self, z):
        return torch.nn.functional.interpolate(z, scale_factor=2)


MINE = EncoderDecoder("mine", Half(), Double(), factor=2)
OTHER = 1
"""


def pair(name="mine", seed=0, **options):
    torch.manual_seed(seed)
    return EncoderDecoder(
        name, torch.nn.Conv2d(3, 6, 4, stride=4), torch.nn.ConvTranspose2d(6, 3, 4, stride=4), factor=4, **options
    )


class Inverter(torch.nn.Module):
    """The encoder of a GAN of 16 px: a vector for each image."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3 * 16 * 16, 8)

    def forward(self, x):
        return self.layer(x.flatten(1))


class Generator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 3 * 16 * 16)

    def forward(self, w):
        return self.layer(w).view(-1, 3, 16, 16).tanh()


def test_a_pair_of_modules_is_a_model_like_any_other(textured):
    mine = pair()
    detector = load_detector(["aeroblade", "contrast"], models=[mine], distance="l2", device="cpu")
    image = textured(50, 61)  # no multiple of its factor
    row = detector.score(image)[0]
    x = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    x = torch.nn.functional.pad(x, (0, 3, 0, 2), "reflect")
    with torch.inference_mode():
        again = mine.decoder(mine.encoder(x)).clamp(-1, 1)
    error = (again - x)[..., :50, :61].square().mean()
    assert row.score == pytest.approx(-float(error), rel=1e-5) and row.scores["contrast"].per_model.keys() == {"mine"}


def test_the_run_is_that_of_the_tensors_and_the_original_stays_as_it_is():
    mine = pair()
    run, again, other = (load_detector("aedr", models=m, device="cpu").run_info for m in (mine, pair(), pair(seed=1)))
    assert run.fingerprint == again.fingerprint != other.fingerprint
    assert run.models[0].origin == "module" and mine.training and mine.encoder.weight.requires_grad
    assert run.fingerprint != load_detector("aedr", models=pair(side=16), device="cpu").run_info.fingerprint


def test_a_detector_with_modules_is_pickled(textured):
    detector = load_detector("aedr", models=[pair()], device="cpu")
    again = pickle.loads(pickle.dumps(detector))
    assert again.score(textured(32, 32))[0].score == detector.score(textured(32, 32))[0].score


def test_the_default_method_says_that_a_module_was_not_measured(caplog):
    """`recon-detect nulls fit` measures it: trace/test_fit.py."""
    with looking_among({"mine": pair()}), caplog.at_level(logging.WARNING):
        assert bind(TRACE, ("mine", "mini-sd")).distances == ("lpips_vgg_2", "encoder_features")
    assert "mine: no null distribution was measured" in caplog.text


def test_a_gan_and_its_encoder_see_the_middle_square(textured):
    gan = EncoderDecoder("gan", Inverter(), Generator(), side=16)
    score = load_detector("dire", models=[gan], device="cpu").score([textured(40, 64), textured(16, 16)])
    assert all(row.error is None for row in score.rows)
    with torch.inference_mode():
        x = torch.from_numpy(textured(16, 16).copy()).permute(2, 0, 1)[None] / 127.5 - 1
        error = (gan.decoder(gan.encoder(x)) - x).abs().mean()
    assert -score.rows[1].score == pytest.approx(float(error), rel=1e-3)
    assert "images of 16 x 16" in load_detector("aedr", models=[gan], device="cpu").score(textured(40, 64))[0].error
    whole = load_detector("aedr", models=[gan], device="cpu", middle_square=16).score(textured(40, 64))
    assert whole.rows[0].error is None


def test_a_file_of_ones_own_on_the_command_line(tmp_path, picture):
    from PIL import Image

    Image.fromarray(picture(40, 40)).save(tmp_path / "a.png")
    (tmp_path / "mine.py").write_text(OF_A_FILE)
    place = f"{tmp_path / 'mine.py'}:MINE"
    command = ["score", str(tmp_path / "a.png"), "-m", "aeroblade", "--distance", "l2", "--models", place, "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout.splitlines()[0])["per_model"]["aeroblade"].keys() == {"mine"}
    detector = load_detector("aedr", models=place, device="cpu")
    assert pickle.loads(pickle.dumps(detector)).run_info.fingerprint == detector.run_info.fingerprint
    for name, error in (("NONE", UnknownName), ("OTHER", UsageError)):
        with pytest.raises(error):
            load_detector("aedr", models=f"{tmp_path / 'mine.py'}:{name}", device="cpu")


def test_what_cannot_be():
    for name in ("", "taesd", "tiny", "a,b"):
        with pytest.raises(UsageError, match="name="):
            pair(name)
    with pytest.raises(UsageError, match="multiple"):
        pair(side=17)
    with pytest.raises(UsageError, match="two models"):
        load_detector("aedr", models=[pair(), pair(seed=1)], device="cpu")
    wrong = EncoderDecoder("wrong", torch.nn.Conv2d(3, 6, 4, stride=4), torch.nn.Identity(), factor=4)
    row = load_detector("aedr", models=wrong, device="cpu").score(np.zeros((16, 16, 3), np.uint8))[0]
    assert "expected the decoder to give images (1, 3, H, W)" in row.error
