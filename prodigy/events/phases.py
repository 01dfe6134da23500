"""Phases, and the iterations of a workflow that is run again."""

from typing import Any

from prodigy.events.parts import Event, Failure, Phase


class PhaseStarted(Event, frozen=True, kw_only=True, tag="phase_started"):
    """A phase began; for ``map``, ``base_commit`` is what agents start from."""

    phase: Phase
    base_commit: str | None = None
    max_parallel: int | None = None
    """Of ``map``: how many agents may run at a time, if that was not known when the job started."""
    tree: str | None = None
    """Of ``verify``: the tree that is checked."""


class PhaseCompleted(Event, frozen=True, kw_only=True, tag="phase_completed"):
    """A phase ended well; ``variables`` are what later phases can read, ``fields`` what of them is no part of a value."""

    phase: Phase
    duration_ms: int
    head: str | None = None
    variables: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}


class PhaseFailed(Event, frozen=True, kw_only=True, tag="phase_failed"):
    """A phase failed."""

    phase: Phase
    duration_ms: int
    error: Failure


class PhaseSkipped(Event, frozen=True, kw_only=True, tag="phase_skipped"):
    """A phase did not run."""

    phase: Phase
    reason: str


class IterationStarted(Event, frozen=True, kw_only=True, tag="iteration_started"):
    """The steps of a plain workflow begin, in a run that has them more than once."""

    n: int
    """Counts from 1 over the whole run."""
    base_commit: str
    arg: str | None = None
    """The value that it is for."""


class IterationCompleted(Event, frozen=True, kw_only=True, tag="iteration_completed"):
    """They ended, well or with an ``error``."""

    n: int
    duration_ms: int
    head: str
    commits: int
    arg: str | None = None
    error: Failure | None = None


PhaseEvent = (
    PhaseStarted | PhaseCompleted | PhaseFailed | PhaseSkipped | IterationStarted | IterationCompleted
)
