"""A retry of dead letters: which items it is for, the plan that it goes on with, and how it ended.

Pure.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, structs

from prodigy.errors import UsageError
from prodigy.events import DlqItemsReprocessed, DlqRetryStarted, Failure, JobResumed
from prodigy.job.items import named
from prodigy.job.overrides import Overrides
from prodigy.job.plan import RunPlan, with_flags
from prodigy.job.resuming import flags_of, retry_redirected
from prodigy.job.state import DeadLetter, JobState, RetryState
from prodigy.job.window import failed_everything
from prodigy.workflow.environment_scope import Plain
from prodigy.workflow.expression import BadExpression, Expression, holds, parse_expression
from prodigy.workflow.values import TemplateError

PARALLEL: Final = 5
"""Agents at a time where neither the command nor the workflow says how many."""
_AS_BEFORE: Final = JobResumed()
_ASSIGNED: Final = re.compile(r"\s*(error_type|class|signature|failure_count)\s*=\s*([\w.-]+)\s*")
"""The older spelling of a comparison."""


class Choice(Struct, frozen=True, kw_only=True):
    """Which items of the queue are wanted: those that are named, and of them those that fit. Nothing given: all."""

    names: tuple[str, ...] = ()
    filter: str | None = None
    eligible: bool = False
    """Only those that time may heal."""


def chosen(state: JobState, choice: Choice) -> Iterator[DeadLetter]:
    """The dead letters that are wanted, by index, each made when it is asked for.

    Raises:
        UsageError: ``item-not-found``, ``ambiguous-id``, ``bad-value``: the filter is none, or cannot be answered.
    """
    wanted = named(state, choice.names)
    test = None if choice.filter is None else read_filter(choice.filter)
    return (
        letter
        for letter in wanted
        if (letter.reprocess_eligible or not choice.eligible) and (test is None or _fits(test, letter))
    )


def read_filter(text: str) -> Expression:
    """A condition over ``item``, ``class`` (or ``error_type``), ``signature``, ``failure_count``, ``last_attempt``.

    ``error_type=timeout`` and ``failure_count=3`` are understood too.

    Raises:
        UsageError: ``bad-value``.
    """
    if assigned := _ASSIGNED.fullmatch(text):
        name, value = assigned.groups()
        text = f"{name} == {value}" if name == "failure_count" else f"{name} == '{value}'"
    try:
        return parse_expression(text)
    except BadExpression as error:
        raise _bad_filter(text, str(error)) from None


def _fits(test: Expression, letter: DeadLetter) -> bool:
    try:
        return holds(test, Plain(_facts(letter)))
    except TemplateError as error:
        raise _bad_filter(test.source, error.message) from None


def _facts(letter: DeadLetter) -> dict[str, Any]:
    return {
        "item": letter.item,
        "item_id": letter.item_id,
        "class": letter.error_class,
        "error_type": letter.error_class,
        "signature": letter.error_signature,
        "failure_count": letter.failure_count,
        "last_attempt": letter.last_attempt.isoformat(),
    }


def _bad_filter(text: str, why: str) -> UsageError:
    return UsageError(
        "bad-value",
        f"`{text}` cannot be used as a filter: {why}",
        hint="""such as `class == "timeout" && failure_count < 3`, or `item.path ends_with ".py"`""",
    )


# -- the plan --------------------------------------------------------------------------------------------------------
def rebased(plan: RunPlan, state: JobState) -> RunPlan:
    """The plan on the branch that its session has by now."""
    return structs.replace(
        plan, base_commit=state.base_commit or plan.base_commit, branch_number=state.branch_number
    )


def in_force(plan: RunPlan, state: JobState, opening: JobResumed = _AS_BEFORE) -> RunPlan:
    """The plan as a run goes on with it: on its present branch, with all that was asked for since it was begun.

    ``opening`` is the record that it goes on with, which the state does not know yet.
    """
    plan = rebased(plan, state)
    if state.retry is not None:
        return retried(plan, retry_redirected(state.retry.started, opening))
    return with_flags(plan, state.flags, flags_of(opening))


def retried(plan: RunPlan, asked: DlqRetryStarted) -> RunPlan:
    """The plan of a retry."""
    plan = with_flags(plan, _flags(asked))
    return structs.replace(plan, auto_merge=asked.auto_merge)


def _flags(asked: DlqRetryStarted) -> Overrides:
    return Overrides(max_parallel=asked.max_parallel, model=asked.model, backend=asked.backend)


def parallel(plan: RunPlan, state: JobState, wanted: int | None, otherwise: int = PARALLEL) -> int:
    """How many agents a retry runs at a time: as many as are ``wanted``, else as the workflow says, else ``otherwise``."""
    plan = with_flags(plan)
    phase = plan.workflow.map
    if wanted is not None or phase is None or not phase.parallel_named:
        return wanted or otherwise
    return plan.max_parallel or state.max_parallel


# -- its end ---------------------------------------------------------------------------------------------------------
def reprocessed(state: JobState, retry: RetryState) -> DlqItemsReprocessed:
    """How the items of a retry ended."""
    ends = [state.items[item_id].status for item_id in retry.items]  # words that there are a few of
    return DlqItemsReprocessed(count=len(ends), succeeded=ends.count("done"), failed=ends.count("failed"))


def unfinished(state: JobState) -> Failure | None:
    """Why the map phase of a run has failed even after a retry; ``None`` if it has not."""
    left = state.counts["pending"]
    if left:
        items = "1 item was" if left == 1 else f"{left} items were"
        return Failure(error_class="policy-stopped", message=f"{items} never started")
    return all_failed(state)


def all_failed(state: JobState) -> Failure | None:
    """The failure of a map phase whose every item failed for good."""
    if not failed_everything(state.items.values()):
        return None
    message = f"All {state.total} items failed" if state.total > 1 else "The only item failed"
    return Failure(error_class="command-failed", message=message)
