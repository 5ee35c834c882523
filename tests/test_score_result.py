"""Results as tables, and as notebooks show them."""

import base64
import io
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from recon_detect import load_detector
from recon_detect.answers import answer_of
from recon_detect.errors import UsageError
from recon_detect.output.writers import write_parquet


@pytest.fixture
def result(method_file, image_folder):
    return load_detector(f"{method_file}:METHOD", device="cpu").score(image_folder)


def test_tables_are_those_of_the_parquet_output(result, tmp_path):
    write_parquet(tmp_path / "rows.parquet", result, result.run)
    written = pq.read_table(tmp_path / "rows.parquet")
    table = result.to_arrow()
    assert table.equals(written) and table.schema.metadata == written.schema.metadata
    pytest.importorskip("pandas")
    frame = result.to_pandas()
    assert list(frame.columns) == table.column_names and list(frame["path"]) == [row.path for row in result]
    np.testing.assert_array_equal(frame["score"], result.scores)  # NaN of the broken file too


def test_without_pandas_the_error_says_what_to_do(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas, or take to_arrow"):
        result.to_pandas()


def test_reprs_are_short(result):
    of_run = f"roughness; no networks; cpu; run {result.run.fingerprint}"
    assert repr(result) == f"ScoreResult(8 images, 1 failed; {of_run})" and repr(result.run) == f"RunInfo({of_run})"
    assert all(repr(row).startswith("Row('") and len(repr(row)) < 240 for row in result)
    assert "UnreadableImage" in repr(next(row for row in result if row.error))


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.images, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def test_a_row_is_shown_with_its_picture_and_its_heat_map(result):
    row = replace(result[0], map=np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30), map_scale=1.0)
    html = Tags(row._repr_html_())
    assert [image["alt"] for image in html.images] == ["the picture", "its heat map"]
    for image, size in zip(html.images, [(160, 160), (160, 107)], strict=True):
        data = re.fullmatch(r"data:image/jpeg;base64,(.*)", image["src"])[1]
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == size
    assert f"score {row.score:.4g}" in html.text and row.path in html.text


def test_hostile_names_and_messages_are_inert(result):
    hostile = "<script>alert(1)</script>\u202e\"' onload=x"
    row = replace(result[0], path=hostile, error=hostile, provenance=None)
    html = Tags(row._repr_html_())
    assert set(html.tags) == {"div", "strong"}
    assert "<script>alert(1)</script>" in html.text and "\u202e" not in html.text


def test_pictures_are_shown_of_files_that_are_still_the_same(result, image_folder):
    row = result[0]
    assert Tags(row._repr_html_()).images
    with (image_folder / "0.png").open("ab") as file:
        file.write(b"more")
    assert not Tags(row._repr_html_()).images
    for path in ("nul\0.png", str(image_folder), "image 0"):
        assert not Tags(replace(row, path=path)._repr_html_()).images


def test_a_result_shows_its_first_rows(result):
    many = replace(result, rows=result.rows * 3)
    html = Tags(many._repr_html_())
    assert html.tags.count("strong") == 20 and "... and 4 more" in html.text
    assert np.isnan(result.scores).sum() == 1 and "not scored: " in html.text


def test_a_detector_is_called_as_a_pipeline(method_file, image_folder):
    detector = load_detector(f"{method_file}:METHOD", device="cpu")
    good, broken = image_folder / "0.png", image_folder / "3_broken.png"
    (label,) = detector(good)
    assert label == {"label": "undecided", "score": detector.score(good)[0].score}
    several = detector([good, broken, Image.open(good)])
    assert [labels[0]["label"] for labels in several] == ["undecided", "error", "undecided"]
    assert several[0] == [label] and np.isnan(several[1][0]["score"])
    with pytest.raises(UsageError, match=r"got 8 images: use score\(\)"):
        detector(image_folder)
    assert detector([]) == []


def test_rows_hold_the_answer_that_is_computed_from_them(result):
    assert all(row.answer == answer_of(row, result.run) for row in result)
    html = Tags(result[0]._repr_html_())
    assert result[0].answer.headline in html.text and result[0].answer.meaning in html.text
    assert result[0].answer.headline in repr(result[0])


def test_a_detector_has_a_short_repr(method_file):
    assert repr(load_detector(f"{method_file}:METHOD", device="cpu")) == "Detector(roughness; no networks; cpu)"
