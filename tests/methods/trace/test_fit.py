"""Null distributions of a user's own models: `recon-detect nulls fit`, and scores with them."""

import json
import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from methods.grid.pictures import photograph
from methods.test_own_models import OF_A_FILE
from PIL import Image
from typer.testing import CliRunner

from recon_detect import load_detector
from recon_detect.cli.app import app
from recon_detect.errors import CalibrationError, UnknownName, UsageError
from recon_detect.methods.bound import bind
from recon_detect.methods.trace.fit import CONDITIONS, LEAST_PHOTOGRAPHS, TILES, fitted, read_fitted, tiles_method
from recon_detect.methods.trace.nulls import find_nulls
from recon_detect.methods.trace.trace import GLANCE, TRACE


def save(x, path):
    Image.fromarray(((x + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(path)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """As many as are needed, of two tiles each."""
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(LEAST_PHOTOGRAPHS):
        save(photograph(seed, 200)[:, :101], folder / f"{seed:02}.png")
    return folder


@pytest.fixture(scope="module")
def nulls(photographs, tiny_model, tmp_path_factory):
    """A file that was fitted to a folder's model."""
    output = tmp_path_factory.mktemp("nulls") / "nulls.json"
    options = ["--real", str(photographs), "--models", str(tiny_model), "-o", str(output), "--device", "cpu"]
    done = CliRunner().invoke(app, ["nulls", "fit", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert f"from {LEAST_PHOTOGRAPHS} photographs" in done.output and "encoder_features" in done.output
    return output


def test_the_distribution_is_that_of_the_tiles(nulls, photographs, tiny_model):
    rows = load_detector(tiles_method(), models=str(tiny_model), device="cpu").score(photographs).rows
    t = np.array([tiles for row in rows for tiles in row.details["t"][str(tiny_model)].values()])
    assert t.shape == (len(rows) * len(CONDITIONS), TILES) and t.std() > 0
    of_file = read_fitted(nulls)
    (row,) = of_file.contrast.values()
    assert (row["mean"], row["deviation"]) == pytest.approx((t.mean(), t.std(ddof=1)), abs=1e-3)
    assert of_file.common == pytest.approx(max(np.corrcoef(t.T)[0, 1], 0), abs=1e-3)
    assert of_file.photographs == LEAST_PHOTOGRAPHS


def test_a_search_takes_the_distribution_and_the_run_is_another(nulls, tiny_model, caplog):
    with caplog.at_level(logging.WARNING):
        bound = bind(TRACE, (str(tiny_model), str(nulls)))
    assert not caplog.records
    (row,) = read_fitted(nulls).contrast.values()
    assert bound.models == (str(tiny_model),)
    assert bound.nulls.contrast == ((row["mean"], row["deviation"]),) and bound.distances == ("encoder_features",)
    assert bound.nulls.common >= find_nulls(("mini-sd",), "normal").common
    assert bound.info().null != bind(TRACE, (str(tiny_model),)).info().null
    assert bind(GLANCE, (str(tiny_model), str(nulls))).nulls.contrast == bound.nulls.contrast


def test_the_command_line_scores_with_it(nulls, tiny_model, photographs):
    command = ["score", str(photographs / "00.png"), "--models", f"{tiny_model},{nulls}", "--effort", "quick", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[0])["error"] is None


def test_a_fit_goes_on_and_takes_more_photographs(nulls, photographs, tiny_model, tmp_path):
    more = tmp_path / "photographs"
    shutil.copytree(photographs, more)
    output, options = tmp_path / "n.json", ["--real", str(more), "--models", str(tiny_model), "--device", "cpu"]
    assert CliRunner().invoke(app, ["nulls", "fit", *options, "-o", str(output)]).exit_code == 0
    assert json.loads(output.read_text())["contrast"] == json.loads(nulls.read_text())["contrast"]
    first = (tmp_path / "n.scores.jsonl").read_text().splitlines()
    save(photograph(99, 200)[:, :101], more / "zz.png")
    assert CliRunner().invoke(app, ["nulls", "fit", *options, "-o", str(output)]).exit_code == 0
    assert json.loads(output.read_text())["photographs"] == LEAST_PHOTOGRAPHS + 1
    assert (tmp_path / "n.scores.jsonl").read_text().splitlines()[: len(first)] == first


def test_a_family_has_its_sizes_and_its_grid(photographs, tiny_model, tmp_path):
    output = tmp_path / "n.json"
    options = ["--real", str(photographs), "--models", str(tiny_model), "--family", "sdxl", "-o", str(output)]
    assert CliRunner().invoke(app, ["nulls", "fit", *options]).exit_code == 0
    assert bind(TRACE, (str(tiny_model), str(output))).nulls.of_models == ("sdxl",)


def test_a_module_of_a_file_by_a_distance_that_needs_no_weights(photographs, tmp_path):
    (tmp_path / "mine.py").write_text(OF_A_FILE)
    place, output = f"{tmp_path / 'mine.py'}:MINE", tmp_path / "n.json"
    options = ["--real", str(photographs), "--models", place, "--distance", "l2", "-o", str(output)]
    done = CliRunner().invoke(app, ["nulls", "fit", *options])
    assert done.exit_code == 0 and "mine by l2" in done.output, (done.output, done.exception)
    detector = load_detector(models=[place, output], effort="quick", device="cpu")
    assert detector.methods[0].distances == ("l2",)
    row = detector.score(photographs / "01.png")[0]
    assert row.error is None and "mine" in row.details["detectable"]["grain"]


def test_a_photograph_without_two_tiles_is_left_out(tiny_model, textured):
    flat, small = np.full((101, 200, 3), 128, np.uint8), textured(60, 60)
    rows = load_detector(tiles_method("l2"), models=str(tiny_model), device="cpu").score([flat, small]).rows
    assert all(row.error and "no finite score" in row.error for row in rows)


def test_pictures_that_the_model_wrote_are_no_photographs(caplog):
    model = SimpleNamespace(name="mine", sha256="a" * 64)

    def rows(mean, count):
        t = np.random.default_rng(0).normal(mean, 1, (count, TILES)).tolist()
        return [SimpleNamespace(error=None, details={"t": {"mine": {"png": of_one}}}) for of_one in t]

    fitted(rows(0, LEAST_PHOTOGRAPHS), [model], ["l2"])
    assert not caplog.records
    fitted(rows(4, LEAST_PHOTOGRAPHS), [model], ["l2"])
    assert "as if it had written these pictures" in caplog.text
    few = [*rows(0, 3), SimpleNamespace(error="damaged", path="a.png")]
    with pytest.raises(UsageError, match=r"got 3 of 4: .* a\.png: damaged"):
        fitted(few, [model], ["l2"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"-o": "n.safetensors"}, "ends in .json"),
        ({"--models": "no-such-model"}, "no-such-model"),
        ({"--distance": "l7"}, "l7"),
        ({"--real": "few"}, f"at least {LEAST_PHOTOGRAPHS} photographs, got 1"),
        ({"--real": "none"}, "no images in"),
    ],
)
def test_fit_tells_what_it_expects(photographs, tiny_model, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("few", "none"):
        (tmp_path / folder).mkdir()
    shutil.copy(photographs / "00.png", tmp_path / "few")
    chosen = {"--real": str(photographs), "--models": str(tiny_model), "-o": "n.json"} | options
    done = CliRunner().invoke(app, ["nulls", "fit", *(text for option in chosen.items() for text in option)])
    assert isinstance(done.exception, UsageError) and message in str(done.exception)


def test_files_that_are_of_something_else(nulls, tiny_model, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_fitted(tmp_path / "none.json")
    for text in ("{}", "[1]", "{", json.dumps(json.loads(nulls.read_text()) | {"contrast": {"a": {"mean": 0}}})):
        (tmp_path / "n.json").write_text(text)
        with pytest.raises(CalibrationError, match="holds no distributions"):
            read_fitted(tmp_path / "n.json")
    (tmp_path / "n.json").write_text(json.dumps(json.loads(nulls.read_text()) | {"version": 0}))
    with pytest.raises(UsageError, match="another version"):
        read_fitted(tmp_path / "n.json")
    with pytest.raises(UsageError, match="none of these has the weights of mini-sd"):
        bind(TRACE, ("mini-sd", str(nulls)))
    with pytest.raises(UsageError, match="one file of data"):
        bind(TRACE, (str(tiny_model), str(nulls), str(nulls)))
    with pytest.raises(UnknownName):
        tiles_method("l7")
