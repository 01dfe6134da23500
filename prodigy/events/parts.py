"""What records of the journal are made of."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

Phase = Literal["steps", "setup", "map", "reduce", "on_success", "on_failure", "merge", "verify", "resolve"]


ErrorClass = Literal[
    "command-failed",
    "bad-input",
    "input-not-found",
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


class ClaudeAmount(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """US dollars, and tokens of each kind."""

    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0


class ClaudeTally(ClaudeAmount, frozen=True, kw_only=True, omit_defaults=True):
    """An amount of use, and what of it is whose."""

    by_model: dict[str, ClaudeAmount] = {}
    """Of the models that it is known of; the rest is that of the launch's own model."""


class ClaudeUse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one launch of Claude was and used; kept of launches that failed too."""

    session_id: str
    json_log_location: str | None = None
    """The CLI's own session file."""
    model: str | None = None
    """The one that cost most."""
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
    by_model: dict[str, ClaudeAmount] = {}
    """What of it each model used, of those of which that is known; the rest is that of ``model``."""
    estimated: bool = False
    """Whether cost and tokens are what its own log adds up to, because it could not give an account of its end."""


class ClaudeMeter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the CLI's own record of a conversation says at a moment between two launches.

    The CLI goes on adding to the sum that it wrote last, in which a launch that was killed is not contained.
    """

    summed: ClaudeTally = ClaudeTally()
    """That sum."""
    told: ClaudeTally = ClaudeTally()
    """All replies, at list prices."""
    replies: int = 0


Refusal = Literal["login", "credit", "model", "version", "root", "missing"]
"""Why no launch of Claude would come to anything: nobody is logged in, the account is empty, there is no such model, the
program is too old for what is asked of it, it does not work for root, it is not there."""
PauseReason = Literal["signal", "storage", "disk", "memory", "budget", "quota", "claude"]
"""Why a run came to rest before its end; ``claude``: no launch of it would come to anything."""
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


class Backend(Struct, frozen=True, kw_only=True):
    """What ``claude:`` steps run, by name; ``settings`` are plain JSON values that it is made with."""

    name: str = "claude"
    settings: dict[str, Any] = {}
