import numpy as np
from PIL import Image

from recon_detect import Row, open_picture
from recon_detect.images.heat import colour
from recon_detect.output import save_heatmap
from recon_detect.results import Score


def test_colours_rise_in_lightness_on_a_fixed_scale():
    colours = colour(np.linspace(0, 2, 50)[None], scale=1.0)[0].astype(float)
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= 0).all() and lightness[0] < 2 and lightness[-1] > 240
    assert (colours[25:] == colours[-1]).all()


def test_saved_at_the_size_of_the_image_and_named_after_it(tmp_path, picture):
    known = open_picture(picture(20, 30)).provenance
    error = np.zeros((10, 15), np.float32)
    error[:, 8:] = 1
    rows = [Row(0, f"{folder}/a b.png", {"hfi": Score(-0.5)}, None, known, map=error, map_scale=1.0) for folder in "xy"]
    paths = [save_heatmap(row, tmp_path / "maps") for row in rows]
    assert paths[0] != paths[1] and all(path.name.startswith("a_b.") for path in paths)
    with Image.open(paths[0]) as image:
        assert image.size == (30, 20)
        assert image.text["Source"] == "x/a b.png" and "score -0.5" in image.text["Description"]
        pixels = np.asarray(image)
    assert pixels[:, :10].mean() < pixels[:, 20:].mean()
    assert len(list((tmp_path / "maps").iterdir())) == 2


def test_rows_without_a_map_write_nothing(tmp_path):
    assert save_heatmap(Row(0, "a.png", error="E: x"), tmp_path / "maps") is None
    assert not (tmp_path / "maps").exists()
