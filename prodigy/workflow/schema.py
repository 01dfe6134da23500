"""The JSON Schema (2020-12) of workflow files, for editors.

Pure. Made from the vocabularies that files are read with, so every key that a file may have is in it, and no other. It
says what shape values have; what it cannot say (that an expression is one, that a variable exists) is checked by
``prodigy validate``.
"""

from typing import Final

from prodigy.workflow import language as around
from prodigy.workflow import language_steps as steps
from prodigy.workflow import parse_env, parse_env_values, schema_composition, subworkflows
from prodigy.workflow import schema_around as outer
from prodigy.workflow import schema_steps as inner
from prodigy.workflow.schema_values import (
    ANYTHING,
    FREE,
    NULL,
    VALUES,
    Entry,
    Schema,
    any_of_keys,
    choice,
    count,
    either,
    listed,
    mapping,
    named,
    needing,
    ref,
)
from prodigy.workflow.vocabulary import Vocabulary, acting, vocabulary

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
COMPOSED: Final = ("extends", "template", "imports")
"""Keys of a file that others complete."""

_ENTRIES: Final = (inner.ACTIONS, inner.OPTIONS, inner.REPAIR)


def workflow_schema() -> Schema:
    """The schema of a workflow file, as plain data."""
    complete: Schema = {
        "if": {"not": any_of_keys(COMPOSED)},
        "then": {"properties": {"map": {"required": ["input", "agent_template"]}}},
    }
    return {
        "$schema": DIALECT,
        "title": "Prodigy workflow",
        "description": "A list of steps, or a mapping with `commands` or `map`.",
        "if": {"type": "array"},
        "then": ref("step-list"),
        "else": {"allOf": [ref("workflow"), complete]},
        "$defs": dict(sorted(_definitions().items())),
    }


def _definitions() -> dict[str, Schema]:
    return {**VALUES, **_around(), **_environment(), **_steps(), **_retry(), **schema_composition.COMPOSITION}


def _around() -> dict[str, Schema]:
    workflow = mapping(around.WORKFLOW, outer.WORKFLOW)
    workflow["patternProperties"] = {FREE: ANYTHING, r"^\.": ANYTHING}
    return {
        "workflow": workflow,
        "setup": _needing_one(mapping(around.SETUP, outer.SETUP), around.SETUP, "commands"),
        "phase-output": _needing_one(
            mapping(around.PHASE_OUTPUT, outer.PHASE_OUTPUT), around.PHASE_OUTPUT, "step"
        ),
        "reduce": _needing_one(mapping(around.REDUCE, outer.REDUCE), around.REDUCE, "commands"),
        "merge": _needing_one(mapping(around.MERGE, outer.MERGE), around.MERGE, "commands"),
        "agent-template": _needing_one(
            mapping(around.AGENT_TEMPLATE, outer.AGENT_TEMPLATE), around.AGENT_TEMPLATE, "commands"
        ),
        "map": mapping(around.MAP, outer.MAP),
        "aggregate": needing(mapping(around.AGGREGATE, outer.AGGREGATE), "type"),
        "map-input": mapping(around.INPUT, outer.INPUT),
        "item-validation": needing(mapping(around.VALIDATION, outer.VALIDATION), "schema"),
        "item-schema": mapping(around.ITEM_SCHEMA, outer.ITEM_SCHEMA),
        "error-policy": mapping(around.ERROR_POLICY, outer.POLICY),
        "circuit-breaker": mapping(around.CIRCUIT_BREAKER, outer.CIRCUIT_BREAKER),
        "error-collection": mapping(around.ERROR_COLLECTION, outer.ERROR_COLLECTION),
        "error-batch": mapping(around.BATCH, outer.BATCH),
        "custom-item-failure": mapping(around.ON_ITEM_FAILURE, outer.ON_ITEM_FAILURE),
        "timeout-config": mapping(around.TIMEOUT_CONFIG, outer.TIMEOUT_CONFIG),
        "limits": mapping(around.LIMITS, outer.LIMITS),
        "budget": mapping(around.BUDGET, outer.BUDGET),
        "commit-config": mapping(around.COMMIT_CONFIG, outer.COMMIT_CONFIG),
        "worktree": mapping(around.WORKTREE, outer.WORKTREE),
        "claude-options": mapping(around.CLAUDE_OPTIONS, outer.CLAUDE_OPTIONS),
        "subworkflow": needing(mapping(subworkflows.SUBWORKFLOW, schema_composition.SUBWORKFLOW), "source"),
    }


def _environment() -> dict[str, Schema]:
    value, file, profile = parse_env_values.VALUE, parse_env.FILE, parse_env.PROFILE
    by_profile = either(ref("text"), ref("env-source"), NULL)
    return {
        "environment": named(ref("variable")),
        "variable": either(ref("text"), ref("env-value"), NULL),
        "env-value": mapping(value, outer.ENV_VALUE, rest=by_profile),
        "env-source": mapping(value, outer.ENV_VALUE),
        "env-file": needing(mapping(file, outer.ENV_FILE), "path"),
        "profile": mapping(profile, outer.PROFILE),
    }


def _steps() -> dict[str, Schema]:
    of_foreach = {name: ["foreach"] for name in steps.FOREACH_OPTIONS if name not in steps.STEP.spellings}
    beside: Schema = {"dependentRequired": of_foreach | {"outputs": ["id"]}}
    actions = vocabulary("", "", steps.ACTIONS).spellings
    step = mapping(steps.FOREACH_STEP, *_ENTRIES, inner.FOREACH)
    goal_seek = mapping(steps.GOAL_SEEK, inner.GOAL_SEEK, inner.OPTIONS)
    incomplete = mapping(steps.FOREACH_INCOMPLETE, inner.INCOMPLETE, *_ENTRIES, inner.FOREACH)
    handler = mapping(steps.FOREACH_HANDLER, inner.HANDLER, inner.REPAIR, *_ENTRIES, inner.FOREACH)
    return {
        "steps": either(ref("step"), ref("filled"), ref("step-list")),
        "step-list": listed(ref("steps")),
        "step": step | beside | any_of_keys([*actions, "name"]),
        "claude": _needing_one(mapping(steps.CLAUDE, inner.CLAUDE), steps.CLAUDE, "prompt"),
        "test": needing(mapping(steps.TEST, inner.TEST), "command"),
        "foreach": _needing_one(mapping(steps.FOREACH, inner.FOREACH), steps.FOREACH, "input"),
        "foreach-input": mapping(steps.FOREACH_INPUT, inner.FOREACH_INPUT),
        "legacy-handler": needing(mapping(steps.LEGACY_HANDLER, inner.LEGACY_HANDLER), "attributes"),
        "legacy-handler-attributes": needing(
            mapping(steps.LEGACY_HANDLER_ATTRIBUTES, inner.LEGACY_HANDLER_ATTRIBUTES), "command"
        ),
        "analyze": mapping(steps.ANALYZE, inner.ANALYZE),
        "metadata": mapping(steps.METADATA, inner.OPTIONS),
        "write-file": needing(mapping(steps.WRITE_FILE, inner.WRITE_FILE), "path", "content"),
        "goal-seek": needing(_sharing(goal_seek, step), "validate"),
        "validate": mapping(steps.VALIDATE, inner.VALIDATE),
        "incomplete": _sharing(incomplete, step) | beside,
        "handler": _sharing(handler, step) | beside,
        "streams": mapping(steps.STREAMS, inner.STREAMS),
        "output": needing(mapping(steps.OUTPUT, inner.OUTPUT), "file_pattern"),
    }


def _sharing(schema: Schema, step: Schema) -> Schema:
    """The mapping, with what it has in common with a step said there alone."""
    shared = step["properties"]
    properties = {
        text: ref(f"step/properties/{text}") if shared.get(text) == value else value
        for text, value in schema["properties"].items()
    }
    return schema | {"properties": properties}


def _retry() -> dict[str, Schema]:
    kinds = {kind: vocabulary(kind, "", keys) for kind, keys in steps.BACKOFF_KEYS.items()}
    by_name = {f"backoff-{kind}": mapping(keys, inner.BACKOFF_VALUES) for kind, keys in kinds.items()}
    return {
        "retry": either(count(1), ref("retry-options")),
        "retry-options": mapping(steps.RETRY, inner.RETRY),
        "backoff": either(
            mapping(vocabulary("", "", acting(*kinds), words=True), inner.BACKOFF),
            *(_typed_backoff(kind) for kind in kinds),
        ),
        **by_name,
        "retry-on": mapping(steps.RETRY_ON, inner.RETRY_ON),
        "retry-failure": mapping(steps.RETRY_FAILURE, inner.RETRY_FAILURE),
        "fallback": mapping(steps.FALLBACK, inner.FALLBACK),
    }


def _typed_backoff(kind: str) -> Schema:
    """A backoff that names its kind, with the kind's own keys beside the name."""
    keys = vocabulary("", "", acting("type"), steps.BACKOFF_KEYS[kind])
    words = {"type": Entry(choice(kind), "How delays grow.")}
    return needing(mapping(keys, words, inner.BACKOFF_VALUES), "type")


def _needing_one(schema: Schema, keys: Vocabulary, name: str) -> Schema:
    """The mapping, with a key that must be there in one of its spellings."""
    spelled = [text for text in keys.names() if keys.spellings[text].key.name == name]
    return needing(schema, name) if spelled == [name] else schema | any_of_keys(spelled)
