"""The life of a run: its beginning, its pauses, its end, and what is kept of its state."""

from typing import Literal

from prodigy.events.parts import Backend, Caps, Event, Failure, PauseReason, Phase


class JobStarted(Event, frozen=True, kw_only=True, tag="job_started"):
    """The first record of every journal."""

    job_id: str
    session_id: str
    kind: Literal["workflow", "mapreduce"]
    workflow_name: str
    workflow_path: str
    workflow_sha256: str
    template_sha256: str | None = None
    """Of what each agent does."""
    base_commit: str
    session_branch: str
    original_branch: str
    repository: str
    """Absolute path of the main worktree."""
    max_parallel: int = 1
    argv: tuple[str, ...] = ()
    prodigy_version: str = ""
    target_fallback: str | None = None
    """Why ``original_branch`` is not what HEAD named, if so."""
    merge_target: str | None = None
    """The branch that the work is for, if that is not ``original_branch``."""
    profile: str | None = None
    """Of the environment."""
    computed: dict[str, str] = {}
    """What commands of the environment printed that run once per run."""
    arguments: tuple[str, ...] = ()
    """The values that the workflow was given."""
    map_patterns: tuple[str, ...] = ()
    """The globs that some of them come from."""
    iterations: int = 1
    """How often the workflow is repeated at most."""
    fail_fast: bool = False
    backend: Backend = Backend()
    steps: dict[Phase, int] = {}
    """How many steps each phase of the workflow has; of map, those of each agent."""

    @property
    def target(self) -> str:
        """The branch that the work is for."""
        return self.merge_target or self.original_branch


class JobResumed(Event, frozen=True, kw_only=True, tag="job_resumed"):
    """A run that stopped before its end, or failed, goes on; the record's metadata says who took it up."""

    pending_items: int = 0
    """Items that have not come to an end yet."""
    intents_open: int = 0
    """Effects that were intended and whose outcome nobody recorded."""
    budget: Caps | None = None
    """What the job may use from now on, where it was given anew; it counts what was used before."""
    workflow_sha256: str | None = None
    """Of the workflow that takes the place of the one before, if one does."""
    template_sha256: str | None = None
    unchanged: dict[Phase, int] = {}
    """Of it: how many steps at the beginning of each phase that is under way are as they were."""
    item_ids: tuple[str, ...] = ()
    """Items of the dead letter queue that are tried again with all others."""
    max_parallel: int | None = None
    attempts: int | None = None
    """At each item that has not ended, from now on."""
    model: str | None = None
    backend: Backend | None = None
    steps: dict[Phase, int] = {}
    """How many steps each phase of the workflow that takes the place of the one before has; of map, those of each agent."""
    settings: tuple[str, ...] = ()
    """Keys of the configuration that say otherwise than what is recorded."""
    settings_taken: bool = False
    """Whether what they say holds from now on."""


class JournalTruncated(Event, frozen=True, kw_only=True, tag="journal_truncated"):
    """The journal ended in the middle of a group that nobody relied on; those bytes were moved aside."""

    bytes: int
    sha256: str
    kept_at: str


class JobPaused(Event, frozen=True, kw_only=True, tag="job_paused"):
    """The run ended before its end and can be taken up again."""

    reason: PauseReason
    signal: int | None = None


class JobEnded(Event, frozen=True, kw_only=True):
    """How long a run took that ended, and what became of its items."""

    duration_ms: int
    success_count: int = 0
    failure_count: int = 0
    skipped_count: int = 0


class JobCompleted(JobEnded, frozen=True, kw_only=True, tag="job_completed"):
    """All phases ended; items may be in the dead letter queue."""


class JobFailed(JobEnded, frozen=True, kw_only=True, tag="job_failed"):
    """A phase failed for good."""

    error: Failure


class CheckpointCreated(Event, frozen=True, kw_only=True, tag="checkpoint_created"):
    """The state after the record ``version`` was kept in a file, so that reading may begin there."""

    version: int
    file: str
    bytes: int


class CheckpointLoaded(Event, frozen=True, kw_only=True, tag="checkpoint_loaded"):
    """A process that took up the run began with what was kept after the record ``version``."""

    version: int
    file: str


class CheckpointFailed(Event, frozen=True, kw_only=True, tag="checkpoint_failed"):
    """A state could not be kept, or what was kept could not be used; that costs time and nothing else."""

    message: str
    version: int | None = None


class CancelRequested(Event, frozen=True, kw_only=True, tag="cancel_requested"):
    """Somebody asked the run to end."""

    signal: int | None = None
    by: str = "terminal"
    grace_ms: int = 0


class WritingRefused(Event, frozen=True, kw_only=True, tag="writing_refused"):
    """Nothing can be written any more where the repository or the worktrees lie: the run comes to rest."""

    path: str
    reason: str


JobEvent = (
    JobStarted
    | JobResumed
    | JournalTruncated
    | JobPaused
    | JobCompleted
    | JobFailed
    | CheckpointCreated
    | CheckpointLoaded
    | CheckpointFailed
    | CancelRequested
    | WritingRefused
)
