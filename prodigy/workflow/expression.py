"""Expressions: what ``filter``, ``when``, ``where`` and the validation of parameters are written in.

Pure. A text is parsed once and kept; evaluation is total: it gives a value, or raises a ``TemplateError`` that says
what cannot be done (a pattern that takes too long, a reference that does not fit its modifiers). What is undefined is
null and never an error.
"""

from functools import lru_cache
from typing import Any

from msgspec import Struct, structs

from prodigy.workflow.expression_parser import Names, parse
from prodigy.workflow.expression_references import Reference, references
from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.expression_tree import Frame, Node, item_frame
from prodigy.workflow.expression_values import truth
from prodigy.workflow.scope import UNDEFINED, ItemScope, Scope
from prodigy.workflow.template import evaluate as fill
from prodigy.workflow.values import TemplateError

__all__ = ["BadExpression", "Expression", "Reference", "evaluate", "holds", "parse_expression", "truth"]


class UnusableValue(TemplateError):
    """A value that an expression cannot work with, whatever it asks."""

    def __init__(self, message: str) -> None:
        super().__init__("bad-value", message)


class Expression(Struct, frozen=True):
    """A parsed expression; ``names`` says what its bare names are."""

    source: str
    names: Names
    root: Node

    def references(self) -> tuple[Reference, ...]:
        """The names it uses, in the order of the source; ``${item.x}`` of a filter is a field too."""
        found = references(self.root)
        if self.names != "item":
            return tuple(found)
        return tuple(structs.replace(name, kind="field") if _is_of_item(name) else name for name in found)


@lru_cache(maxsize=4096)
def parse_expression(source: str, names: Names = "variables") -> Expression:
    """The expression that a text is.

    Args:
        source: the text.
        names: what bare names are: ``"variables"`` of the workflow (``when``), fields of an ``"item"`` (``filter``,
            ``where``), or the ``"value"`` of a parameter and the other parameters (``validation``).

    Raises:
        BadExpression: it is none, or holds a pattern that is no regular expression (code ``bad-regex``).
    """
    return Expression(source, names, parse(source, names))


def evaluate(
    expression: Expression, scope: Scope | None, item: Any = UNDEFINED, index: int = 0, *, total: int = 0
) -> Any:
    """The value of an expression.

    Args:
        expression: what to evaluate.
        scope: the workflow's variables.
        item: the item of a filter, or the value of a parameter.
        index: the item's place, from 0.
        total: how many items there are.

    Raises:
        TemplateError: the value cannot be worked out.
    """
    if expression.names == "item" or scope is None:
        frame = item_frame(item, index, total, scope, fill)
    else:
        frame = Frame(scope, fill, item, index)
    try:
        value = expression.root.value(frame)
    except RecursionError:
        raise UnusableValue(f"a value in `{expression.source}` is nested too deep") from None
    except UnicodeEncodeError:
        raise UnusableValue(f"a text in `{expression.source}` holds half a character") from None
    return None if value is UNDEFINED else value


def holds(
    expression: Expression, scope: Scope | None, item: Any = UNDEFINED, index: int = 0, *, total: int = 0
) -> bool:
    """Whether an expression is true; arguments and errors as ``evaluate``."""
    return truth(evaluate(expression, scope, item, index, total=total))


_ITEM = ItemScope(None, 0, 0)


def _is_of_item(name: Reference) -> bool:
    return bool(name.path) and _ITEM.knows(str(name.path[0]))
