"""Which variables exist where: one row per root name, with the phases that know it and its legal fields.

Pure data; ``known`` looks references up in it for one place of a workflow.
"""

import re
from typing import Final, Literal

from msgspec import Struct

Phase = Literal[
    "setup", "steps", "agents", "reduce", "merge", "input", "item id", "on_success", "on_failure", "verify",
    "worktree", "environment", "sub-workflow",
]  # fmt: skip
"""Step lists of a workflow, and the texts that stand apart: ``input`` and ``item id`` of map, and the environment."""

Context = Literal["handler", "test handler", "foreach", "goal_seek", "incomplete"]
"""What a step list may stand inside of, whatever its phase."""

PHASES: Final[dict[Phase, str]] = {
    "setup": "setup",
    "steps": "the steps",
    "agents": "agents",
    "reduce": "reduce",
    "merge": "merge",
    "input": "`map.input`",
    "item id": "`item_id`",
    "on_success": "the workflow's `on_success`",
    "on_failure": "the workflow's `on_failure`",
    "verify": "verify",
    "worktree": "`worktree.setup`",
    "environment": "the environment",
    "sub-workflow": "a sub-workflow",
}
"""Every phase as people call it."""

CONTEXTS: Final[dict[Context, str]] = {
    "handler": "inside `on_failure`",
    "test handler": "inside `on_failure` of a shell or test step",
    "foreach": "inside `foreach`",
    "goal_seek": "inside `goal_seek`",
    "incomplete": "inside `on_incomplete`",
}

_EVERYWHERE: Final = frozenset(PHASES)
_WITH_STEPS: Final = frozenset(PHASES) - {"input", "item id", "environment"}
_NOWHERE: Final[frozenset[Phase]] = frozenset()
_AGENTS: Final[frozenset[Phase]] = frozenset({"agents"})
_ITEMS: Final[frozenset[Phase]] = frozenset({"agents", "item id"})
AFTER_MAP: Final[frozenset[Phase]] = frozenset({"reduce", "merge", "on_success", "on_failure"})
_FAILURES: Final[frozenset[Context]] = frozenset({"handler"})

_COUNTS = frozenset({
    "files_added", "files_modified", "files_deleted", "files_changed", "commits", "commit_count", "insertions",
    "deletions",
})  # fmt: skip
OUTCOME: Final = frozenset({"output", "stdout", "stderr", "exit_code", "success", "duration"})
_RESULT = OUTCOME | {"attempt"}
STEP_RESULT: Final = _RESULT | {"commits", "files_changed"}
"""Fields of ``${ID.…}``, with those of ``RESULTS``; a step's ``outputs`` are further ones."""
_MAP = frozenset({
    "total", "successful", "failed", "skipped", "success_count", "failure_count", "success_rate", "failure_rate",
    "results", "results_json", "results_file", "outputs", "total_duration_secs", "average_duration_secs",
    "cost_usd",
})  # fmt: skip
_VALIDATION = frozenset({
    "completion", "completion_percentage", "missing", "missing_count", "implemented", "gaps", "status", "attempt_number", "output",
})  # fmt: skip
RESULTS: Final = {
    "claude": frozenset({"structured", "session_id", "cost_usd", "turns", "json_log_location"}),
    "foreach": frozenset({"total", "successful", "failed", "results"}),
    "goal_seek": frozenset({"score", "attempts", "status", "goal", "max_attempts", "threshold"}),
    "validate": _VALIDATION,
    "write_file": frozenset({"path"}),
}
"""What some kinds of step say of themselves besides what every step does."""
_MERGE = frozenset({
    "worktree", "source_branch", "target_branch", "session_id", "commits", "commit_ids", "commit_count",
    "modified_files", "file_list", "file_count",
})  # fmt: skip
_GIT = frozenset({
    "branch", "commit", "short_commit", "staged_files", "unstaged_files", "modified_files", "untracked_files",
})  # fmt: skip
ITEM_RESULT: Final = frozenset({
    "index", "item_id", "item", "status", "success", "output", "error", "exit_code", "commits", "files_changed",
    "duration", "attempts", "cost_usd", "branch", "json_log_location", "variables",
})  # fmt: skip
"""Fields of ``${map.results[i]}``."""
TEXTS: Final = frozenset({"output", "stdout", "stderr"})
"""Fields that are always one text, never a list."""


class Variable(Struct, frozen=True):
    """One root name, known in ``phases`` and in ``contexts`` of any phase.

    ``fields`` is ``None`` when it is plain data with any fields. ``after`` names the kind of step that must have
    run earlier in the list (``last``: any kind), unless a context makes it known; fields in ``early`` need no such step.
    """

    name: str
    phases: frozenset[Phase] = _EVERYWHERE
    fields: frozenset[str] | None = None
    contexts: frozenset[Context] = frozenset()
    after: str | None = None
    early: frozenset[str] = frozenset()


def _plain(phases: frozenset[Phase], *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, phases) for name in names)


def _of_kind(
    kind: str, more: frozenset[str] = frozenset(), *, contexts: frozenset[Context] = frozenset()
) -> Variable:
    """The last result of one kind of step."""
    fields = _RESULT | RESULTS.get(kind, frozenset()) | more
    return Variable(kind, _WITH_STEPS, fields, contexts, after=kind)


VARIABLES: Final = {
    variable.name: variable
    for variable in (
        *_plain(_EVERYWHERE, "ARG", "INDEX", "TOTAL", "job_id", "session_id", "branch"),
        *_plain(_EVERYWHERE, "PROJECT_ROOT", "WORKTREE", "ITERATION", "env"),
        Variable(
            "workflow",
            fields=frozenset({"name", "id", "session_id", "iteration", "duration", "started_at"}) | _COUNTS,
        ),
        Variable(
            "step",
            _WITH_STEPS,
            frozenset({"name", "index", "id", "attempt", "files"}) | _COUNTS,
            after="last",
            early=_COUNTS | {"files"},
        ),
        Variable("git", _WITH_STEPS, _GIT),
        *(
            Variable(name, _ITEMS, contexts=frozenset({"foreach"}))
            for name in ("item", "item_id", "item_index", "item_total", "item_json", "item_file")
        ),
        *(
            Variable(name, _AGENTS, fields)
            for name, fields in (
                ("agent", frozenset({"id", "attempt", "branch"})),
                ("worker", frozenset({"id"})),
                *((name, None) for name in ("ARGUMENT", "FILE", "FILE_PATH")),
            )
        ),
        *(Variable(name, _NOWHERE, contexts=frozenset({"foreach"})) for name in ("index", "total")),
        _of_kind("shell", contexts=_FAILURES),
        _of_kind("claude"),
        _of_kind("test", contexts=frozenset({"test handler"})),
        _of_kind("foreach", frozenset({"item", "index"}), contexts=frozenset({"foreach"})),
        _of_kind("goal_seek", contexts=frozenset({"goal_seek"})),
        _of_kind("write_file"),
        _of_kind("handler", frozenset({"max_attempts"}), contexts=_FAILURES),
        Variable("last", _WITH_STEPS, _RESULT.union(*RESULTS.values()), after="last"),
        Variable("CAPTURED_OUTPUT", _WITH_STEPS, after="last"),
        Variable(
            "validation",
            _WITH_STEPS,
            _VALIDATION,
            contexts=frozenset({"incomplete", "goal_seek"}),
            after="validation",
        ),
        Variable(
            "error",
            frozenset({"on_failure"}),
            frozenset({"message", "exit_code", "signal", "step", "class", "timestamp", "log"}),
            contexts=_FAILURES,
        ),
        *(
            Variable(name, _NOWHERE, fields, contexts=frozenset({"goal_seek"}))
            for name, fields in (("attempt", None), ("check", frozenset({"output", "exit_code"})))
        ),
        Variable("map", AFTER_MAP, _MAP),
        Variable("merge", frozenset({"merge"}), _MERGE),
    )
}

_NUMBERED_ARGUMENT = re.compile(r"ARG_\d+", re.ASCII)

RESERVED: Final = frozenset({
    "item", "item_id", "map", "merge", "step", "workflow", "shell", "claude", "last", "error", "validation", "setup",
    "foreach",
})  # fmt: skip
"""Names that no id, capture or parameter may take."""

KINDS: Final = frozenset({"shell", "claude", "test", "foreach", "goal_seek", "write_file", "handler"})
"""Roots that hold the last result of one kind of step."""

NEVER_SET: Final = ("map", "key")
"""A path of older workflows that never had a value; it is empty text everywhere."""

DEPRECATED: Final = {"ARGUMENT": "item", "FILE": "item.path", "FILE_PATH": "item.path"}
"""What older files call parts of an item, and what to write instead."""


def variable(root: str) -> Variable | None:
    """The row of a root name, ``ARG_1`` and its like included."""
    if _NUMBERED_ARGUMENT.fullmatch(root):
        return VARIABLES["ARG"]
    return VARIABLES.get(root)
