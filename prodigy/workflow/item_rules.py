"""Which of many items are worked on, and in which order.

Pure. Rules apply in a fixed order: filter, sorting, distinct, offset, maximum.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from prodigy.workflow.deferred import count, settled
from prodigy.workflow.expression import holds, parse_expression
from prodigy.workflow.model import Count, Expr
from prodigy.workflow.ordering import distinct_items, parse_field, parse_sort, sort_items
from prodigy.workflow.scope import Scope


class Rules(Struct, frozen=True, kw_only=True):
    """Which of the items that were found are chosen, and in which order; the fields are those of ``MapPhase``."""

    filter: Expr | None = None
    sort_by: str = ""
    distinct: str = ""
    offset: Count = 0
    max_items: Count | None = None


class Chosen(Struct, frozen=True):
    """What rules leave of a list of items, in order, and how many each rule left out."""

    items: tuple[Any, ...]
    filtered: int
    duplicates: int
    before: int
    """Passed over by ``offset``."""
    beyond: int
    """Left out by ``max_items``."""


def choose(items: Sequence[Any], rules: Rules, scope: Scope | None = None) -> Chosen:
    """What rules leave of a list of items.

    Args:
        items: all of them; a filter knows their places in this list as ``index``.
        rules: what to apply; deferred numbers are settled by the scope.
        scope: the variables that ``${…}`` in the filter means.

    Raises:
        TemplateError: the filter cannot be evaluated, items cannot be compared, or a number cannot be settled.
    """
    if scope is not None:
        rules = settled(rules, scope)
    kept = _kept(items, rules.filter, scope)
    ordered = sort_items(kept, parse_sort(rules.sort_by))
    distinct = distinct_items(ordered, parse_field(rules.distinct)) if rules.distinct else ordered
    rest = distinct[count(rules.offset) :]
    chosen = rest if rules.max_items is None else rest[: count(rules.max_items)]
    return Chosen(
        items=tuple(chosen),
        filtered=len(items) - len(kept),
        duplicates=len(ordered) - len(distinct),
        before=len(distinct) - len(rest),
        beyond=len(rest) - len(chosen),
    )


def _kept(items: Sequence[Any], rule: Expr | None, scope: Scope | None) -> list[Any]:
    if rule is None:
        return list(items)
    expression, total = parse_expression(rule.source, "item"), len(items)
    return [item for index, item in enumerate(items) if holds(expression, scope, item, index, total=total)]
