"""``session_state.json``: where a run stands, for people, for scripts, and for lists in a hurry.

It names the last record it knows, so that readers see when the journal has gone on. Nothing is ever decided by it.
"""

from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import Struct

from prodigy.decoding import JsonDecoder
from prodigy.ids import JobId, SessionId
from prodigy.job.amounts import billed
from prodigy.job.state import JobState, MergeStatus
from prodigy.job.summary import ItemCounts, JobSummary, SummaryStatus, item_counts, recorded, summarize
from prodigy.paths import Layout
from prodigy.store.journal import end_of

_LAST_ERRORS = 20
_LAST_TIMINGS = 1000
_MILLI, _NANO = 1000, 1_000_000
SESSION_STATUS: dict[SummaryStatus, str] = {
    "starting": "InProgress",
    "running": "InProgress",
    "completed": "Completed",
    "failed": "Failed",
    "paused": "Interrupted",
    "interrupted": "Interrupted",
    "budget-exhausted": "BudgetExhausted",
}
"""A run's status as this file spells it."""


class JournalPosition(Struct, frozen=True):
    """How far into the journal a projection looks: the last record, and bytes of all segments."""

    seq: int
    bytes: int


class Span(Struct, frozen=True):
    """A duration."""

    secs: int
    nanos: int

    @classmethod
    def of(cls, milliseconds: int) -> "Span":
        """``milliseconds``, split."""
        return cls(milliseconds // _MILLI, milliseconds % _MILLI * _NANO)


class SessionError(Struct, frozen=True, kw_only=True):
    """One of the last errors; ``item_id`` is absent for the run's own."""

    item_id: str | None
    error_class: str = msgspec.field(name="class")
    message: str


class SessionState(Struct, frozen=True, kw_only=True):
    """``session_state.json``. ``run`` is what lists show, so that they need not fold the journal."""

    v: int = 1
    session_id: str
    job_id: str
    worktree_name: str
    status: str
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    iterations_completed: int
    files_changed: int
    iteration_timings: list[tuple[int, Span]]
    command_timings: list[tuple[str, Span]]
    """One entry per executed step, the last 1000."""
    workflow_path: str
    workflow_type: str
    workflow_hash: str
    input_args: list[str] = []
    map_patterns: list[str] = []
    profile: str | None = None
    working_directory: str
    original_branch: str
    branch: str
    base_commit: str
    current_step: str | None
    total_steps: int | None
    phase: str | None
    items: ItemCounts
    errors: list[SessionError]
    cost_usd: float
    tokens: int | None = None
    merge: MergeStatus
    dlq_count: int
    pid: int | None
    journal: JournalPosition
    run: JobSummary


def session_state(
    state: JobState, layout: Layout, position: JournalPosition, pid: int | None
) -> SessionState:
    """The document.

    Args:
        state: of the run, after the record at ``position``.
        layout: where the run's files lie.
        position: how far the document looks.
        pid: of the process that works at the run; ``None`` if none does.
    """
    started = recorded(state.started)
    timings = _iteration_timings(state)
    return SessionState(
        session_id=started.session_id,
        job_id=started.job_id,
        worktree_name=started.session_id,
        status=SESSION_STATUS[state.status],
        started_at=recorded(state.started_at),
        updated_at=recorded(state.updated_at),
        ended_at=state.ended_at,
        iterations_completed=len(timings),
        files_changed=len(state.files_changed),
        iteration_timings=timings,
        command_timings=[
            (timing.command, Span.of(timing.duration_ms)) for timing in state.command_timings[-_LAST_TIMINGS:]
        ],
        workflow_path=started.workflow_path,
        workflow_type=started.kind,
        workflow_hash=state.workflow_sha256 or started.workflow_sha256,
        input_args=list(started.arguments),
        map_patterns=list(started.map_patterns),
        profile=started.profile,
        working_directory=str(layout.session_worktree(SessionId(started.session_id))),
        original_branch=started.original_branch,
        branch=state.branch,
        base_commit=state.base_commit or started.base_commit,
        current_step=state.current_step,
        total_steps=None if state.phase is None else state.steps.get(state.phase),
        phase=state.phase,
        items=item_counts(state),
        errors=_errors(state),
        cost_usd=billed(state.cost_usd),
        tokens=state.money.tokens,
        merge=state.merge,
        dlq_count=len(state.dead_letters),
        pid=pid if state.ended_at is None else None,
        journal=position,
        run=summarize(state, layout.repo),
    )


class Remembered(NamedTuple):
    """What a session's file says of its run, and whether that is all that the journal says."""

    run: JobSummary
    whole: bool


def remembered(layout: Layout, job: JobId, session: SessionId) -> Remembered | None:
    """The summary in ``session_state.json``; ``None`` if there is none.

    Also ``None`` where the journal is shorter than the file knew it: then it is another one. Of the journal only the
    end is looked at.
    """
    with suppress(OSError, msgspec.DecodeError):
        known = _read_known(layout.session_state(session).read_bytes())
        end = end_of(layout.journal(job))
        if 0 < end.size < known.journal.bytes:
            return None
        here = known.journal.bytes == end.size and known.journal.seq == end.seq()
        return Remembered(known.run, here)
    return None


class _Known(Struct):
    journal: JournalPosition
    run: JobSummary


_read_known = JsonDecoder(_Known)


def _iteration_timings(state: JobState) -> list[tuple[int, Span]]:
    """How long each iteration took that ended well; a run without any is one as a whole."""
    if state.iterations:
        ended = (one for one in state.iterations if one.ended and one.error is None)
        return [(one.number, Span.of(one.duration_ms)) for one in ended]
    if state.status != "completed":
        return []
    took = recorded(state.updated_at) - recorded(state.started_at)
    return [(1, Span.of(round(took.total_seconds() * _MILLI)))]


def _errors(state: JobState) -> list[SessionError]:
    errors = (
        SessionError(item_id=item.item_id, error_class=item.error.error_class, message=item.error.message)
        for item in state.items.marked()
        if item.error is not None
    )
    found = [*islice(errors, _LAST_ERRORS)][::-1]
    if state.error is not None:
        own = SessionError(item_id=None, error_class=state.error.error_class, message=state.error.message)
        found.append(own)
    return found[-_LAST_ERRORS:]
