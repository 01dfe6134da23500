"""Every key of the configuration: what it takes, what holds without it, and what it becomes.

Pure data. A key *acts*, or is *later* (refused until its feature is there), or is *inert* (read, and said to do nothing).
Many keys are defaults of keys of a workflow: ``workflow`` says which, as a path of keys.
"""

from collections.abc import Mapping
from typing import Any, Final

from prodigy.configuration.setting import Kind, Setting
from prodigy.workflow.standards import LIMITS
from prodigy.workflow.vocabulary import Standing

MAX_PARALLEL: Final = ("map", "max_parallel")
_DAY: Final = 86_400.0
"""Seconds."""
_MIB: Final = 1024 * 1024


def _later(**hints: str) -> tuple[Setting, ...]:
    return tuple(
        Setting(name=name.replace("__", "."), standing=Standing.LATER, hint=hint)
        for name, hint in hints.items()
    )


def _inert(**hints: str) -> tuple[Setting, ...]:
    return tuple(
        Setting(name=name.replace("__", "."), standing=Standing.INERT, hint=hint)
        for name, hint in hints.items()
    )


def _limit(name: str, kind: Kind, about: str) -> Setting:
    default = getattr(LIMITS, name)
    return Setting(name=f"limits.{name}", kind=kind, default=default, workflow=("limits", name), about=about)


def _retention(kind: str, default: float | None) -> Setting:
    about = f"how long `clean` lets {kind} stay"
    return Setting(name=f"retention.{kind}", kind="limit", default=default, anew=True, about=about)


def _budget(name: str, kind: Kind, about: str, default: Any = None) -> Setting:
    return Setting(name=f"budget.{name}", kind=kind, default=default, workflow=("budget", name), about=about)


def _ui(name: str, about: str, *words: str) -> Setting:
    return Setting(name=f"ui.{name}", kind="choice", default=words[0], words=words, anew=True, about=about)


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
    Setting(name="claude.env", kind="env", anew=True, about="variables of Claude alone, over those that it inherits"),
    Setting(name="claude.api_key_env", anew=True, about="the variable that holds Claude's API key"),
    Setting(name="claude.streaming", kind="flag", default=True, anew=True, about="whether events come as they happen"),
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
        name="log_level",
        kind="choice",
        default="warn",
        words=("error", "warn", "info", "debug", "trace"),
        anew=True,
        about="how much is said; `-q` and `-v` say it for one command",
    ),
    Setting(name="claude_api_key", anew=True, about="the key itself; better kept in a variable"),
    *(
        Setting(name=f"project.{name}", workflow=("defaults", "project", name), about=f"`${{project.{name}}}` in workflows")
        for name in ("name", "description", "version", "spec_dir")
    ),
    Setting(
        name="project.variables",
        kind="names",
        workflow=("defaults",),
        about="variables of every workflow, which whatever it says itself replaces",
    ),
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
        name="worktree.cleanup_policy.idle_timeout",
        kind="limit",
        default=300.0,
        anew=True,
        about="how long a worktree of agents stays while none of them needs it",
    ),
    Setting(
        name="worktree.cleanup_policy.max_age",
        kind="limit",
        anew=True,
        about="how long `clean` lets worktrees stay, where `retention.worktrees` does not say it",
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
    _limit("processes", "count", "at the same time, of a step, and of an agent"),
    _limit("output", "size", "of a step, and of an agent"),
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
        name="host.min_free_memory", kind="size", default=512 * _MIB, anew=True, about="below that no agent is started"
    ),
    Setting(
        name="host.min_free_disk", kind="size", default=2048 * _MIB, anew=True, about="below that no agent is started"
    ),
    Setting(
        name="host.wait_max",
        kind="limit",
        default=21600.0,
        anew=True,
        about="a machine that has no room for another agent; then the run rests",
    ),
    Setting(
        name="workers.count", kind="count", anew=True, about="worker processes; one for each processor unless given"
    ),
    Setting(
        name="workers.recycle_after",
        kind="count",
        default=500,
        anew=True,
        about="agents that a worker runs before another one takes its place",
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
        anew=True,
        about="an API that turns Claude away; then the run rests",
    ),
    Setting(
        name="governor.adaptive",
        kind="flag",
        default=True,
        anew=True,
        about="after a block, whether launches come back a few at first and more with each answer, or all at once",
    ),
    Setting(
        name="governor.min_parallel",
        kind="count",
        default=1,
        anew=True,
        about="launches that there may be at a time even then",
    ),
    _budget("usd", "usd", "US dollars of a run"),
    _budget("tokens", "size", "of a run"),
    _budget("wall", "limit", "of a run"),
    _budget("launches", "count", "of a run"),
    _budget("soft", "share", "from which part of a bound on nothing more is started", 0.9),
    Setting(
        name="dlq.retry_parallel", kind="count", default=5, anew=True, about="agents at a time in `dlq retry`"
    ),
    Setting(
        name="dlq.circuit",
        kind="count",
        default=5,
        anew=True,
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
    Setting(name="git.author_name", about="of the commits of a run, instead of git's own"),
    Setting(name="git.author_email", about="of the commits of a run, instead of git's own"),
    Setting(name="git.force_cli", kind="flag", default=False, about="whether git itself makes every merge"),
    _ui("color", "colour of what is printed", "auto", "always", "never"),
    _ui("progress", "how a run shows where it stands", "auto", "live", "plain", "none"),
    _ui("unicode", "signs beyond ASCII", "auto", "always", "never"),
    _ui("times", "on whose clock times are shown", "local", "utc"),
    Setting(
        name="storage.local",
        kind="flag",
        default=False,
        anew=True,
        about="whether runs are kept in the folder `.prodigy` of the project instead of the home folder",
    ),
    *_later(
        worktree__path="worktrees lie under the home folder: set `PRODIGY_HOME`",
        templates__dir="there is no store of templates: a workflow names the file of one",
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
