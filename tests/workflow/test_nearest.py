import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.nearest import distance, nearest

words = st.text(alphabet="abc", max_size=6)


@given(words, words)
def test_distance_is_symmetric_and_zero_only_for_equal_words(left: str, right: str) -> None:
    assert distance(left, right) == distance(right, left)
    assert (distance(left, right) == 0) == (left == right)


@given(words, words, st.integers(0, 4))
def test_a_limit_only_cuts_off_what_is_beyond_it(left: str, right: str, limit: int) -> None:
    assert distance(left, right, limit) == min(distance(left, right), limit + 1)


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [("shel", "shell", 1), ("hsell", "shell", 1), ("ab", "ba", 1), ("kitten", "sitting", 3), ("", "abc", 3)],
)
def test_distance_counts_edits_and_swaps(left: str, right: str, edits: int) -> None:
    assert distance(left, right) == edits


def test_short_names_may_be_one_edit_away_and_long_ones_two() -> None:
    assert nearest("nme", ["name"]) == "name"
    assert nearest("nm", ["name"]) is None
    assert nearest("max_paralle", ["max_parallel"]) == "max_parallel"
    assert nearest("max_paralll_", ["max_parallel"]) == "max_parallel"
    assert nearest("maxparalel1", ["max_parallel"]) is None


def test_the_closest_name_wins_and_the_first_of_equals() -> None:
    assert nearest("setps", ["stops", "steps"]) == "steps"
    assert nearest("aaaaa", ["aaaab", "aaaac"]) == "aaaab"


def test_one_letter_resembles_nothing() -> None:
    assert nearest("c", ["a", "cd"]) is None
