"""Every key of the configuration: what it takes, what holds without it, and what it becomes.

Pure data. A key *acts*, or is *later* (refused until its feature is there), or is *inert* (read, and said to do nothing).
Many keys are defaults of keys of a workflow: ``workflow`` says which, as a path of keys.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from prodigy.workflow.vocabulary import Standing

Kind = Literal[
    "text", "texts", "flag", "count", "whole", "usd", "seconds", "limit", "size", "share", "choice"
]
"""``count`` is a whole number above zero, ``whole`` one from zero on; ``limit`` is a time above zero, or ``none``."""


MAX_PARALLEL: Final = ("map", "max_parallel")
_DAY: Final = 86_400.0
"""Seconds."""


class Setting(Struct, frozen=True, kw_only=True):
    """One key."""

    name: str
    """With dots, as in ``claude.model``."""
    kind: Kind = "text"
    default: Any = None
    """What holds without it; ``None``: nothing, or what somebody else decides."""
    also: tuple[str, ...] = ()
    """Other names of the same setting."""
    words: tuple[str, ...] = ()
    """Of a ``choice``."""
    workflow: tuple[str, ...] = ()
    standing: Standing = Standing.ACTING
    hint: str | None = None
    about: str = ""
    """One line for people."""


def _later(*names: str) -> tuple[Setting, ...]:
    return tuple(Setting(name=name, standing=Standing.LATER) for name in names)


def _inert(**hints: str) -> tuple[Setting, ...]:
    return tuple(
        Setting(name=name.replace("__", "."), standing=Standing.INERT, hint=hint)
        for name, hint in hints.items()
    )


def _limit(name: str, kind: Kind, about: str) -> Setting:
    return Setting(name=f"limits.{name}", kind=kind, workflow=("limits", name), about=about)


def _retention(kind: str, default: float | None) -> Setting:
    about = f"how long `clean` lets {kind} stay"
    return Setting(name=f"retention.{kind}", kind="limit", default=default, about=about)


def _budget(name: str, kind: Kind, about: str, default: Any = None) -> Setting:
    return Setting(name=f"budget.{name}", kind=kind, default=default, workflow=("budget", name), about=about)


_CLAUDE: Final = (
    Setting(name="claude.command", kind="texts", default=("claude",), about="the program, with its first arguments"),
    Setting(name="claude.model", workflow=("claude_options", "model"), about="of steps that name none"),
    Setting(name="claude.fallback_model", workflow=("claude_options", "fallback_model"), about="when that is overloaded"),
    Setting(
        name="claude.permission_mode",
        default="bypass",
        workflow=("claude_options", "permission_mode"),
        about="bypass asks nobody",
    ),
    Setting(
        name="claude.max_turns", kind="count", workflow=("claude_options", "max_turns"), about="of one launch"
    ),
    Setting(
        name="claude.extra_args",
        kind="texts",
        workflow=("claude_options", "extra_args"),
        about="further arguments of every launch",
    ),
    Setting(name="claude.streaming", kind="flag", default=True, about="whether events come as they happen"),
    Setting(
        name="claude.idle_timeout",
        kind="limit",
        default=1800.0,
        workflow=("idle_timeout",),
        about="how long Claude may say nothing",
    ),
    Setting(name="claude.linger", kind="seconds", default=60.0, about="how long it may stay after its result"),
    Setting(name="claude.cli_retries", kind="whole", default=2, about="of requests that failed, by the CLI itself"),
    Setting(
        name="claude.background_tasks", kind="flag", default=False, about="whether tools may go on after the result"
    ),
)  # fmt: skip

SETTINGS: Final = (
    Setting(
        name="auto_commit",
        kind="flag",
        default=True,
        workflow=("auto_commit",),
        about="commit what steps leave",
    ),
    *_CLAUDE,
    Setting(
        name="worktree.max_parallel",
        kind="count",
        default=10,
        workflow=MAX_PARALLEL,
        about="agents at a time, where the workflow does not say it",
    ),
    Setting(
        name="merge.on_conflict",
        kind="choice",
        words=("claude", "rerun", "dlq"),
        workflow=("on_conflict",),
        about="what becomes of work that conflicts",
    ),
    Setting(
        name="merge.timeout",
        also=("timeouts.merge",),
        kind="limit",
        default=600.0,
        about="the final merge, and the steps of `merge` where they do not say it",
    ),
    Setting(
        name="retry.default_attempts", kind="count", default=3, about="in a `retry` that does not say how many"
    ),
    Setting(
        name="retry.default_backoff",
        kind="choice",
        default="exponential",
        words=("fixed", "linear", "exponential", "fibonacci"),
        about="in a `retry` that does not say it",
    ),
    Setting(
        name="timeouts.step", kind="limit", about="a command or a Claude step that does not say it itself"
    ),
    Setting(
        name="timeouts.phase",
        kind="limit",
        about="setup, map, reduce, or the steps of a plain workflow, where they do not say it",
    ),
    Setting(name="timeouts.workflow", kind="limit", workflow=("timeout",), about="a whole run"),
    Setting(
        name="timeouts.agent",
        kind="limit",
        workflow=("map", "agent_timeout_secs"),
        about="one attempt at an item",
    ),
    _limit("memory", "size", "of a step, and of an agent"),
    _limit("cpu_time", "limit", "of a step, and of an agent"),
    _limit("wall", "limit", "of a step, and of an agent"),
    _limit("processes", "count", "of a step, and of an agent"),
    _limit("output", "size", "of a step"),
    _limit("open_files", "count", "of a process"),
    Setting(
        name="limits.max_capture",
        kind="size",
        default=10 * 1024 * 1024,
        workflow=("max_capture",),
        about="bytes that a capture may hold",
    ),
    Setting(
        name="limits.grace",
        kind="seconds",
        default=5.0,
        workflow=("grace",),
        about="between asking a process to end and ending it",
    ),
    Setting(
        name="workers.count", kind="count", about="worker processes; one for each processor unless given"
    ),
    Setting(
        name="governor.max_concurrent_starts",
        kind="count",
        default=4,
        workflow=("max_concurrent_starts",),
        about="launches of Claude that may be starting at a time",
    ),
    Setting(
        name="governor.quota_wait_max",
        kind="limit",
        default=21600.0,
        about="an API that turns Claude away; then the run rests",
    ),
    _budget("usd", "usd", "US dollars of a run"),
    _budget("tokens", "size", "of a run"),
    _budget("wall", "limit", "of a run"),
    _budget("launches", "count", "of a run"),
    _budget("soft", "share", "from which part of a bound on nothing more is started", 0.9),
    Setting(name="dlq.retry_parallel", kind="count", default=5, about="agents at a time in `dlq retry`"),
    Setting(
        name="dlq.circuit",
        kind="count",
        default=5,
        about="so many items that fail alike, one after the other, stop `dlq retry`",
    ),
    _retention("worktrees", 7 * _DAY),
    _retention("logs", 30 * _DAY),
    _retention("events", 90 * _DAY),
    _retention("state", 90 * _DAY),
    _retention("sessions", 90 * _DAY),
    _retention("dlq", None),
    _retention("rescue", None),
    _retention("archive", 365 * _DAY),
    Setting(
        name="ui.progress",
        kind="choice",
        default="auto",
        words=("auto", "live", "plain", "none"),
        about="how a run shows where it stands",
    ),
    *_later(
        "log_level", "project.name", "project.description", "project.version", "project.spec_dir",
        "project.variables", "claude.env", "claude.api_key_env", "claude_api_key", "worktree.path",
        "worktree.cleanup_policy", "host.min_free_memory", "host.min_free_disk",
        "workers.recycle_after", "governor.min_parallel", "governor.adaptive",
        "storage.local", "git.author_name", "git.author_email", "git.force_cli", "ui.color",
        "ui.unicode", "ui.times", "templates.dir",
    ),
    *_inert(
        max_concurrent_specs="use `worktree.max_parallel`",
        default_editor="nobody is ever asked to edit",
        plugins="there are none; see `--backend`",
        claude__max_tokens="use `budget.tokens`",
        storage__backend="journals are files",
        storage__base_path="use the variable `PRODIGY_HOME`",
        storage__compression_level="journals are not compressed",
        storage__events_dir="use the variable `PRODIGY_HOME`",
        storage__state_dir="use the variable `PRODIGY_HOME`",
        prodigy_home="use the variable `PRODIGY_HOME`",
    ),
)  # fmt: skip

BY_NAME: Final[Mapping[str, Setting]] = {
    name: setting for setting in SETTINGS for name in (setting.name, *setting.also)
}
"""All settings, by each of their names."""
SECTIONS: Final = frozenset(
    ".".join(parts[:depth])
    for parts in (name.split(".") for name in BY_NAME)
    for depth in range(1, len(parts))
)
"""Names of the mappings that keys stand in."""
