"""Patterns that users write can be used, or are refused; no search goes on without end."""

import re
from re import _parser as re_parser  # type: ignore[attr-defined]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.pattern_length import least_length
from prodigy.workflow.patterns import (
    MAX_PATTERN,
    BadPattern,
    Match,
    PatternTimeout,
    check_pattern,
    find_pattern,
    matches_pattern,
)
from prodigy.workflow.values import TemplateError


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\.py$", "src/a.py", Match(".py")),
        (r"v(\d+)\.(\d+)", "is v1.42", Match("v1.42", ("1", "42"))),
        (r"(a)?b", "b", Match("b", (None,))),
        (r"(?i)ERROR", "an error", Match("error")),
        (r"^two$", "one\ntwo\n", None),
        (r"(?m)^two$", "one\ntwo\n", Match("two")),
        (r"\p{Lu}", "ä Ä", Match("Ä")),
        ("", "x", Match("")),
        (r"\(?R", "(R", Match("(R")),
    ],
)
def test_the_first_place_that_matches(pattern: str, text: str, found: Match | None) -> None:
    assert find_pattern(pattern, text) == found
    assert matches_pattern(pattern, text) == (found is not None)


@pytest.mark.parametrize(
    ("match", "value"),
    [(Match("ab"), "ab"), (Match("ab", ("b", "c")), "b"), (Match("ab", (None,)), "")],
)
def test_the_value_of_a_match_is_its_first_group(match: Match, value: str) -> None:
    assert match.value == value


@pytest.mark.parametrize(
    ("pattern", "position", "needle"),
    [
        ("a(b", 3, "missing )"),
        ("[z-a]", 4, "bad character range"),
        ("a" * (MAX_PATTERN + 1), None, f"{MAX_PATTERN + 1} characters"),
        ("(" * 450 + ")" * 450, None, "too deep"),
        ("a{99999999999999999999}", None, "100,000 characters"),
        ("a(?R)", 1, "`(?R)` is not supported"),
        (r"\((a(?1)?)", 4, "`(?1)` is not supported"),
        ("(?P<n>a)(?&n)", 8, "`(?&n)` is not supported"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_place(
    pattern: str, position: int | None, needle: str
) -> None:
    with pytest.raises(BadPattern, match="bad-regex") as caught:
        check_pattern(pattern)
    assert caught.value.position == position
    assert needle in caught.value.message
    assert len(caught.value.message) < 150


def test_a_pattern_of_the_greatest_length_is_accepted() -> None:
    assert find_pattern("a" * MAX_PATTERN, "a" * MAX_PATTERN) == Match("a" * MAX_PATTERN)


@pytest.mark.parametrize("find", [find_pattern, matches_pattern])
def test_a_search_without_end_is_ended(find: object) -> None:
    assert callable(find)
    with pytest.raises(PatternTimeout, match="regex-timeout") as caught:
        find("(a|aa)+$(?<=c)", "a" * 200 + "b", limit=0.02)
    assert "0.02 s" in caught.value.message


@given(st.text(alphabet="ab(?)[]{}|*+\\^$.0,:P<>=!R-d\U0001f600\n", max_size=30), st.text(max_size=30))
def test_any_text_is_a_pattern_or_an_error(pattern: str, text: str) -> None:
    try:
        check_pattern(pattern)
        matches_pattern(pattern, text, limit=0.05)
    except TemplateError as error:
        assert error.code in {"bad-regex", "regex-timeout"}  # noqa: PT017 - both outcomes are fine


@pytest.mark.parametrize(
    ("pattern", "length"),
    [
        ("", 0),
        (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", 36),
        (r"\d{4}-\d{2}-\d{2}", 10),
        ("(a{1000}){1000}", 1_000_000),
        ("((?:a{10}b){10}c){10}", 1110),
        ("a{1,5000}b{0,9}[]{7}]{3}", 5),
        (r"\({5}(?#({5))[(]{2}", 7),
        ("a{3}{4}", 12),
        ("a(b", 2),
    ],
)
def test_how_long_a_text_a_pattern_asks_for(pattern: str, length: int) -> None:
    assert length <= least_length(pattern) <= length + 5


@pytest.mark.parametrize(
    "pattern",
    [
        "a{10001000},}",
        "(?:(?:a{1000}){1000}){1000}",
        "(){9999999,}",
        r"\b{9999999}",
        "(?x)(?:a{1000} # (\n){ 1 000 }",
        "(?V1)(?:[[(]--[a]]{1000}){1000}",
    ],
)
def test_a_pattern_for_huge_texts_is_refused_before_it_is_compiled(pattern: str) -> None:
    with pytest.raises(BadPattern, match="100,000 characters"):
        check_pattern(pattern)


@given(
    st.lists(
        st.sampled_from(
            ["a", "[b{9}]", "(", ")", "{3}", "{12,}", "{0,4}", "(?:", "|", r"\{", "?", ".", "(?#(){7})"]
        ),
        max_size=12,
    )
)
def test_the_estimate_is_never_too_low(pieces: list[str]) -> None:
    """The parser of the standard library knows the least width exactly."""
    pattern = "".join(pieces)
    try:
        least, _ = re_parser.parse(pattern).getwidth()
    except re.error:
        return
    assert least <= least_length(pattern)
