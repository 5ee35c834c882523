import json
import logging
import shutil

import numpy as np
import pytest
import torch
from methods.grid.pictures import generated, photograph
from PIL import Image
from typer.testing import CliRunner

from recon_detect import load_detector
from recon_detect.cli.app import app
from recon_detect.errors import UsageError, WeightsCorrupt
from recon_detect.methods.grid.families import SHIPPED, read_families, read_whitening, write_families
from recon_detect.methods.grid.fit import best_cosines, left_out, template
from recon_detect.methods.grid.grid import best_match, cells, draw, in_words, rank
from recon_detect.methods.grid.users import fit_files
from recon_detect.methods.grid.whitening import Whitening, similarities
from recon_detect.output.heatmap import picture_of
from recon_detect.results import LIKELY_GENERATED, Score


def array(x):
    return ((x + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def save(x, path):
    Image.fromarray(array(x)).save(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with photographs and one with pictures on a grid of 8 pixels."""
    root = tmp_path_factory.mktemp("pictures")
    for kind, make, seeds in (("real", photograph, range(12)), ("generated", generated, range(20, 26))):
        (root / kind).mkdir()
        for seed in seeds:
            save(make(seed), root / kind / f"{seed}.png")
    return root


@pytest.fixture(scope="module")
def family(pictures, tmp_path_factory):
    output = tmp_path_factory.mktemp("family") / "toy.safetensors"
    fit_files([pictures / "real"], output, generated=[pictures / "generated"], name="toy")
    return output


def test_whitened_photographs_are_alike_in_all_directions():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(12, 12, generator=generator)
    found = torch.einsum("gf,nfij->ngij", mixing, torch.randn(400, 12, 8, 8, generator=generator))
    found -= found.mean((2, 3), keepdim=True)
    white = Whitening.fit(found)(found)
    before, after = (each.transpose(0, 1).flatten(1).cov() for each in (found, white))
    assert after.trace() / 12 == pytest.approx(1, abs=1e-3)
    # All but the direction of least variance, which the ridge stands for.
    strong = torch.linalg.eigh(before).eigenvectors[:, 3:]
    assert torch.linalg.cond(strong.T @ before @ strong) > 10
    assert torch.linalg.cond(strong.T @ after @ strong) < 1.5


def test_similarities_find_how_far_a_template_was_moved():
    one = torch.randn(216, 8, 8, generator=torch.Generator().manual_seed(1))
    moved = one.roll((3, 6), (1, 2))
    found = similarities(3 * moved[None], one[None])[0, 0]
    assert found.flatten().argmax() == 3 * 8 + 6 and found.max() == pytest.approx(1, abs=1e-5)


def test_a_family_finds_its_pictures_wherever_they_were_cropped(family):
    families, whitening = read_families(family), read_whitening()
    for offset in ((0, 0), (3, 5)):
        match = best_match(generated(40, offset=offset), families, whitening)
        assert match.z[0] > 2.33 and match.phase == tuple(-each % 8 for each in offset)
    assert best_match(photograph(41), families, whitening).z[0] < 2.33


def test_the_map_tells_where_the_grid_is(family):
    x = torch.cat([photograph(42, 256)[:, :128], generated(43, 256)[:, :128]], 1)
    seen = cells(x, read_families(family)[0], read_whitening(), (0, 0))
    assert seen.shape == (4, 4) and seen[2:].mean() > seen[:2].mean() + 1.5


def test_the_heat_map_covers_the_whole_picture(family, pictures):
    x = torch.cat([photograph(42, 256)[:, :128], generated(43, 256)[:, :128]], 1)
    save(x, pictures / "half.png")
    half, other = load_detector("grid", models=family, device="cpu").score(
        [pictures / "half.png", array(photograph(41))], maps=True, progress=False
    )
    assert half.map.shape == (32, 32) and half.map_scale == 6
    cells_seen = np.array(half.scores["grid"].details["cells"], np.float32)
    assert np.array_equal(half.map, cells_seen.repeat(8, 0).repeat(8, 1))
    assert half.map[16:].mean() > half.map[:16].mean() + 1.5
    assert not other.map.any()
    assert picture_of(half).size == (256, 256)


@pytest.mark.parametrize(
    ("scale", "box", "size", "covered"),
    [
        # Two cells of 64 px across and one down, at half the size: 32 px of the picture each.
        (2.0, (16, 8, 80, 40), (64, 100), (slice(1, 5), slice(2, 10))),
        # Only the middle 512 px are looked at, at twice their size.
        (2.0, (0, 0, 1024, 32), (32, 1024), (slice(0, 4), slice(32, 96))),
    ],
)
def test_the_heat_map_lies_where_the_picture_was_looked_at(scale, box, size, covered):
    columns = min(box[2] - box[0], 512) * int(scale) // 64
    score = Score(3.0, details={"cells": [[1.0] * columns], "box": list(box), "scale": scale})
    expected = np.zeros([-(-side // 8) for side in size])
    expected[covered] = 1
    assert np.array_equal(draw(score, size), expected)


def test_a_narrow_picture_has_a_cell(family):
    x = generated(44, 256)[:, :60]
    assert cells(x, read_families(family)[0], read_whitening(), (0, 0)).shape == (1, 4)


def test_left_out_pictures_do_not_help_themselves():
    white = torch.randn(6, 216, 8, 8, generator=torch.Generator().manual_seed(2))
    inside = best_cosines(white, template(white)[None])[:, 0]
    alone = left_out(white, list("aabbcc"))
    assert (alone < inside - 0.2).all()
    assert np.isnan(left_out(white[:2], ["a", "a"])).all()


def test_scores_with_a_fitted_family(family, pictures):
    detector = load_detector("grid", models=family, device="cpu")
    assert detector.run_info.methods[0].models == ("toy",)
    save(generated(50, offset=(2, 0)), pictures / "cropped.png")
    images = [pictures / "cropped.png", array(photograph(51)), np.zeros((64, 64, 3), np.uint8), array(generated(50))]
    found, other, flat, whole = (row.scores["grid"] for row in detector.score(images).rows)
    assert found.value > 2.33 > other.value and flat.value == 0
    assert found.details["family"] == "toy" and found.details["offset"] == [0, 2]
    assert np.shape(found.details["cells"]) == (2, 2)
    assert found.remark == "the 8-pixel grid of toy, cropped 0 px across and 2 px down off it"
    assert found.details["cropped"] and not whole.details["cropped"] and whole.remark == "the 8-pixel grid of toy"
    assert other.remark == "" and flat.remark == "not enough texture to tell"


@pytest.mark.parametrize("combine", ["fisher", "min-p"])
def test_calibrates_with_another_method(family, pictures, tiny_model, combine):
    detector = load_detector(["grid", "aeroblade"], models=[family, tiny_model], distance="l2", device="cpu")
    calibration = detector.calibrate(pictures / "real", fpr=0.5, combine=combine, confidence=0.5, progress=False)
    assert calibration.combiner.features == ("grid.toy", f"aeroblade.{tiny_model}")
    row = detector.with_calibration(calibration).score(pictures / "generated" / "20.png", progress=False)[0]
    assert row.verdict.verdict == LIKELY_GENERATED and row.verdict.decoder == "toy"


def test_a_remark_names_the_native_size_of_what_was_resized():
    details = {"family": "sd", "scale": 1.3333, "native_size": [512, 768], "offset": [3, 0], "cropped": False}
    assert in_words(4.0, details) == "the 8-pixel grid of sd at 512x768"


def test_the_name_is_not_that_of_the_narrowest_template_alone():
    z, cosines = np.array([9.0, 9.2, 2.0]), np.array([0.6, 0.3, 0.9])
    assert rank(z, cosines).argmax() == 0
    assert rank(np.array([9.0, 12.0, 2.0]), cosines).argmax() == 1


def test_the_package_has_families():
    families = read_families()
    assert {"sd", "sdxl", "flux1", "sd3", "images:gpt-4o"} <= {family.name for family in families}
    assert all(family.scales[0] == 1 and family.scales == families[0].scales for family in families)
    assert all(family.template.square().sum() == pytest.approx(1, abs=1e-2) for family in families)
    assert SHIPPED.stat().st_size < 3_000_000
    score = load_detector("grid", device="cpu").score([array(photograph(60))]).rows[0].score
    assert score < 2.33


def test_fit_says_what_it_measured(pictures, tmp_path, caplog):
    output = tmp_path / "toy.safetensors"
    options = ["--real", str(pictures / "real"), "--generated", str(pictures / "generated")]
    with caplog.at_level(logging.WARNING):
        done = CliRunner().invoke(app, ["grid", "fit", *options, "--name", "toy", "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert "from 6 pictures against 12 photographs" in done.output and "AUROC 1.000" in done.output
    assert "6 pictures: with fewer than 20" in caplog.text


def test_fit_from_an_autoencoder(pictures, tmp_path, tiny_model):
    many = tmp_path / "real"
    many.mkdir()
    for seed in range(20):
        save(photograph(seed, 100), many / f"{seed}.png")
    fitted = fit_files([many], tmp_path / "decoder.safetensors", autoencoder=str(tiny_model))
    (family,) = read_families(tmp_path / "decoder.safetensors")
    assert fitted.pictures == fitted.photographs == 10 and family.card["made from"].endswith(str(tiny_model))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected --generated, or --autoencoder"),
        ({"generated": ["a"], "autoencoder": "taesd"}, "not both"),
        ({"generated": ["a"]}, "expected --name"),
        ({"generated": ["a"], "name": "a", "output": "a.bin"}, "ends in .safetensors"),
        ({"generated": ["generated"], "name": "a", "real": "generated"}, "at least 10 photographs"),
    ],
)
def test_fit_tells_what_it_expects(pictures, tmp_path, options, message):
    options = {"output": "a.safetensors", "real": "real", **options}
    inputs = {"generated": [pictures / name for name in options.pop("generated", [])]}
    with pytest.raises(UsageError, match=message):
        fit_files([pictures / options.pop("real")], tmp_path / options.pop("output"), **options, **inputs)


def test_files_that_hold_no_families(family, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_families(tmp_path / "none.safetensors")
    shutil.copy(SHIPPED.parent / "families.py", tmp_path / "other.safetensors")
    with pytest.raises(WeightsCorrupt, match="holds no families"):
        read_families(tmp_path / "other.safetensors")
    whitening = read_whitening()
    other = Whitening(whitening.features * 2, whitening.harmonics)
    write_families(tmp_path / "older.safetensors", read_families(family), other)
    with pytest.raises(UsageError, match="another version"):
        read_families(tmp_path / "older.safetensors")
    with pytest.raises(UsageError, match="one file of data"):
        load_detector("grid", models=[family, tmp_path / "older.safetensors"], device="cpu")


def test_details_are_plain_json(family, pictures):
    row = load_detector("grid", models=family, device="cpu").score(pictures / "generated" / "20.png").rows[0]
    assert json.loads(json.dumps(row.to_dict("")))["details"]["grid"]["family"] == "toy"
