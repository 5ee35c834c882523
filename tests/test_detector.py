import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_model
from PIL import Image

import recon_detect
from recon_detect import ReconDetectError, load_detector
from recon_detect.errors import DeviceError, UnknownName, UsageError, WeightsMissing
from recon_detect.output import Journal


@pytest.fixture
def detector(tiny_model):
    return load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu")


def score(detector, images, **options):
    return detector.score(images, progress=False, **options)


def test_one_image_in_one_row_out(detector, picture):
    result = score(detector, picture())
    assert result.scores.shape == (1,) and result.scores.dtype == np.float64 and result.scores[0] < 0
    assert result.per_model.shape == (1, 1)
    row = result[0]
    assert row.error is None and row.provenance.width == 32 and row.per_model == {row_name(result): row.score}


def row_name(result):
    return result.models[0]


def test_every_kind_of_input_gives_the_same_score(detector, picture, tmp_path):
    pixels = picture()
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    inputs = [
        path,
        str(path),
        path.read_bytes(),
        Image.open(path),
        pixels,
        pixels / np.float32(255),
        tensor,
        tensor / 255,
    ]
    scores = score(detector, inputs).raise_for_errors().scores
    assert np.allclose(scores, scores[0], rtol=1e-5)
    batch = torch.stack([tensor, tensor])
    assert np.allclose(score(detector, batch).scores, scores[:2], rtol=1e-5)
    assert np.allclose(score(detector, np.stack([pixels] * 2)).scores, scores[:2], rtol=1e-5)
    assert score(detector, tmp_path).rows[0].path == str(path)
    assert [row.path for row in score(detector, [pixels, batch])] == ["image 0", "image 1.0", "image 1.1"]


def test_scores_do_not_depend_on_batch_size_order_or_company(tiny_model, picture):
    images = [picture(16 + 8 * (n % 3), 24, seed=n) for n in range(9)]
    alone = np.concatenate(
        [score(load_detector("aeroblade", models=tiny_model, distance="l2"), image).scores for image in images]
    )
    order = np.random.default_rng(0).permutation(9)
    for batch_size in (1, 3, 8, None):
        detector = load_detector("aeroblade", models=tiny_model, distance="l2", batch_size=batch_size)
        assert np.allclose(score(detector, images).scores, alone, rtol=1e-4)
        assert np.allclose(score(detector, [images[n] for n in order]).scores, alone[order], rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (63, 65), (257, 135)])
def test_any_size_is_a_finite_score_or_a_clear_error(size, shared_weights, picture):
    detector = load_detector("aeroblade", models="taesd", device="cpu")
    row = score(detector, picture(*size))[0]
    if min(size) == 1:
        assert math.isnan(row.score) and row.error.startswith("ImageTooSmall: 1x1 is too small")
    else:
        assert math.isfinite(row.score)


@pytest.mark.slow
def test_a_photograph_of_twelve_megapixels(detector, picture):
    assert math.isfinite(score(detector, picture(3000, 4000)).scores[0])


def test_errors_are_rows(detector, image_folder):
    result = score(detector, [image_folder, image_folder / "missing.png"])
    assert len(result) == 9
    assert [row.index for row in result] == list(range(9))
    assert list(result.errors) == [4, 8]
    assert result.rows[4].error.startswith("UnreadableImage: not an image")
    assert np.isnan(result.scores).sum() == 2 and np.isnan(result.per_model).sum() == 2
    with pytest.raises(ReconDetectError, match=r"3_broken.png: not an image.*\(and 1 more\)"):
        result.raise_for_errors()


def test_the_best_model_decides(tiny_model, kl_model, picture):
    result = score(
        load_detector("aeroblade", models=[tiny_model, kl_model], distance="l2"), [picture(seed=n) for n in range(3)]
    )
    assert result.per_model.shape == (3, 2)
    assert np.array_equal(result.scores, result.per_model.max(axis=1))
    assert result.models == (str(tiny_model), str(kl_model))


def test_maps_are_kept_on_request(detector, picture):
    images = [picture(), picture(24, 40)]
    assert score(detector, images).maps == [None, None]
    result = score(detector, images, maps=True)
    assert [m.shape for m in result.maps] == [(32, 32), (24, 40)]
    assert np.allclose([-m.mean() for m in result.maps], result.scores, rtol=1e-5)


def test_stream_yields_while_reading(detector, picture):
    seen = []

    def images():
        for number in range(200):
            seen.append(number)
            yield picture(seed=number)

    stream = detector.stream(images())
    first = next(stream)
    stream.close()
    assert first.index == 0 and len(seen) < 120


def test_a_run_says_how_to_reproduce_it(detector, tiny_model, tmp_path):
    run = detector.run_info
    assert (run.methods[0].name, run.methods[0].distance, run.compat, run.device) == ("aeroblade", "l2", None, "cpu")
    assert len(run.models[0].sha256) == 64 and run.models[0].dtype == "float32"
    assert run.versions["torch"] == torch.__version__
    same = load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", batch_size=3)
    assert same.run_info.fingerprint == run.fingerprint
    others = [
        load_detector("aeroblade", models=tiny_model, distance="l1", device="cpu"),
        load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", dtype="bfloat16"),
        load_detector("aeroblade", models=tiny_model, distance="l2", device="cpu", alpha="black"),
        load_detector(
            "aeroblade", models=save_model(tmp_path / "other", "AutoencoderTiny", seed=1), distance="l2", device="cpu"
        ),
    ]
    assert len({run.fingerprint, *(other.run_info.fingerprint for other in others)}) == 5


def test_several_methods_share_one_pass_and_agree_with_each_alone(tiny_model, picture, monkeypatch):
    images = [picture(seed=n) for n in range(3)]
    names = ["contrast", "aeroblade", "aedr"]
    alone = {name: score(load_detector(name, models=tiny_model, distance="l2"), images).scores for name in names}
    together = load_detector(names, models=tiny_model, distance="l2")
    decoded = []
    decode = type(together.models.reconstructors[0]).decode
    monkeypatch.setattr(
        type(together.models.reconstructors[0]),
        "decode",
        lambda self, z, **o: decoded.append(len(z)) or decode(self, z, **o),
    )
    result = score(together, images)
    assert sum(decoded) == 3 * 4  # upright, turned, mirrored, and the second pass
    assert np.array_equal(result.scores, result.scores_of("contrast"))
    for name in names:
        assert np.allclose(result.scores_of(name), alone[name], rtol=1e-5)
    entry = result[0].to_dict("run")
    assert list(entry["scores"]) == names and entry["score"] == entry["scores"]["contrast"]
    with pytest.raises(UnknownName, match="unknown method of this run 'hfi'"):
        result.scores_of("hfi")
    with pytest.raises(UsageError, match="at least one method"):
        load_detector([])


def test_a_method_without_an_answer_does_not_take_the_others_along(tiny_model, monkeypatch):
    """Black reconstructed as black: a quotient has no finite value, a difference has."""
    detector = load_detector(["aeroblade", "contrast"], models=tiny_model, distance="l2")
    monkeypatch.setattr(
        type(detector.models.reconstructors[0]), "decode", lambda self, z, precise=False: -torch.ones(len(z), 3, 8, 8)
    )
    row = score(detector, np.zeros((8, 8, 3), np.uint8))[0]
    assert row.score == 0 and row.error is None
    assert row.notes == ("not enough texture to tell", "contrast has no finite score")
    assert row.to_dict("run")["scores"] == {"aeroblade": 0, "contrast": None}


def test_low_precision_is_close(tiny_model, picture):
    exact, low = (
        load_detector("aeroblade", models=tiny_model, distance="l2", dtype=d) for d in ("float32", "bfloat16")
    )
    images = [picture(seed=n) for n in range(3)]
    assert np.allclose(score(low, images).scores, score(exact, images).scores, rtol=0.05)


def test_wrong_arguments_say_what_is_known(tiny_model):
    with pytest.raises(UnknownName, match=r"unknown method 'areoblade'; known: aedr, .*\. Did you mean 'aeroblade'\?"):
        load_detector("areoblade")
    with pytest.raises(UnknownName, match="unknown option .batchsize.; known: .*compat.* Did you mean .batch_size.?"):
        load_detector("aeroblade", models=tiny_model, batchsize=3)
    with pytest.raises(UsageError, match="compat='paper'"):
        load_detector("aeroblade", models=tiny_model, compat="paper")
    with pytest.raises(UnknownName, match="unknown distance"):
        load_detector("aeroblade", models=tiny_model, distance="lpips")
    with pytest.raises(DeviceError, match="'cuda:9' is not available"):
        load_detector("aeroblade", models=tiny_model, device="cuda:9")
    with pytest.raises(DeviceError, match="unknown device 'gpu'"):
        load_detector("aeroblade", models=tiny_model, device="gpu")
    with pytest.raises(WeightsMissing):
        load_detector("aeroblade", models="taesd", device="cpu")


def test_published_mode_takes_images_as_the_scripts_do(kl_model, picture):
    transparent = Image.fromarray(picture()).copy()
    transparent.putalpha(0)
    opaque = Image.fromarray(picture())
    detector = load_detector("aeroblade", models=kl_model, distance="l2", compat="published", device="cpu")
    scores = [score(detector, image).scores[0] for image in (transparent, opaque)]
    assert scores[0] == scores[1]
    row = score(detector, picture(31, 32))[0]
    assert row.error.startswith("InputError: 32x31: the published method needs sides that are multiples of 2")


def test_animated_and_jpeg_provenance_reach_the_rows(detector, picture):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "JPEG", quality=80)
    entry = score(detector, buffer.getvalue())[0].to_dict("run")
    assert (entry["format"], entry["jpeg_quality"], entry["run"], entry["error"]) == ("JPEG", 80, "run", None)
    assert entry["texture"] == 1 and score(detector, np.zeros((64, 64, 3), np.uint8))[0].texture in (0, None)


@pytest.mark.parametrize("method", ["aeroblade", ["contrast", "aedr"]])
def test_a_blank_image_has_not_enough_texture_to_tell_by_any_method(tiny_model, picture, method):
    detector = load_detector(method, models=tiny_model, distance="l2", device="cpu")
    nearly = np.full((96, 96, 3), 200, np.uint8)
    nearly[4:28] = picture(24, 96)  # three textured blocks of nine
    flat, little, enough, small = score(detector, [nearly * 0 + 9, nearly, picture(64, 64), picture(32, 32)])
    assert flat.notes == little.notes == ("not enough texture to tell",)
    # A small image of textured blocks alone has all that it can have.
    assert not enough.notes and not small.notes


def test_a_copy_names_the_first_picture_with_its_pixels(detector, picture, tmp_path):
    for name, seed in (("a.png", 0), ("b.bmp", 1), ("c.bmp", 0), ("d.png", 1)):
        Image.fromarray(picture(seed=seed)).save(tmp_path / name)
    (tmp_path / "e.png").write_bytes(b"broken")
    notes = {Path(row.path).name: row.notes for row in score(detector, tmp_path)}
    assert notes == {"a.png": (), "b.bmp": (), "c.bmp": (f"same pixels as {tmp_path / 'a.png'}",),
                     "d.png": (f"same pixels as {tmp_path / 'b.bmp'}",), "e.png": ()}  # fmt: skip
    # A run that goes on knows those that were scored before.
    with Journal(tmp_path / "out.jsonl", detector.run_info) as journal:
        [*detector.run([tmp_path / "a.png"], journal, progress=False)]
    with Journal(tmp_path / "out.jsonl", detector.run_info) as journal:
        *_, last = detector.run([tmp_path / "a.png", tmp_path / "c.bmp"], journal, progress=False)
    assert last.notes == notes["c.bmp"]


def test_public_names_exist():
    for name in recon_detect.__all__:
        assert getattr(recon_detect, name) is not None
    assert set(dir(recon_detect)) == set(recon_detect.__all__)
    with pytest.raises(AttributeError):
        _ = recon_detect.nothing


@pytest.mark.slow
def test_hundreds_of_images_keep_memory_flat(detector, picture):
    import psutil

    process = psutil.Process()
    pictures = [picture(96, 96, seed=n) for n in range(10)]

    def consume(count):
        for _ in detector.stream(pictures[n % 10] for n in range(count)):
            pass
        return process.memory_info().rss

    before = consume(100)
    # The images alone are 44 MB as tensors.
    assert consume(400) - before < 20_000_000


def test_the_default_keeps_the_run_id_of_earlier_results():
    # Journals and calibrations of the default are of this run: a byte of its null distributions would change it. Since
    # `trace` is the default, which no earlier result is of.
    assert load_detector().run_info.fingerprint == "8cfc4d75fcbc"


@pytest.mark.parametrize("method", ["default", "contrast", "rigid"])
def test_an_unknown_model_is_named_before_anything_else_is_said(method):
    with pytest.raises(UnknownName, match=r"unknown model 'tinny'.*Did you mean 'tiny'"):
        load_detector(method, models="tinny")
