import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.nearest import LONG_NAME, Guesses, distance, nearest

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


@given(words, st.lists(words))
def test_what_cannot_be_meant_is_passed_over_and_nothing_else(word: str, names: list[str]) -> None:
    """The quick looks before a comparison change nothing."""
    found = nearest(word, names)
    others = [distance(word, name) for name in names if name != word]
    within = 0 if len(word) <= 1 else 1 if len(word) < 5 else 2
    close = min((edits for edits in others if edits <= within), default=None)
    assert (None if found is None else distance(word, found)) == close


def test_the_work_for_many_unknown_names_is_bounded() -> None:
    looked_at = 0

    def names():
        nonlocal looked_at
        for number in range(5_000):
            looked_at += 1
            yield f"name_{number:04}"

    guesses = Guesses(work=100_000)
    found = [guesses.nearest(f"name{number:04}x", names()) for number in range(5_000)]
    assert found[0] == "name_0000"
    assert found[-1] is None
    assert looked_at <= 100_000


def test_very_long_names_resemble_nothing() -> None:
    name = "n" * LONG_NAME
    assert nearest(name, [name + "x"]) == name + "x"
    assert nearest(name + "x", [name + "xy"]) is None
