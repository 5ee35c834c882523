"""Names of files as outputs hold them and as people see them."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_detect.names import listed, path_of, short, short_stem, shown, shown_lines, written

ANY = st.text(st.characters() | st.characters(categories=["Cs"]) | st.sampled_from("\\xud8e9c5"), max_size=12)


@given(ANY)
def test_what_is_written_is_text_and_is_read_back(name):
    text = written(name)
    text.encode()
    assert path_of(text) == name
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown(name))


@given(st.binary(max_size=20))
def test_every_name_of_a_file_is_read_back(name):
    assert os.fsencode(path_of(written(os.fsdecode(name)))) == name


@pytest.mark.parametrize("name", ["ä日.png", r"C:\photos\x.png", "100%.png", r"\\server\udine", "a\x1b.png"])
def test_ordinary_names_are_written_as_they_are(name):
    assert written(name) == name


def test_what_a_terminal_would_obey_is_shown_escaped():
    assert (
        shown("a\x1b[2J\x9b\x07\n\u202e\u2066\udce9 日\u3000b") == r"a\x1b[2J\x9b\x07\n\u202e\u2066\xe9 日" + "\u3000b"
    )
    assert shown_lines("a\n\x1b") == "a\n" + r"\x1b"


def test_stems_fit_and_tell_paths_apart():
    wide = "\U0001f5bc" * 80 + "絵" * 80
    assert len(short_stem(wide, "a").encode()) <= 170
    assert short_stem("a/b", "x") != short_stem("a/b", "y") and short_stem("ä b", "x").startswith("ä_b.")
    assert short_stem("\udce9", "\udce9").startswith("_.")


def test_lists_and_long_names_are_cut():
    assert listed(list("abcd")) == "a, b, c, d" and listed(list("abcdef")) == "a, b, c, d and 2 more"
    assert short("x" * 9, 9) == "x" * 9 and short("abcdefghij", 9) == "abc...hij" and short("a\x1b", 9) == "a\\x1b"
