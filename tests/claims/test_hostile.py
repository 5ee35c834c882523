"""Metadata that is made to harm: bounded in time and memory, and inert in what comes of it."""

import random
import struct
import time
import tracemalloc
import zlib
from html.parser import HTMLParser

import pytest

from benchmarks.fuzz import _MUTATIONS
from recon_detect import read_claims
from recon_detect.claims import manifest as manifests
from recon_detect.claims.metadata import LONGEST_TEXT, metadata_of
from recon_detect.claims.tiff import read_tags
from recon_detect.claims.xmp import read_xmp
from tests.claims.files import XMP, encoded, exif, manifest, png, seeds, store, with_boxes

HOSTILE = (
    "\x1b[31mred\x07 \u202egnp.tac\u2066 \ud800 <script>alert(1)</script>\n\r\0second &amp; 'line' \u200b"
    + "\u0301" * 50
)
GRAPH = '{"1": {"class_type": "CLIPTextEncode", "inputs": {"text": %s}}}'


def chunked(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks behind its head."""
    data = png()
    parts = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return data[:33] + b"".join(parts) + data[33:]


def check_inert(claims) -> None:
    values = claims.to_dict()

    def check(value):
        if isinstance(value, str):
            assert value.isprintable() and len(value) < 2000
            value.encode()
        elif isinstance(value, dict):
            for name, each in value.items():
                assert name.isidentifier()
                check(each)
        elif isinstance(value, list | tuple):
            assert len(value) < 100
            for each in value:
                check(each)

    check(values)
    assert values["sentences"]


def hostile_files():
    text = HOSTILE.encode(errors="surrogatepass").decode("latin-1")
    yield "parameters", png({"parameters": f"{text}\nSteps: 1, Model: {text}"})
    yield "keyword", chunked((b"tEXt", b"\x1b]0;title\x07\0" + b"x" * (LONGEST_TEXT + 1)))
    yield "exif", encoded("JPEG", exif=exif({0x010F: text.replace("\0", ""), 0x0110: "\x9b31m", 0x0131: "<b>"}))
    yield (
        "credit",
        encoded(
            "JPEG", xmp=XMP.format("<m:CreatorTool>&lt;img src=x onerror=alert(1)&gt;\u202e</m:CreatorTool>").encode()
        ),
    )
    yield (
        "manifest",
        with_boxes("PNG", store(manifest([{"action": "\x1b[2J", "digitalSourceType": "x/\u202e"}], "\u202e<b>"))),
    )


@pytest.mark.parametrize(("name", "data"), [pytest.param(*each, id=each[0]) for each in hostile_files()])
@pytest.mark.parametrize("library", [False, True])
def test_text_is_one_printable_line(name, data, library, monkeypatch):
    if not library:
        monkeypatch.setattr(manifests, "find_spec", lambda module: None)
    claims = read_claims(data)
    check_inert(claims)
    assert not claims.silent or claims.remarks
    assert "\x1b" not in "".join(claims.sentences) and "\u202e" not in "".join(claims.sentences)


def test_escaped_as_all_text_it_is_inert_in_html():
    import html

    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    claims = read_claims(png({"prompt": GRAPH % '"<script>alert(1)</script>"'}))
    assert "<script>" in claims.generation.prompt
    parser.feed("".join(f"<p>{html.escape(sentence)}</p>" for sentence in claims.sentences))
    assert set(tags) == {"p"}


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        "<x>" * 200,
        "<x",
        "&undefined;",
    ],
)
def test_xmp_with_entities_or_deep_nesting_is_left_out(document):
    with pytest.raises(ValueError):
        read_xmp(document.encode())
    claims = read_claims(encoded("JPEG", xmp=document.encode()))
    assert claims.silent and "XMP" in claims.remarks[0]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("bomb of text", chunked(*[(b"zTXt", b"k%d\0\0" % n + zlib.compress(bytes(1 << 24), 9)) for n in range(300)])),
        ("text of one parameter", png({"parameters": "\n" * (LONGEST_TEXT - 20)})),
        ("many steps", png({"parameters": "\nSteps: 1" * (LONGEST_TEXT // 10)})),
        ("deep json", png({"prompt": "[" * (LONGEST_TEXT - 1)})),
        ("class of a node", png({"prompt": '{"1": {"class_type": "%s", "inputs": {}}}' % ("unet" * 200_000)})),
        ("links", png({"prompt": '{"1": {"class_type": "TextEncode", "inputs": {%s}}}' % ", ".join(f'"{n}": ["{n}", 0]' for n in range(50_000))})),  # noqa: E501, UP031
        ("large number", png({"prompt": '{"1": %s}' % ("9" * 500_000)})),
        ("raw exif", png({"Raw profile type exif": "exif 5 " + " " * (LONGEST_TEXT - 10)})),
        ("xmp", png({"XML:com.adobe.xmp": "<x>" + "<y/>" * (LONGEST_TEXT // 4)})),
        ("boxes", with_boxes("PNG", store(*[manifest([{"action": "c2pa.created"}], "x")] * 3000))),
        ("cbor", with_boxes("PNG", store(manifest([{"action": ["x"] * 60_000}], "x")))),
        ("chunks", png()[:33] + (bytes(4) + b"tEXt" + bytes(4)) * 200_000),
        ("comments", b"\xff\xd8" + b"\xff\xfe\0\3x" * 200_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_time_and_memory_are_bounded(name, data, monkeypatch):
    monkeypatch.setattr(manifests, "find_spec", lambda module: None)
    tracemalloc.start()
    begin = time.process_time()
    claims = read_claims(data)
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    check_inert(claims)
    assert seconds < 20  # a second or two, with the trace of memory; without bounds minutes
    assert peak < 3e8


def test_directories_of_exif_are_read_for_the_tags_that_are_wanted_alone():
    """Twenty thousand entries that each point to all of the file are not copied."""
    entries = b"".join(struct.pack("<HHII", tag, 2, 200_000, 8) for tag in range(20_000))
    data = b"II\x2a\0" + struct.pack("<IH", 8, 20_000) + entries + bytes(200_000)
    tracemalloc.start()
    tags = read_tags(data, {1, 2})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(tags) == {1, 2} and len(tags[1]) == 200_000 and peak < 2e6


@pytest.mark.parametrize("data", [b"", b"II\x2a\0", b"XX\x2a\0" + bytes(20), b"not tiff"])
def test_what_is_no_tiff_structure(data):
    with pytest.raises(ValueError):
        read_tags(data, {1})


def test_directories_that_point_at_each_other_end():
    data = b"II\x2a\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 8) + bytes(4)
    assert read_tags(data, {1}) == {}


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_have_claims(count):
    generator = random.Random(count)
    files = [*seeds()]
    readable = 0
    for number in range(count):
        data = bytearray(files[number % len(files)])
        for _ in range(generator.choice((1, 1, 2, 4))):
            data = generator.choice(_MUTATIONS)(data, generator, files)
        claims = read_claims(bytes(data))
        check_inert(claims)
        assert claims == read_claims(bytes(data))
        readable += not claims.silent
    assert 0.3 * count < readable < count  # neither all harmless nor all hopeless


def test_every_cut_of_every_file_is_read():
    for data in seeds():
        for end in range(0, len(data), max(len(data) // 40, 1)):
            metadata_of(data[:end])
