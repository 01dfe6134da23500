"""Many values as one: what ``map.variables`` and folds such as ``${sum:…}`` can make of a list.

Pure and total: any list of plain data gives a value, or a ``BadAggregate`` that says why not. Nulls are no values and
are left out. Numbers may be written as texts, as in conditions; sums and means are exact until the last rounding, so
they do not depend on the order, and a result that is whole is a whole number.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from math import isfinite, lcm, sqrt
from typing import Any, Final

from prodigy.workflow.expression_values import Kind, kind_of, number_of, sort_key
from prodigy.workflow.values import LARGEST_INTEGER, TemplateError, text_of

_SHOWN = 40
_EXACT = 2**53
"""Up to here floats are whole numbers exactly."""


class BadAggregate(TemplateError):
    """Values that cannot be made one."""

    def __init__(self, message: str) -> None:
        super().__init__("bad-value", message)


def aggregate(kind: str, values: Iterable[Any], initial: Any = None) -> Any:
    """What ``kind`` makes of values.

    Args:
        kind: one of ``refs.AGGREGATES``; ``group_by`` groups values by themselves.
        values: in order; null and undefined ones are left out.
        initial: comes before them; for means and spreads, what they are where there are no values.

    Raises:
        BadAggregate: a value is not of the type that ``kind`` needs.
    """
    present = [value for value in values if kind_of(value) is not Kind.NULL]
    try:
        if initial is None:
            return _FUNCTIONS[kind](present)
        if kind == "count":
            return _count(present) + initial
        if kind == "group_by":
            return _joined_groups(initial, grouped(present, present))
        if kind in _OF_ALL:
            return _FUNCTIONS[kind](present) if present else initial
        before = initial if kind in _LISTS and isinstance(initial, list | tuple) else [initial]
        return _FUNCTIONS[kind]([*before, *present])
    except RecursionError:
        raise BadAggregate(f"`{kind}` got a value that is nested too deep") from None
    except UnicodeEncodeError:
        raise BadAggregate(f"`{kind}` got a text that holds half a character") from None
    except OverflowError:
        raise BadAggregate(f"`{kind}` got a number that is too large") from None


def grouped(
    keys: Sequence[Any], members: Sequence[Any], initial: Mapping[str, Any] | None = None
) -> dict[str, list[Any]]:
    """Members by the text of their keys, groups and members in order; null is no key and no member."""
    groups: dict[str, list[Any]] = {}
    try:
        for key, member in zip(keys, members, strict=True):
            if kind_of(key) is not Kind.NULL and kind_of(member) is not Kind.NULL:
                groups.setdefault(text_of(key), []).append(member)
    except (RecursionError, UnicodeEncodeError, OverflowError):
        raise BadAggregate("`group_by` got a key that has no text") from None
    return groups if initial is None else _joined_groups(initial, groups)


def _joined_groups(first: Mapping[str, Any], groups: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    joined = {name: list(members) for name, members in first.items()}
    for name, members in groups.items():
        joined[name] = [*joined.get(name, ()), *members]
    return joined


# -- numbers -------------------------------------------------------------------------------------------------------
def _count(values: Sequence[Any]) -> int:
    return len(values)


def _sum(values: Sequence[Any]) -> int | float:
    return _plain(_total(_numbers("sum", values)))


def _average(values: Sequence[Any]) -> int | float | None:
    numbers = _numbers("average", values)
    return _plain(_total(numbers) / len(numbers)) if numbers else None


def _median(values: Sequence[Any]) -> int | float | None:
    numbers = sorted(_numbers("median", values))
    if not numbers:
        return None
    middle = len(numbers) // 2
    return _plain(numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2)


def _variance(values: Sequence[Any]) -> int | float | None:
    numbers = _numbers("variance", values)
    return _plain(_spread(numbers)) if numbers else None


def _std_dev(values: Sequence[Any]) -> int | float | None:
    numbers = _numbers("std_dev", values)
    return _plain(Fraction(sqrt(_spread(numbers)))) if numbers else None


def _spread(numbers: Sequence[Fraction]) -> Fraction:
    """The mean square of how far numbers are from their mean: the variance of the whole, not of a sample."""
    mean = _total(numbers) / len(numbers)
    return _total([number * number for number in numbers]) / len(numbers) - mean * mean


def _total(numbers: Sequence[Fraction]) -> Fraction:
    """The exact sum, over one denominator: adding fractions one by one takes ten times as long."""
    scale = lcm(*(number.denominator for number in numbers))
    return Fraction(sum(number.numerator * (scale // number.denominator) for number in numbers), scale)


def _numbers(kind: str, values: Sequence[Any]) -> list[Fraction]:
    return [_number(kind, value) for value in values]


def _number(kind: str, value: Any) -> Fraction:
    number = number_of(value)
    if number is None or not isfinite(number):
        raise BadAggregate(f"`{kind}` needs numbers, and {_shown(value)} is none")
    return Fraction(number)


def _plain(number: Fraction) -> int | float:
    """A number as data: rounded once, and whole if that is."""
    if number.denominator == 1 and abs(number) <= LARGEST_INTEGER:
        return int(number)
    rounded = float(number)
    return int(rounded) if rounded.is_integer() and abs(rounded) < _EXACT else rounded


# -- extremes and orders -------------------------------------------------------------------------------------------
def _extreme(kind: str, choose: Callable[..., Any]) -> Callable[[Sequence[Any]], Any]:
    """The smallest or largest of numbers, or else of texts; of equal ones the same whatever their order."""

    def chosen(values: Sequence[Any]) -> Any:
        numbers = [number_of(value) for value in values]
        if all(number is not None and isfinite(number) for number in numbers):
            ranked = [(number, sort_key(value), value) for number, value in zip(numbers, values, strict=True)]
        elif all(isinstance(value, str) for value in values):
            ranked = [(0, sort_key(value), value) for value in values]
        else:
            raise BadAggregate(f"`{kind}` needs numbers, or texts only")
        return choose(ranked, key=lambda row: row[:2])[2] if ranked else None

    return chosen


def _sorted(*, descending: bool) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda values: sorted(values, key=sort_key, reverse=descending)


# -- collections ---------------------------------------------------------------------------------------------------
def _collect(values: Sequence[Any]) -> list[Any]:
    return list(values)


def _flatten(values: Sequence[Any]) -> list[Any]:
    """Values, with the elements of those that are lists."""
    flat: list[Any] = []
    for value in values:
        flat.extend(value if isinstance(value, list | tuple) else [value])
    return flat


def _unique(values: Sequence[Any]) -> list[Any]:
    """As ``_flatten``, each value where it stands first."""
    found: dict[Any, Any] = {}
    for value in _flatten(values):
        found.setdefault(sort_key(value), value)
    return list(found.values())


def _concat(values: Sequence[Any]) -> str:
    return "".join(text_of(value) for value in values)


def _merge(values: Sequence[Any]) -> dict[str, Any]:
    """Mappings laid over each other; the last one that has a key gives its value."""
    merged: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, Mapping):
            raise BadAggregate(f"`merge` needs mappings, and {_shown(value)} is none")
        merged.update(value)
    return merged


def _shown(value: Any) -> str:
    text = text_of(value)
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}…`"


_FUNCTIONS: Final[Mapping[str, Callable[[Sequence[Any]], Any]]] = {
    "count": _count,
    "sum": _sum,
    "average": _average,
    "avg": _average,
    "min": _extreme("min", min),
    "max": _extreme("max", max),
    "median": _median,
    "std_dev": _std_dev,
    "variance": _variance,
    "collect": _collect,
    "unique": _unique,
    "concat": _concat,
    "merge": _merge,
    "flatten": _flatten,
    "sort": _sorted(descending=False),
    "sort_desc": _sorted(descending=True),
    "group_by": lambda values: grouped(values, values),
}
_LISTS: Final = frozenset({"collect", "unique", "flatten", "sort", "sort_desc"})
_OF_ALL: Final = frozenset({"average", "avg", "median", "std_dev", "variance"})
