import io

import numpy as np
from PIL import Image

from recon_detect.images import open_picture
from recon_detect.images.duplicates import copy_groups, difference_hash, distance


def photograph(seed: int) -> np.ndarray:
    """Detail on several scales."""
    generator = np.random.default_rng(seed)
    layers = [generator.integers(0, 256, (side, side, 3), np.uint8) for side in (3, 9, 40)]
    images = [np.asarray(Image.fromarray(x).resize((160, 160), Image.Resampling.BICUBIC), float) for x in layers]
    return (0.5 * images[0] + 0.3 * images[1] + 0.2 * images[2]).astype(np.uint8)


def changed(pixels: np.ndarray, format: str, size: int = 160, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS).save(buffer, format, **options)
    return buffer.getvalue()


def known(image) -> tuple[str, str]:
    provenance = open_picture(image).provenance
    return provenance.sha256, provenance.phash


def test_near_copies_are_near_and_other_pictures_are_far():
    hashes = [difference_hash(photograph(seed)) for seed in range(40)]
    assert min(distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 6
    for seed in range(10):
        for copy in (
            changed(photograph(seed), "JPEG", quality=75),
            changed(photograph(seed), "WEBP", quality=80),
            changed(photograph(seed), "PNG", 80),
        ):
            assert distance(known(copy)[1], hashes[seed]) <= 3


def test_the_hash_does_not_depend_on_depth():
    pixels = photograph(0)
    assert known(pixels)[1] == known(pixels.astype(np.float32) / 255)[1]


def test_copies_belong_to_the_first():
    a, b = photograph(0), photograph(1)
    pictures = [
        known(a),
        known(b),
        known(changed(a, "PNG")),
        (None, None),
        known(changed(a, "JPEG")),
        known(b),
        (None, None),
    ]
    assert copy_groups(pictures) == [0, 1, 0, 3, 0, 1, 6]


def test_flat_pictures_are_copies_only_where_their_pixels_are_equal():
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (10, 200, 10)]
    assert copy_groups(map(known, flat)) == [0, 1, 0]


def test_many_pictures_take_no_square_of_time():
    generator = np.random.default_rng(0)
    pictures = [(str(n), generator.bytes(8).hex()) for n in range(20_000)]
    assert copy_groups(pictures) == list(range(20_000))
