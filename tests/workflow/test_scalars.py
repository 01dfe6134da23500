import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow import scalars
from prodigy.workflow.scalars import ScalarError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("1.5", 1.5), ("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("1h30m", 5400), ("1h 30m", 5400),
        ("2d", 172800), ("2 days", 172800), ("1 hour", 3600), ("10 sec", 10), ("5 minutes", 300), ("0", 0),
        ("1H", 3600),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert scalars.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "bad-duration"), ("5x", "bad-duration"), ("-5", "bad-value"), ("1h30", "bad-duration"),
        ("yes", "bad-duration"), ("1" * 400, "bad-duration"), ("inf", "bad-duration"), ("5ss", "bad-duration"),
    ],
)  # fmt: skip
def test_what_is_no_duration(text: str, code: str) -> None:
    with pytest.raises(ScalarError) as caught:
        scalars.duration(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("10k", 10_000), ("512MB", 512_000_000), ("2GiB", 2**31), ("1.5 KiB", 1536), ("7b", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert scalars.size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "10x", "-1", "10kk", "ten"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ScalarError) as caught:
        scalars.size(text)
    assert caught.value.code == "bad-size"


def test_integers_have_bounds_and_no_fractions() -> None:
    assert scalars.integer("7", 1) == 7
    for text, code in [
        ("0", "bad-value"),
        ("1.0", "wrong-type"),
        ("1e3", "wrong-type"),
        ("9" * 30, "wrong-type"),
    ]:
        with pytest.raises(ScalarError) as caught:
            scalars.integer(text, 1)
        assert caught.value.code == code


def test_only_true_and_false_are_booleans() -> None:
    assert scalars.boolean("true") is True
    assert scalars.boolean("False") is False
    for text in ("yes", "on", "1", ""):
        with pytest.raises(ScalarError):
            scalars.boolean(text)


@given(st.text() | st.from_regex(r"[0-9.]{1,4}\s?[a-z]{1,3}([0-9]{1,3}[a-z])?"))
def test_any_text_is_a_finite_value_or_an_error(text: str) -> None:
    for read in (scalars.duration, scalars.size):
        try:
            value = read(text)
        except ScalarError:
            continue
        assert value >= 0
        assert math.isfinite(value)
