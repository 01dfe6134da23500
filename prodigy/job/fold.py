"""State is the fold of the journal: one rule per event.

Pure. The table at the end names the rule of every event; an event that changes nothing says so there.

An item's life::

    pending ──agent_started──▶ running ──agent_completed──▶ done            without commits
       ▲                          │     └─agent_completed──▶ merging ──worktree_merged──▶ done
       │                     agent_failed                       │
       │                          ▼                   merge_conflicted, merge_failed: still merging,
       └────agent_retrying──── failed ◀──dlq_item_added──── another failure in the history

A failed item without a dead letter is one whose fate was not recorded yet; whoever resumes the run decides it. A
pending item has no error: that it failed before is in its history. An
attempt that its host took along stays ``running``, goes on in another one (``agent_interrupted``), and ends
as any other. Durations and costs of an item add up
over its attempts; commits, output and variables are those of the last one.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from prodigy import events
from prodigy.events import Phase, Record
from prodigy.job.attempts import ITEM_RULES
from prodigy.job.leaves import LEAF_RULES
from prodigy.job.letters import LETTER_RULES, Rule
from prodigy.job.merges import MERGE_RULES
from prodigy.job.money import MONEY_RULES, begin_clock
from prodigy.job.moves import forget_outcomes
from prodigy.job.resuming import job_resumed
from prodigy.job.state import (
    IterationState,
    JobState,
    JobStatus,
    MergeOutcome,
    PhaseState,
)

AGAIN: Final[frozenset[Phase]] = frozenset({"merge", "verify"})
"""Phases that can be run a second time after they failed, and then from their beginning."""


def fold(records: Iterable[Record], state: JobState | None = None) -> JobState:
    """The state after ``records``; a given ``state`` is carried on, in place, and returned."""
    state = JobState() if state is None else state
    for record in records:
        apply(state, record)
    return state


def apply(state: JobState, record: Record) -> None:
    """Change ``state`` by one record."""
    RULES[type(record.event)](state, record.event, record)
    state.items.settle()
    state.dead_letters.settle()
    if record.metadata is not None:
        state.boot_id = record.metadata.boot_id
    state.seq = record.seq
    state.updated_at = record.timestamp


_STATUS_AT_REST: Final[Mapping[events.PauseReason, JobStatus]] = {
    "signal": "interrupted",
    "budget": "budget-exhausted",
}


# -- job ------------------------------------------------------------------------------------------------------------
def _job_started(state: JobState, event: events.JobStarted, record: Record) -> None:
    state.started = event
    state.started_at = record.timestamp
    state.correlation_id = record.correlation_id
    state.tip = state.base_commit = event.base_commit
    state.steps = event.steps
    state.workflow_sha256 = event.workflow_sha256
    state.template_sha256 = event.template_sha256
    begin_clock(state, record)


def _job_paused(state: JobState, event: events.JobPaused, record: Record) -> None:
    state.status = _STATUS_AT_REST.get(event.reason, "paused")
    state.pause = event.reason
    state.ended_at = record.timestamp
    state.signal = event.signal or state.signal


def _job_completed(state: JobState, _: events.JobCompleted, record: Record) -> None:
    state.status = "completed"
    _job_ended(state, record)


def _job_failed(state: JobState, event: events.JobFailed, record: Record) -> None:
    state.status = "failed"
    state.error = event.error
    _job_ended(state, record)


def _job_ended(state: JobState, record: Record) -> None:
    state.ended_at = record.timestamp
    state.intents.clear()


def _cancel_requested(state: JobState, event: events.CancelRequested, _: Record) -> None:
    state.signal = event.signal


# -- phases ---------------------------------------------------------------------------------------------------------
def _phase_started(state: JobState, event: events.PhaseStarted, record: Record) -> None:
    if state.status == "starting":
        state.status = "running"
    state.phase = event.phase
    state.steps_done = 0
    if event.phase in AGAIN:
        forget_outcomes(state, event.phase)
    state.phases[event.phase] = PhaseState(
        status="running",
        started_at=record.timestamp,
        base_commit=event.base_commit,
        max_parallel=event.max_parallel,
        tree=event.tree,
    )


def _phase_completed(state: JobState, event: events.PhaseCompleted, record: Record) -> None:
    phase = _phase_ended(state, event.phase, record)
    phase.status = "completed"
    phase.duration_ms = event.duration_ms
    phase.variables, phase.fields = event.variables, event.fields
    state.tip = event.head or state.tip


def _phase_failed(state: JobState, event: events.PhaseFailed, record: Record) -> None:
    phase = _phase_ended(state, event.phase, record)
    phase.status = "failed"
    phase.duration_ms = event.duration_ms
    phase.error = event.error
    if event.phase in AGAIN and state.started is not None:
        # nothing was merged because of it
        state.merge = "failed"
        outcome = MergeOutcome(
            at=record.timestamp,
            what="final",
            result="failed",
            target_branch=state.started.target,
            message=event.error.message,
        )
        state.merges.append(outcome)


def _phase_ended(state: JobState, phase: Phase, record: Record) -> PhaseState:
    state.current_step = state.current_step_name = None
    state.intents = {seq: intent for seq, intent in state.intents.items() if intent.phase != phase}
    return state.phases.setdefault(phase, PhaseState(status="running", started_at=record.timestamp))


def _phase_skipped(state: JobState, event: events.PhaseSkipped, record: Record) -> None:
    state.phases[event.phase] = PhaseState(status="skipped", started_at=record.timestamp)


def _iteration_started(state: JobState, event: events.IterationStarted, record: Record) -> None:
    state.steps_done = 0
    begun = IterationState(number=event.n, started_at=record.timestamp, base_commit=event.base_commit)
    state.iterations.append(begun)


def _iteration_completed(state: JobState, event: events.IterationCompleted, _: Record) -> None:
    state.current_step = state.current_step_name = None
    iteration = state.iterations[-1]
    iteration.duration_ms = event.duration_ms
    iteration.head = event.head
    iteration.error = event.error
    forget_outcomes(state, "steps")
    state.intents = {seq: intent for seq, intent in state.intents.items() if intent.phase != "steps"}


# -- the supervision tree -------------------------------------------------------------------------------------------
def _worker_started(state: JobState, event: events.WorkerStarted, _: Record) -> None:
    state.workers[event.worker] = event.pid


def _worker_lost(state: JobState, event: events.WorkerLost, _: Record) -> None:
    state.workers.pop(event.worker, None)
    state.workers_lost += 1


def _host_short(state: JobState, event: events.HostShort, _: Record) -> None:
    state.short_of = event.what
    if event.given_up:
        state.no_room = event


def _host_recovered(state: JobState, _event: events.HostRecovered, _: Record) -> None:
    state.short_of = None


def _nothing(_state: JobState, _event: events.Event, _: Record) -> None:
    """Told for people; no decision rests on it."""


RULES: Final[Mapping[type[events.Event], Rule]] = {
    events.JobStarted: _job_started,
    events.JobResumed: job_resumed,
    events.JournalTruncated: _nothing,
    events.JobPaused: _job_paused,
    events.JobCompleted: _job_completed,
    events.JobFailed: _job_failed,
    events.CheckpointCreated: _nothing,
    events.CheckpointLoaded: _nothing,
    events.CheckpointFailed: _nothing,
    events.CancelRequested: _cancel_requested,
    events.PhaseStarted: _phase_started,
    events.PhaseCompleted: _phase_completed,
    events.PhaseFailed: _phase_failed,
    events.PhaseSkipped: _phase_skipped,
    events.IterationStarted: _iteration_started,
    events.IterationCompleted: _iteration_completed,
    events.StepSkipped: _nothing,
    events.StepRetrying: _nothing,
    events.StepWarned: _nothing,
    events.GoalSeekAttempted: _nothing,
    events.HandlerStarted: _nothing,
    events.HandlerCompleted: _nothing,
    events.LimitExceeded: _nothing,
    events.ValidationScored: _nothing,
    events.SharedStateChanged: _nothing,
    **ITEM_RULES,
    **LEAF_RULES,
    **MERGE_RULES,
    **LETTER_RULES,
    **MONEY_RULES,
    events.ChildDown: _nothing,
    events.ChildRestarted: _nothing,
    events.Escalated: _nothing,
    events.WorkerStarted: _worker_started,
    events.WorkerLost: _worker_lost,
    events.HostShort: _host_short,
    events.HostRecovered: _host_recovered,
}
