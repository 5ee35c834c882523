"""Detectors in other processes: by pickle, by spawn, by fork, and copies in this one."""

import copy
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch

from recon_detect import Method, load_detector
from recon_detect.errors import WeightsError, WeightsMissing
from recon_detect.settings import Inversion
from tests.conftest import save_model

OWN_METHOD = """
from recon_detect import Method

def ratio(e):
    return e.error() / e.error(passes=2)

RATIO = Method("ratio", "in a file", ratio, False, "l2", ("taesd",), "")
"""


def brightness(e):
    return e.image().mean(dim=(1, 2, 3))[:, None]


BRIGHTNESS = Method("brightness", "here", brightness, True, "mean", (), "", needs=frozenset())


def again(detector):
    return pickle.loads(pickle.dumps(detector))


def scores(detector, images):
    return detector.score(images, progress=False).scores


def test_a_detector_is_pickled_with_its_settings_and_without_weights(tiny_model, picture):
    detector = load_detector(
        ["aeroblade", "contrast"], models=tiny_model, distance="l2", device="cpu", batch_size=2, inversion=Inversion(5)
    )
    pickled = pickle.dumps(detector)
    assert len(pickled) < 10_000 < sum(w.numel() for w in detector.models.reconstructors[0]._module.parameters())
    other = pickle.loads(pickled)
    images = [picture(seed=seed) for seed in range(3)]
    assert np.array_equal(scores(other, images), scores(detector, images))
    assert other.run_info == detector.run_info and other.settings == detector.settings
    assert other.models.reconstructors[0] is not detector.models.reconstructors[0]


def test_a_calibrated_detector_judges_as_before(tiny_model, picture):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    generated = [picture(seed=seed) // 2 for seed in range(40, 60)]
    calibration = detector.calibrate([picture(seed=seed) for seed in range(40)], generated, fpr=0.1, combine="lda")
    judging = detector.with_calibration(calibration)
    rows = [of.score(picture(), progress=False)[0] for of in (judging, again(judging), copy.deepcopy(judging))]
    assert rows[0].verdict and rows[0].verdict == rows[1].verdict == rows[2].verdict
    assert again(judging).run_info.fingerprint == judging.run_info.fingerprint != detector.run_info.fingerprint


def test_published_scores_start_over(kl_model, picture):
    detector = load_detector("aeroblade", models=kl_model, distance="l2", compat="published", device="cpu")
    assert np.array_equal(scores(again(detector), picture()), scores(detector, picture()))


def test_copies_are_independent_and_a_shallow_one_shares_the_networks(tiny_model, picture):
    detector = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")
    shallow, deep = copy.copy(detector), copy.deepcopy(detector)
    assert shallow is not detector and shallow.models is detector.models and deep.models is not detector.models
    assert scores(shallow, picture()) == scores(deep, picture()) == scores(detector, picture())


def test_the_folders_of_the_first_process_are_those_of_the_second(tmp_path, monkeypatch, picture):
    """Ray and Spark start their workers in folders of their own."""
    save_model(tmp_path / "here" / "mine", "AutoencoderTiny")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    detector = load_detector("aeroblade", models="mine", distance="l2", device="cpu")
    pickled = pickle.dumps(detector)
    monkeypatch.chdir(tmp_path / "there")
    other = pickle.loads(pickled)
    assert other.run_info == detector.run_info and scores(again(other), picture()) == scores(detector, picture())
    # On a machine without that folder, the place where that process works.
    (tmp_path / "here" / "mine").rename(tmp_path / "there" / "mine")
    assert pickle.loads(pickled).run_info.fingerprint == detector.run_info.fingerprint
    shutil.rmtree(tmp_path / "there" / "mine")
    with pytest.raises(WeightsMissing, match="had its models in one of .*here,.*unknown model 'mine'"):
        pickle.loads(pickled)


def test_other_weights_in_the_same_place_are_refused(tmp_path):
    save_model(tmp_path / "model", "AutoencoderTiny")
    pickled = pickle.dumps(load_detector("aeroblade", models=tmp_path / "model", distance="l2", device="cpu"))
    save_model(tmp_path / "model", "AutoencoderTiny", seed=1)
    with pytest.raises(
        WeightsError, match="pickled as run .* and loads as run .* here: models was .* is .*model float32"
    ):
        pickle.loads(pickled)


def test_methods_of_ones_own(tmp_path, tiny_model, picture):
    """As their functions are: by name, or by the file that they were loaded from."""
    assert again(load_detector(BRIGHTNESS)).methods[0].method == BRIGHTNESS
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(load_detector(Method("local", "", lambda e: e.image(), True, "mean", (), "", needs=frozenset())))
    path = tmp_path / "own.py"
    path.write_text(OWN_METHOD)
    detector = load_detector(f"{path}:RATIO", models=tiny_model, device="cpu")
    pickled = pickle.dumps(detector)
    assert pickle.loads(pickled).methods == detector.methods
    module = sys.modules.pop(detector.methods[0].method.statistic.__module__)  # as in another process
    other = pickle.loads(pickled)
    assert other.methods[0].method.statistic is not module.ratio
    assert scores(other, picture()) == scores(detector, picture())


def _one_thread():
    torch.set_num_threads(1)


def _score(detector, images):
    return scores(detector, images).tolist()


@pytest.mark.slow
def test_spawned_workers_score_alike(tmp_path, tiny_model, picture):
    (tmp_path / "own.py").write_text(OWN_METHOD)
    detector = load_detector(
        ["aeroblade", f"{tmp_path / 'own.py'}:RATIO"], models=tiny_model, distance="l2", device="cpu"
    )
    images = [picture(seed=seed) for seed in range(4)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=_one_thread) as pool:
        parts = list(pool.map(_score, [detector] * 2, [images[:2], images[2:]]))
    assert np.allclose(np.concatenate(parts), scores(detector, images), rtol=1e-5)


FORKED = """
import os, sys
import numpy as np, torch
from recon_detect import load_detector

torch.set_num_threads(1)
detector = load_detector("aeroblade", models=sys.argv[1], distance="l2", device="cpu")
images = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8) for seed in range(3)]
before = detector.score(images, progress=False).scores
if os.fork() == 0:
    os._exit(not np.array_equal(detector.score(images, progress=False).scores, before))
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_with_one_thread_scores_alike(tiny_model):
    """In torch, threads do not survive a fork: with more of them the child would wait for ever."""
    subprocess.run([sys.executable, "-c", FORKED, str(tiny_model)], check=True, timeout=300)
