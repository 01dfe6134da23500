"""Items in order, and without those that are there already."""

import math
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.ordering import (
    SortKey,
    Unsortable,
    distinct_items,
    parse_field,
    parse_sort,
    sort_items,
)


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("", ()),
        ("  ", ()),
        ([], ()),
        ("n", (SortKey(("n",)),)),
        ("item.n", (SortKey(("item", "n")),)),
        ("n ASC", (SortKey(("n",)),)),
        ("n desc", (SortKey(("n",), descending=True),)),
        ("n Ascending NULLS last", (SortKey(("n",)),)),
        (
            "n DESCENDING nulls FIRST",
            (SortKey(("n",), descending=True, nulls_first=True),),
        ),
        ("n NULLS FIRST", (SortKey(("n",), nulls_first=True),)),
        (
            "item.a.b DESC, tags[0],\n x['a, b'] asc",
            (SortKey(("item", "a", "b"), descending=True), SortKey(("tags", 0)), SortKey(("x", "a, b"))),
        ),
        (["a", "b DESC, c"], (SortKey(("a",)), SortKey(("b",), descending=True), SortKey(("c",)))),
        ("desc desc", (SortKey(("desc",), descending=True),)),
        ("nulls nulls last", (SortKey(("nulls",)),)),
    ],
)
def test_sort_texts(source: str | list[str], keys: tuple[SortKey, ...]) -> None:
    assert parse_sort(source) == keys


@pytest.mark.parametrize(
    ("source", "column", "needle"),
    [
        ("n down", 3, "`down` is left over"),
        ("n ASC DESC", 7, "`DESC` is left over"),
        ("n NULLS", 8, "the end cannot follow `NULLS`"),
        ("n NULLS maybe", 9, "`maybe` cannot follow `NULLS`"),
        ("n NULLS FIRST DESC", 15, "`DESC` is left over"),
        ("n,", 3, "path to a field is missing"),
        (",n", 1, "`,` is no path"),
        ("-n", 1, "`-n` is no path"),
        ("length(n)", 7, "`(` is left over"),
        ("5", 1, "`5` is no path"),
    ],
)
def test_what_is_no_sort_text(source: str, column: int, needle: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_sort(source)
    assert (caught.value.code, caught.value.column) == ("bad-expression", column)
    assert needle in caught.value.message


def test_a_field_is_one_path() -> None:
    assert parse_field(" item.a[0] ") == ("item", "a", 0)
    for source, column in (("", 1), ("a b", 3), ("a, b", 2)):
        with pytest.raises(BadExpression) as caught:
            parse_field(source)
        assert caught.value.column == column


def by(source: str, *values: Any) -> list[Any]:
    return sort_items(values, parse_sort(source))


MIXED = [
    None,
    False,
    True,
    math.nan,
    -math.inf,
    -1,
    0.5,
    7,
    "",
    "10",
    "9",
    "a",
    [],
    [1],
    [1, 2],
    [2],
    {},
    {"a": 1},
]


def test_types_have_an_order() -> None:
    assert str(by("item NULLS FIRST", *reversed(MIXED))) == str(MIXED)
    assert str(by("item DESC", *MIXED)) == str([*reversed(MIXED[1:]), None])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("n", ["b", "d", "a", "c", "e"]),
        ("n DESC", ["a", "b", "d", "c", "e"]),
        ("n NULLS FIRST", ["c", "e", "b", "d", "a"]),
        ("n DESC NULLS FIRST", ["c", "e", "a", "b", "d"]),
        ("item.n, item.name DESC", ["d", "b", "a", "e", "c"]),
        ("index DESC", ["e", "d", "c", "b", "a"]),
        ("", ["a", "b", "c", "d", "e"]),
    ],
)
def test_items_by_their_fields(source: str, expected: list[str]) -> None:
    """Missing and null values stand last in both directions; equal ones stay as they were."""
    rows = [("a", 2), ("b", 1), ("c", None), ("d", 1)]
    items = [{"name": name, "n": n} for name, n in rows] + [{"name": "e"}]
    assert [item["name"] for item in sort_items(items, parse_sort(source))] == expected


def test_lines_are_sorted_by_themselves() -> None:
    assert by("item", "b", "a", "B") == ["B", "a", "b"]
    assert by("item.value DESC", "b", "a", "B") == ["b", "a", "B"]


def test_distinct_keeps_the_first_of_each_value_and_all_without_one() -> None:
    values = [1, 1.0, True, "1", None, [1], [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}, None, math.nan, math.nan]
    items = [{"k": value, "n": n} for n, value in enumerate(values)] + [{"n": 12}, {"n": 13}]
    assert [item["n"] for item in distinct_items(items, ("k",))] == [0, 2, 3, 4, 5, 7, 9, 10, 12, 13]
    assert distinct_items(["a", "b", "a"], ("item",)) == ["a", "b"]


def test_what_is_nested_too_deep_is_a_problem() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(Unsortable, match="too deep"):
        by("item", deep, 1)
    with pytest.raises(Unsortable, match="too deep"):
        distinct_items([deep], ("item",))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text("ab1", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
    max_leaves=5,
)
DIRECTIONS = st.sampled_from(["", " ASC", " DESC", " NULLS FIRST", " DESC NULLS FIRST", " DESC NULLS LAST"])


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), DIRECTIONS, DIRECTIONS)
def test_sorting_is_one_stable_comparison_of_all_keys(
    pairs: list[tuple[Any, Any]], first: str, second: str
) -> None:
    """Sorting by two keys at once is sorting by the second and then, stably, by the first."""
    items = [{"a": a, "b": b, "n": n} for n, (a, b) in enumerate(pairs)]
    both = sort_items(items, parse_sort(f"a{first}, b{second}"))
    assert both == sort_items(sort_items(items, parse_sort(f"b{second}")), parse_sort(f"a{first}"))
    assert sorted(item["n"] for item in both) == list(range(len(items)))


@given(st.lists(st.none() | st.integers(-5, 5), max_size=10), DIRECTIONS)
def test_numbers_sort_as_a_plain_comparison_says(values: list[int | None], direction: str) -> None:
    def compare(left: int | None, right: int | None) -> int:
        if left is None or right is None:
            nulls = (left is None) - (right is None)
            return -nulls if "FIRST" in direction else nulls
        return right - left if "DESC" in direction else left - right

    assert by(f"item{direction}", *values) == sorted(values, key=cmp_to_key(compare))


@given(st.lists(VALUES, max_size=8))
def test_distinct_items_are_a_part_in_order(values: list[Any]) -> None:
    kept = distinct_items(values, ("item",))
    assert distinct_items(kept, ("item",)) == kept
    rest = iter(values)
    assert all(any(item is other for other in rest) for item in kept)


@given(st.text(alphabet="ab.[]0'\"*, descnulfirtLAST-", max_size=30))
def test_any_text_is_sort_keys_or_refused(source: str) -> None:
    try:
        keys = parse_sort(source)
    except BadExpression as error:
        assert 1 <= error.column <= len(source) + 1  # noqa: PT017 - both outcomes are fine
    else:
        sort_items([{"a": 1}, "b", None], keys)
