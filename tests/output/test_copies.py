from recon_detect import Provenance, Row
from recon_detect.output.copies import Seen


def test_what_is_remembered_of_a_run_is_bounded():
    seen = Seen(limit=2)
    rows = [
        Row(0, path, provenance=Provenance(9, 9, "PNG", "RGB", pixels))
        for path, pixels in zip("abcdef", ["0f", "1f", "2f"] * 2, strict=True)
    ]
    notes = [seen.noted(row).notes for row in rows]
    assert notes == [(), (), (), ("same pixels as a",), ("same pixels as b",), ()]


def test_a_row_that_is_noted_again_or_has_no_pixels_stays_as_it_is():
    first, copy = (Row(n, str(n), provenance=Provenance(9, 9, "PNG", "RGB", "0f"), notes=("CMYK",)) for n in range(2))
    seen = Seen()
    assert seen.noted(first) == first
    noted = seen.noted(copy)
    assert noted.notes == ("CMYK", "same pixels as 0") and seen.noted(noted) == noted
    broken = Row(2, "2", error="UnreadableImage: x")
    assert seen.noted(broken) is broken
