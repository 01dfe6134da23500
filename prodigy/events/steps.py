"""Steps, their handlers, and the commits they make."""

from typing import Any, Literal

from msgspec import field

from prodigy.events.parts import Captured, ClaudeUse, Event, Failure, Phase, Stream


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


class StepEnded(StepEvent, frozen=True, kw_only=True):
    """What is known of a leaf once it ended, either way."""

    intent: int
    kind: str
    duration_ms: int
    stdout: Stream = Stream()
    stderr: Stream = Stream()
    head_before: str | None = None
    head_after: str | None = None
    dirty: bool = False
    """Whether the worktree held uncommitted changes afterwards, so that a commit leaf follows."""
    value: Any = None
    """What the action itself says, e.g. a score."""
    captures: dict[str, Captured] = {}
    claude: ClaudeUse | None = None


class StepCompleted(StepEnded, frozen=True, kw_only=True, tag="step_completed"):
    """The leaf succeeded; everything a resumed interpreter needs of it is here."""

    exit_code: int = 0
    outputs: dict[str, str] = {}
    """Files found by ``outputs``, by name."""


class StepFailed(StepEnded, frozen=True, kw_only=True, tag="step_failed"):
    """The leaf failed."""

    error: Failure


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


AnyStepEvent = (
    StepIntended
    | StepSpawned
    | StepDetached
    | StepCompleted
    | StepFailed
    | WorkRewound
    | StepSkipped
    | StepRetrying
    | StepWarned
    | GoalSeekAttempted
    | HandlerStarted
    | HandlerCompleted
    | LimitExceeded
    | ValidationScored
    | CommitCreated
)
