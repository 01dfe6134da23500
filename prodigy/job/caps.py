"""What a job may use, from what the workflow and the command line say. Pure."""

from typing import get_args

from msgspec import structs

from prodigy.events import BudgetKind, Caps
from prodigy.workflow.deferred import count, seconds, settled, share
from prodigy.workflow.model import Budget
from prodigy.workflow.scope import Scope

_BOUNDS = get_args(BudgetKind)


def caps_of(budget: Budget | None, scope: Scope) -> Caps:
    """The bounds of a workflow's budget, every value known.

    Raises:
        TemplateError: a value that is written as a reference leads nowhere, or is not of its kind.
    """
    if budget is None:
        return Caps()
    known = settled(budget, scope)
    return Caps(
        usd=None if known.usd is None else share(known.usd),
        tokens=None if known.tokens is None else count(known.tokens),
        wall=seconds(known.wall),
        launches=None if known.launches is None else count(known.launches),
        soft=known.soft,
    )


def budgeted(budget: Budget | None, given: Budget | None) -> Budget | None:
    """A budget with those of its bounds replaced that are given anew."""
    if budget is None or given is None:
        return given or budget
    bounds = {name: bound for name in _BOUNDS if (bound := getattr(given, name)) is not None}
    soft = given.soft if given.soft != Budget().soft else budget.soft
    return structs.replace(budget, **bounds, soft=soft)


def raised(before: Caps, given: Budget, scope: Scope) -> Caps:
    """The bounds in force, with those replaced that are given anew."""
    after = caps_of(given, scope)
    bounds = {name: bound for name in _BOUNDS if (bound := getattr(after, name)) is not None}
    return structs.replace(before, **bounds, soft=given.soft if given.soft != Budget().soft else before.soft)
