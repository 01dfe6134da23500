"""What the coordinator and an agent's process say to each other.

Everything an agent needs crosses in one ``AgentTask``; what it does comes back as step events, one by one; how it
ended comes back as an ``AgentResult``. Nothing here assumes a shared disk beyond the worktree and its git objects.
"""

from typing import Any
from uuid import UUID

from msgspec import Struct, field

from prodigy.events import (
    Backend,
    ClaudeAnswered,
    ClaudeIntended,
    ClaudeParked,
    ClaudeUse,
    CommitCreated,
    Failure,
    GoalSeekAttempted,
    HandlerCompleted,
    HandlerStarted,
    LimitExceeded,
    Phase,
    StepCompleted,
    StepDetached,
    StepFailed,
    StepIntended,
    StepRetrying,
    StepSkipped,
    StepSpawned,
    StepWarned,
    ValidationScored,
)
from prodigy.git.traces import Basis, Residue
from prodigy.workflow.model import EnvVar, Limits, Step
from supervisors import JobProtocol

Outcome = StepCompleted | StepFailed
AgentEvent = (
    StepIntended
    | ClaudeIntended
    | ClaudeAnswered
    | ClaudeParked
    | StepSpawned
    | StepDetached
    | StepCompleted
    | StepFailed
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


INPUT = "input."
"""The prefix of the step that prints the items of a map phase."""
SETUP = "worktree."
"""The prefix of the steps that set up a fresh worktree."""


class AgentTask(Struct, frozen=True, kw_only=True):
    """The work of one agent: the steps of one attempt at one item, or of one phase.

    ``variables`` holds the roots of the variable tables (``item``, ``map``, ``workflow`` …) as plain JSON values.
    ``environment`` is the children's whole environment but for what changes from step to step. ``outcomes`` are the
    leaves already recorded for this attempt, keyed ``path/try``: they are not acted out again. ``secrets`` are names of
    variables of these two whose values must never be recorded. ``limits`` hold for the whole attempt, beside those
    of each step.
    """

    job_id: str
    workflow_name: str
    phase: Phase
    worktree: str
    head: str
    """The commit that the worktree stands on."""
    steps: tuple[Step, ...]
    logs: str
    correlation_id: UUID
    base_commit: str
    """What the agent's result must descend from."""
    base_tree: str | None = None
    """The tree of that commit, if whoever gives the task can compare trees without a process."""
    common_dir: str | None = None
    """The folder that the worktree shares with all others of its repository."""
    basis: Basis | None = None
    """What was kept of the worktree when it held ``base_commit`` and nothing else, if nobody has worked there since."""
    item_id: str | None = None
    item_text: str | None = None
    agent_id: str | None = None
    attempt: int = 1
    grace: float = 5.0
    timeout: float | None = None
    prefix: str = ""
    """Put before the steps' paths, e.g. ``input.``."""
    variables: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}
    """Fields of variables that are no mappings themselves, as in ``${NAME.exit_code}``."""
    environment: dict[str, str] = {}
    for_claude: dict[str, str] = {}
    """Variables that Claude steps get besides, and no others."""
    outcomes: dict[str, Outcome] = {}
    conversations: dict[str, ClaudeUse] = {}
    """Conversations with Claude that were cut short, by the leaves that began them, and what they used so far."""
    put_aside: str | None = None
    """The ref of what those left in the worktree, if it was brought back to what is recorded."""
    finished: dict[str, str] = {}
    """Of those whose last launch had succeeded, the log that ends in its result; their work is in the worktree."""
    secrets: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    """Names of variables of ``environment`` that the workflow declares, which texts may use as ``${NAME}``."""
    later: tuple[EnvVar, ...] = ()
    """Variables that are worked out anew for each step, below the step's own."""
    profile: str | None = None
    """Which values of variables count, by name of the profile."""
    limits: Limits | None = None
    max_capture: int = 10 * 1024 * 1024
    """Bytes of one stream that a capture may hold."""
    read_apart: tuple[str, ...] = ()
    """Names of which some text of the workflow reads one output stream alone, as in ``${NAME.stderr}``."""
    waking: bool = False
    """Whether its steps have ended: then only what they left running until the run's end is started again."""
    backend: Backend = Backend()
    """What ``claude:`` steps run."""
    workflow_base: str | None = None
    """The commit that ``${workflow.commits}`` and its like count from; ``base_commit`` if absent."""


class AgentReport(Struct, frozen=True, tag="report"):
    """One event on its way up to the recorder."""

    event: AgentEvent


class Recorded(Struct, frozen=True):
    """The answer to a report: its sequence number; the record is on disk."""

    seq: int
    reserved_usd: float | None = None
    """Of a launch of Claude: what it may cost at most."""


class AgentResult(Struct, frozen=True, kw_only=True):
    """How an agent ended: ``error`` is ``None`` if all its steps succeeded; ``variables`` are its captures, ``fields`` theirs."""

    head: str
    duration_ms: int
    commits: tuple[str, ...] = ()
    files_changed: tuple[str, ...] | None = ()
    """``None``: whoever gave the task compares the trees."""
    output: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: Failure | None = None
    residue: Residue | None = None
    """How the worktree is not as at the beginning, if nobody has worked in it since somebody looked."""


def outcome_key(path: str, try_: int) -> str:
    """The key of a leaf among ``AgentTask.outcomes``."""
    return f"{path}/{try_}"


PROTOCOL: JobProtocol[AgentTask, AgentReport, Recorded, AgentResult] = JobProtocol(
    job=AgentTask, message=AgentReport, answer=Recorded, result=AgentResult
)
"""What travels between the coordinator and its workers."""
