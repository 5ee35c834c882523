import hashlib
import json
import pickle

import numpy as np
import pytest
import torch
from methods.grid.pictures import photograph
from PIL import Image
from scipy import stats

from assets.trace import REVISION
from recon_detect import load_detector
from recon_detect.errors import UnknownName, UsageError
from recon_detect.methods import find_method
from recon_detect.methods.bound import bind
from recon_detect.methods.grid.families import SHIPPED, read_families
from recon_detect.methods.trace.effort import EFFORTS, find_effort, kind_of
from recon_detect.methods.trace.factors import SHARES, OfPhotographs, least_effect, log_factor, mean_factor
from recon_detect.methods.trace.frames import BLIND_SCALES, LARGEST, SYMMETRIES, Frame, frames_of, places_of
from recon_detect.methods.trace.looks import FLOOR, MOVED, TILES, TRUSTED, contrasts, look_for_grid, tile_side, tiles_of
from recon_detect.methods.trace.nulls import COMPRESSED, FILE, SEARCHED_AS, find_nulls
from recon_detect.methods.trace.search import Search, search
from recon_detect.methods.trace.trace import TRACE
from recon_detect.models.registry import AUTOENCODERS

FAMILIES = tuple(family.name for family in read_families())
EMBEDDED = ("mini-sd", "mini-sdxl", "mini-sd3", "mini-flux1")


@pytest.fixture(scope="module")
def detector():
    return load_detector("trace", models="mini-sd", device="cpu", effort="quick")


def noise(width, height):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def pixels(x):
    return ((x + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def test_a_bayes_factor_is_one_on_average_over_photographs_and_large_elsewhere():
    z = np.random.default_rng(0).normal(size=400_000)
    assert np.exp(log_factor(z, (0.4, 0.8, 1.6))).mean() == pytest.approx(1, abs=0.02)
    looks = 4.0
    assert log_factor(3.2, (1.6,), looks) == pytest.approx(stats.norm.logpdf(3.2, 3.2) - stats.norm.logpdf(3.2, 0))
    assert log_factor(z + 2 * 1.6, (0.4, 0.8, 1.6), looks).mean() > 2


def test_at_most_one_photograph_in_twenty_ever_exceeds_twenty():
    """Whichever hypothesis is observed next, and whenever observing stops."""
    generator = np.random.default_rng(1)
    sums, counts, ever = np.zeros((20_000, 3)), np.zeros((20_000, 3)), np.zeros(20_000, bool)
    for _ in range(30):
        factors = log_factor(sums / np.sqrt(np.maximum(counts, 1)), (0.4, 0.8, 1.6, 3.2), counts)
        leader = factors.argmax(1)  # what looks best is looked at again
        sums[np.arange(len(sums)), leader] += generator.normal(size=len(sums))
        counts[np.arange(len(sums)), leader] += 1
        factors = log_factor(sums / np.sqrt(np.maximum(counts, 1)), (0.4, 0.8, 1.6, 3.2), counts)
        ever |= np.exp(factors).mean(1) >= 20
    assert ever.mean() <= 0.05


def test_factors_are_averaged_by_their_priors():
    assert mean_factor([0.0, 0.0], [0.7, 0.3]) == pytest.approx(0)
    assert mean_factor(np.log([10.0, 1.0]), [0.1, 0.9]) == pytest.approx(np.log(1.9))


def test_the_first_frame_is_the_picture_as_it_is_and_priors_are_shares():
    for size in ((800, 800), (1024, 576), (333, 250)):
        for effort in EFFORTS.values():
            frames, jpeg = frames_of(noise(*size), FAMILIES, effort)
            assert jpeg is None
            assert sum(frame.prior for frame in frames) <= 1 + 1e-9
            assert {frame.symmetry for frame in frames} == (set(SYMMETRIES) if effort.blind else {"identity"})
            assert any((frame.width, frame.height, frame.symmetry) == (*size, "identity") for frame in frames)
    native = [frame for frame in frames_of(noise(800, 800), FAMILIES, EFFORTS["normal"])[0] if frame.native]
    assert (1024, 1024) in [(frame.width, frame.height) for frame in native]
    scales = [frame.scale for frame in frames_of(noise(640, 480), FAMILIES, EFFORTS["normal"])[0]]
    assert set(BLIND_SCALES) <= set(scales)


def test_frames_keep_the_grid_at_the_origin():
    x = torch.arange(40 * 48).view(1, 40, 48).expand(3, -1, -1) / 960 - 1
    mirrored, _ = Frame(45, 40, 1.0, True, {"sd": 1.0}, "hflip").show(x[..., :45])
    assert torch.equal(mirrored, x[..., :40].flip(-1))
    large, corner = Frame(4096, 3072, 2.0, True, {"sd": 1.0}).show(torch.rand(3, 1536, 2048) * 2 - 1)
    assert max(large.shape) <= LARGEST and all(2 * place % 8 == 0 for place in corner)


def test_a_grid_is_seen_at_its_origin_and_elsewhere():
    families, whitening = read_families(), find_nulls(EMBEDDED, "quick").whitening
    compressed = find_nulls(EMBEDDED, "quick").compressed
    look = look_for_grid(photograph(1), families, whitening, 1.0, 512)
    assert look is not None and look.compressed is None
    assert abs(look.phases).max() < 5 and len(look.places) == len(families)
    assert look_for_grid(photograph(1), families, whitening, 1.28, 512, compressed).compressed.shape == (
        len(families),
        64,
    )
    assert look_for_grid(torch.zeros(3, 320, 320), families, whitening, 1.0, 512) is None
    assert look_for_grid(torch.rand(3, 40, 40) * 2 - 1, families, whitening, 1.0, 512) is None


def test_tiles_are_disjoint_on_the_grid_and_the_most_textured_first(textured):
    x = torch.full((3, 400, 500), 0.1)
    x[:, 160:320, 160:320] = torch.from_numpy(textured(160, 160)).permute(2, 0, 1) / 127.5 - 1
    corners = tiles_of(x, (0, 0))
    assert corners == [(160, 160)]
    moved = tiles_of(torch.rand(3, 400, 500) * 2 - 1, (3, 5))
    assert len(moved) == 6 and {(left % TILES[0], top % TILES[0]) for left, top in moved} == {(3, 5)}
    small = torch.rand(3, 100, 120) * 2 - 1
    assert tile_side(100, 120) == 96 and len(tiles_of(small, (0, 0))) == 1
    assert tiles_of(torch.rand(3, 40, 40), (0, 0)) == []


@pytest.mark.parametrize(("size", "side"), [((320, 320), 144), ((512, 512), 160), ((240, 300), 112), ((640, 427), 128)])
def test_tiles_cover_most_of_a_picture(size, side):
    assert tile_side(*size) == side
    corners = tiles_of(torch.rand(3, *size) * 2 - 1, (0, 0))
    assert len(corners) * side**2 >= 2 / 3 * size[0] * size[1]
    assert all(left + side + MOVED <= size[1] and top + side + MOVED <= size[0] for left, top in corners)


def test_the_contrast_is_a_t_over_cells(detector, textured):
    x = torch.from_numpy(textured(64 + MOVED, 64 + MOVED).copy()).permute(2, 0, 1) / 127.5 - 1
    with torch.inference_mode():
        e = detector.evidence(x[None]).using("encoder_features", ["mini-sd"])
        t = contrasts(e, [x, x], [0, 0])
        logs = [
            np.log(e.at(part[None]).error_map(0)[0, 0].double().numpy().reshape(4, 8, 4, 8).mean((1, 3)) + FLOOR)
            for part in (x[:, :64, :64], x[:, MOVED:, MOVED:])
        ]
    expected = stats.norm.isf(stats.ttest_1samp((logs[1] - logs[0]).ravel(), 0, alternative="greater").pvalue)
    assert t == pytest.approx([expected, expected], rel=1e-4)


def test_effort_is_a_name_or_seconds():
    assert find_effort("quick") == EFFORTS["quick"]
    assert find_effort(2.5).seconds == find_effort("2.5").seconds == 2.5
    assert [kind_of(value) for value in (1, 5.0, "60")] == ["quick", "normal", "thorough"]
    for wrong in ("fast", ""):
        with pytest.raises(UnknownName, match="quick"):
            find_effort(wrong)
    for wrong in (0, -1, "nan", "inf"):
        with pytest.raises(UsageError, match="positive"):
            find_effort(wrong)
    with pytest.raises(UnknownName):
        load_detector("trace", effort="slow")


def test_a_search_spends_no_more_than_its_effort(detector, textured):
    nulls = find_nulls(("mini-sd",), "quick")
    x = torch.from_numpy(textured(256, 320)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        one = search(detector.evidence(x).using("encoder_features", ["mini-sd"]), nulls, EFFORTS["quick"], [0])[0]
    looks = [len(each.deviates) for each in one.hypotheses]
    assert sum(looks) and one.passes < EFFORTS["quick"].passes + 2 * TILES[0] ** 2 / 256**2
    assert all(each.model == 0 for each in one.hypotheses if each.deviates)
    assert {each.family for each in one.hypotheses} <= set(FAMILIES)


def test_a_decided_search_ends(textured):
    nulls = find_nulls(("mini-sd",), "quick")
    x = torch.from_numpy(textured(256, 320)).permute(2, 0, 1) / 127.5 - 1
    one = Search(x, nulls, nulls.of_models, EFFORTS["quick"])
    assert one.next_look() is not None
    one.best().grid = 50.0
    assert one.next_look() is None
    for each in one.hypotheses:
        each.grid = -50.0
    assert one.next_look() is None


@pytest.mark.slow
def test_rows_do_not_depend_on_the_batch(detector, textured):
    images = [textured(160, 192, seed=seed) for seed in range(2)] + [np.full((160, 192, 3), 99, np.uint8)]
    together = load_detector("trace", models="mini-sd", device="cpu", effort="quick", batch_size=4).score(images)
    for row, image in zip(together, images, strict=True):
        alone = detector.score(image)[0]
        assert row.score == pytest.approx(alone.score, abs=1e-3)
        assert row.details.get("sizes") == alone.details.get("sizes")
    assert together[2].score == 0 and together[2].notes == ("not enough texture to tell",)
    assert set(together[0].per_model) == set(FAMILIES) and together[0].details["passes"] > 0


def test_scores_are_deviates_of_photographs_and_rise_with_the_bayes_factor():
    photographs = np.random.default_rng(0).gamma(2.0, 0.4, 20_000) - 1.5
    searches = OfPhotographs(tuple(np.quantile(photographs, [1 - share for share in SHARES])))
    scores = np.array([searches.deviate(value) for value in photographs])
    for share in SHARES:
        assert (scores > stats.norm.isf(share)).mean() == pytest.approx(share, abs=1e-3)
    assert (scores > stats.norm.isf(0.01)).mean() <= 0.011
    rising = np.array([searches.deviate(value) for value in np.linspace(-800, 800, 401)])
    assert (np.diff(rising) > 0).all() and np.isfinite(rising).all()


def test_beyond_what_was_measured_the_factor_rises_as_the_share_falls():
    searches = OfPhotographs((-1.0, -0.5, 0.0, 0.5, 1.0))
    for share in (0.05, 0.01, 1e-6):
        assert searches.deviate(searches.log_factor(share)) == pytest.approx(stats.norm.isf(share))
    assert searches.log_factor(0.005) - searches.log_factor(0.05) == pytest.approx(np.log(10))


def test_the_run_names_the_effort():
    runs = [load_detector("trace", models="mini-sd", device="cpu", effort=effort).run_info for effort in EFFORTS]
    assert len({run.fingerprint for run in runs}) == len(EFFORTS)


@pytest.mark.parametrize(("name", "effort"), [("glance", "quick"), ("grain", "thorough")])
def test_former_names_are_trace_at_one_effort(name, effort, detector):
    method = find_method(name)
    bound = bind(method, ("mini-sd",), effort="normal")
    assert method.statistic is TRACE.statistic and bound.nulls.effort == EFFORTS[effort]
    assert bind(TRACE, ("mini-sd",), effort=effort).nulls.setting == bound.nulls.setting == effort
    again = pickle.loads(pickle.dumps(method))
    assert again.nulls(("mini-sd",), "normal").effort == EFFORTS[effort]


def test_a_former_name_has_the_scores_of_trace(detector, textured):
    former = load_detector("glance", models="mini-sd", device="cpu")
    row, expected = (each.score(textured(96, 128), progress=False)[0] for each in (former, detector))
    assert (row.score, row.per_model, row.details) == (expected.score, expected.per_model, expected.details)


def test_the_default_is_trace_for_any_models():
    assert find_method("default") is TRACE
    assert load_detector(models=["mini-sd", "mini-sdxl"], device="cpu").run_info.methods[0].name == "trace"


def test_what_is_shipped_belongs_together():
    content = json.loads(FILE.read_text())
    assert set(EMBEDDED) <= set(content["contrast"]) <= set(AUTOENCODERS)
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (SHIPPED, COMPRESSED)}
    assert content["revision"] == REVISION and set(content["searches"]) | set(SEARCHED_AS) == set(EFFORTS)
    assert all(list(values) == sorted(values) and len(values) == len(SHARES) for values in content["searches"].values())
    assert content["files"] == files  # so that the run id, which covers this file, covers them
    templates = find_nulls(EMBEDDED, "quick").compressed
    assert templates.flatten(1).norm(dim=1) == pytest.approx(1, abs=1e-3) and COMPRESSED.stat().st_size < 300_000


def test_a_model_that_was_not_measured_takes_what_others_have(caplog):
    nulls = find_nulls(("mini-sd", "sd1", "kandinsky21"), "quick")
    assert nulls.contrast[1] == nulls.contrast[0]
    assert min(deviation for _, deviation in nulls.contrast) > 1
    assert nulls.names == (*FAMILIES, "kandinsky") and "sd1: no null distribution" in caplog.text


@pytest.mark.slow
def test_a_decoded_picture_is_traced_through_reducing_and_compression(tmp_path):
    """A photograph that a decoder wrote at 512 px, reduced to 400 px and stored as JPEG."""
    from sklearn.datasets import load_sample_image

    detector = load_detector("trace", device="cpu", effort="normal")
    model = detector.models.reconstructors[0]
    x = torch.from_numpy(load_sample_image("china.jpg")[: 64 * 6, : 64 * 8].copy()).permute(2, 0, 1)[None] / 127.5 - 1
    x = torch.nn.functional.interpolate(x, size=(512, 512), mode="bicubic", antialias=True).clamp(-1, 1)
    with torch.inference_mode():
        decoded = model.decode(model.encode(x)).clamp(-1, 1)[0]
    scores = {}
    for name, picture in (("photograph", x[0]), ("decoded", decoded)):
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(pixels(picture)).resize((400, 400), Image.Resampling.LANCZOS).save(path, quality=90)
        scores[name] = detector.score(path)[0]
    assert scores["decoded"].score > max(2.33, scores["photograph"].score)
    details = scores["decoded"].details
    assert details["decoder"] == "sd" and details["native_size"] == [512, 512]


def test_a_map_shows_the_tiles_that_were_looked_at(detector, textured):
    row = detector.score(textured(256, 320), maps=True)[0]
    tiles = row.details["tiles"]
    assert row.map.shape == (32, 40) and tiles
    left, top, right, bottom, value = tiles[0]
    assert 0 <= left < right <= 324 and 0 <= top < bottom <= 260
    assert row.map[top // 8, left // 8] == pytest.approx(max(value, 0)) and row.map.min() >= 0


def test_places_are_the_origin_and_where_a_jpeg_begins():
    frame = Frame(1024, 768, 1.28, True, {"sd": 1.0})
    assert places_of(frame, None) == places_of(frame, (0, 0)) == {(0, 0): pytest.approx(0.8)}
    assert places_of(frame, (3, 5)) == {(0, 0): pytest.approx(0.8), (4, 6): pytest.approx(0.1)}
    cropped = Frame(1024, 768, 1.28, False, {"sd": 1.0}, "hflip")
    assert places_of(cropped, (3, 5)) == {(0, 0): pytest.approx(0.2)}


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_four_pictures_of_five_with_the_least_effect_have_the_factor(looks):
    effects = (0.4, 0.8, 1.6, 3.2)
    effect = least_effect(np.log(100), effects, looks)
    z = np.random.default_rng(0).normal(effect * looks**0.5, 1, 20_000)
    assert (log_factor(z, effects, looks) >= np.log(100)).mean() == pytest.approx(0.8, abs=0.01)


def test_more_effort_detects_smaller_effects(textured):
    picture = textured(512, 512)
    effects = [
        Search(
            torch.from_numpy(picture.copy()).permute(2, 0, 1) / 127.5 - 1, nulls, nulls.of_models, nulls.effort
        ).detectable(np.log(100))
        for nulls in (find_nulls(EMBEDDED, effort) for effort in ("quick", "normal"))
    ]
    quick, normal = effects
    assert set(quick["grain"]) == {"sd", "sdxl", "sd3", "flux1"} and "images:gpt-4o" in quick["grid"]
    assert all(normal["grain"][family] < quick["grain"][family] for family in quick["grain"])


def test_models_of_any_kind_have_a_distance():
    """LPIPS, where an encoder has no features at half the size."""
    nulls = find_nulls(("mini-sd", "sd1", "folder"), "quick")
    assert nulls.distances == (("encoder_features",), ("lpips_vgg_2",), ("lpips_vgg_2",))


def test_a_folder_of_a_model_is_searched(tiny_model, textured, shared_weights):
    detector = load_detector("trace", models=[str(tiny_model), "mini-sd"], device="cpu", effort="quick")
    row = detector.score(textured(96, 96))[0]
    assert row.error is None and np.isfinite(row.score)


def test_a_grid_of_jpeg_is_no_evidence(textured):
    """A photograph whose phases differ by a grid of 8 px, at the origin, that is no decoder's."""
    blocks = textured(320, 320).astype(int)
    blocks[::8] += 12
    blocks[:, ::8] += 12
    x = torch.from_numpy(blocks.clip(0, 255)).permute(2, 0, 1) / 127.5 - 1
    look = look_for_grid(x.float(), read_families(), find_nulls(EMBEDDED, "quick").whitening, 1.0, 512)
    assert look is not None and (look.phases <= np.maximum(look.anywhere, TRUSTED)[:, None] + 1e-9).all()


def test_tiles_off_the_grid_of_a_jpeg_are_not_looked_at(tmp_path):
    """Its blocks have an error by phase too."""
    path = tmp_path / "photograph.jpg"
    Image.fromarray(pixels(photograph(1, side=320))).save(path, quality=75)
    x = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).float() / 127.5 - 1
    nulls = find_nulls(EMBEDDED, "quick")
    one = Search(x, nulls, nulls.of_models, nulls.effort)
    as_it_is = [each for each in one.hypotheses if one.frames[each.frame].scale == 1 and each.model is not None]
    assert {each.place == (0, 0) for each in as_it_is} == {True, False}
    assert all(bool(one._tiles(each)) == (each.place == (0, 0)) for each in as_it_is)


def test_a_small_picture_has_no_tiles(textured):
    """Of four cells a deviation cannot be estimated: such a contrast would look like a decoder's."""
    assert tile_side(64, 72) == 0 and tiles_of(torch.rand(3, 64, 72) * 2 - 1, (0, 0)) == []
    assert tile_side(75, 75) == 64 and tile_side(0, 300) == tile_side(-3, 5) == 0
    rows = load_detector("trace", device="cpu", effort="normal").score([textured(64, 72, seed) for seed in range(4)])
    assert rows.scores.max() < 2.33 and all(row.details["passes"] == 0 for row in rows)
