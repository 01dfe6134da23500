"""How values of expressions compare: their kinds, truth, equality and order.

Pure and total: any JSON value (NaN included) and ``UNDEFINED``, which counts as null, have an answer here. Only values
nested beyond Python's stack raise, ``RecursionError``, which ``expression.evaluate`` and ``ordering`` turn into a
problem.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from math import isfinite
from typing import Any

from prodigy.workflow.scope import UNDEFINED
from prodigy.workflow.values import text_of

Number = int | float

_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?P<point>\.\d*)?|(?P<bare>\.\d+))(?P<power>[eE][+-]?\d+)?\s*", re.ASCII)
_MAX_DIGITS = 4_000
"""Digits of a text that still counts as a whole number; Python refuses to convert many more."""


class Kind(IntEnum):
    """The types of values, in the order in which they sort."""

    NULL = 0
    BOOL = 1
    NUMBER = 2
    STRING = 3
    LIST = 4
    OBJECT = 5


_NUMERIC = frozenset({Kind.NUMBER, Kind.STRING})
_BOOLEAN = frozenset({Kind.BOOL, Kind.STRING})


def kind_of(value: Any) -> Kind:
    """The type of a value."""
    if isinstance(value, str):
        return Kind.STRING
    if value is None or value is UNDEFINED:
        return Kind.NULL
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.LIST if isinstance(value, list | tuple) else Kind.OBJECT


def truth(value: Any) -> bool:
    """Whether a value counts as true: not null, false, 0, ``""``, ``"0"``, ``"false"``, ``[]`` or ``{}``."""
    if isinstance(value, str):
        return value not in {"", "0", "false"}
    return value is not UNDEFINED and bool(value)


def number_of(value: Any) -> Number | None:
    """A number, or the number that a text spells; ``None`` for all else. Whole numbers stay exact."""
    if isinstance(value, str):
        return _spelled(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def scalar_text(value: Any) -> str | None:
    """The text of a string, number or boolean; ``None`` for all else."""
    if isinstance(value, str):
        return value
    return text_of(value) if isinstance(value, int | float) else None


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same.

    A number equals a text that spells it, a boolean its name; null equals only null; lists and objects are compared
    part by part.
    """
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    kinds = frozenset({kind_of(left), kind_of(right)})
    if len(kinds) == 1:
        return _same_kind(left, right, *kinds)
    if kinds == _NUMERIC:
        return number_of(left) == number_of(right)
    return kinds == _BOOLEAN and _name(left) == _name(right)


def compare(left: Any, right: Any) -> int | None:
    """-1, 0 or 1 as ``left`` stands before, with or after ``right``; ``None`` if they have no order.

    A number is compared with a number or a text that spells one, a text with a text by code points.
    """
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    first, second = number_of(left), number_of(right)
    if first is None or second is None or first != first or second != second:  # noqa: PLR0124 - that is NaN
        return None
    return (first > second) - (first < second)


def contains(holder: Any, part: Any) -> bool:
    """Whether a list has an element that equals ``part``, a text has it as a part, an object as a key."""
    match kind_of(holder):
        case Kind.LIST:
            return any(equal(element, part) for element in holder)
        case Kind.STRING | Kind.OBJECT:
            text = scalar_text(part)
            return text is not None and text in holder
        case _:
            return False


def sort_key(value: Any) -> tuple[Any, ...]:
    """A hashable key: null < booleans < numbers < texts < lists < objects, NaN before all other numbers."""
    kind = kind_of(value)
    match kind:
        case Kind.NULL:
            return (kind,)
        case Kind.NUMBER:
            is_number = value == value  # noqa: PLR0124 - NaN is not
            return (kind, is_number, value if is_number else 0)
        case Kind.LIST:
            return (kind, tuple(sort_key(element) for element in value))
        case Kind.OBJECT:
            return (kind, tuple((key, sort_key(value[key])) for key in sorted(value)))
        case _:
            return (kind, value)


def _same_kind(left: Any, right: Any, kind: Kind) -> bool:
    if kind is Kind.LIST:
        return len(left) == len(right) and all(map(equal, left, right))
    if kind is Kind.OBJECT and isinstance(left, Mapping):
        return left.keys() == right.keys() and all(equal(part, right[key]) for key, part in left.items())
    return kind is Kind.NULL or bool(left == right)


def _name(value: Any) -> Any:
    return text_of(value) if isinstance(value, bool) else value


def _spelled(text: str) -> Number | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match["point"] or match["bare"] or match["power"]:
        number = float(text)
        return number if isfinite(number) else None
    return int(text) if len(text) <= _MAX_DIGITS else None
