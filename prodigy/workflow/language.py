"""The vocabulary of the language around the steps: every key, its spellings, and whether this release acts on them.

Pure data. One of the places that know other spellings than the canonical ones (steps have theirs): readers of a file
ask a ``Vocabulary`` and see canonical names only.
"""

from typing import Final

from prodigy.workflow.vocabulary import Key, acting, inert, later, vocabulary

_POLICY: Final = acting(
    "on_item_failure", "continue_on_failure", "max_failures", "failure_threshold", "error_collection",
    "circuit_breaker",
)  # fmt: skip
"""What ``error_policy`` says, which may also stand beside it."""

ITEM_POLICY: Final = frozenset(key.name for key in _POLICY) | {"error_policy"}
"""Keys that speak of items, and so have no effect in a workflow without ``map``."""

_ENVIRONMENT: Final = (
    Key("env", old=("workflow_env",)),
    *acting("secrets", "env_files", "profiles", "active_profile", "inherit"),
)

WORKFLOW: Final = vocabulary(
    "the workflow",
    "at the top level",
    acting("name", "description", "version", "author", "tags", "mode"),
    (Key("commands", also=("steps",), old=("tasks", "workflow")),),
    acting("setup", "map", "reduce", "merge", "verify", "on_failure", "on_success"),
    _ENVIRONMENT,
    acting("error_policy"),
    _POLICY,
    (Key("retry_defaults", old=("retry_config", "retry")),),
    acting(
        "timeout", "grace", "idle_timeout", "auto_commit", "commit_config", "on_conflict", "worktree", "limits",
        "budget", "max_concurrent_starts", "max_capture", "claude_options", "model", "shell_program",
    ),
    later("goals"),
    acting("imports", "extends", "template", "templates", "parameters", "workflows=sub_workflows", "override"),
    (
        Key("defaults", old=("variables",)),
        Key("map.max_parallel", old=("max_parallel", "parallel")),
        inert("max_iterations", "use `prodigy run -n N`"),
        inert("agent_merge", "agents are merged by Prodigy"),
    ),
)  # fmt: skip

SETUP: Final = vocabulary(
    "`setup`", "under `setup:`", acting("commands=steps", "timeout", "auto_commit", "capture_outputs", "env")
)

PHASE_OUTPUT: Final = vocabulary(
    "an output of `setup`",
    "under `capture_outputs:`",
    acting("step=command_index", "source", "pattern", "json_path", "format", "max_size", "multiline"),
    (Key("default", nullable=True),),
)

REDUCE: Final = vocabulary("`reduce`", "under `reduce:`", acting("commands=steps", "timeout"))

MERGE: Final = vocabulary("`merge`", "under `merge:`", acting("commands=steps", "timeout", "target"))

AGENT_TEMPLATE: Final = vocabulary(
    "`agent_template`", "under `agent_template:`", acting("commands=steps", "timeout", "env", "auto_commit")
)

MAP: Final = vocabulary(
    "`map`",
    "under `map:`",
    acting("input", "json_path", "filter", "sort_by", "distinct", "offset"),
    (Key("max_items", old=("limit",)),),
    acting("max_parallel", "agent_template", "item_id", "input_timeout"),
    (Key("agent_timeout_secs", also=("agent_timeout",), old=("timeout_per_agent",)),),
    acting("timeout_config", "base", "on_conflict", "limits", "env", "claude_options", "validation"),
    acting("error_policy"),
    _POLICY,
    acting("retry", "retry_on_failure"),
    acting("variables"),
)

AGGREGATE: Final = vocabulary(
    "a variable of `map.variables`",
    "under `variables:`",
    acting("type", "value", "where", "by", "initial"),
)

INPUT: Final = vocabulary("`map.input`", "under `input:`", acting("list", "file", "command"))

VALIDATION: Final = vocabulary("`map.validation`", "under `validation:`", acting("schema", "on_failure"))

ITEM_SCHEMA: Final = vocabulary(
    "`map.validation.schema`", "under `schema:`", acting("required_fields", "field_types")
)

ERROR_POLICY: Final = vocabulary(
    "`error_policy`", "under `error_policy:`", _POLICY, acting("retry_config=retry")
)

CIRCUIT_BREAKER: Final = vocabulary(
    "`circuit_breaker`",
    "under `circuit_breaker:`",
    acting("failure_threshold", "success_threshold", "half_open_requests"),
    (Key("timeout", also=("recovery_timeout",), old=("timeout_ms", "recovery_timeout_ms")),),
)

ERROR_COLLECTION: Final = vocabulary(
    "`error_collection`", "under `error_collection:`", acting("batched"), words=True
)

BATCH: Final = vocabulary("`batched`", "under `batched:`", acting("size"))

ON_ITEM_FAILURE: Final = vocabulary(
    "`on_item_failure`", "under `on_item_failure:`", acting("custom"), words=True
)

TIMEOUT_CONFIG: Final = vocabulary(
    "`timeout_config`",
    "under `timeout_config:`",
    acting(
        "agent_timeout_secs=agent_timeout", "command_timeouts", "timeout_policy", "cleanup_grace_period_secs",
        "timeout_action", "enable_monitoring",
    ),
)  # fmt: skip

TIMED_KINDS: Final = (
    "shell", "claude", "test", "foreach", "goal_seek", "write_file", "validate", "analyze", "workflow",
)  # fmt: skip
"""Kinds of steps that ``command_timeouts`` may speak of."""

LIMITS: Final = vocabulary(
    "`limits`", "under `limits:`", acting("memory", "cpu_time", "wall", "processes", "output", "open_files")
)

BUDGET: Final = vocabulary("`budget`", "under `budget:`", acting("usd", "tokens", "wall", "launches", "soft"))

COMMIT_CONFIG: Final = vocabulary(
    "`commit_config`",
    "under `commit_config:`",
    acting(
        "message_template", "message_pattern", "author", "sign", "include_files", "exclude_files", "squash",
    ),
)  # fmt: skip

WORKTREE: Final = vocabulary(
    "`worktree`", "under `worktree:`", acting("include", "keep", "setup", "setup_key")
)

CLAUDE_OPTIONS: Final = vocabulary(
    "`claude_options`",
    "under `claude_options:`",
    acting(
        "model", "fallback_model", "max_turns", "max_budget_usd", "effort", "allowed_tools", "disallowed_tools",
        "tools", "system_prompt", "append_system_prompt", "permission_mode", "json_schema", "add_dir", "mcp_config",
        "strict_mcp_config", "settings", "setting_sources", "agents", "extra_args",
    ),
)  # fmt: skip

SETTINGS: Final = frozenset({
    "storage", "plugins", "log_level", "claude_api_key", "auto_merge", "retention", "max_concurrent_specs",
    "default_editor", "worktrees", "telemetry",
})  # fmt: skip
"""Keys of the tool's own settings file, often met in workflow files by mistake."""

MODES: Final = {
    "mapreduce": "mapreduce", "sequential": "sequential", "standard": "sequential", "workflow": "sequential",
}  # fmt: skip
