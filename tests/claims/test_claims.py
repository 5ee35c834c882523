"""What files say of themselves, as values and sentences."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from recon_detect import read_claims
from recon_detect.claims.claims import ABSENT, SOURCE_TYPES, in_words
from recon_detect.errors import UnreadableImage, UsageError
from tests.claims.files import TRAINED, XMP, XMP_TRAINED, encoded, exif, picture, png

KINDS = ("PNG", "JPEG", "WEBP", "AVIF")


def test_a_file_without_metadata_is_silent_which_proves_nothing():
    claims = read_claims(png())
    assert claims.silent and not claims.says_generated
    assert claims.sentences == (ABSENT,) and "proves nothing" in ABSENT


@pytest.mark.parametrize("kind", KINDS)
def test_iptc_source_type_and_credit_are_read_from_xmp_of_every_format(kind):
    data = png({"XML:com.adobe.xmp": XMP_TRAINED.decode()}) if kind == "PNG" else encoded(kind, xmp=XMP_TRAINED)
    claims = read_claims(data)
    assert claims.source_type == "trainedAlgorithmicMedia" and claims.says_generated
    assert claims.credit == ("Made with a model",)
    assert claims.sentences[0] == (
        "IPTC metadata says: it is made by a generative model (trainedAlgorithmicMedia). It is not signed."
    )


def test_a_photograph_by_iptc_is_not_said_to_be_generated():
    packet = XMP.format('<e:DigitalSourceType rdf:resource="http://cv.iptc.org/x/digitalCapture"/>')
    claims = read_claims(encoded("JPEG", xmp=packet.encode()))
    assert claims.source_type == "digitalCapture" and not claims.says_generated and not claims.silent
    assert "photographed by a digital camera" in claims.sentences[0]


@pytest.mark.parametrize("kind", KINDS)
def test_exif_is_read_from_every_format(kind):
    tags = exif({0x010F: "Maker", 0x0110: "Camera 1", 0x0131: "Software 2", 0x0132: "2020:01:02 03:04:05"})
    camera = read_claims(encoded(kind, exif=tags)).camera
    assert (camera.make, camera.model, camera.software, camera.date) == (
        "Maker", "Camera 1", "Software 2", "2020:01:02 03:04:05"
    )  # fmt: skip


def test_exif_and_xmp_of_tiff():
    claims = read_claims(encoded("TIFF", tiffinfo={0x010F: "Maker", 700: XMP_TRAINED}))
    assert claims.camera.make == "Maker" and claims.source_type == "trainedAlgorithmicMedia"


def test_the_date_taken_comes_before_the_date_of_the_last_change():
    content = Image.Exif()
    content[0x0132] = "2024:01:01 00:00:00"
    content.get_ifd(0x8769)[0x9003] = "1999:01:01 00:00:00"
    assert read_claims(encoded("JPEG", exif=content.tobytes())).camera.date == "1999:01:01 00:00:00"


def test_the_encoding_of_a_jpeg():
    claims = read_claims(encoded("JPEG", quality=83, subsampling=1, progressive=True))
    assert (claims.jpeg.quality, claims.jpeg.standard, claims.jpeg.subsampling, claims.jpeg.progressive) == (
        83, True, "4:2:2", True
    )  # fmt: skip
    assert claims.sentences[-1] == "JPEG, progressive, chroma 4:2:2, with libjpeg's tables of quality 83."
    other = read_claims(encoded("JPEG", qtables=[[7] * 64, [9] * 64])).jpeg
    assert not other.standard and other.quality > 80
    assert read_claims(png()).jpeg is None


def test_a_picture_that_was_jpeg_and_cropped_says_so_in_any_lossless_file():
    grain = np.random.default_rng(0).normal(0, 8, (261, 259, 3))
    pixels = np.clip(np.asarray(picture(264))[:261, :259] + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    assert read_claims(buffer.getvalue()).past is None
    cropped = np.asarray(Image.open(buffer))[2:, 3:]
    stored = io.BytesIO()
    Image.fromarray(cropped).save(stored, "PNG")
    claims = read_claims(stored.getvalue())
    assert claims.past.cropped == (3, 2) and claims.past.similarity > 0.15
    assert read_claims(stored.getvalue(), pixels=cropped) == claims
    assert "3 columns and 2 rows" in claims.sentences[-1] and claims.silent
    assert read_claims(stored.getvalue(), pixels=pixels).past is None


def test_iptc_of_photoshop_names_program_and_credit():
    iptc = b"".join(
        bytes((0x1C, 2, number)) + len(text).to_bytes(2, "big") + text
        for number, text in ((0, b"\0\2"), (65, b"Program"), (110, b"Credit"), (120, b"Caption"))
    )
    block = b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" + len(iptc).to_bytes(4, "big") + iptc
    data = encoded("JPEG")
    segment = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    assert read_claims(data[:2] + segment + data[2:]).credit == ("Program", "Credit")


def test_paths_are_read_and_other_things_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png({"parameters": "a cat\nSteps: 1"}))
    assert read_claims(path) == read_claims(str(path)) == read_claims(path.read_bytes())
    with pytest.raises(UnreadableImage, match="No such file"):
        read_claims(tmp_path / "missing.png")
    with pytest.raises(UsageError, match="expected a path or encoded bytes; got ndarray"):
        read_claims(np.zeros((8, 8, 3), np.uint8))


def test_what_is_no_picture_says_nothing():
    assert read_claims(b"not an image").silent and read_claims(b"").silent


def test_json_values_are_complete():
    claims = read_claims(png({"parameters": "a cat\nSteps: 1"}, exif=exif({0x010F: "Maker"})))
    values = json.loads(json.dumps(claims.to_dict()))
    assert values["sentences"] == list(claims.sentences) and values["says_generated"] and not values["silent"]
    assert values["camera"]["make"] == "Maker" and values["generation"]["prompt"] == "a cat"
    assert set(values) >= {"c2pa", "source_type", "credit", "jpeg", "past", "remarks"}


def test_source_types_are_in_words_and_unknown_ones_by_name():
    assert in_words("print") == "digitised from a print (print)"
    assert in_words("somethingNew") == 'of the type "somethingNew"'
    assert TRAINED.rpartition("/")[2] in SOURCE_TYPES
