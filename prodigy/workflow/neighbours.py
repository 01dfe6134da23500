"""Where a key may belong that is unknown where it stands: the vocabularies one level up or down.

Pure data.
"""

from collections.abc import Mapping
from typing import Final

from prodigy.workflow import language as around
from prodigy.workflow import language_steps as steps
from prodigy.workflow.vocabulary import Vocabulary

NEIGHBOURS: Final[Mapping[str, tuple[Vocabulary, ...]]] = {
    "the workflow": (around.MAP, around.SETUP, around.ERROR_POLICY, steps.STEP),
    "`map`": (around.WORKFLOW, around.TIMEOUT_CONFIG, around.INPUT, around.AGENT_TEMPLATE, steps.STEP),
    "`setup`": (around.WORKFLOW, around.PHASE_OUTPUT, steps.STEP),
    "`reduce`": (around.WORKFLOW, steps.STEP),
    "`merge`": (around.WORKFLOW, steps.STEP),
    "`agent_template`": (around.MAP, steps.STEP),
    "`map.input`": (around.MAP,),
    "a variable of `map.variables`": (around.MAP,),
    "`map.validation`": (around.ITEM_SCHEMA, around.MAP),
    "`error_policy`": (steps.RETRY, around.CIRCUIT_BREAKER, around.MAP, around.WORKFLOW),
    "`circuit_breaker`": (around.ERROR_POLICY,),
    "`timeout_config`": (around.MAP,),
    "`limits`": (around.BUDGET, around.WORKFLOW, around.MAP),
    "`budget`": (around.LIMITS, around.WORKFLOW),
    "`commit_config`": (around.WORKFLOW, steps.STEP),
    "`worktree`": (around.WORKFLOW,),
    "`claude_options`": (steps.STEP, around.WORKFLOW),
    "a step": (
        steps.HANDLER,
        steps.FOREACH,
        steps.VALIDATE,
        steps.GOAL_SEEK,
        steps.WRITE_FILE,
        steps.RETRY,
        around.CLAUDE_OPTIONS,
        around.MAP,
        around.WORKFLOW,
    ),
    "`on_failure`": (steps.STEP, steps.RETRY, around.MAP, around.WORKFLOW),
    "`on_incomplete`": (steps.VALIDATE, steps.HANDLER, steps.STEP),
    "`validate`": (steps.INCOMPLETE, steps.STEP),
    "`foreach`": (steps.STEP, around.MAP),
    "`goal_seek`": (steps.VALIDATE,),
    "`write_file`": (steps.STEP,),
    "`claude`": (steps.STEP,),
    "`test`": (steps.STEP,),
    "`retry`": (steps.BACKOFF, steps.HANDLER, steps.STEP),
    "`metadata`": (steps.STEP,),
}

MEANT: Final[Mapping[str, Mapping[str, str]]] = {
    "the workflow": {
        "environment": "env", "vars": "defaults", "inputs": "parameters", "include": "imports", "includes": "imports",
        "on_error": "on_failure",
    },
    "`map`": {
        "timeout": "agent_timeout_secs", "where": "filter", "parallel": "max_parallel", "concurrency": "max_parallel",
        "workers": "max_parallel", "max_workers": "max_parallel", "items": "input", "source": "input",
        "commands": "agent_template", "steps": "agent_template", "template": "agent_template", "do": "agent_template",
        "order_by": "sort_by", "retries": "retry",
    },
    "a step": {
        "run": "shell", "bash": "shell", "sh": "shell", "cmd": "shell", "exec": "shell", "script": "shell",
        "prompt": "claude", "for_each": "foreach", "environment": "env", "on_error": "on_failure",
        "timeout_seconds": "timeout", "timeout_ms": "timeout", "timeout_minutes": "timeout", "retry_count": "retry",
        "ignore_errors": "continue_on_error", "workdir": "working_dir",
    },
    "`foreach`": {"max_parallel": "parallel", "command": "input", "list": "input", "file": "input"},
    "`retry`": {"max_retries": "attempts", "retries": "attempts", "delay": "initial_delay"},
}  # fmt: skip
"""Keys that belong elsewhere, or nowhere, and what people mean by them here."""
