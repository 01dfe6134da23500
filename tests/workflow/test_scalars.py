import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow import scalars
from prodigy.workflow.model import Deferred
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


def test_numbers_have_bounds() -> None:
    assert [scalars.number(text) for text in ("7", "-1.5", "1e3")] == [7, -1.5, 1000]
    for text, code in [
        ("0.5", "bad-value"),
        ("9.5", "bad-value"),
        ("nan", "wrong-type"),
        ("1e999", "wrong-type"),
    ]:
        with pytest.raises(ScalarError) as caught:
            scalars.number(text, 1, 9)
        assert caught.value.code == code


@pytest.mark.parametrize(("text", "share"), [("0.25", 0.25), ("25%", 0.25), ("100 %", 1), ("0", 0)])
def test_shares(text: str, share: float) -> None:
    assert scalars.share(text) == share


def test_milliseconds_are_for_numbers_without_a_unit() -> None:
    assert scalars.duration("250", milliseconds=True) == 0.25
    assert scalars.duration("2s", milliseconds=True) == 2


@pytest.mark.parametrize(
    ("kind", "least", "text", "value"),
    [
        ("duration", None, "1m", 60.0),
        ("duration", 0.001, "none", None),
        ("size", None, "1k", 1000),
        ("integer", 1, " 3 ", 3),
        ("number", 0, "1.5", 1.5),
    ],
)
def test_a_deferred_value_is_read_when_it_is_known(
    kind: Any, least: float | None, text: str, value: Any
) -> None:
    assert scalars.resolved(Deferred("${X}", kind, least=least), text) == value


@pytest.mark.parametrize(
    ("kind", "least", "text", "code"),
    [
        ("duration", 0.001, "0", "bad-value"),
        ("duration", None, "soon", "bad-duration"),
        ("size", None, "", "bad-size"),
        ("integer", 1, "0", "bad-value"),
        ("number", 0, "-1", "bad-value"),
    ],
)
def test_a_deferred_value_of_the_wrong_kind(kind: Any, least: float | None, text: str, code: str) -> None:
    with pytest.raises(ScalarError) as caught:
        scalars.resolved(Deferred("${X}", kind, least=least), text)
    assert caught.value.code == code


@given(st.text() | st.from_regex(r"[0-9.]{1,4}\s?[a-z]{1,3}([0-9]{1,3}[a-z])?"))
def test_any_text_is_a_finite_value_or_an_error(text: str) -> None:
    for read in (scalars.duration, scalars.size):
        try:
            value = read(text)
        except ScalarError:
            continue
        assert value >= 0
        assert math.isfinite(value)
