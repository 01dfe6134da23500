"""Text is safe to show, and never wider than there is room."""

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.cli import text

WIDE = st.lists(st.sampled_from(["a", "é", "e\u0301", "漢", "👩‍🚀", "🇩🇪", "😀", " "]), max_size=40).map(
    "".join
)


@given(st.text())
def test_nothing_that_acts_on_a_terminal_survives(raw: str) -> None:
    shown = text.printable(raw)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Cn", "Co", "Zl", "Zp"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("two\nlines\t.", "two\\nlines\\t."),
        ("\x9b31m", "\\x9b31m"),
        ("gnp\u202etxt.exe", "gnp\\u202etxt.exe"),
        ("bad \udcff byte", "bad \\udcff byte"),
        ("naïve 漢字 👩‍🚀", "naïve 漢字 👩‍🚀"),
    ],
)
def test_what_is_escaped_and_what_is_not(raw: str, shown: str) -> None:
    assert text.printable(raw) == shown


@given(WIDE, st.integers(min_value=0, max_value=50))
def test_a_cut_text_fits(raw: str, width: int) -> None:
    short = text.cut(raw, width)
    assert text.cells(short) <= width
    if text.cells(raw) <= width:
        assert short == raw


@given(st.text(alphabet="abc漢", max_size=30), st.integers(min_value=1, max_value=40))
def test_what_is_cut_says_so_and_is_a_beginning(raw: str, width: int) -> None:
    short = text.cut(raw, width)
    if short != raw:
        assert short.endswith("…")
        assert raw.startswith(short[:-1])


def test_a_joined_emoji_is_never_torn() -> None:
    astronaut = "👩‍🚀"
    assert text.cut(astronaut + "abc", 4) == astronaut + "a…"
    assert text.cut(astronaut + "abc", 2) == "…"


def test_without_a_limit_nothing_is_cut() -> None:
    assert text.cut("x" * 10_000, None) == "x" * 10_000


@given(WIDE, st.integers(min_value=0, max_value=50), st.booleans())
def test_padding_fills_to_the_width(raw: str, width: int, right: bool) -> None:
    assert text.cells(text.pad(raw, width, right=right)) == max(width, text.cells(raw))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0.0 s"),
        (0.04, "0.0 s"),
        (1.25, "1.3 s"),
        (9.94, "9.9 s"),
        (9.96, "9 s"),
        (41.9, "41 s"),
        (724, "12m 04s"),
        (11_220, "3h 07m"),
        (190_800, "2d 05h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (59.9, "59s"), (250, "4m"), (7_300, "2h"), (3 * 86400, "3d")]
)
def test_forecasts(seconds: float, shown: str) -> None:
    assert text.about(seconds) == shown


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=12), "12m ago"),
        (timedelta(hours=30), "yesterday"),
        (timedelta(days=3), "3d ago"),
    ],
)
def test_ages(passed: timedelta, shown: str) -> None:
    now = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert text.age(now - passed, now) == shown


def test_counts_agree_with_their_nouns() -> None:
    assert [text.counted(number, "commit") for number in (0, 1, 12_345)] == [
        "0 commits",
        "1 commit",
        "12,345 commits",
    ]
    assert text.counted(2, "entry", "entries") == "2 entries"


def test_the_home_folder_is_a_tilde_and_only_it() -> None:
    assert text.home_short("/home/ann/x/y", "/home/ann") == "~/x/y"
    assert text.home_short("/home/ann", "/home/ann/") == "~"
    assert text.home_short("/home/anna/x", "/home/ann") == "/home/anna/x"
    assert text.home_short("/x", None) == "/x"
