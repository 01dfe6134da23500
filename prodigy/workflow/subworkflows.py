"""``workflows:``: other workflows that run before a document's own steps, and fragments that wait to be one.

Pure. A member with ``source`` is run; one with steps of its own (``commands``, ``map`` …) is a fragment: not run by
itself, but what a document without steps is, if it is called ``main`` or is the only one.
"""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct, structs

from prodigy.workflow.compose import Composition
from prodigy.workflow.fields import Reader
from prodigy.workflow.keys import Field
from prodigy.workflow.merging import canonical, merged
from prodigy.workflow.model import Handler, Step, SubWorkflow, Text, Workflow
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar, value_of
from prodigy.workflow.parameters import Values
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.refs import NAME, Ref, compile_text
from prodigy.workflow.template import render_value
from prodigy.workflow.values import TemplateError
from prodigy.workflow.vocabulary import acting, later, vocabulary

SUBWORKFLOW = vocabulary(
    "a workflow under `workflows`",
    "under `workflows:`",
    acting("source", "parameters", "inputs", "outputs", "continue_on_error", "timeout", "working_dir"),
    later("parallel"),
)
_GOING_ON = Handler(max_attempts=0, fail_workflow=False)

Open = Callable[[Scalar, dict[str, Any], bool], Workflow | None]
"""Loads the workflow that a path means with values for its parameters, and whether some of these are not known yet;
``None`` with the problem recorded."""


class Member(Struct, frozen=True):
    """One name under ``workflows``."""

    name: Scalar
    body: Mapping

    @property
    def is_fragment(self) -> bool:
        """Whether it is a workflow itself instead of naming one."""
        return not any(key.text == "source" for key, _ in self.body.entries)


def members(root: Mapping, problems: Problems) -> list[Member]:
    """What stands under ``workflows``: a mapping of names, or a list with ``name``."""
    found: list[Member] = []
    for key, value in root.entries:
        if canonical(key.text) != "workflows" or (isinstance(value, Scalar) and value.is_null):
            continue
        if isinstance(value, Scalar):
            problems.error("wrong-type", f"{quoted(key.text)} is a mapping of names, or a list", value)
            continue
        for name, body in _named(value, problems):
            if isinstance(body, Mapping):
                found.append(Member(name, body))
            elif isinstance(body, Listing):
                commands = Scalar("commands", True, *_at(body))
                found.append(Member(name, Mapping([(commands, body)], *_at(body))))
            else:
                message = f"{quoted(name.text)} is neither a mapping with `source` nor a list of steps"
                problems.error("wrong-type", message, body)
    return found


def _named(value: Listing | Mapping, problems: Problems) -> Iterator[tuple[Scalar, Node]]:
    if isinstance(value, Mapping):
        yield from value.entries
        return
    for item in value.items:
        entries = item.entries if isinstance(item, Mapping) else []
        name = next((inner for key, inner in entries if key.text == "name"), None)
        if not isinstance(item, Mapping) or not isinstance(name, Scalar):
            problems.error("missing-key", "a workflow in a list needs `name`", item)
            continue
        rest = [pair for pair in entries if pair[0].text != "name"]
        yield name, structs.replace(item, entries=rest)


def with_main(
    root: Mapping, found: list[Member], compose: Callable[[Node], Composition], problems: Problems
) -> Mapping:
    """The document itself, or with its main fragment in it when it has no steps of its own."""
    fragments = [member for member in found if member.is_fragment]
    own = {canonical(key.text) for key, _ in root.entries}
    if not fragments or own & {"commands", "map", "goals"} or len(fragments) != len(found):
        return root
    main = next((one for one in fragments if one.name.text == "main"), None)
    if main is None and len(fragments) > 1:
        names = ", ".join(quoted(one.name.text) for one in fragments)
        hint = "call it `main`, or start one of them from a file of its own"
        problems.error("no-steps", f"none of {names} is the workflow that runs", fragments[0].name, hint)
        problems.partial = True
        return root
    body = _extended((main or fragments[0]).body, {one.name.text: one.body for one in fragments}, problems)
    composed = compose(body)
    return merged(root, composed.root) if isinstance(composed.root, Mapping) else root


def _extended(body: Mapping, siblings: dict[str, Mapping], problems: Problems) -> Mapping:
    """A fragment over the siblings that it extends."""
    seen: set[str] = set()
    while True:
        base = next((value for key, value in body.entries if key.text == "extends"), None)
        if not isinstance(base, Scalar) or base.text not in siblings:
            return body
        if base.text in seen:
            problems.error("import-cycle", f"{quoted(base.text)} extends itself", base)
            return structs.replace(body, entries=[pair for pair in body.entries if pair[1] is not base])
        seen.add(base.text)
        rest = [pair for pair in body.entries if pair[1] is not base]
        body = merged(siblings[base.text], structs.replace(body, entries=rest))


class SubWorkflowReader:
    """Makes the steps that run other workflows; ``values`` are those of our own parameters."""

    def __init__(self, reader: Reader, open_: Open, values: dict[str, Any]) -> None:
        self.reader = reader
        self.values = values
        self.problems = reader.problems
        self._open = open_

    def steps(self, found: list[Member]) -> tuple[Step, ...]:
        """One step for each member that names a file, in order."""
        return tuple(step for one in found if not one.is_fragment for step in self._step(one))

    def _step(self, member: Member) -> Iterator[Step]:
        name, reader = member.name, self.reader
        if not NAME.fullmatch(name.text):
            hint = "a name starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
            self.problems.error("bad-value", f"{quoted(name.text)} cannot be a workflow's name", name, hint)
        fields = reader.fields(member.body, SUBWORKFLOW)
        source = fields.get("source")
        if source is None:
            if not fields.attempted(("source",)):
                message = f"the workflow {quoted(name.text)} needs `source` or steps"
                self.problems.error("missing-key", message, name)
            return
        parameters = self._mapping(fields.get("parameters"))
        if reader.filled(source) is None or not isinstance(source.value, Scalar):
            return
        given = {key.text: self._value(value) for key, value in parameters}
        workflow = self._open(source.value, given, self._waits([value for _, value in parameters]))
        if workflow is None:
            self.problems.partial = True
            return
        if workflow.mode == "mapreduce":
            message = f"{quoted(source.value.text)} is a MapReduce workflow and cannot run inside another"
            self.problems.error("wrong-type", message, source.value)
            return
        folder = reader.text_node(fields.get("working_dir"))
        lists = [part.steps for part in (workflow.setup, workflow.steps) if part is not None]
        steps = (step for steps in lists for step in steps)
        yield Step(
            action=SubWorkflow(
                name=name.text,
                steps=tuple(
                    step if step.working_dir else structs.replace(step, working_dir=folder) for step in steps
                ),
                parameters=workflow.parameters,
                inputs={key.text: self._text(value) for key, value in self._mapping(fields.get("inputs"))},
                outputs=reader.texts(fields.get("outputs")),
                environment=workflow.environment,
            ),
            mark=reader.mark(name),
            id=name.text,
            name=name.text,
            timeout=reader.limit(fields.get("timeout"), workflow.timeout),
            auto_commit=False,
            on_failure=_GOING_ON if reader.boolean(fields.get("continue_on_error")) else None,
        )

    def _mapping(self, entry: Field | None) -> list[tuple[Scalar, Node]]:
        if entry is None:
            return []
        if not isinstance(entry.value, Mapping):
            self.reader.wrong_type(entry.value, quoted(entry.key.text), "a mapping")
            return []
        return entry.value.entries

    def _value(self, node: Node) -> Any:
        """A parameter's value, in which our own parameters may stand: it has to be known before anything runs."""
        if not isinstance(node, Scalar) or not _roots(node):
            return value_of(node)
        unknown = [root for root in _roots(node) if root not in self.values]
        if unknown:
            hint = "give it under `inputs`, which are read when the workflow runs"
            message = f"{quoted(unknown[0])} is no parameter, and has no value before the run"
            self.problems.error("bad-reference", message, node, hint)
            return None
        try:
            return render_value(node.text, Values(self.values))
        except TemplateError as error:
            self.problems.error("bad-reference", str(error), node)
            return None

    def _waits(self, nodes: list[Node]) -> bool:
        """Whether a value comes from a parameter of ours that has none yet."""
        roots = {root for node in nodes if isinstance(node, Scalar) for root in _roots(node)}
        return any(self.values.get(root) is None for root in roots)

    def _text(self, node: Node) -> Text:
        if not isinstance(node, Scalar):
            self.reader.wrong_type(node, "an input", "text such as `${NAME}`")
            return Text("", self.reader.mark(node))
        return Text(node.text, self.reader.mark(node))


def _roots(node: Scalar) -> list[str]:
    """The variables that a text refers to."""
    return [piece.root for piece in compile_text(node.text).refs() if isinstance(piece, Ref)]


def _at(node: Node) -> tuple[int, int, int, int, str]:
    return node.line, node.column, node.end_line, node.end_column, node.file
