"""Which variables exist where: one row per root name, with the phases that know it and its legal fields.

Pure data, and the static view of a place in the workflow that the checker asks.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from prodigy.workflow.nearest import nearest
from prodigy.workflow.refs import Computed, Ref

Phase = Literal["setup", "steps", "agents", "reduce", "input", "item id"]

EVERYWHERE: Final[frozenset[Phase]] = frozenset({"setup", "steps", "agents", "reduce", "input", "item id"})
_WITH_STEPS: Final[frozenset[Phase]] = frozenset({"setup", "steps", "agents", "reduce"})
_AGENTS: Final[frozenset[Phase]] = frozenset({"agents"})
_ITEMS: Final[frozenset[Phase]] = frozenset({"agents", "item id"})
_REDUCE: Final[frozenset[Phase]] = frozenset({"reduce"})

_GIT = frozenset({
    "files_added", "files_modified", "files_deleted", "files_changed", "commits", "commit_count", "insertions",
    "deletions",
})  # fmt: skip
OUTCOME: Final = frozenset({"output", "stdout", "stderr", "exit_code", "success", "duration"})
STEP_RESULT: Final = OUTCOME | {"attempt"}
"""Fields of ``${ID.…}``."""
STEP_RESULT_LATER: Final = frozenset({"commits", "files_changed"})
_MAP = frozenset({
    "total", "successful", "failed", "skipped", "success_count", "failure_count", "success_rate", "failure_rate",
    "results", "results_json", "results_file", "outputs", "total_duration_secs", "average_duration_secs",
    "cost_usd",
})  # fmt: skip
TEXTS: Final = frozenset({"output", "stdout", "stderr"})
"""Fields that are always one text, never a list."""


class Variable(Struct, frozen=True):
    """One root name. ``fields`` is ``None`` when it is plain data with any fields.

    ``later`` are fields of the language that this release does not fill.
    """

    name: str
    phases: frozenset[Phase]
    fields: frozenset[str] | None = None
    later: frozenset[str] = frozenset()
    in_handlers_only: bool = False
    of_earlier_step: bool = False


def _plain(phases: frozenset[Phase], *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, phases) for name in names)


VARIABLES: Final = {
    variable.name: variable
    for variable in (
        *_plain(EVERYWHERE, "job_id", "session_id", "branch", "PROJECT_ROOT", "WORKTREE", "ITERATION"),
        *_plain(_ITEMS, "item", "item_index", "item_total", "item_json"),
        *_plain(_AGENTS, "item_id"),
        Variable(
            "workflow",
            EVERYWHERE,
            frozenset({"name", "id", "session_id", "iteration", "started_at"}),
            later=_GIT | {"duration"},
        ),
        Variable(
            "step",
            _WITH_STEPS,
            frozenset({"name", "index", "id", "attempt"}),
            later=_GIT | {"files"},
            of_earlier_step=True,
        ),
        Variable("shell", _WITH_STEPS, OUTCOME | {"attempt"}, of_earlier_step=True),
        Variable("last", _WITH_STEPS, OUTCOME | {"attempt"}, of_earlier_step=True),
        Variable(
            "error",
            _WITH_STEPS,
            frozenset({"message", "exit_code", "signal", "step", "class", "log"}),
            later=frozenset({"timestamp"}),
            in_handlers_only=True,
        ),
        Variable(
            "handler",
            _WITH_STEPS,
            frozenset({"attempt", "max_attempts"}),
            later=frozenset({"output"}),
            in_handlers_only=True,
        ),
        Variable("agent", _AGENTS, frozenset({"id", "attempt", "branch"})),
        Variable("map", _REDUCE, _MAP),
    )
}

_NUMBERED_ARGUMENT = re.compile(r"ARG_\d+", re.ASCII)

LATER: Final = frozenset({
    "env", "setup", "git", "claude", "test", "foreach", "goal_seek", "write_file", "validation", "merge", "check",
    "CAPTURED_OUTPUT", "uuid", "ARG", "INDEX", "TOTAL", "item_file", "worker",
})  # fmt: skip
"""Roots of the language that this release does not fill."""


def is_later(root: str) -> bool:
    """Whether a root name belongs to the language and this release does not fill it."""
    return root in LATER or _NUMBERED_ARGUMENT.fullmatch(root) is not None


RESERVED: Final = frozenset({
    "item", "item_id", "map", "merge", "step", "workflow", "shell", "claude", "last", "error", "validation", "setup",
    "foreach",
})  # fmt: skip
"""Names that no id may take."""


class Refusal(Struct, frozen=True):
    """Why a reference cannot work: code, message and hints of a problem."""

    code: str
    message: str
    hints: tuple[str, ...] = ()


class Known(Struct, frozen=True):
    """What is known at one place of a workflow: a scope without values.

    ``ids`` are those of steps that come before, ``later_ids`` of all others in the file.
    """

    phase: Phase
    ids: frozenset[str] = frozenset()
    later_ids: frozenset[str] = frozenset()
    in_handler: bool = False
    after_step: bool = False

    def knows(self, root: str) -> bool:
        """Whether a root name can have a value here."""
        variable = VARIABLES.get(root)
        if root in self.ids:
            return True
        return variable is not None and self._reaches(variable)

    def names(self) -> Iterator[str]:
        """Every root name that can have a value here."""
        yield from (name for name, variable in VARIABLES.items() if self._reaches(variable))
        yield from sorted(self.ids)

    def refusal(self, ref: Ref | Computed) -> Refusal | None:
        """Why a reference can never have a value here, if it cannot."""
        if isinstance(ref, Computed):
            return Refusal("not-yet-supported", f"`{ref.source}` is not supported yet")
        variable = VARIABLES.get(ref.root)
        if ref.root in self.ids and (variable is None or ref.path[1:2] in [(name,) for name in STEP_RESULT]):
            return _wrong_field(ref, STEP_RESULT, STEP_RESULT_LATER)
        if variable is None:
            return self._unknown(ref)
        if not self._reaches(variable):
            return self._out_of_reach(ref, variable)
        missing = variable.of_earlier_step and not (self.after_step or self.in_handler)
        if missing and ref.default is None:
            hint = "no step of this list has run before it"
            return Refusal("undefined-variable", f"`{ref.name}` is not defined here", (hint,))
        return None if variable.fields is None else _wrong_field(ref, variable.fields, variable.later)

    def _reaches(self, variable: Variable) -> bool:
        return self.phase in variable.phases and (self.in_handler or not variable.in_handlers_only)

    def _unknown(self, ref: Ref) -> Refusal:
        if is_later(ref.root):
            return Refusal("not-yet-supported", f"the variable `{ref.root}` is not supported yet")
        hints: tuple[str, ...] = ()
        meant = nearest(ref.root, self.names())
        if ref.root in self.later_ids:
            hints = (f"the step `{ref.root}` has not run before this one in the same list",)
        elif meant is not None:
            hints = (f"did you mean `{ref.name.replace(ref.root, meant, 1)}`?",)
        return Refusal("undefined-variable", f"`{ref.name}` is not defined", hints)

    def _out_of_reach(self, ref: Ref, variable: Variable) -> Refusal:
        if self.phase in variable.phases:
            where = "inside `on_failure`"
        else:
            where = f"in {_AND.join(sorted(_PHASE_NAMES[phase] for phase in variable.phases & _WITH_STEPS))}"
        hint = f"`{variable.name}` is known {where} only"
        return Refusal(
            "undefined-variable", f"`{ref.name}` is not defined in {_PHASE_NAMES[self.phase]}", (hint,)
        )


_AND = " and "
_PHASE_NAMES: Final[dict[Phase, str]] = {
    "setup": "setup",
    "steps": "the steps",
    "agents": "agents",
    "reduce": "reduce",
    "input": "`map.input`",
    "item id": "`item_id`",
}


def _wrong_field(ref: Ref, fields: frozenset[str], later: frozenset[str]) -> Refusal | None:
    field = ref.path[1] if len(ref.path) > 1 else None
    if field is None or field in fields:
        return None
    if field in later:
        return Refusal("not-yet-supported", f"`{ref.root}.{field}` is not supported yet")
    meant = nearest(str(field), sorted(fields))
    if meant is None:
        hint = f"`{ref.root}` has {', '.join(sorted(fields))}"
    else:
        rest = ref.name.removeprefix(f"{ref.root}.{field}")
        hint = f"did you mean `{ref.root}.{meant}{rest}`?"
    return Refusal("undefined-variable", f"`{ref.name}` is not defined", (hint,))
