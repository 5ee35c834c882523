"""The page of one picture: what it shows, that it needs nothing else, and that names and metadata are inert."""

import base64
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from pages.pictures import HOSTILE, save_hostile
from PIL import Image

from recon_detect import explain, load_detector
from recon_detect.errors import InputError, UsageError
from recon_detect.images import Source


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text of scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self._inside = [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._inside = tag

    def handle_data(self, data):
        if self._inside in ("script", "style"):
            self.texts.append((self._inside, data))
            self._inside = None


@pytest.fixture(scope="module")
def detector():
    return load_detector("grid")


@pytest.fixture(scope="module")
def explanation(detector, tmp_path_factory):
    return explain(save_hostile(tmp_path_factory.mktemp("explained")), detector=detector)


def test_the_page_shows_answer_map_families_grid_and_how_to_repeat_it(explanation):
    html = explanation.html()
    text = re.sub(r"\s+", " ", html)
    assert explanation.answer.headline in text and explanation.answer.meaning in text
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", html)
    assert headings[0] == "Where in the picture" and "Which family of decoders" in headings
    assert "Limits that apply to this picture" in headings and "What the file says of itself" in headings
    assert any(heading.startswith("Likeness to the grid of ") for heading in headings)
    assert explanation.answer.tried in text and "leaves a trace in the pixels that it writes" in text
    assert html.count('<rect class="cell fill"') == 64
    assert "recon-detect explain" in text and explanation.run.fingerprint in text
    for name in explanation.row.per_model:
        assert f"{explanation.row.per_model[name]:.2f}" in text


def test_the_page_lists_sizes_from_the_smallest_to_the_largest(explanation):
    row = explanation.row
    score = replace(row.first, details=row.details | {"sizes": ["1024x1024", "512x512", "96x1200"]})
    html = replace(explanation, row=replace(row, scores={"grid": score})).html()
    assert "Sizes: 96 x 1200, 512 x 512, 1024 x 1024<" in html


def test_names_and_metadata_are_inert(explanation):
    html = explanation.html()
    assert HOSTILE not in html and "&lt;img src=x onerror=alert(1)&gt;" in html
    assert any(HOSTILE in sentence for sentence in explanation.claims)
    page = Elements(html)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert not [attributes for _, attributes in page.elements if "style" in attributes]


def test_the_page_needs_nothing_else_and_its_policy_fits(explanation):
    html = explanation.html()
    page = Elements(html)
    addresses = [attributes.get(name, "data:") for _, attributes in page.elements for name in ("src", "href")]
    assert all(address.startswith("data:") for address in addresses)
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert len(page.texts) == 2
    for kind, text in page.texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_pictures_in_the_page_have_descriptions_and_no_metadata(explanation):
    page = Elements(explanation.html())
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(images) == 3 and all(image["alt"] for image in images)
    for image in images:
        decoded = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
        assert not {"parameters", "exif", "comment"} & set(decoded.info)


def test_the_map_has_the_size_of_the_picture_and_is_blank_where_nothing_was_looked_at(explanation):
    (evidence,) = explanation.maps
    assert evidence.values.shape == (20, 24)
    picture = evidence.picture((192, 160))
    assert picture.mode == "RGBA" and picture.size == (192, 160)
    seen = np.isfinite(evidence.values)
    assert seen.any()
    blank = np.asarray(evidence.picture((24, 20)))[..., 3] == 0
    assert (blank == ~seen).all()


def test_files_are_whole_and_of_the_kind_that_their_name_says(explanation, tmp_path):
    page = tmp_path / "my page.html"
    assert explanation.save(page).read_text(encoding="utf-8") == explanation.html(page)
    assert f"--output &#39;{page}&#39;</pre>" in explanation.html(page)
    with Image.open(explanation.save(tmp_path / "page.png")) as image:
        assert image.format == "PNG" and image.width >= 720
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my page.html", "page.png"]
    with pytest.raises(UsageError, match=r"\.html or \.png"):
        explanation.save(tmp_path / "page.pdf")


def test_bytes_and_pixels_are_explained_as_files_are(explanation, detector, tmp_path):
    path = save_hostile(tmp_path)
    by_bytes = explain(Source(path.read_bytes(), "upload"), detector=detector)
    with path.open("rb") as file:
        by_file = explain(file, detector=detector)
    with Image.open(path) as image:
        by_pixels = explain(image, detector=detector)
    for each in (by_bytes, by_file, by_pixels):
        assert each.row.score == explanation.row.score
        np.testing.assert_array_equal(each.maps[0].values, explanation.maps[0].values)
    assert by_bytes.claims == by_file.claims == explanation.claims
    assert by_pixels.claims is None and "What the file says of itself" not in by_pixels.html()


def test_a_flat_or_small_picture_has_a_page_without_map(detector):
    for pixels in (
        np.full((160, 160, 3), 90, np.uint8),
        np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8),
    ):
        page = explain(pixels, detector=detector)
        assert not page.maps and page.answer.kind == "undecided"
        assert "too small or too flat for a map" in page.html()
        assert page.png().size[0] >= 720


def test_what_is_no_single_readable_image_is_refused(detector, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError):
        explain(tmp_path / "broken.png", detector=detector)
    pictures = [np.zeros((40, 40, 3), np.uint8)] * 2
    with pytest.raises(UsageError, match="got 2"):
        explain(pictures, detector=detector)
    with pytest.raises(UsageError, match="leave out method"):
        explain(pictures[0], detector=detector, method="grid")


def test_measured_photographs_replace_the_bound(explanation):
    from dataclasses import replace

    assert "estimate for photographs of any kind" in explanation.html()
    measured = replace(explanation, photographs=tuple(np.linspace(-2, 2, 99)))
    assert "Measured on 99 photographs" in measured.html()
