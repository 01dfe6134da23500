"""The vocabulary of the language: every key, its spellings, and whether this release acts on it.

Pure data. The one place that knows other spellings than the canonical ones: readers of a file ask a
``Vocabulary`` and see canonical names only. A key is *acting*, *later* (legal, refused until it works in full) or
*inert* (accepted without effect, with a warning).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct


class Standing(Enum):
    """What this release does with a key."""

    ACTING = "acting"
    LATER = "later"
    INERT = "inert"


class Key(Struct, frozen=True):
    """One key: canonical name, equal spellings, and spellings that still work but warn."""

    name: str
    also: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    standing: Standing = Standing.ACTING
    hint: str | None = None


class Spelling(Struct, frozen=True):
    """A text that names a key."""

    key: Key
    deprecated: bool = False


class Vocabulary(Struct, frozen=True):
    """The keys of one kind of mapping.

    ``title`` names it in messages (``unknown key `x` in `map```), ``home`` says where such keys belong.
    """

    title: str
    home: str
    spellings: Mapping[str, Spelling]

    def names(self) -> list[str]:
        """Every text that may be written, canonical names first."""
        return sorted(self.spellings, key=lambda text: self.spellings[text].key.name != text)


def vocabulary(title: str, home: str, *groups: tuple[Key, ...]) -> Vocabulary:
    """A vocabulary of keys; where a name is given twice the first one counts."""
    spellings: dict[str, Spelling] = {}
    for key in (key for group in groups for key in group):
        for text in (key.name, *key.also):
            spellings.setdefault(text, Spelling(key))
        for text in key.old:
            spellings.setdefault(text, Spelling(key, deprecated=True))
    return Vocabulary(title, home, spellings)


def _acting(*names: str) -> tuple[Key, ...]:
    return tuple(Key(name) for name in names)


def _later(*names: str) -> tuple[Key, ...]:
    """Keys of coming releases; ``new=other=another`` gives further spellings of ``new``."""
    spelled = (name.split("=") for name in names)
    return tuple(Key(name, tuple(others), standing=Standing.LATER) for name, *others in spelled)


def _inert(name: str, hint: str) -> Key:
    return Key(name, standing=Standing.INERT, hint=hint)


_POLICY: Final = _later(
    "error_policy", "on_item_failure", "continue_on_failure", "max_failures", "failure_threshold",
    "error_collection", "circuit_breaker",
)  # fmt: skip

WORKFLOW: Final = vocabulary(
    "the workflow",
    "at the top level",
    _acting("name", "description", "version", "author", "tags", "mode"),
    (Key("commands", also=("steps",), old=("tasks", "workflow")),),
    _acting("setup", "map", "reduce", "timeout", "grace", "auto_commit"),
    _later(
        "goals", "merge", "env=workflow_env", "secrets", "env_files", "profiles", "active_profile", "inherit",
        "retry_defaults=retry_config=retry", "idle_timeout", "commit_config", "on_conflict", "worktree", "limits",
        "budget", "max_concurrent_starts", "max_capture", "claude_options", "model", "imports", "extends",
        "template", "templates", "parameters", "defaults=variables", "workflows=sub_workflows", "override",
        "verify", "shell_program", "on_failure", "on_success",
    ),
    _POLICY,
    (
        Key("map.max_parallel", old=("max_parallel", "parallel")),
        _inert("max_iterations", "use `prodigy run -n N`"),
        _inert("agent_merge", "agents are merged by Prodigy"),
    ),
)  # fmt: skip

SETUP: Final = vocabulary(
    "`setup`",
    "under `setup:`",
    (Key("commands", also=("steps",)),),
    _acting("timeout", "auto_commit"),
    _later("capture_outputs", "env"),
)

REDUCE: Final = vocabulary(
    "`reduce`", "under `reduce:`", (Key("commands", also=("steps",)),), _acting("timeout")
)

AGENT_TEMPLATE: Final = vocabulary(
    "`agent_template`",
    "under `agent_template:`",
    (Key("commands", also=("steps",)),),
    _acting("auto_commit"),
    _later("timeout", "env"),
)

MAP: Final = vocabulary(
    "`map`",
    "under `map:`",
    _acting("input", "json_path", "max_parallel"),
    (Key("max_items", old=("limit",)),),
    _acting("offset", "item_id", "input_timeout"),
    (Key("agent_timeout_secs", also=("agent_timeout",), old=("timeout_per_agent",)),),
    _acting("agent_template"),
    _later(
        "filter", "sort_by", "distinct", "timeout_config", "base", "on_conflict", "limits", "env",
        "claude_options", "retry=retry_on_failure", "variables", "validation",
    ),
    _POLICY,
)  # fmt: skip

INPUT: Final = vocabulary("`map.input`", "under `input:`", _acting("list", "file", "command"))

_REPAIR: Final = (*_acting("fail_workflow", "retry_original"), Key("max_attempts"))

_STEP_OPTIONS: Final = (
    *_acting("id", "name", "description"),
    Key("timeout", old=("timeout_secs",)),
    *_acting("commit_required", "auto_commit", "on_failure"),
    Key("continue_on_error", also=("ignore_failure",), old=("allow_failure",)),
    *_later(
        "when=condition=if", "idle_timeout", "grace", "limits", "retry=retry_config=retries", "env", "clear_env",
        "working_dir=cwd", "capture", "capture_output", "capture_format", "capture_streams", "output_file",
        "commit_config", "on_success", "on_exit_code", "step_validate", "skip_validation", "validation_timeout",
        "ignore_validation_failure", "outputs", "claude_options", "model", "max_turns", "allowed_tools",
        "disallowed_tools", "append_system_prompt", "permission_mode", "json_schema", "effort", "detach",
        "interpolate", "shell_program", "with", "args", "options", "metadata", "output",
    ),
    _inert("temporary", "the environment of a step is always temporary"),
    _inert("analysis", "analysis is not part of a step"),
)  # fmt: skip

ACTIONS: Final = (
    *_acting("shell"),
    *_later(
        "claude", "test", "foreach", "goal_seek", "write_file", "validate", "analyze", "command", "handler",
        "template=use",
    ),
)  # fmt: skip
"""What a step does; a step has exactly one (``validate`` beside another is an option of it)."""

STEP: Final = vocabulary("a step", "in a step", ACTIONS, _STEP_OPTIONS, _REPAIR)

FOREACH_OPTIONS: Final = frozenset({"do", "parallel", "max_items", "filter", "sort_by", "json_path"})
"""Keys that may stand beside ``foreach``; refused together with it."""

HANDLER: Final = vocabulary(
    "`on_failure`",
    "under `on_failure:`",
    (Key("commands", also=("steps",)), Key("max_attempts", old=("max_retries",))),
    _acting("fail_workflow", "retry_original"),
    _later("strategy", "handler_failure_fatal", "capture"),
    ACTIONS,
    _STEP_OPTIONS,
)

HANDLER_OPTIONS: Final = frozenset({"max_attempts", "fail_workflow", "retry_original", "timeout"})
"""Keys of ``on_failure`` that speak of its rounds; all others speak of the handler's own step."""

NEIGHBOURS: Final = {
    "the workflow": (MAP, SETUP, STEP),
    "`map`": (WORKFLOW, INPUT, AGENT_TEMPLATE, STEP),
    "`setup`": (WORKFLOW, STEP),
    "`reduce`": (WORKFLOW, STEP),
    "`agent_template`": (MAP, STEP),
    "`map.input`": (MAP,),
    "a step": (HANDLER, MAP, WORKFLOW),
    "`on_failure`": (STEP, MAP, WORKFLOW),
}
"""Where a key may belong that is unknown where it stands."""

SETTINGS: Final = frozenset({
    "storage", "plugins", "log_level", "claude_api_key", "auto_merge", "retention", "max_concurrent_specs",
    "default_editor", "worktrees", "telemetry",
})  # fmt: skip
"""Keys of the tool's own settings file, often met in workflow files by mistake."""

MODES: Final = {
    "mapreduce": "mapreduce", "sequential": "sequential", "standard": "sequential", "workflow": "sequential",
}  # fmt: skip
