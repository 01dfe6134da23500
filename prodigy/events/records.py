"""The lines of the journal: one event each, with its place, time and checksum."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from prodigy.events.agents import AgentCompleted, AgentEvent
from prodigy.events.claude import ClaudeEvent, ClaudeParked
from prodigy.events.jobs import CancelRequested, JobEvent, JobPaused, JournalTruncated
from prodigy.events.letters import LetterEvent
from prodigy.events.merges import (
    AnyMergeEvent,
    ConflictResolved,
    MergeConflicted,
    MergeFailed,
    WorktreeMerged,
)
from prodigy.events.parts import Event
from prodigy.events.phases import PhaseEvent
from prodigy.events.steps import (
    AnyStepEvent,
    CommitCreated,
    HandlerCompleted,
    StepCompleted,
    StepDetached,
    StepSpawned,
)
from prodigy.events.supervision import SupervisionEvent, WorkerLost
from prodigy.events.worktrees import (
    SharedStateChanged,
    WorktreeCleaned,
    WorktreeCreated,
    WorktreeCreateFailed,
    WorktreeEvent,
    WorktreeReleased,
    WorktreeRescued,
)

FORMAT = 1
"""Record format written by this release."""


AnyEvent = (
    JobEvent
    | PhaseEvent
    | AgentEvent
    | AnyStepEvent
    | ClaudeEvent
    | WorktreeEvent
    | AnyMergeEvent
    | LetterEvent
    | SupervisionEvent
)


class Metadata(Struct, frozen=True, omit_defaults=True):
    """Who recorded; whole in the first record of each process, absent afterwards."""

    host: str = ""
    pid: int = 0
    boot_id: str = ""
    session_id: str = ""


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal.

    ``seq`` counts from 1 without gaps over all segments of a job; ``batch`` is the ``seq`` of the first record that
    was written in the same sync group. The line's last field, ``sum``, is the checksum that ``store.journal`` adds.
    """

    v: int
    seq: int
    id: UUID
    timestamp: datetime
    correlation_id: UUID
    event: AnyEvent
    metadata: Metadata | None = None
    batch: int = 0
    sum: str = ""


def event_type(event: Event) -> str:
    """The snake_case name under which an event is recorded."""
    return str(type(event).__struct_config__.tag)


def item_of(event: Event) -> str | None:
    """The item that an event belongs to, or ``None``."""
    return getattr(event, "item_id", None)


OUTCOMES = (
    JournalTruncated
    | JobPaused
    | CancelRequested
    | AgentCompleted
    | StepSpawned
    | StepDetached
    | StepCompleted
    | ClaudeParked
    | CommitCreated
    | HandlerCompleted
    | WorktreeCreated
    | WorktreeCreateFailed
    | WorktreeReleased
    | WorktreeRescued
    | WorktreeCleaned
    | SharedStateChanged
    | WorktreeMerged
    | MergeConflicted
    | MergeFailed
    | ConflictResolved
    | WorkerLost
)
"""What is still recorded when the disk is full. Failures of steps and agents are not: that the disk was full may be all
that was wrong, and what has no outcome is done again."""


def is_outcome(event: Event) -> bool:
    """Whether an event only says what came of something that was under way, and so lets nothing begin or be decided."""
    return isinstance(event, OUTCOMES)
