"""The documents that reading verbs answer with, by schema.

Every field is always there; what is unknown is ``null``. Fields are only ever added.
"""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field, structs

from prodigy.events import Attempt, ErrorClass, Phase, Record
from prodigy.job.state import Detached, ItemStatus
from prodigy.job.summary import JobSummary


class StatusDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.status/1``: runs by what they ask of the user, newest first; one run can stand in two lists."""

    schema: str = "prodigy.status/1"
    running: list[JobSummary]
    resumable: list[JobSummary]
    waiting: list[JobSummary]
    unmerged: list[JobSummary]
    detached: list["LeftRunning"] = []
    """Processes that steps left running on purpose and that live, newest run first."""


class LeftRunning(Struct, frozen=True, kw_only=True):
    """A process that a step of a run left running, named for ever by pid, start time and boot."""

    job_id: str
    repo: str
    workflow: str
    pid: int
    start_time: int
    boot_id: str
    until: Literal["agent", "run", "forever"]
    phase: Phase
    step: str
    item_id: str | None
    command: str

    @classmethod
    def of(cls, run: JobSummary, one: Detached) -> "LeftRunning":
        """A process with the run that it is of."""
        return cls(job_id=run.job_id, repo=run.repo, workflow=run.workflow, **structs.asdict(one))


# -- dead letters --------------------------------------------------------------------------------------------------
class FailureDetail(Struct, frozen=True, kw_only=True):
    """One failed attempt, whole."""

    attempt_number: int
    timestamp: datetime
    phase: Phase
    error_type: ErrorClass
    error_message: str
    step_failed: str | None
    exit_code: int | None
    signal: int | None
    limit: str | None
    stdout_tail: str
    stderr_tail: str
    logs: tuple[str, ...]
    json_log_location: str | None
    claude_session_id: str | None = None
    agent_id: str | None
    duration_ms: int
    cost_usd: float
    rescue_ref: str | None
    base_commit: str | None
    retry: bool

    @classmethod
    def of(cls, attempt: Attempt) -> "FailureDetail":
        """The attempt as documents show it; what it left in git stands in ``WorktreeArtifacts``."""
        return cls(**{name: getattr(attempt, name) for name in cls.__struct_fields__})


class WorktreeArtifacts(Struct, frozen=True, kw_only=True):
    """What the last attempt left in git."""

    rescue_ref: str | None
    branch_name: str | None
    uncommitted_changes: bool = False
    """Whether some of the work under the ref was not committed."""
    files: tuple[str, ...] = ()
    """What that work changes, 200 paths at most."""


class DeadLetterFile(Struct, frozen=True, kw_only=True):
    """A dead letter as it lies on disk; ``seq`` is the record it mirrors."""

    v: int = 1
    seq: int
    item_id: str
    index: int
    job_id: str
    session_id: str
    correlation_id: str
    item: Any
    first_attempt: datetime
    last_attempt: datetime
    failure_count: int
    failure_history: list[FailureDetail]
    error_signature: str
    reprocess_eligible: bool
    manual_review_required: bool
    worktree_artifacts: WorktreeArtifacts | None
    workflow_sha256: str
    template_sha256: str | None = None


class DeadLetterView(DeadLetterFile, frozen=True, kw_only=True):
    """A dead letter as documents show it: with what people call it, and the item under both its names."""

    text: str
    item_data: Any


class DlqDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.dlq/1``: whole dead letters of one job, by index."""

    schema: str = "prodigy.dlq/1"
    job_id: str
    items: list[DeadLetterView]
    total: int
    shown: int


class DeadLetterLine(Struct, frozen=True, kw_only=True):
    """A dead letter in one line."""

    item_id: str
    text: str
    job_id: str
    failure_count: int
    last_attempt: datetime
    error_class: ErrorClass | None = field(name="class")
    error_signature: str
    reprocess_eligible: bool
    message: str


class DlqListDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.dlq-list/1``: newest job first, items by index."""

    schema: str = "prodigy.dlq-list/1"
    items: list[DeadLetterLine]
    total: int
    shown: int
    legacy: list["LegacyLetter"] = []
    """Those of older programs, whose runs are gone; not counted."""


class LegacyLetter(Struct, frozen=True, kw_only=True):
    """An item that failed for good in a run of an older program; ``details`` is all that its file says of it."""

    item_id: str
    job_id: str
    item: Any
    failure_count: int
    last_attempt: str | None
    message: str
    details: dict[str, Any]
    path: str

    @property
    def name(self) -> str:
        """What a run of ours calls it that takes it for an item."""
        return f"{self.job_id}/{self.item_id}"


class LegacyDlqDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.dlq-legacy/1``: the items of one run of an older program, by id, each as its file has it."""

    schema: str = "prodigy.dlq-legacy/1"
    job_id: str
    items: list[dict[str, Any]]
    total: int
    shown: int


class RetryPlanDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.retry-plan/1``: what a retry of dead letters would do; items by index."""

    schema: str = "prodigy.retry-plan/1"
    job_id: str
    workflow_path: str
    workflow_sha256: str
    max_parallel: int
    reduce: bool
    items: list[DeadLetterLine]


# -- resuming ------------------------------------------------------------------------------------------------------
class PhaseLeft(Struct, frozen=True, kw_only=True):
    """A phase of a run: ``done``, ``under-way``, ``failed``, ``skipped`` or ``waiting``."""

    phase: Phase
    status: str


class ItemLeft(Struct, frozen=True, kw_only=True):
    """An item that a resume goes on with; ``step`` is where it stands, ``queued`` says that it is a dead letter."""

    item_id: str
    text: str
    status: ItemStatus
    attempts: int
    step: str | None
    queued: bool


class EffectLeft(Struct, frozen=True, kw_only=True):
    """Something that was intended and whose outcome nobody recorded; git or the disk is asked about it."""

    seq: int
    what: str
    phase: Phase | None
    step: str | None
    item_id: str | None
    detail: str


class ResumePlanDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.resume-plan/1``: what a resume would do; ``edited`` says that the workflow's file is another by now."""

    schema: str = "prodigy.resume-plan/1"
    job_id: str
    status: str
    workflow_path: str
    workflow_sha256: str
    edited: bool
    phases: list[PhaseLeft]
    items: list[ItemLeft]
    ended: int
    effects: list[EffectLeft]


# -- events --------------------------------------------------------------------------------------------------------
class RunRecord(Record, frozen=True, kw_only=True):
    """A record among those of several runs."""

    job_id: str


class EventsDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.events/1``: records as the journal has them, oldest first; ``total`` counts all that fit."""

    schema: str = "prodigy.events/1"
    events: list[Record]
    total: int
    shown: int


class JobsDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.jobs/1``: runs, newest first."""

    schema: str = "prodigy.jobs/1"
    jobs: list[JobSummary]
    total: int
    shown: int


# -- worktrees -----------------------------------------------------------------------------------------------------
class WorktreeSession(Struct, frozen=True, kw_only=True):
    """A run as its worktree and branch."""

    session_id: str
    status: str
    workflow_path: str
    workflow_args: list[str] = []
    started_at: datetime
    last_activity: datetime
    current_step: str | None
    total_steps: int | None = None
    error_summary: str | None
    branch_name: str
    parent_branch: str
    worktree_path: str
    files_changed: int
    commits: int
    items_processed: int
    total_items: int
    merged: bool
    repo: str
    ahead: int | None = None
    """Commits that the branch to merge into does not have."""
    dirty: bool | None = None
    """Whether the worktree holds what is in no commit."""
    bytes: int | None = None
    slots: list[str] | None = None
    """Paths of the agents' worktrees."""


class WorktreeCounts(Struct, frozen=True, kw_only=True):
    """How many sessions are in which state."""

    total: int
    in_progress: int
    interrupted: int
    failed: int
    completed: int


class WorktreesDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.worktrees/1``: sessions whose branch is still there, newest first."""

    schema: str = "prodigy.worktrees/1"
    sessions: list[WorktreeSession]
    summary: WorktreeCounts
