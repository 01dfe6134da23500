"""Static checks of a typed workflow: ids, and every reference in every text.

Pure. Needs the file's text only to point at the reference itself.
"""

from collections.abc import Iterator, Sequence

from msgspec import structs

from prodigy.workflow.check_text import TextChecker
from prodigy.workflow.model import MapPhase, Mark, Step, StepList, Workflow
from prodigy.workflow.nodes import Span
from prodigy.workflow.problems import Problems
from prodigy.workflow.variables import RESERVED, VARIABLES, Known, Phase, is_later

_ACTION_NAMES = frozenset({"test", "goal_seek", "write_file", "handler"})


def check(workflow: Workflow, text: str, problems: Problems) -> None:
    """Record every problem of a workflow that was read from ``text``."""
    _Checker(workflow, text, problems).check()


class _Checker:
    def __init__(self, workflow: Workflow, text: str, problems: Problems) -> None:
        self.workflow = workflow
        self.problems = problems
        self.texts = TextChecker(text, problems)
        self.all_ids = frozenset(_ids(workflow))

    def check(self) -> None:
        workflow = self.workflow
        self.phase("setup", workflow.setup)
        self.phase("steps", workflow.steps)
        if workflow.map is not None:
            self.map(workflow.map)
        self.phase("reduce", workflow.reduce)

    def phase(self, phase: Phase, steps: StepList | None) -> None:
        """Check a step list; the ids of its steps are known in this list only."""
        known = Known(phase, later_ids=self.all_ids)
        self.steps(() if steps is None else steps.steps, known, {})

    def map(self, phase: MapPhase) -> None:
        known = Known("input", later_ids=self.all_ids)
        if phase.input.source == "file":
            self.texts.plain(phase.input.text, phase.input.mark, known)
        elif phase.input.source != "list":
            self.texts.script(phase.input.text, phase.input.mark, known)
        if phase.item_id is not None:
            self.item_id(phase.item_id, phase.item_id_mark, structs.replace(known, phase="item id"))
        self.steps(phase.agent_template, structs.replace(known, phase="agents"), {})

    def item_id(self, text: str, mark: Mark, known: Known) -> None:
        self.texts.plain(text, mark, known)
        if not text.strip():
            self.problems.error("bad-value", "`item_id` is empty", _point(mark))

    def steps(self, steps: Sequence[Step], known: Known, seen: dict[str, Mark]) -> Known:
        """Check steps in order; what is known after them is returned."""
        for step in steps:
            self.step(step, known, seen)
            ids = known.ids | ({step.id} if step.id else frozenset()) | frozenset(_handler_ids(step))
            known = structs.replace(known, ids=ids, after_step=True)
        return known

    def step(self, step: Step, known: Known, seen: dict[str, Mark]) -> None:
        if step.id is not None:
            self.id(step.id, step.mark, seen)
        self.texts.script(step.action.script, step.action.mark, known)
        if step.on_failure is not None:
            own = known.ids | ({step.id} if step.id else frozenset())
            inside = structs.replace(known, ids=own, in_handler=True, after_step=True)
            self.steps(step.on_failure.steps, inside, {})

    def id(self, name: str, mark: Mark, seen: dict[str, Mark]) -> None:
        """An id is unique in its list and no name of the language."""
        if name in seen:
            hint = f"the first one is in the step at {seen[name]}"
            message = f"the id `{name}` is used twice in this list"
            self.problems.error("bad-value", message, self.id_place(name, mark), hint)
        seen.setdefault(name, mark)
        if name in RESERVED:
            message = f"`{name}` is a name of the language and cannot be an id"
            self.problems.error("reserved-name", message, self.id_place(name, mark))
        elif name in VARIABLES or is_later(name) or name in _ACTION_NAMES:
            message = f"the id `{name}` hides a variable of the same name"
            self.problems.warning("overwrites-builtin", message, self.id_place(name, mark))

    def id_place(self, name: str, mark: Mark) -> Span:
        return self.texts.locate(mark, name, "id") or _point(mark)


def _point(mark: Mark) -> Span:
    return Span(mark.line, mark.column, mark.line, mark.column + 1)


def _ids(workflow: Workflow) -> Iterator[str]:
    lists = [part.steps for part in (workflow.setup, workflow.steps, workflow.reduce) if part is not None]
    if workflow.map is not None:
        lists.append(workflow.map.agent_template)
    for steps in lists:
        for step in steps:
            yield from _step_ids(step)


def _step_ids(step: Step) -> Iterator[str]:
    if step.id is not None:
        yield step.id
    yield from _handler_ids(step)


def _handler_ids(step: Step) -> Iterator[str]:
    for inner in step.on_failure.steps if step.on_failure is not None else ():
        yield from _step_ids(inner)
