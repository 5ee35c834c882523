"""C2PA manifests, by both readers."""

import io
import sys

import pytest

from recon_detect import read_claims
from recon_detect.claims import manifest as manifests
from recon_detect.claims.claims import BROKEN, INTACT, NOT_VERIFIED, VERIFIED
from recon_detect.claims.jumbf import read_boxes, read_cbor
from tests.claims.files import TRAINED, box, cbor, certificates, manifest, signed, store, superbox, with_boxes

CREATED = {"action": "c2pa.created", "digitalSourceType": TRAINED}
BOXES = store(manifest([CREATED], "Parent", "urn:c2pa:0"), manifest([{"action": "c2pa.edited"}], "Editor"))
KINDS = ("PNG", "JPEG", "WEBP", "AVIF")


@pytest.fixture
def plain(monkeypatch):
    """No c2pa-python is installed."""
    monkeypatch.setattr(manifests, "find_spec", lambda name: None)


@pytest.fixture
def signing():
    """c2pa-python and cryptography, and no list of trusted signers."""
    pytest.importorskip("c2pa")
    pytest.importorskip("cryptography")


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_reader_reads_every_format_and_verifies_nothing(kind, plain):
    claims = read_claims(with_boxes(kind, BOXES))
    c2pa = claims.c2pa
    assert (c2pa.generator, c2pa.actions, c2pa.source_types) == ("Editor", ("edited",), ())
    assert c2pa.ingredients == ("trainedAlgorithmicMedia",) and claims.says_generated
    assert c2pa.signature == NOT_VERIFIED and "recon-detect[provenance]" in c2pa.reason
    assert claims.sentences[0] == (
        'A C2PA manifest by "Editor" says: a part or an earlier state of it is made by a generative model '
        "(trainedAlgorithmicMedia); actions: edited."
    )
    assert claims.sentences[1].startswith("Its signature is not verified: ")


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_reader_agrees_with_c2pa_python(kind, signing, monkeypatch):
    by_library = read_claims(signed(kind)).c2pa
    monkeypatch.setattr(manifests, "find_spec", lambda name: None)
    plain = read_claims(signed(kind)).c2pa
    for name in ("generator", "actions", "source_types", "ingredients"):
        assert getattr(plain, name) == getattr(by_library, name)
    assert by_library.actions == ("created",) and by_library.source_types == ("trainedAlgorithmicMedia",)


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_are_intact_verified_or_broken(kind, signing, monkeypatch, tmp_path):
    c2pa = read_claims(signed(kind)).c2pa
    assert (c2pa.signature, c2pa.signer) == (INTACT, "Test signer") and "anybody can have signed" in c2pa.reason
    roots = tmp_path / "roots.pem"
    roots.write_bytes(certificates()[2])
    monkeypatch.setenv(manifests.TRUST_VARIABLE, str(roots))
    trusted = read_claims(signed(kind))
    assert trusted.c2pa.signature == VERIFIED
    assert 'Its signature by "Test signer" is verified.' in trusted.sentences
    changed = bytearray(signed(kind))
    changed[-30] ^= 1
    broken = read_claims(bytes(changed)).c2pa
    assert broken.signature == BROKEN and "mismatch" in broken.reason


def test_a_list_of_trusted_signers_that_is_not_there_verifies_nothing(signing, monkeypatch, tmp_path):
    monkeypatch.setenv(manifests.TRUST_VARIABLE, str(tmp_path / "missing.pem"))
    c2pa = read_claims(signed("PNG")).c2pa
    assert c2pa.signature == NOT_VERIFIED and "missing.pem" in c2pa.reason
    assert c2pa.actions == ("created",)


def test_what_c2pa_python_cannot_read_is_not_verified(signing):
    c2pa = read_claims(with_boxes("PNG", BOXES)).c2pa
    assert c2pa.signature in (NOT_VERIFIED, BROKEN) and c2pa.reason


def test_nothing_is_fetched_and_c2pa_python_is_imported_for_manifests_alone(signing, monkeypatch):
    settings = []
    from c2pa import Settings

    original = Settings.from_dict
    monkeypatch.setattr(Settings, "from_dict", lambda content: settings.append(content) or original(content))
    manifests._context.cache_clear()
    read_claims(signed("PNG"))
    assert settings == [{"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}]
    monkeypatch.setitem(sys.modules, "c2pa", None)  # importing it would fail
    buffer = io.BytesIO()
    from tests.claims.files import picture

    picture().save(buffer, "PNG")
    assert read_claims(buffer.getvalue()).c2pa is None


@pytest.mark.parametrize(
    "boxes",
    [
        b"",
        superbox(b"c2pa", "c2pa"),
        store(box(b"jumb", box(b"cbor", b"\0"))),
        store(manifest([CREATED], "x")[:-3]),
        store(superbox(b"c2ma", "m", superbox(b"c2cl", "c2pa.claim", box(b"cbor", b"\xff")))),
    ],
)
def test_broken_boxes_are_a_manifest_that_says_nothing(boxes, plain):
    c2pa = manifests.read_manifest(b"", boxes)
    assert c2pa.generator is None and c2pa.signature == NOT_VERIFIED


def test_cbor_of_every_kind():
    value = {"a": [1, "text", {"b": 2}], "empty": []}
    assert read_cbor(cbor(value)) == value
    assert read_cbor(bytes.fromhex("bf616101ff")) == {"a": 1}
    assert read_cbor(bytes.fromhex("9f01820203ff")) == [1, [2, 3]]
    assert read_cbor(bytes.fromhex("7f657374726561646d696e67ff")) == "streaming"
    assert read_cbor(bytes.fromhex("83f4f5f6")) == [False, True, None]
    assert read_cbor(bytes.fromhex("83fb3ff199999999999a20c11a514b67b0")) == [1.1, -1, 1363896240]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x82\x01", b"\x9b" + b"\xff" * 8, b"\x81" * 100, b"\xff", b"\x1f", b"\xa1\x80\x01", b"\x9f" * 50,
     b"\xbf\x01\xff"],
)  # fmt: skip
def test_broken_cbor(data):
    with pytest.raises(ValueError):
        read_cbor(data)


def test_boxes_that_are_nested_deep_or_many_are_refused():
    deep = b""
    for _ in range(40):
        deep = superbox(b"c2pa", "x", deep)
    with pytest.raises(ValueError, match="too deep"):
        read_boxes(deep)
    with pytest.raises(ValueError, match="too many"):
        read_boxes(superbox(b"c2pa", "x", *[box(b"free")] * 20) * 1000)
