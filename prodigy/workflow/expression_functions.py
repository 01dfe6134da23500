"""The functions and operators of expressions.

Pure and total: arguments of a type that a function cannot use give null, or false where it answers yes or no.
``UNDEFINED`` counts as null, and only ``defined`` tells the two apart.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from prodigy.workflow.expression_values import (
    Kind,
    compare,
    contains,
    equal,
    kind_of,
    number_of,
    scalar_text,
)
from prodigy.workflow.patterns import matches_pattern
from prodigy.workflow.scope import UNDEFINED
from prodigy.workflow.values import text_of

Operation = Callable[[Any, Any], bool]


class Function(Struct, frozen=True):
    """A function by its name in the language; it takes ``least`` to ``most`` arguments, without end if ``None``."""

    name: str
    least: int
    most: int | None
    apply: Callable[..., Any]


def plain_word(word: str) -> str:
    """A word as the tables below know it: ``startsWith`` and ``STARTS_WITH`` are ``startswith``."""
    return word.replace("_", "").lower()


# -- yes or no -----------------------------------------------------------------------------------------------------
def starts_with(text: Any, start: Any) -> bool:
    """Whether the text of one scalar begins with that of another."""
    whole, part = scalar_text(text), scalar_text(start)
    return whole is not None and part is not None and whole.startswith(part)


def ends_with(text: Any, end: Any) -> bool:
    """Whether the text of one scalar ends with that of another."""
    whole, part = scalar_text(text), scalar_text(end)
    return whole is not None and part is not None and whole.endswith(part)


def matches(text: Any, pattern: Any) -> bool:
    """Whether a pattern is found in the text of a scalar; raises as ``patterns.matches_pattern``."""
    whole, expression = scalar_text(text), scalar_text(pattern)
    return whole is not None and expression is not None and matches_pattern(expression, whole)


def _is_empty(value: Any) -> bool:
    kind = kind_of(value)
    return kind is Kind.NULL or (kind in {Kind.STRING, Kind.LIST, Kind.OBJECT} and not value)


def _is(kind: Kind) -> Callable[[Any], bool]:
    return lambda value: kind_of(value) is kind


def _order(*accepted: int) -> Operation:
    return lambda left, right: compare(left, right) in accepted


# -- values --------------------------------------------------------------------------------------------------------
def _count(value: Any) -> int | None:
    """How many letters, elements or keys: 0 for null, null for what has no parts."""
    kind = kind_of(value)
    if kind is Kind.NULL:
        return 0
    return len(value) if kind in {Kind.STRING, Kind.LIST, Kind.OBJECT} else None


def _length(value: Any, wanted: Any = UNDEFINED) -> int | bool | None:
    return _count(value) if wanted is UNDEFINED else equal(_count(value), wanted)


def _on_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """A change of texts that leaves other values as they are."""
    return lambda value: change(value) if isinstance(value, str) else value


def _extreme(sign: int) -> Callable[..., Any]:
    """The greatest (1) or smallest (-1) of the arguments or of one list, nulls left out; null if they have no order."""

    def choose(*values: Any) -> Any:
        candidates = values[0] if len(values) == 1 and kind_of(values[0]) is Kind.LIST else values
        best: Any = None
        for value in candidates:
            if kind_of(value) is Kind.NULL:
                continue
            order = sign if best is None else compare(value, best)
            if order is None:
                return None
            best = value if order == sign else best
        return best

    return choose


def _abs(value: Any) -> Any:
    number = number_of(value)
    return None if number is None else abs(number)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else number_of(value)


def _string(value: Any) -> str:
    return "" if value is UNDEFINED else text_of(value)


# -- tables --------------------------------------------------------------------------------------------------------
FUNCTIONS: Mapping[str, Function] = {
    plain_word(name): Function(name, least, most, apply)
    for name, least, most, apply in (
        ("contains", 2, 2, contains),
        ("in", 2, 2, lambda part, holder: contains(holder, part)),
        ("starts_with", 2, 2, starts_with),
        ("ends_with", 2, 2, ends_with),
        ("matches", 2, 2, matches),
        ("is_null", 1, 1, _is(Kind.NULL)),
        ("is_not_null", 1, 1, lambda value: kind_of(value) is not Kind.NULL),
        ("is_empty", 1, 1, _is_empty),
        ("is_number", 1, 1, _is(Kind.NUMBER)),
        ("is_string", 1, 1, _is(Kind.STRING)),
        ("is_bool", 1, 1, _is(Kind.BOOL)),
        ("is_array", 1, 1, _is(Kind.LIST)),
        ("is_object", 1, 1, _is(Kind.OBJECT)),
        ("defined", 1, 1, lambda value: value is not UNDEFINED),
        ("exists", 1, 1, lambda value: value is not UNDEFINED),
        ("length", 1, 2, _length),
        ("count", 1, 1, _count),
        ("lower", 1, 1, _on_text(str.lower)),
        ("upper", 1, 1, _on_text(str.upper)),
        ("trim", 1, 1, _on_text(str.strip)),
        ("min", 1, None, _extreme(-1)),
        ("max", 1, None, _extreme(1)),
        ("abs", 1, 1, _abs),
        ("number", 1, 1, _number),
        ("string", 1, 1, _string),
    )
}

EACH = frozenset({"any", "all"})
"""Functions of a list and an expression about its elements."""

OPERATORS: Mapping[str, Operation] = {
    "==": equal,
    "=": equal,
    "!=": lambda left, right: not equal(left, right),
    "<>": lambda left, right: not equal(left, right),
    "<": _order(-1),
    "<=": _order(-1, 0),
    ">": _order(1),
    ">=": _order(0, 1),
    "=~": matches,
    "!~": lambda left, right: not matches(left, right),
}

INFIX: Mapping[str, Operation] = {
    "in": lambda left, right: contains(right, left),
    "contains": contains,
    "startswith": starts_with,
    "endswith": ends_with,
    "matches": matches,
}
"""Operators that are words, as ``plain_word`` writes them."""
EQUALITY = frozenset({"==", "=", "!=", "<>"})
PATTERNS = frozenset({"=~", "!~", "matches"})
"""Operators and functions whose second operand is a pattern."""
