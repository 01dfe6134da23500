"""A plain workflow whose steps run more than once: for each value of the command line, and again while they change anything.

Pure. One run of the steps is an *iteration*; they are numbered from 1 over the whole run. With three values the first
round is iterations 1 to 3, one per value, the next round 4 to 6. The steps of the first have their plain paths, those
of the others have a prefix.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import structs

from prodigy.events import Failure
from prodigy.job.plan import RunPlan
from prodigy.job.state import IterationState
from prodigy.workflow.model import Workflow

_PREFIX: Final = re.compile(r"iteration#\d+\.")
_NAMED: Final = re.compile(rb"\$(?:ARG\b|\{ARG\})")
_NUMBERED: Final = re.compile(rb"ARG_([1-9]\d*)")


def prefix_of(number: int) -> str:
    """What stands before the paths of an iteration's steps; nothing in the first."""
    return "" if number == 1 else f"iteration#{number}."


def path_within(path: str) -> str:
    """The path of a step within its iteration."""
    found = _PREFIX.match(path)
    return path if found is None else path[found.end() :]


def next_iteration(plan: RunPlan, begun: Sequence[IterationState]) -> int | None:
    """The number of the iteration to run: one that was cut off, or the one after the last; ``None`` at the end.

    A value that fails ends nothing but itself unless ``fail_fast`` is asked for. No further round begins after one with
    a failure, nor after one that made no commit.
    """
    if not begun:
        return 1
    last, values = begun[-1], plan.values
    if not last.ended:
        return last.number
    if last.number % values:
        return None if plan.fail_fast and last.error is not None else last.number + 1
    this_round = begun[-values:]
    failed = any(iteration.error is not None for iteration in this_round)
    changed = any(iteration.changed for iteration in this_round)
    return last.number + 1 if changed and not failed and last.number < values * plan.iterations else None


def why_failed(plan: RunPlan, begun: Sequence[IterationState]) -> Failure | None:
    """The failure of the whole: that of the first iteration that failed, and how many did."""
    failed = [iteration for iteration in begun if iteration.error is not None]
    if not failed:
        return None
    first, error = failed[0], failed[0].error
    assert error is not None
    if plan.values > 1:
        value = plan.argument(first.number)
        what = f"{len(failed)} of {plan.values} values failed, first `{value}`"
    else:
        what = f"Iteration {first.number} failed"
    return structs.replace(error, message=f"{what}: {error.message}")


def numbered_arguments(workflow: Workflow) -> frozenset[int]:
    """Which of ``ARG_1``, ``ARG_2`` … any text of a workflow names."""
    return frozenset(int(number) for number in _NUMBERED.findall(msgspec.json.encode(workflow)))


def wants_argument(workflow: Workflow) -> bool:
    """Whether a plain workflow's texts name ``ARG`` without saying what else to take."""
    return workflow.map is None and _NAMED.search(msgspec.json.encode(workflow)) is not None


def argument_roots(plan: RunPlan, number: int, numbered: frozenset[int]) -> dict[str, Any]:
    """``ARG``, ``INDEX``, ``TOTAL`` and those of ``ARG_1`` … that are asked for, in an iteration; nothing without values."""
    value = plan.argument(number)
    if value is None:
        return {}
    given = plan.arguments
    several = {f"ARG_{index}": given[index - 1] for index in sorted(numbered) if index <= len(given)}
    return {"ARG": value, "INDEX": (number - 1) % len(given) + 1, "TOTAL": len(given), **several}
