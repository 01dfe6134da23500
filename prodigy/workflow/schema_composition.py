"""How workflows are made of several files, as JSON Schema: imports, templates, parameters, other workflows.

Pure data; ``schema`` puts it together.
"""

from typing import Final

from prodigy.workflow.schema_values import (
    BOOLEAN,
    FILLED,
    LIMIT,
    STEP_LIST,
    STEPS,
    TEXT,
    TEXTS,
    Entry,
    Schema,
    Table,
    choice,
    either,
    listed,
    named,
    ref,
)

SUBWORKFLOW: Final[Table] = {
    "source": Entry(FILLED, "The file."),
    "parameters": Entry({"type": "object"}, "Values of its parameters."),
    "inputs": Entry(named(either(TEXT, {"type": "null"})), "Its variables by name, as texts."),
    "outputs": Entry(TEXTS, "Its variables that can be read as `${NAME.VARIABLE}` afterwards."),
    "continue_on_error": Entry(BOOLEAN, "Go on when it fails."),
    "timeout": Entry(LIMIT, "How long it may take."),
    "working_dir": Entry(TEXT, "Where it runs, relative to the worktree."),
}

_STEP_TEMPLATE_STEPS: Final[Schema] = {"description": "The steps.", **STEPS}
COMPOSITION: Final[dict[str, Schema]] = {
    "import": {
        "type": "object",
        "properties": {
            "path": {"description": "The file.", **FILLED},
            "alias": {"description": "Keeps its names apart, as `ALIAS.NAME`.", **TEXT},
            "selective": {"description": "The only templates and workflows to import.", **TEXTS},
        },
        "required": ["path"],
        "additionalProperties": False,
    },
    "template": {
        "type": "object",
        "properties": {
            "name": {"description": "The name of a template.", **FILLED},
            "source": {
                "description": "The template: a file, or a name in this file.",
                **either(FILLED, {"type": "object", "required": ["file"]}),
            },
            "with": {"description": "Values of its parameters.", "type": "object"},
            "override": {"description": "Keys, or dotted ways into it, put over it.", "type": "object"},
        },
        "additionalProperties": False,
    },
    "step-template": {
        "type": "object",
        "properties": {
            "parameters": {"description": "What a use gives under `with`.", **ref("parameters")},
            "commands": _STEP_TEMPLATE_STEPS,
            "steps": _STEP_TEMPLATE_STEPS,
        },
        "anyOf": [{"required": ["commands"]}, {"required": ["steps"]}],
    },
    "parameters": either(
        {"type": "null"},
        listed(either(FILLED, ref("parameter"))),
        {
            "type": "object",
            "properties": {
                "required": {"description": "Parameters that must be given."},
                "optional": {"description": "Parameters that may be given."},
                "definitions": {"description": "What is known of them, by name."},
            },
            "additionalProperties": either({"type": ["string", "number", "boolean", "null", "array"]}, ref("definition")),
        },
    ),
    "definition": {
        "type": "object",
        "properties": {
            "name": {"description": "The name of the parameter.", **TEXT},
            "type": {
                "description": "The type of its values.",
                **choice(
                    "string", "number", "integer", "boolean", "array", "object", "any",
                    "str", "int", "float", "bool", "list",
                ),
            },
            "description": {"description": "What it is for."},
            "default": {"description": "The value if nobody gives one."},
            "required": {"description": "Whether a value must be given."},
            "validation": {"description": "An expression that must hold for `value`."},
        },
        "additionalProperties": False,
    },
    "parameter": {"allOf": [ref("definition")], "required": ["name"]},
    "member": either(STEP_LIST, ref("subworkflow"), ref("workflow")),
}  # fmt: skip
