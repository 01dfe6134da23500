"""A run is taken up, in the fold: what failed is open again, and what was chosen at that moment holds from then on.

Pure, and in place.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from msgspec.structs import replace

from prodigy import events
from prodigy.events import Phase, Record
from prodigy.job.iterations import path_within
from prodigy.job.letters import include
from prodigy.job.money import begin_clock
from prodigy.job.moves import forget_outcomes, forgive
from prodigy.job.overrides import Overrides
from prodigy.job.state import Before, ItemState, JobState

_TOP: Final = re.compile(r"[./@]")


def job_resumed(state: JobState, event: events.JobResumed, record: Record) -> None:
    """The rule of ``job_resumed``."""
    state.before = Before(
        done=state.counts["done"],
        commits=state.commits,
        cost_usd=state.money.usd,
        steps=len(state.command_timings),
    )
    state.taken_up = record.seq
    state.repeated_before = len(state.repeated)
    begin_clock(state, record)
    state.money.caps = event.budget or state.money.caps
    if state.status == "failed":
        _reopen(state)
    if state.refused is not None:
        _acquit(state)
    state.status = "running" if state.phases else "starting"
    state.ended_at = state.signal = state.error = None
    state.workers.clear()
    state.short_of = None
    _redirect(state, event)
    if event.workflow_sha256 is not None:
        state.workflow_sha256, state.template_sha256 = event.workflow_sha256, event.template_sha256
        state.steps = event.steps or state.steps
        _keep_unchanged(state, event.unchanged)
        state.phases.pop("verify", None)  # what it found good may not be good for other steps
    include(state, event.item_ids)


def _reopen(state: JobState) -> None:
    """What failed is to go on: the step that failed, and items that never started; what hooks did is no more."""
    for name, phase in state.phases.items():
        if phase.status == "failed":
            phase.status = "running"
            if phase.error is not None and phase.error.step is not None:
                _forget_step(state, name, phase.error.step)
            phase.error = None
    if state.phases.pop("on_failure", None) is not None:
        forget_outcomes(state, "on_failure")
    if state.iterations and state.iterations[-1].error is not None:
        state.iterations[-1].head = state.iterations[-1].error = None
    state.retry = None
    forgive(state)


def _acquit(state: JobState) -> None:
    """The disk refused: of the step that an agent was at, what failed and what came of that is to be done again."""
    state.refused = None
    state.items.revise(_forget_failed)


def _forget_failed(item: ItemState) -> None:
    outcomes = {} if item.leaves is None else item.leaves.outcomes
    keys = list(outcomes)
    last = _step_of(keys[-1]) if keys else ""
    failed = (
        index
        for index, key in enumerate(keys)
        if _step_of(key) == last and isinstance(outcomes[key], events.StepFailed)
    )
    for key in keys[next(failed, len(keys)) :]:
        del outcomes[key]


def _step_of(key: str) -> str:
    """The phase and the step of its list that an outcome belongs to: of ``map/2.commit/1`` it is ``map/2``."""
    phase, _, path = key.partition("/")
    return f"{phase}/{_TOP.split(path, maxsplit=1)[0]}"


def _forget_step(state: JobState, phase: Phase, path: str) -> None:
    """Forget the outcomes of a whole step of a phase's list, whatever within it ``path`` names."""
    within = path_within(path)
    top = path.removesuffix(within) + _TOP.split(within, maxsplit=1)[0]
    mine = re.compile(rf"{phase}/{re.escape(top)}[./@]")
    for key in [key for key in state.outcomes if mine.match(key)]:
        del state.outcomes[key]


# -- what was chosen -------------------------------------------------------------------------------------------------
def _redirect(state: JobState, event: events.JobResumed) -> None:
    """What is given now holds from now on, in a retry of dead letters too."""
    state.flags = state.flags.then(flags_of(event))
    if state.retry is not None:
        state.retry.started = retry_redirected(state.retry.started, event)
    phase = state.phases.get("map")
    if phase is not None and event.max_parallel is not None:
        phase.max_parallel = event.max_parallel
    if event.attempts is not None:
        state.items.revise(_count_anew)


def _count_anew(item: ItemState) -> None:
    if item.status in {"pending", "running"}:
        item.retries = 0


def flags_of(event: events.JobResumed) -> Overrides:
    """What was chosen when a run was taken up."""
    return Overrides(
        max_parallel=event.max_parallel, attempts=event.attempts, model=event.model, backend=event.backend
    )


def retry_redirected(own: events.DlqRetryStarted, event: events.JobResumed) -> events.DlqRetryStarted:
    """A retry that was cut off, with what was chosen when it was taken up."""
    return replace(
        own,
        max_parallel=event.max_parallel or own.max_parallel,
        attempts=event.attempts or own.attempts,
        model=event.model or own.model,
        backend=event.backend or own.backend,
    )


def _keep_unchanged(state: JobState, unchanged: Mapping[Phase, int]) -> None:
    """Another workflow is in force: of what is under way, only steps that are as they were count as done."""
    for phase, number in unchanged.items():
        _forget_after(state.outcomes, phase, number)
        if phase == "map":
            state.items.revise(partial(_keep_until, number))


def _keep_until(number: int, item: ItemState) -> None:
    if item.leaves is not None:
        _forget_after(item.leaves.outcomes, "map", number)


def _forget_after(
    outcomes: dict[str, events.StepCompleted | events.StepFailed], phase: Phase, number: int
) -> None:
    mine = f"{phase}/"
    for key in [key for key in outcomes if key.startswith(mine)]:
        top = _TOP.split(path_within(key.removeprefix(mine)), maxsplit=1)[0]
        if top.isdigit() and int(top) > number:
            del outcomes[key]
