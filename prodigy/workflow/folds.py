"""Folds in texts: ``${count:map.results[*] where success}``, many values of one variable as one.

Pure and total: a fold has a value, or is a ``TemplateError``. The path's last ``[*]`` yields the elements: a condition
speaks of them, and what the rest of the path leads to in each is folded. A path without ``[*]`` leads to a list.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from prodigy.workflow.aggregates import aggregate, grouped
from prodigy.workflow.expression_parser import parse
from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.expression_tree import Fill, Node, item_frame
from prodigy.workflow.expression_values import truth
from prodigy.workflow.refs import Fold
from prodigy.workflow.scope import UNDEFINED, Path, Scope, resolve
from prodigy.workflow.values import BadReference, UndefinedVariable

EVERY = "*"


def fold(ref: Fold, scope: Scope, fill: Fill) -> Any:
    """The value of a fold.

    Args:
        ref: the fold.
        scope: the variables.
        fill: evaluates the references in its condition.

    Raises:
        TemplateError: the path leads to no list, the condition is none, or the values cannot be folded.
    """
    elements, rest = _elements(ref, scope)
    if ref.where is not None:
        elements = _chosen(elements, _condition(ref.where), scope, fill)
    values = [resolve(element, rest) for element in elements]
    return grouped(values, elements) if ref.kind == "group_by" else aggregate(ref.kind, values)


@lru_cache(maxsize=1024)
def condition_of(source: str) -> Node:
    """The condition of a fold, whose bare names are fields of the element; raises ``BadExpression``."""
    return parse(source, "item")


def _condition(source: str) -> Node:
    try:
        return condition_of(source)
    except BadExpression as error:
        raise BadReference(f"`{source}`: {error.message}", code=error.code, hint=error.hint) from None


def _elements(ref: Fold, scope: Scope) -> tuple[list[Any], Path]:
    """The elements that a fold is over, and the path to go on with in each."""
    first, *others = _parts(ref.path)
    found = scope.lookup(first)
    if found is UNDEFINED:
        raise UndefinedVariable(ref.name)
    elements = _every(found)
    if elements is None or (not others and isinstance(found, Mapping)):
        raise BadReference(f"`{ref.source}` needs a list at `{ref.name}`", code="bad-value")
    *between, rest = others or [()]
    for path in between:
        inner = (_every(resolve(element, path)) for element in elements)
        elements = [element for found in inner for element in found or ()]
    return elements, rest


def _parts(path: Path) -> Iterator[Path]:
    """A path in the parts that ``[*]`` separates."""
    part: list[str | int] = []
    for key in path:
        if key == EVERY:
            yield tuple(part)
            part = []
        else:
            part.append(key)
    yield tuple(part)


def _every(value: Any) -> list[Any] | None:
    """What ``[*]`` yields of a value: null has no elements; ``None`` for what cannot have any."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None or value is UNDEFINED else None


def _chosen(elements: Sequence[Any], condition: Node, scope: Scope, fill: Fill) -> list[Any]:
    total = len(elements)
    try:
        return [
            element
            for index, element in enumerate(elements)
            if truth(condition.value(item_frame(element, index, total, scope, fill)))
        ]
    except RecursionError:
        raise BadReference("a value of a fold is nested too deep", code="bad-value") from None
    except UnicodeEncodeError:
        raise BadReference("a text of a fold holds half a character", code="bad-value") from None
