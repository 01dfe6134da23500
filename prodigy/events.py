"""What happens in a run, in the past tense: the records of the journal.

Pure. State is the fold of these (``prodigy.job.state``), so a field that a decision rests on must be here. Records
stay readable for ever: fields are only added, with defaults; types are never renamed. An *intent* is recorded before
an outside effect and its class name ends in ``Intended``; the outcome carries ``intent``, the sequence number of it.
``phase`` is one of ``Phase``; ``step`` is a path such as ``2`` or ``2.on_failure#1.1``;
durations are milliseconds; costs are US dollars.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, field

FORMAT = 1
"""Record format written by this release."""

Phase = Literal["steps", "setup", "map", "reduce", "on_success", "on_failure", "merge", "verify", "resolve"]
ErrorClass = Literal[
    "command-failed",
    "bad-input",
    "timeout",
    "limit-exceeded",
    "commit-missing",
    "commit-failed",
    "capture-failed",
    "undefined-variable",
    "history-rewritten",
    "merge-conflict",
    "secret-committed",
    "included-committed",
    "worktree-error",
    "host-lost",
    "spawn-failed",
    "invalid-item",
    "policy-stopped",
    "bad-value",
    "validation-failed",
    "claude-error",
    "internal",
]


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event_type"):
    """The common shape of all events; ``event_type`` is the snake_case name."""


# -- parts ---------------------------------------------------------------------------------------------------------
class Stream(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One captured output stream: its whole size, a bounded tail and the file that holds all of it."""

    size: int = 0
    """Bytes written by the command."""
    tail: str = ""
    """The last 64 KiB at most, decoded with replacement."""
    cut: bool = False
    """Whether ``tail`` is less than everything."""
    log: str | None = None
    """Absolute path of the whole output."""


class Failure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a step, and with it an attempt or a phase, failed."""

    error_class: ErrorClass = field(name="class")
    message: str
    step: str | None = None
    step_name: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    limit: str | None = None
    stdout_tail: str = ""
    stderr_tail: str = ""
    logs: tuple[str, ...] = ()


class Captured(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A variable that a step set: ``${NAME}``, and ``fields`` as ``${NAME.field}``."""

    value: Any = None
    fields: dict[str, Any] = {}


class ClaudeUse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one launch of Claude was and used; kept of launches that failed too."""

    session_id: str
    json_log_location: str | None = None
    """The CLI's own session file."""
    model: str | None = None
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    turns: int = 0
    structured: Any = None
    """The value that ``json_schema`` asked for."""
    api_error_status: int | None = None
    terminal_reason: str | None = None
    tool_failures: int = 0
    """Tools that the model called and that ended with an error."""
    permission_denials: int = 0
    """Tools that it was not allowed to call."""
    estimated: bool = False
    """Whether cost and tokens are what its own log adds up to, because it could not give an account of its end."""


class ClaudeTally(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An amount of use."""

    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0


class ClaudeMeter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the CLI's own record of a conversation says at a moment between two launches.

    The CLI goes on adding to the sum that it wrote last, in which a launch that was killed is not contained.
    """

    summed: ClaudeTally = ClaudeTally()
    """That sum."""
    told: ClaudeTally = ClaudeTally()
    """All replies, at list prices."""
    replies: int = 0


BudgetKind = Literal["usd", "tokens", "wall", "launches"]


class Caps(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the whole job may use: US dollars, tokens, seconds of running, launches of Claude; ``None``: no bound.

    ``soft`` is the share of each at which no more items are started.
    """

    usd: float | None = None
    tokens: int | None = None
    wall: float | None = None
    launches: int | None = None
    soft: float = 0.9

    def of(self, kind: BudgetKind) -> float | None:
        """The bound of one kind."""
        bound: float | None = getattr(self, kind)
        return bound


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of a dead letter's ``failure_history``."""

    attempt_number: int
    timestamp: datetime
    phase: Phase
    error_type: ErrorClass
    error_message: str
    step_failed: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    limit: str | None = None
    stdout_tail: str = ""
    stderr_tail: str = ""
    logs: tuple[str, ...] = ()
    json_log_location: str | None = None
    agent_id: str | None = None
    duration_ms: int = 0
    cost_usd: float = 0.0
    rescue_ref: str | None = None
    rescued_files: tuple[str, ...] = ()
    """What the unmerged work changes, 200 paths at most."""
    uncommitted_changes: bool = False
    """Whether some of it was not committed."""
    base_commit: str | None = None
    retry: bool = False
    claude_session_id: str | None = None
    """The last conversation that the attempt began."""


# -- job -----------------------------------------------------------------------------------------------------------
class Backend(Struct, frozen=True, kw_only=True):
    """What ``claude:`` steps run, by name; ``settings`` are plain JSON values that it is made with."""

    name: str = "claude"
    settings: dict[str, Any] = {}


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


class JournalTruncated(Event, frozen=True, kw_only=True, tag="journal_truncated"):
    """The journal ended in the middle of a group that nobody relied on; those bytes were moved aside."""

    bytes: int
    sha256: str
    kept_at: str


class JobPaused(Event, frozen=True, kw_only=True, tag="job_paused"):
    """The run ended before its end and can be taken up again."""

    reason: Literal["signal", "storage", "disk", "memory", "budget", "quota"]
    signal: int | None = None


class JobCompleted(Event, frozen=True, kw_only=True, tag="job_completed"):
    """All phases ended; items may be in the dead letter queue."""

    duration_ms: int
    success_count: int = 0
    failure_count: int = 0
    skipped_count: int = 0


class JobFailed(Event, frozen=True, kw_only=True, tag="job_failed"):
    """A phase failed for good."""

    duration_ms: int
    error: Failure
    success_count: int = 0
    failure_count: int = 0
    skipped_count: int = 0


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


# -- phases --------------------------------------------------------------------------------------------------------
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


# -- items and agents ----------------------------------------------------------------------------------------------
class ItemSelected(Event, frozen=True, kw_only=True, tag="item_selected"):
    """One work item; ``items_selected`` closes the list."""

    index: int
    item_id: str
    item: Any
    problem: str | None = None
    """What ``map.validation`` has against it; then no agent works at it."""


class ItemsSelected(Event, frozen=True, kw_only=True, tag="items_selected"):
    """Selection is done and never done again."""

    count: int
    skipped_by: dict[str, int] = {}
    matched: bool = True
    """Whether ``json_path`` led to anything at all."""


class ItemSkipped(Event, frozen=True, kw_only=True, tag="item_skipped"):
    """An item failed, or was not valid, and the workflow says to pass it over."""

    item_id: str
    reason: str


HaltReason = Literal["stop", "timeout", "max-failures", "failure-threshold", "circuit", "signature"]


class MapHalted(Event, frozen=True, kw_only=True, tag="map_halted"):
    """No more items are started; what runs ends as it may, then the map phase fails with ``message``."""

    reason: HaltReason
    message: str


class CircuitOpened(Event, frozen=True, kw_only=True, tag="circuit_opened"):
    """Too many items failed in a row: nothing starts for ``pause_ms``, then a few items as trials."""

    failures: int
    opening: int
    """Counts from 1 since the circuit was last closed."""
    pause_ms: int


class CircuitClosed(Event, frozen=True, kw_only=True, tag="circuit_closed"):
    """The trials succeeded; items start as before."""


class AttemptEvent(Event, frozen=True, kw_only=True):
    """What the events of one attempt at an item carry."""

    item_id: str
    agent_id: str
    attempt: int


class AgentStarted(AttemptEvent, frozen=True, kw_only=True, tag="agent_started"):
    """An attempt at an item began."""

    worktree: str
    slot: int
    base_commit: str
    branch: str


class AgentCompleted(AttemptEvent, frozen=True, kw_only=True, tag="agent_completed"):
    """An attempt ended well. Without commits the item is done; with commits it waits for its merge."""

    duration_ms: int
    head: str
    commits: tuple[str, ...] = ()
    files_changed: tuple[str, ...] = ()
    output: str = ""
    """Tail of the last step's output, 4 KiB at most."""
    variables: dict[str, Any] = {}
    json_log_location: str | None = None
    cost_usd: float = 0.0
    unchanged: bool = False
    """Whether it ended well and changed no file; records of earlier releases do not say."""


class AgentFailed(AttemptEvent, frozen=True, kw_only=True, tag="agent_failed"):
    """An attempt failed; ``agent_retrying`` or ``dlq_item_added`` says what becomes of the item."""

    duration_ms: int
    error: Failure
    signature: str
    rescue_ref: str | None = None
    base_commit: str | None = None
    json_log_location: str | None = None
    cost_usd: float = 0.0


class AgentInterrupted(AttemptEvent, frozen=True, kw_only=True, tag="agent_interrupted"):
    """The worker of an attempt was lost; the attempt goes on in another one, at its first step without an outcome."""

    reason: str


class AgentRetrying(Event, frozen=True, kw_only=True, tag="agent_retrying"):
    """A further attempt at an item will be made."""

    item_id: str
    agent_id: str
    next_attempt: int
    charged_to: Literal["item", "host_lost", "conflict", "quota", "resume"]
    """``resume``: the attempt was interrupted and could not go on; it counts against nothing. ``host_lost`` stands in
    records of earlier releases, where an item whose worker was lost began anew."""
    backoff_ms: int = 0


# -- steps ---------------------------------------------------------------------------------------------------------
class StepEvent(Event, frozen=True, kw_only=True):
    """What all step events carry. ``item_id``, ``agent_id`` are absent outside the map phase."""

    phase: Phase
    step: str
    try_: int = field(name="try", default=1)
    item_id: str | None = None
    agent_id: str | None = None
    attempt: int = 1


class StepIntended(StepEvent, frozen=True, kw_only=True, tag="step_intended"):
    """A leaf of the interpreter is about to act."""

    kind: str
    name: str = ""
    command: str = ""
    cwd: str = ""
    head_before: str | None = None
    timeout_ms: int | None = None


class StepSpawned(StepEvent, frozen=True, kw_only=True, tag="step_spawned"):
    """The leaf's process exists; with its start time the pid names it beyond doubt."""

    intent: int
    pid: int
    start_time: int
    """Clock ticks since boot."""
    worker: int
    """Pid of the worker process that started it."""
    claude_session: str | None = None
    """The conversation that a launch of Claude begins."""


class StepDetached(StepEvent, frozen=True, kw_only=True, tag="step_detached"):
    """The leaf's process exists and is left running, in the place of ``step_spawned``."""

    intent: int
    pid: int
    start_time: int
    """Clock ticks since boot."""
    boot_id: str
    until: Literal["agent", "run", "forever"]
    """Whose end is its own; ``forever``: nobody's."""


class StepCompleted(StepEvent, frozen=True, kw_only=True, tag="step_completed"):
    """The leaf succeeded; everything a resumed interpreter needs of it is here."""

    intent: int
    kind: str
    duration_ms: int
    exit_code: int = 0
    stdout: Stream = Stream()
    stderr: Stream = Stream()
    head_before: str | None = None
    head_after: str | None = None
    dirty: bool = False
    """Whether the worktree held uncommitted changes afterwards, so that a commit leaf follows."""
    value: Any = None
    """What the action itself says, e.g. a score."""
    captures: dict[str, Captured] = {}
    outputs: dict[str, str] = {}
    """Files found by ``outputs``, by name."""
    claude: ClaudeUse | None = None


class StepFailed(StepEvent, frozen=True, kw_only=True, tag="step_failed"):
    """The leaf failed."""

    intent: int
    kind: str
    duration_ms: int
    error: Failure
    stdout: Stream = Stream()
    stderr: Stream = Stream()
    head_before: str | None = None
    head_after: str | None = None
    dirty: bool = False
    """Whether the worktree held uncommitted changes afterwards."""
    value: Any = None
    captures: dict[str, Captured] = {}
    claude: ClaudeUse | None = None


class ClaudeCutOff(StepEvent, frozen=True, kw_only=True, tag="claude_cut_off"):
    """A launch of Claude was killed together with whoever would have told of its end.

    What it used is estimated, unless its log ends in a result.
    """

    intent: int
    claude: ClaudeUse
    finished: str | None = None
    """The log that ends in its result, if it had succeeded and its worktree is as it left it: that is its leaf's outcome."""


class ClaudeIntended(StepEvent, frozen=True, kw_only=True, tag="claude_intended"):
    """A launch of Claude is admitted: it is about to begin or to go on with a conversation."""

    intent: int
    """Of its leaf."""
    session_id: str
    model: str | None = None
    """That was asked for."""
    account: str = ""
    """A short digest of what the account is chosen by: launches of one account share its quota."""
    resumes: bool = False
    """Whether it goes on with a conversation that was cut short."""
    wanted_usd: float | None = None
    """What the step lets it cost at most."""
    reserved_usd: float | None = None
    """What is set apart for it, and what it may cost at most; ``None`` without a budget in US dollars."""
    meter: ClaudeMeter | None = None
    """Of the conversation that it goes on with: what the launches before it used is not its own."""


class ClaudeAnswered(StepEvent, frozen=True, kw_only=True, tag="claude_answered"):
    """The API has answered a launch for the first time."""

    intent: int


class ClaudeParked(StepEvent, frozen=True, kw_only=True, tag="claude_parked"):
    """A launch was cut short by something that is not the step's fault; its conversation goes on later."""

    intent: int
    reason: Literal["quota", "budget"]
    """``budget``: it used up what was reserved for it."""
    claude: ClaudeUse
    message: str = ""
    until: datetime | None = None
    """When the quota is said to be free again."""


class BudgetSet(Event, frozen=True, kw_only=True, tag="budget_set"):
    """What the whole job may use, every value known."""

    caps: Caps


class BudgetWarned(Event, frozen=True, kw_only=True, tag="budget_warned"):
    """The soft limit of a budget is reached: no more items are started."""

    kind: BudgetKind
    used: float
    cap: float
    reserved: float = 0.0


class BudgetExhausted(Event, frozen=True, kw_only=True, tag="budget_exhausted"):
    """A budget does not let the run go on; it stops and can be taken up again with more."""

    kind: BudgetKind
    used: float
    cap: float
    reserved: float = 0.0


class QuotaBlocked(Event, frozen=True, kw_only=True, tag="quota_blocked"):
    """The API turned a launch away: none of its account and model begins before ``until``, then one as a probe."""

    account: str
    model: str | None
    until: datetime
    parked: int = 0
    """Conversations that wait."""
    row: int = 1
    """Blocks since the API answered last."""
    known: bool = False
    """Whether the API said until when."""
    given_up: bool = False
    """Whether that is longer than the run is to wait: it comes to rest."""


class QuotaCleared(Event, frozen=True, kw_only=True, tag="quota_cleared"):
    """The probe was answered: launches begin again, a few at first."""

    account: str
    model: str | None
    parked: int = 0


class WritingRefused(Event, frozen=True, kw_only=True, tag="writing_refused"):
    """Nothing can be written any more where the repository or the worktrees lie: the run comes to rest."""

    path: str
    reason: str


class ParallelismChanged(Event, frozen=True, kw_only=True, tag="parallelism_changed"):
    """Another number of Claudes of one account and model may be under way at a time."""

    from_: int = field(name="from")
    to: int
    reason: str
    account: str = ""
    model: str | None = None


class WorkRewound(Event, frozen=True, kw_only=True, tag="work_rewound"):
    """After an interruption a worktree went back to ``head``: what was done since then is done again."""

    phase: Phase
    head: str
    forgotten: tuple[str, ...]
    """The leaves that are done again, as ``path/try``."""
    item_id: str | None = None
    agent_id: str | None = None


class StepSkipped(StepEvent, frozen=True, kw_only=True, tag="step_skipped"):
    """A step's ``when`` said no."""

    name: str = ""


class StepRetrying(StepEvent, frozen=True, kw_only=True, tag="step_retrying"):
    """A failed step will be run again: ``try`` is the run to come."""

    backoff_ms: int
    message: str


class StepWarned(StepEvent, frozen=True, kw_only=True, tag="step_warned"):
    """Something about a step is odd and did not fail it."""

    code: str
    message: str


class GoalSeekAttempted(StepEvent, frozen=True, kw_only=True, tag="goal_seek_attempted"):
    """An attempt at a goal was scored; attempt 0 is the check before the first one."""

    number: int
    score: float
    """0 to 100."""
    threshold: float
    gaps: Any = None
    """What the check says is missing."""


class HandlerStarted(StepEvent, frozen=True, kw_only=True, tag="handler_started"):
    """A round of a handler began."""

    which: Literal["on_failure", "on_success", "on_exit_code", "on_incomplete"]
    round: int


class HandlerCompleted(StepEvent, frozen=True, kw_only=True, tag="handler_completed"):
    """A round of a handler ended."""

    which: Literal["on_failure", "on_success", "on_exit_code", "on_incomplete"]
    round: int
    ok: bool


class LimitExceeded(StepEvent, frozen=True, kw_only=True, tag="limit_exceeded"):
    """A step used more than it may, and was ended; ``limit`` is such as ``memory 2.1 GiB > 2 GiB``."""

    limit: str


class ValidationScored(StepEvent, frozen=True, kw_only=True, tag="validation_scored"):
    """A check told how complete the work of a step is: 0 to 100."""

    score: float
    threshold: float
    check: int
    """Counts from 1."""
    status: str
    gaps: Any = None


class CommitCreated(StepEvent, frozen=True, kw_only=True, tag="commit_created"):
    """A step left a commit, its own or one that Prodigy made of what the step left."""

    sha: str
    auto: bool
    message: str
    files: tuple[str, ...] = ()


# -- worktrees -----------------------------------------------------------------------------------------------------
class WorktreeCreateIntended(Event, frozen=True, kw_only=True, tag="worktree_create_intended"):
    """A worktree is about to be made."""

    path: str
    branch: str | None
    base_commit: str


class WorktreeCreated(Event, frozen=True, kw_only=True, tag="worktree_created"):
    """A worktree exists."""

    intent: int
    path: str


class WorktreeCreateFailed(Event, frozen=True, kw_only=True, tag="worktree_create_failed"):
    """A worktree could not be made."""

    intent: int
    path: str
    message: str


class WorktreeLeased(Event, frozen=True, kw_only=True, tag="worktree_leased"):
    """A pooled worktree, verified clean, was given to an agent."""

    slot: int
    item_id: str
    agent_id: str
    base_commit: str


class WorktreeReleased(Event, frozen=True, kw_only=True, tag="worktree_released"):
    """A pooled worktree came back."""

    slot: int
    item_id: str
    agent_id: str


class WorktreeRescued(Event, frozen=True, kw_only=True, tag="worktree_rescued"):
    """Unmerged work was put under a ref, before the reset that would have lost it."""

    ref: str
    sha: str
    reason: str
    item_id: str | None = None
    agent_id: str | None = None
    files: tuple[str, ...] = ()
    """What it changes, 200 paths at most."""
    submodule: str = ""
    """The submodule that it was made in, whose own repository the ref is in."""
    uncommitted: bool = False
    """Whether some of it was not committed."""


class SharedStateChanged(Event, frozen=True, kw_only=True, tag="shared_state_changed"):
    """While steps ran, something changed that their worktree shares with the user's checkout, or that checkout itself.

    ``names`` are settings, messages of stash entries, refs, or ``HEAD`` and paths. ``undone``: it is as it was before.
    """

    what: Literal["config", "stash", "refs", "checkout"]
    names: tuple[str, ...]
    phase: Phase
    undone: bool = False
    agent_id: str | None = None


class WorktreeRemoveIntended(Event, frozen=True, kw_only=True, tag="worktree_remove_intended"):
    """A worktree and branches are about to be removed."""

    path: str
    branches: tuple[str, ...] = ()


class WorktreeCleaned(Event, frozen=True, kw_only=True, tag="worktree_cleaned"):
    """They are gone."""

    intent: int
    path: str
    branches: tuple[str, ...] = ()


# -- merges --------------------------------------------------------------------------------------------------------
class MergeEvent(Event, frozen=True, kw_only=True):
    """What all events of a merge carry; ``item_id`` and ``agent_id`` are absent for the final one."""

    what: Literal["agent", "final"]
    target_branch: str
    item_id: str | None = None
    agent_id: str | None = None


class MergeIntended(MergeEvent, frozen=True, kw_only=True, tag="merge_intended"):
    """A branch is about to move."""

    source: str
    expected_old: str


class WorktreeMerged(MergeEvent, frozen=True, kw_only=True, tag="worktree_merged"):
    """The branch moved and contains the source, verified."""

    intent: int
    old: str
    new: str
    strategy: Literal["merge-tree", "fast-forward", "git", "nothing", "already", "claude"]
    """``nothing``: there was nothing to merge; ``already``: somebody had merged it before, such as a ``merge`` step."""


class MergeConflicted(MergeEvent, frozen=True, kw_only=True, tag="merge_conflicted"):
    """The source and the target changed the same places."""

    intent: int
    paths: tuple[str, ...]
    policy: Literal["claude", "rerun", "dlq"] | None = None
    """What the workflow wants done about it."""


class MergeFailed(MergeEvent, frozen=True, kw_only=True, tag="merge_failed"):
    """The merge was refused, or git could not do it, for a reason other than a conflict."""

    intent: int
    message: str
    error_class: ErrorClass = field(name="class", default="worktree-error")


class ConflictForeseen(AttemptEvent, frozen=True, kw_only=True, tag="conflict_foreseen"):
    """What an agent has committed so far could not be merged into ``onto``; without paths: by now it could be again."""

    source: str
    onto: str
    target_branch: str
    paths: tuple[str, ...] = ()


class ConflictResolutionStarted(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolution_started"):
    """Claude is about to resolve a conflict, in a worktree of its own."""

    source: str
    onto: str
    """The tip that ``source`` collides with."""
    paths: tuple[str, ...]


class ConflictResolved(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolved"):
    """It did, and the result was checked: ``commit`` merges ``source`` into ``onto``. No branch has moved yet."""

    source: str
    onto: str
    commit: str


class ConflictResolutionFailed(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolution_failed"):
    """It did not, or its result was refused."""

    error: Failure
    rescue_ref: str | None = None
    """Where what it left is kept."""


class MergePrompted(Event, frozen=True, kw_only=True, tag="merge_prompted"):
    """The final merge was asked about, or answered ahead."""

    target: str
    answer: Literal["yes", "no", "eof", "no-tty", "flag-yes", "flag-no"]


# -- dead letters --------------------------------------------------------------------------------------------------
class DlqItemAdded(Event, frozen=True, kw_only=True, tag="dlq_item_added"):
    """An item failed for good; ``history`` holds every attempt, oldest first."""

    item_id: str
    index: int
    item: Any
    error_signature: str
    history: tuple[Attempt, ...]
    reprocess_eligible: bool = True
    manual_review_required: bool = False


class DlqItemRemoved(Event, frozen=True, kw_only=True, tag="dlq_item_removed"):
    """An item left the queue."""

    item_id: str
    reason: Literal["retried", "purged", "cleared"]


class DlqItemUpdated(Event, frozen=True, kw_only=True, tag="dlq_item_updated"):
    """An item of the queue was tried again and failed for good again; ``history`` holds the attempts that are new."""

    item_id: str
    error_signature: str
    failure_count: int
    """How many attempts failed in all."""
    history: tuple[Attempt, ...]
    reprocess_eligible: bool = True
    manual_review_required: bool = False


class DlqItemsEvicted(Event, frozen=True, kw_only=True, tag="dlq_items_evicted"):
    """Somebody took ``count`` items out of the queue without trying them again."""

    count: int
    criterion: str


class DlqRetryStarted(Event, frozen=True, kw_only=True, tag="dlq_retry_started"):
    """A run that had ended goes on with items of its queue; whatever it needs for that is here.

    ``branch_number`` counts the branches that the session has had: 0 is its first one, the others are made when the
    one before them was merged or removed. ``base_commit`` is what the items start from.
    """

    item_ids: tuple[str, ...]
    base_commit: str
    branch_number: int = 0
    max_parallel: int = 1
    attempts: int | None = None
    """At each item; ``None``: as the workflow says."""
    alike: int | None = None
    """After how many items in a row that fail alike nothing is started any more; ``None``: never."""
    filter: str | None = None
    reduce: bool = False
    """Whether ``reduce`` runs again afterwards."""
    auto_merge: bool = False
    model: str | None = None
    backend: Backend | None = None
    template_sha256: str | None = None
    workflow_sha256: str | None = None
    """Of the workflow that takes the place of the one before, if one does."""
    budget: Caps | None = None
    """What the job may use from now on, where that is said anew."""
    steps: dict[Phase, int] = {}
    """How many steps each phase of the workflow that takes the place of the one before has; of map, those of each agent."""


class DlqItemsReprocessed(Event, frozen=True, kw_only=True, tag="dlq_items_reprocessed"):
    """The items of a retry came to their ends; those that are counted in neither way were not started."""

    count: int
    succeeded: int
    failed: int


# -- the supervision tree ------------------------------------------------------------------------------------------
class ChildDown(Event, frozen=True, kw_only=True, tag="child_down"):
    """An actor ended other than by order."""

    child: str
    reason: str


class ChildRestarted(Event, frozen=True, kw_only=True, tag="child_restarted"):
    """A supervisor started an actor again."""

    child: str
    restarts: int


class Escalated(Event, frozen=True, kw_only=True, tag="escalated"):
    """A supervisor gave up: a child went down once more than it may, which ends what is around it."""

    supervisor: str
    child: str
    reason: str


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker_started"):
    """A worker process is ready."""

    worker: int
    pid: int


class WorkerLost(Event, frozen=True, kw_only=True, tag="worker_lost"):
    """A worker process died; what ran in it is handed back."""

    worker: int
    pid: int
    reason: str
    agents: tuple[str, ...] = ()


AnyEvent = (
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
    | PhaseStarted
    | PhaseCompleted
    | PhaseFailed
    | PhaseSkipped
    | IterationStarted
    | IterationCompleted
    | ItemSelected
    | ItemsSelected
    | ItemSkipped
    | MapHalted
    | CircuitOpened
    | CircuitClosed
    | AgentStarted
    | AgentCompleted
    | AgentFailed
    | AgentInterrupted
    | AgentRetrying
    | StepIntended
    | StepSpawned
    | StepDetached
    | ClaudeIntended
    | ClaudeAnswered
    | ClaudeParked
    | ClaudeCutOff
    | QuotaBlocked
    | QuotaCleared
    | ParallelismChanged
    | BudgetSet
    | BudgetWarned
    | BudgetExhausted
    | StepCompleted
    | StepFailed
    | WorkRewound
    | StepSkipped
    | StepRetrying
    | StepWarned
    | HandlerStarted
    | HandlerCompleted
    | LimitExceeded
    | ValidationScored
    | GoalSeekAttempted
    | CommitCreated
    | WorktreeCreateIntended
    | WorktreeCreated
    | WorktreeCreateFailed
    | WorktreeLeased
    | WorktreeReleased
    | WorktreeRescued
    | SharedStateChanged
    | WorktreeRemoveIntended
    | WorktreeCleaned
    | MergeIntended
    | WorktreeMerged
    | MergeConflicted
    | MergeFailed
    | ConflictResolutionStarted
    | ConflictResolved
    | ConflictResolutionFailed
    | MergePrompted
    | DlqItemAdded
    | DlqItemUpdated
    | DlqItemRemoved
    | DlqItemsEvicted
    | DlqRetryStarted
    | DlqItemsReprocessed
    | ChildDown
    | ChildRestarted
    | Escalated
    | WorkerStarted
    | WorkerLost
    | ConflictForeseen
    | WritingRefused
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
