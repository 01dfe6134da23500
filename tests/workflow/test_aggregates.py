"""What a list of values becomes as one: laws of every aggregate, and a plain reference for each."""

import statistics
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow import aggregates
from prodigy.workflow.aggregates import BadAggregate, aggregate, grouped
from prodigy.workflow.refs import AGGREGATES

NUMBERS = st.lists(st.integers(-(10**6), 10**6) | st.floats(-1e9, 1e9))
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
OF_ANY_ORDER = (
    "count", "sum", "average", "avg", "min", "max", "median", "std_dev", "variance",
)  # fmt: skip


def test_every_name_of_the_language_has_a_function() -> None:
    assert vars(aggregates)["_FUNCTIONS"].keys() == set(AGGREGATES)


@given(st.sampled_from(AGGREGATES), st.lists(DATA), DATA)
def test_any_values_give_data_or_a_problem(kind: str, values: list[Any], initial: Any) -> None:
    with suppress(BadAggregate):
        msgspec.msgpack.encode(aggregate(kind, [value for value in values if _fits(value)]))
    with suppress(BadAggregate):
        if kind not in {"count", "group_by"}:
            aggregate(kind, values, initial)


def _fits(value: Any) -> bool:
    """Whether a message can hold a value: no integer of it is too large."""
    try:
        msgspec.msgpack.encode(value)
    except (OverflowError, UnicodeEncodeError):
        return False
    return True


@given(st.sampled_from(OF_ANY_ORDER), NUMBERS, st.randoms())
def test_numbers_may_come_in_any_order(kind: str, numbers: list[float], random: Any) -> None:
    shuffled = list(numbers)
    random.shuffle(shuffled)
    assert aggregate(kind, shuffled) == aggregate(kind, numbers)


@given(st.sampled_from(AGGREGATES), st.lists(DATA))
def test_nulls_are_no_values(kind: str, values: list[Any]) -> None:
    def outcome(given: list[Any]) -> Any:
        try:
            return repr(aggregate(kind, given))
        except BadAggregate as problem:
            return problem.message

    assert outcome([None, *values, None]) == outcome([value for value in values if value is not None])


REFERENCE: dict[str, Callable[[list[int]], Any]] = {
    "count": len,
    "sum": sum,
    "average": statistics.fmean,
    "avg": statistics.fmean,
    "min": min,
    "max": max,
    "median": statistics.median,
    "std_dev": statistics.pstdev,
    "variance": statistics.pvariance,
    "collect": list,
    "unique": lambda numbers: list(dict.fromkeys(numbers)),
    "concat": lambda numbers: "".join(map(str, numbers)),
    "flatten": list,
    "sort": sorted,
    "sort_desc": lambda numbers: sorted(numbers, reverse=True),
    "group_by": lambda numbers: {str(n): [n] * numbers.count(n) for n in dict.fromkeys(numbers)},
}


@given(st.sampled_from(sorted(REFERENCE)), st.lists(st.integers(-1000, 1000), min_size=1))
def test_numbers_against_a_plain_reference(kind: str, numbers: list[int]) -> None:
    found, wanted = aggregate(kind, numbers), REFERENCE[kind](numbers)
    assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)


@given(st.lists(st.integers(-1000, 1000)))
def test_numbers_may_be_written_as_texts(numbers: list[int]) -> None:
    for kind in ("sum", "average", "median", "variance"):
        assert aggregate(kind, [str(number) for number in numbers]) == aggregate(kind, numbers)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers())))
def test_the_last_mapping_that_has_a_key_gives_its_value(mappings: list[dict[str, int]]) -> None:
    wanted: dict[str, int] = {}
    for one in mappings:
        wanted = {**wanted, **one}
    assert aggregate("merge", mappings) == wanted


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        ("count", [], 0),
        ("sum", [], 0),
        ("average", [], None),
        ("max", [], None),
        ("std_dev", [], None),
        ("concat", [], ""),
        ("merge", [], {}),
        ("group_by", [], {}),
        ("sum", [0.1, 0.2, "0.3", 0.4], 1),
        ("sum", [1.5, 1], 2.5),
        ("sum", [2**62, 2**62], float(2**63)),
        ("average", [1, 2], 1.5),
        ("average", [1, 3], 2),
        ("std_dev", [2, 4, 4, 4, 5, 5, 7, 9], 2),
        ("min", ["10", "9"], "9"),
        ("max", ["b", "a10", "9"], "b"),
        ("unique", [["b"], ["a", "b"], "a", 1, "1", 1.0, True], ["b", "a", 1, "1", True]),
        ("flatten", [[1, [2]], 3, []], [1, [2], 3]),
        ("collect", [[1], None, 2], [[1], 2]),
        ("concat", ["a", 1, True], "a1true"),
        ("sort", ["b", 2, None, 10, "a"], [2, 10, "a", "b"]),
        ("sort_desc", [1, 3, 2], [3, 2, 1]),
        ("group_by", ["x", True, "x"], {"x": ["x", "x"], "true": [True]}),
    ],
)
def test_what_becomes_of_values(kind: str, values: list[Any], found: Any) -> None:
    assert (aggregate(kind, values), type(aggregate(kind, values))) == (found, type(found))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("sum", ["n/a"]),
        ("sum", [True]),
        ("average", [float("nan")]),
        ("median", [[1]]),
        ("min", [1, "a"]),
        ("max", [[1]]),
        ("merge", [{"a": 1}, 2]),
        ("variance", [1e308, -1e308]),
    ],
)
def test_values_of_the_wrong_type_are_a_problem(kind: str, values: list[Any]) -> None:
    with pytest.raises(BadAggregate, match=kind):
        aggregate(kind, values)


@pytest.mark.parametrize(
    ("kind", "initial", "values", "found"),
    [
        ("count", 5, [1, 1], 7),
        ("sum", 10, [1], 11),
        ("max", 10, [1], 10),
        ("average", 10, [1], 1),
        ("average", 10, [], 10),
        ("collect", ["a"], ["b"], ["a", "b"]),
        ("unique", ["a"], ["b", "a"], ["a", "b"]),
        ("concat", "a", ["b"], "ab"),
        ("merge", {"a": 1, "b": 1}, [{"b": 2}], {"a": 1, "b": 2}),
        ("group_by", {"a": [1]}, ["a", "b"], {"a": [1, "a"], "b": ["b"]}),
    ],
)
def test_an_initial_value_comes_first(kind: str, initial: Any, values: list[Any], found: Any) -> None:
    assert aggregate(kind, values, initial) == found


def test_groups_keep_their_order_and_leave_out_what_has_no_key() -> None:
    assert grouped(["b", None, "a", "b"], [1, 2, 3, 4]) == {"b": [1, 4], "a": [3]}


def test_what_is_nested_too_deep_is_a_problem() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for kind in ("sort", "unique", "concat", "group_by"):
        with pytest.raises(BadAggregate):
            aggregate(kind, [[deep], deep])
