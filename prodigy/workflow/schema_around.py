"""What stands under every key around the steps: the entries of the vocabularies in ``language``.

Pure data; ``schema`` puts it together. Each table has the keys of one vocabulary by their canonical names.
"""

from typing import Final, get_args

from prodigy.workflow.item_schema import FIELD_TYPES
from prodigy.workflow.language import MODES, TIMED_KINDS
from prodigy.workflow.model import (
    ErrorPolicy,
    ItemValidation,
    MapPhase,
    OnConflict,
    PhaseOutput,
    TimeoutConfig,
)
from prodigy.workflow.refs import AGGREGATES
from prodigy.workflow.schema_values import (
    ANYTHING,
    BOOLEAN,
    DURATION,
    ENVIRONMENT,
    FILLED,
    FIXED_LIMIT,
    FRACTION,
    LIMIT,
    OBJECT_OR_JSON,
    SIZE,
    STEPS,
    TEXT,
    TEXTS,
    VARIABLE_SIZE,
    Entry,
    Schema,
    Table,
    choice,
    choice_of,
    count,
    either,
    integer,
    listed,
    named,
    one_or_more,
    ref,
    share,
)

_ON_CONFLICT: Final = choice(*get_args(OnConflict))
_COMMANDS: Final = Entry(STEPS, "The steps.")
_AUTO_COMMIT: Final = Entry(BOOLEAN, "Commit what steps change and leave uncommitted.")
_ENV: Final = Entry(ENVIRONMENT, "Environment variables by name.")
_LIMITS: Final = Entry(ref("limits"), "What the processes of a step may use; of an agent too, under `map`.")
_CLAUDE_OPTIONS: Final = Entry(ref("claude-options"), "Options of Claude, for all steps that run it.")
_CONFLICT: Final = Entry(_ON_CONFLICT, "What to do with an agent whose work cannot be merged.")


def _phase(name: str) -> Schema:
    """The steps of a phase, or its own mapping with options."""
    return either(STEPS, ref(name))


# -- policies ----------------------------------------------------------------------------------------------------------
POLICY: Final[Table] = {
    "on_item_failure": Entry(
        either(choice_of(ErrorPolicy, "on_item_failure"), ref("custom-item-failure")),
        "What becomes of an item that failed: put it into the dead letter queue, try it again, skip it, or stop.",
    ),
    "continue_on_failure": Entry(BOOLEAN, "Go on with other items after one failed; `true` by default."),
    "max_failures": Entry(integer(1), "Start no more items once so many have failed; the map phase fails."),
    "failure_threshold": Entry(
        FRACTION, "Start no more items once more than this part has failed, 0 to 1 or with `%`."
    ),
    "error_collection": Entry(
        either(
            choice("aggregate", "immediate"),
            {"type": "string", "pattern": r"^\s*[bB][aA][tT][cC][hH][eE][dD]:\s*\+?\d+\s*$"},
            ref("error-collection"),
        ),
        "When failures are told: `aggregate` at the end, `immediate`, or `batched:N`.",
    ),
    "circuit_breaker": Entry(ref("circuit-breaker"), "Pause when many items fail in a row."),
    "retry_config": Entry(ref("retry"), "How often a whole item is tried, each time in a fresh worktree."),
}

CIRCUIT_BREAKER: Final[Table] = {
    "failure_threshold": Entry(integer(1), "Failures in a row that open the circuit; 5 by default."),
    "success_threshold": Entry(integer(1), "Trial items that must succeed to close it; 3 by default."),
    "timeout": Entry(DURATION, "How long nothing is started; 30 s by default."),
    "half_open_requests": Entry(integer(1), "Trial items after the pause; 3 by default."),
}
ERROR_COLLECTION: Final[Table] = {"batched": Entry(ref("error-batch"), "Tell failures so many at a time.")}
BATCH: Final[Table] = {"size": Entry(integer(1), "How many failures are told together.")}
ON_ITEM_FAILURE: Final[Table] = {
    "custom": Entry(ANYTHING, "Handling of one's own, which Prodigy has not: the item is queued.", old=True)
}

TIMEOUT_CONFIG: Final[Table] = {
    "agent_timeout_secs": Entry(LIMIT, "How long one attempt at an item may take."),
    "command_timeouts": Entry(
        named(either(FIXED_LIMIT, {"type": "null"}), f"^(?:{'|'.join(TIMED_KINDS)})(?:_[0-9]+)?$"),
        "Time limits by kind of step.",
    ),
    "timeout_policy": Entry(choice_of(TimeoutConfig, "policy"), "Which limits hold; `hybrid` by default."),
    "cleanup_grace_period_secs": Entry(DURATION, "Time between asking a process to end and ending it."),
    "timeout_action": Entry(
        choice_of(TimeoutConfig, "action"), "What becomes of an item that took too long."
    ),
    "enable_monitoring": Entry(BOOLEAN, "Limits are always watched.", old=True),
}

LIMITS: Final[Table] = {
    "memory": Entry(VARIABLE_SIZE, "Memory of the whole process tree, such as `2GiB`."),
    "cpu_time": Entry(LIMIT, "Time on processors, of the whole process tree."),
    "wall": Entry(LIMIT, "Time on the clock."),
    "processes": Entry(count(1), "Processes at the same time."),
    "output": Entry(VARIABLE_SIZE, "Bytes that may be printed."),
    "open_files": Entry(count(1), "Open files of each process."),
}

BUDGET: Final[Table] = {
    "usd": Entry(share(0), "US dollars."),
    "tokens": Entry(count(1), "Tokens of Claude."),
    "wall": Entry(LIMIT, "Time on the clock."),
    "launches": Entry(count(1), "How often Claude is started."),
    "soft": Entry(FRACTION, "The part of a bound at which nothing new is started; 0.9 by default."),
}

COMMIT_CONFIG: Final[Table] = {
    "message_template": Entry(TEXT, "The message of commits that Prodigy makes; variables may stand in it."),
    "message_pattern": Entry(TEXT, "A regular expression that every message must match."),
    "author": Entry(FILLED, "`Name <address>`."),
    "sign": Entry(BOOLEAN, "Sign commits."),
    "include_files": Entry(TEXTS, "Globs: commit only these files."),
    "exclude_files": Entry(TEXTS, "Globs: never commit these files."),
    "squash": Entry(BOOLEAN, "Make one commit of all that the step made."),
}

WORKTREE: Final[Table] = {
    "include": Entry(TEXTS, "Globs of untracked files that are copied into each fresh worktree."),
    "keep": Entry(TEXTS, "Globs of ignored files that stay when a worktree is used again."),
    "setup": Entry(STEPS, "Steps that run once in each worktree when it is made."),
    "setup_key": Entry(TEXTS, "Globs of files; `setup` runs again when one of them has changed."),
}

CLAUDE_OPTIONS: Final[Table] = {
    "model": Entry(FILLED, "The model, by name or alias."),
    "fallback_model": Entry(FILLED, "The model to use when the first one is overloaded."),
    "max_turns": Entry(count(1), "Turns that an agent may take."),
    "max_budget_usd": Entry(share(0), "US dollars that one step may cost."),
    "effort": Entry(FILLED, "How hard the model thinks."),
    "allowed_tools": Entry(TEXTS, "Tools that may be used without asking."),
    "disallowed_tools": Entry(TEXTS, "Tools that may not be used."),
    "tools": Entry(TEXTS, "All tools that there are."),
    "system_prompt": Entry(TEXT, "Replaces the system prompt."),
    "append_system_prompt": Entry(TEXT, "Is added to the system prompt."),
    "permission_mode": Entry(FILLED, "How permissions are asked for; without it they are skipped."),
    "json_schema": Entry(OBJECT_OR_JSON, "A JSON Schema that the answer must fit."),
    "add_dir": Entry(TEXTS, "Further folders that may be worked in."),
    "mcp_config": Entry(one_or_more(either(FILLED, {"type": "object"})), "MCP servers: files or mappings."),
    "strict_mcp_config": Entry(BOOLEAN, "Use no other MCP servers."),
    "settings": Entry(either(FILLED, {"type": "object"}), "A settings file, or the settings themselves."),
    "setting_sources": Entry(TEXTS, "Which settings are read: `user`, `project`, `local`."),
    "agents": Entry(OBJECT_OR_JSON, "Subagents by name."),
    "extra_args": Entry(TEXTS, "Further arguments of the Claude CLI."),
}

# -- environment -------------------------------------------------------------------------------------------------------
_VALUE: Final = ref("env-source")
ENV_VALUE: Final[Table] = {
    "value": Entry(TEXT, "The value."),
    "secret": Entry(BOOLEAN, "Whether it is hidden wherever it shows."),
    "default": Entry(either(TEXT, _VALUE), "The value under every profile that has none of its own."),
    "command": Entry(FILLED, "A shell command; what it prints is the value."),
    "cache": Entry(BOOLEAN, "Whether the command runs once per run or once per step."),
    "timeout": Entry(FIXED_LIMIT, "How long the command may take; 30 s by default."),
    "condition": Entry(FILLED, "An expression that chooses between `when_true` and `when_false`."),
    "when_true": Entry(TEXT, "The value if the condition holds."),
    "when_false": Entry(TEXT, "The value if it does not."),
    "provider": Entry(choice("env", "file", "command"), "Where the value is looked up."),
    "key": Entry(FILLED, "What is looked up: a variable, a path, a command."),
    "version": Entry(TEXT, "Means nothing to the providers that there are.", old=True),
}
ENV_FILE: Final[Table] = {
    "path": Entry(FILLED, "The file, relative to the repository."),
    "required": Entry(BOOLEAN, "Whether a run needs it."),
}
_ENV_FILES: Final = Entry(one_or_more(either(FILLED, ref("env-file"))), "Files of `NAME=value` lines.")
_SECRETS: Final = Entry(ENVIRONMENT, "Secrets by name; they are hidden wherever they show.")
PROFILE: Final[Table] = {
    "env": _ENV,
    "secrets": _SECRETS,
    "env_files": _ENV_FILES,
    "description": Entry(TEXT, "What the profile is for."),
}

# -- phases ------------------------------------------------------------------------------------------------------------
SETUP: Final[Table] = {
    "commands": _COMMANDS,
    "timeout": Entry(LIMIT, "How long the phase may take."),
    "auto_commit": _AUTO_COMMIT,
    "capture_outputs": Entry(
        either(listed(FILLED), named(either(FILLED, ref("phase-output"), {"type": "null"}))),
        "Values for later phases: by name, the step that each comes from.",
    ),
    "env": _ENV,
}
PHASE_OUTPUT: Final[Table] = {
    "step": Entry(FILLED, "The step: its index from 0, its id or its name."),
    "source": Entry(choice_of(PhaseOutput, "source", "combined"), "Which output of the step."),
    "pattern": Entry(TEXT, "A regular expression; its first group, or all that it matches, is the value."),
    "json_path": Entry(TEXT, "A JSONPath into the output."),
    "format": Entry(choice_of(PhaseOutput, "format", "text"), "What the text is read as."),
    "max_size": Entry(SIZE, "The most that may be captured; 1 MiB by default."),
    "default": Entry(ANYTHING, "The value if nothing is found."),
    "multiline": Entry(choice_of(PhaseOutput, "multiline"), "What becomes of several lines."),
}
REDUCE: Final[Table] = {"commands": _COMMANDS, "timeout": Entry(LIMIT, "How long the phase may take.")}
MERGE: Final[Table] = {
    "commands": _COMMANDS,
    "timeout": Entry(LIMIT, "How long the phase may take; 30 min by default."),
    "target": Entry(FILLED, "The branch to merge into instead of the one that HEAD names."),
}
AGENT_TEMPLATE: Final[Table] = {
    "commands": _COMMANDS,
    "timeout": Entry(LIMIT, "How long one attempt at an item may take."),
    "env": _ENV,
    "auto_commit": _AUTO_COMMIT,
}
INPUT: Final[Table] = {
    "list": Entry({"type": "array"}, "The items themselves."),
    "file": Entry(FILLED, "A file of items: JSON, JSON lines, CSV, YAML or plain lines."),
    "command": Entry(FILLED, "A shell command that prints the items."),
}
VALIDATION: Final[Table] = {
    "schema": Entry(ref("item-schema"), "What every item must look like."),
    "on_failure": Entry(choice_of(ItemValidation, "on_failure"), "What becomes of an item that does not."),
}
ITEM_SCHEMA: Final[Table] = {
    "required_fields": Entry(TEXTS, "Fields that every item must have."),
    "field_types": Entry(named(either(choice(*FIELD_TYPES), {"type": "null"})), "Types of fields by name."),
}
_AGGREGATES: Final = choice(*AGGREGATES)
AGGREGATE: Final[Table] = {
    "type": Entry(_AGGREGATES, "What the values become, such as `sum`, `unique` or `group_by`."),
    "value": Entry(FILLED, "An expression on `item`, `result` and captures: the value of each agent."),
    "where": Entry(FILLED, "An expression; only agents for which it holds count."),
    "by": Entry(FILLED, "What the groups of `group_by` are named by, such as `item.team`."),
    "initial": Entry(ANYTHING, "A value that comes before those of the agents."),
}
MAP: Final[Table] = {
    "input": Entry(
        either(FILLED, {"type": "array"}, ref("map-input")),
        "Where the items come from: a file, a command that prints them, or a list.",
    ),
    "json_path": Entry(TEXT, "A JSONPath to the items in the input."),
    "filter": Entry(FILLED, "An expression; only items for which it holds are worked on."),
    "sort_by": Entry(one_or_more(FILLED), "The order of items, such as `item.size DESC, item.path`."),
    "distinct": Entry(FILLED, "A field; of items with the same value only the first is kept."),
    "offset": Entry(count(0), "How many items are left out at the beginning."),
    "max_items": Entry(count(0), "How many items there are at most."),
    "max_parallel": Entry(count(1), "How many agents work at the same time; 10 by default."),
    "agent_template": Entry(_phase("agent-template"), "The steps that one agent runs for its item."),
    "item_id": Entry(FILLED, "What an item is called, such as `${item.path}`."),
    "input_timeout": Entry(LIMIT, "How long a command that prints the items may take; 5 min by default."),
    "agent_timeout_secs": Entry(LIMIT, "How long one attempt at an item may take."),
    "timeout_config": Entry(ref("timeout-config"), "Time limits of agents and their steps."),
    "base": Entry(choice_of(MapPhase, "base"), "The commit that agents start from."),
    "on_conflict": _CONFLICT,
    "limits": _LIMITS,
    "env": _ENV,
    "claude_options": _CLAUDE_OPTIONS,
    "validation": Entry(ref("item-validation"), "What every item must look like."),
    "error_policy": Entry(ref("error-policy"), "What becomes of items that fail."),
    "retry": Entry(ref("retry"), "How often a whole item is tried, each time in a fresh worktree."),
    "retry_on_failure": Entry(integer(0), "How often an item is tried again.", old=True),
    "variables": Entry(
        named(either(_AGGREGATES, ref("aggregate"), {"type": "null"})),
        "What the results of the agents become for the phases after map, by name.",
    ),
} | dict(POLICY)

# -- the whole ---------------------------------------------------------------------------------------------------------
WORKFLOW: Final[Table] = {
    "name": Entry(FILLED, "What people call the workflow; the name of the file by default."),
    "description": Entry(TEXT, "What the workflow does."),
    "version": Entry(TEXT, "The version of the workflow."),
    "author": Entry(TEXTS, "Who wrote it."),
    "tags": Entry(TEXTS, "Words to find it by."),
    "mode": Entry(
        choice(*MODES, "map_reduce"), "`mapreduce` with `map`, else `sequential`; need not be said."
    ),
    "commands": Entry(STEPS, "The steps of a plain workflow."),
    "setup": Entry(_phase("setup"), "Steps that run first."),
    "map": Entry(ref("map"), "One agent for each of many items."),
    "reduce": Entry(_phase("reduce"), "Steps that run after all agents, on their merged work."),
    "merge": Entry(_phase("merge"), "Steps around the final merge."),
    "verify": Entry(STEPS, "Steps that must pass on the merged files before they are merged for good."),
    "on_failure": Entry(STEPS, "Steps that run when the workflow has failed."),
    "on_success": Entry(STEPS, "Steps that run when the workflow has succeeded."),
    "env": _ENV,
    "secrets": _SECRETS,
    "env_files": _ENV_FILES,
    "profiles": Entry(
        named(either(ref("profile"), named(ref("variable")), {"type": "null"})),
        "Variables that hold under `--profile NAME`.",
    ),
    "active_profile": Entry(FILLED, "The profile that holds if none is asked for."),
    "inherit": Entry(BOOLEAN, "Whether commands inherit the environment of the caller; `true` by default."),
    "error_policy": Entry(ref("error-policy"), "What becomes of items that fail."),
    "retry_defaults": Entry(ref("retry"), "How often every step is tried that does not say it itself."),
    "timeout": Entry(LIMIT, "How long the whole run may take."),
    "grace": Entry(DURATION, "Time between asking a process to end and ending it; 5 s by default."),
    "idle_timeout": Entry(LIMIT, "How long Claude may be silent; 30 min by default."),
    "auto_commit": _AUTO_COMMIT,
    "commit_config": Entry(ref("commit-config"), "How Prodigy commits what steps leave."),
    "on_conflict": _CONFLICT,
    "worktree": Entry(ref("worktree"), "What a fresh worktree needs besides what is committed."),
    "limits": _LIMITS,
    "budget": Entry(ref("budget"), "What the whole run may spend."),
    "max_concurrent_starts": Entry(integer(1), "How many Claudes may start at the same time; 4 by default."),
    "max_capture": Entry(SIZE, "The most that a variable may hold of an output; 10 MiB by default."),
    "claude_options": _CLAUDE_OPTIONS,
    "model": Entry(FILLED, "The model of all steps that run Claude."),
    "shell_program": Entry(FILLED, "What reads scripts: `sh`, `bash`, or a path."),
    "map.max_parallel": Entry(count(1), "How many agents work at the same time.", old=True),
    "imports": Entry(
        one_or_more(either(FILLED, ref("import"))), "Files whose variables, templates and steps are added."
    ),
    "extends": Entry(FILLED, "A workflow that this one is put over."),
    "template": Entry(either(FILLED, ref("template")), "A template that this workflow is made from."),
    "templates": Entry(
        named(either({"type": "array"}, ref("step-template"), ref("step"), ref("workflow"))),
        "Steps by name, for use in other places.",
    ),
    "parameters": Entry(ref("parameters"), "Values that are given from outside."),
    "defaults": Entry({"type": "object"}, "Values of parameters that nobody gives."),
    "workflows": Entry(
        either(
            named(ref("member")),
            listed({"type": "object", "required": ["name"]}),
        ),
        "Other workflows that run before this one's own steps, or parts of this one by name.",
    ),
    "override": Entry(
        {"type": "object"}, "Keys, or dotted ways into the workflow, put over everything else."
    ),
} | dict(POLICY)
