"""What is known of one session: where its run stands, its steps, its variables, its worktree, and who works at it.

From the journal, whatever the session's own file says; whether the run lives, from its lock.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from prodigy.job.state import CommandTiming, JobState
from prodigy.job.summary import JobSummary, lived, summarize
from prodigy.store.journal import journal_size
from prodigy.store.legacy import LegacySession
from prodigy.store.locks import Holder
from prodigy.store.runs import Run, load_state, run_holder
from prodigy.store.session_state import SESSION_STATUS, JournalPosition, SessionState, session_state


class SessionsDocument(Struct, frozen=True, tag_field="schema", tag="prodigy.sessions/1"):
    """``prodigy.sessions/1``: runs, newest first; ``total`` counts all that fit."""

    sessions: list[JobSummary]
    total: int
    shown: int
    legacy: list[LegacySession] = []
    """Those of older programs, which cannot be gone on with; not counted."""


class WorksAtIt(Struct, frozen=True, kw_only=True):
    """The process that holds the run's lock, named for ever by pid, start time and boot."""

    pid: int
    start_time: int
    boot_id: str
    host: str
    since: datetime | None
    argv: tuple[str, ...]

    @classmethod
    def of(cls, holder: Holder) -> "WorksAtIt":
        """As the lock names it."""
        return cls(**{name: getattr(holder, name) for name in cls.__struct_fields__})


class SessionDocument(Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.session/1"):
    """``prodigy.session/1``: ``state`` is what the session's file holds, or would, at this moment."""

    run: JobSummary
    state: SessionState
    holder: WorksAtIt | None
    steps: list[CommandTiming]
    """Every step that was executed, those of agents too, in the order of their ends."""
    variables: list[str]
    worktree: str | None
    """Its worktree, if that is there."""
    next: str | None


def sessions(
    known: Iterable[JobSummary], limit: int, legacy: Iterable[LegacySession] = ()
) -> SessionsDocument:
    """The newest of some runs, with ``limit`` 0 all; and sessions of older programs."""
    fitting = list(known)
    shown = fitting[:limit] if limit else fitting
    return SessionsDocument(shown, len(fitting), len(shown), list(legacy))


def session(run: Run) -> SessionDocument:
    """All of it.

    Raises:
        RunError: ``journal-corrupt`` or ``journal-newer``.
        UsageError: ``run-not-found``: nothing is recorded of it.
    """
    holder = run_holder(run)
    state = load_state(run)
    known = lived(summarize(state, run.repo), holder.pid if holder else None)
    position = JournalPosition(state.seq, journal_size(run.layout.journal(run.job_id)))
    document = session_state(state, run.layout, position, known.pid)
    worktree = run.layout.session_worktree(run.session_id)
    return SessionDocument(
        run=known,
        state=replace(document, status=SESSION_STATUS[known.status], run=known),
        holder=None if holder is None else WorksAtIt.of(holder),
        steps=state.command_timings,
        variables=variables_of(state),
        worktree=str(worktree) if worktree.is_dir() else None,
        next=known.next,
    )


def variables_of(state: JobState) -> list[str]:
    """The names of the variables that steps set."""
    phases = {name for phase in state.phases.values() for name in phase.variables}
    captured = {name for outcome in state.outcomes.values() for name in outcome.captures}
    return sorted(phases | captured)
