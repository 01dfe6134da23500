"""Scores: what counts of an output, and when a search has converged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.steps.scores import capped, converged, json_object, score_of


@pytest.mark.parametrize(
    ("text", "exit_code", "score"),
    [
        ('{"score": 72}', 0, 72),
        ('{"score": 72.5, "completion_percentage": 10}', 1, 72.5),
        ('{"completion_percentage": "40%"}', 0, 40),
        ('{"score": true}', 0, 100),
        ('running…\n{"score": 12}\n', 0, 12),
        ('Here it is:\n```json\n{"score": 33,\n "gaps": {}}\n```\nbye', 0, 33),
        ('log {not json}\n{\n  "completion_percentage": 61\n}', 0, 61),
        ('{"other": 1}\nscore: 5', 0, 5),
        ("score: 85", 1, 85),
        ("Score = 85", 0, 85),
        ("score: 85/100", 0, 85),
        ("coverage 45 %, score: 80", 0, 80),
        ("45% of lines, 50% of branches", 0, 45),
        ("7/100 then 90 out of 100", 0, 7),
        ("90 out of 100 tests", 0, 90),
        ("3/10 done", 0, 100),
        ("score: 250", 0, 100),
        ("score: -3", 0, 0),
        ("all good", 0, 100),
        ("all bad", 1, 0),
        ("", 0, 100),
        ("", None, 0),
        ("42", 0, 100),
        ("underscore: 3", 0, 100),
        ('{"score": null, "completion_percentage": 9}', 0, 9),
    ],
)
def test_score(text: str, exit_code: int | None, score: float) -> None:
    """A stated score counts, else the exit code."""
    assert score_of(text, exit_code) == score


@given(st.text(), st.none() | st.integers(0, 255))
def test_every_text_has_a_score(text: str, exit_code: int | None) -> None:
    assert 0 <= score_of(text, exit_code) <= 100


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5)
)
def test_every_json_has_a_score(value: object) -> None:
    assert 0 <= score_of(json.dumps({"score": value}), 1) <= 100


@given(st.integers(0, 100), st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="{}`")))
def test_json_among_words_is_found(score: int, words: str) -> None:
    """Whatever stands around it, as long as it has no braces."""
    assert score_of(f'{words}\n{{"score": {score}}}\n{words}', 1) == score


def test_deep_nesting_is_text() -> None:
    assert json_object("[" * 100_000 + "{", ("score",)) is None
    assert json_object('{"a":' * 100_000, ("a",)) is None


@pytest.mark.parametrize(
    ("scores", "settled"),
    [
        ([50, 50], False),
        ([50, 51, 52], True),
        ([50, 51, 52.1], False),
        ([0, 90, 90, 91], True),
        ([90, 90, 90, 10], False),
        ([], False),
    ],
)
def test_convergence(scores: list[float], settled: bool) -> None:
    """Three last scores within two points."""
    assert converged(scores) is settled


def test_capped() -> None:
    assert [capped(score) for score in (-1, 0, 55.5, 101)] == [0, 0, 55.5, 100]
