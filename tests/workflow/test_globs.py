"""Globs: what they match, that they agree with the regular expression they stand for, and that they always end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.globs import BadGlob, matches, matches_path


@pytest.mark.parametrize(
    ("glob", "path", "wanted"),
    [
        ("*.py", "a.py", True),
        ("*.py", "src/deep/a.py", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/deep/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "src/very/deep/a.py", True),
        ("src/**/*.py", "other/src/a.py", False),
        ("**/a.py", "a.py", True),
        ("**/a.py", "xa.py", False),
        ("src/**", "src/a/b", True),
        ("?.py", "ab.py", False),
        ("[ab].py", "b.py", True),
        ("[!ab].py", "b.py", False),
        ("[!ab].py", "c.py", True),
        ("*", "", True),
        ("**a*b/", "a/ab/", True),
        ("a.py", "a_py", False),
        ("*\n", "x\n", True),
    ],
)
def test_what_a_glob_matches(glob: str, path: str, wanted: bool) -> None:
    assert matches(path, (glob,)) is wanted


def test_a_whole_path_is_meant_where_it_is_asked_for() -> None:
    assert not matches_path("src/a.py", "*.py")
    assert matches_path("a.py", "*.py")


def test_a_set_that_is_none_is_refused() -> None:
    with pytest.raises(BadGlob, match=r"`\[z-a\]` is not a glob"):
        matches("a", ("[z-a]",))


def test_a_glob_that_would_keep_a_regular_expression_busy_for_ever() -> None:
    path = "a" * 5000
    assert not matches_path(path, "*a" * 300 + "b")
    assert not matches_path(path, "**" * 500 + "<")
    assert matches_path(path, "*a" * 300)


SIGNS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "[ab]": "[ab]", "[!a]": "[^a]"}
PIECES = st.lists(st.sampled_from([*SIGNS, "a", "b", "/", "."]), max_size=6).filter(
    lambda pieces: (
        "***" not in "".join(pieces)
    )  # what so many stars are one by one depends on where one looks
)


@given(pieces=PIECES, path=st.text("ab/.", max_size=8))
def test_a_glob_is_what_its_regular_expression_is(pieces: list[str], path: str) -> None:
    pattern = "".join(SIGNS.get(piece, re.escape(piece)) for piece in pieces)
    assert matches_path(path, "".join(pieces)) is bool(re.fullmatch(pattern, path, re.DOTALL))
