"""Steps and their handlers, from marked nodes to the model.

Pure. A step that is wrong still yields a ``Step``, with an empty script where its action could not be read: the
problems are recorded, and what comes after it is judged as if it were there.
"""

from collections.abc import Iterator

from msgspec import structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language import (
    ACTIONS,
    FOREACH_OPTIONS,
    HANDLER,
    HANDLER_OPTIONS,
    STEP,
    Vocabulary,
)
from prodigy.workflow.model import Handler, Mark, Shell, Step
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.problems import quoted
from prodigy.workflow.refs import NAME

_ACTIONS = tuple(key.name for key in ACTIONS)

_STEP_ONLY = frozenset(key.key.name for key in STEP.spellings.values()) - HANDLER_OPTIONS - set(_ACTIONS)
_ON = Handler(max_attempts=0, fail_workflow=False)


class StepReader:
    """Reads step lists; ``auto_commit`` is what steps inherit that do not say."""

    def __init__(self, reader: Reader, *, auto_commit: bool) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.auto_commit = auto_commit

    def mark(self, node: Node) -> Mark:
        """Where a node stands."""
        return Mark(self.problems.file, node.line, node.column)

    def steps(self, node: Node) -> tuple[Step, ...]:
        """One step, or a list of steps with lists inside it flattened."""
        return tuple(self.step(item) for item in _flat(node) if not self.problems.full)

    def step(self, node: Node) -> Step:
        """One step."""
        if isinstance(node, Mapping):
            return self._step(node, self.reader.fields(_without_foreach_options(node), STEP))
        if isinstance(node, Scalar) and not node.is_null:
            self.reader.not_yet(node, "a step that is only text (it runs Claude)")
        else:
            self.reader.wrong_type(node, "a step", "a mapping such as `shell: make test`")
        return Step(action=Shell(""), mark=self.mark(node), auto_commit=self.auto_commit)

    def _step(self, node: Mapping, fields: Fields) -> Step:
        reader = self.reader
        commit = reader.boolean(fields.get("auto_commit"))
        return Step(
            action=self._action(node, fields),
            mark=self.mark(node),
            id=self._id(fields.get("id")),
            name=reader.text(fields.get("name")) or reader.text(fields.get("description")),
            timeout=reader.limit(fields.get("timeout"), None),
            commit_required=reader.boolean(fields.get("commit_required")) or False,
            auto_commit=self.auto_commit if commit is None else commit,
            on_failure=self._repair(fields),
        )

    def _action(self, node: Mapping, fields: Fields) -> Shell:
        """The one action; several, none and an empty one are problems."""
        given = [name for name in _ACTIONS if name in fields.found or name in fields.refused]
        actions = [name for name in given if name != "validate"] or given
        if len(actions) > 1:
            names = " and ".join(quoted(name) for name in actions)
            self.problems.error("multiple-actions", f"a step does one thing, this one has {names}", node)
        elif not actions and not fields.attempted(_ACTIONS):
            message = "this step does nothing"
            self.problems.error("no-action", message, node, "give it an action, e.g. `shell: make test`")
        entry = fields.get("shell")
        script = self.reader.text(entry)
        if entry is None or script is None:
            return Shell("", self.mark(node))
        if not script.strip():
            self.problems.error("bad-value", f"{quoted(entry.key.text)} is empty", entry.value)
        return Shell(script, self.mark(entry.value))

    def _id(self, entry: Field | None) -> str | None:
        text = self.reader.text(entry)
        if entry is None or text is None or NAME.fullmatch(text):
            return text
        message = f"{quoted(text)} cannot be an id"
        hint = "an id starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
        self.problems.error("bad-value", message, entry.value, hint)
        return None

    def _repair(self, fields: Fields) -> Handler | None:
        """``on_failure`` with the options that may stand beside it, and ``continue_on_error``."""
        entry = fields.get("on_failure")
        handler = None if entry is None else self._handler(entry)
        handler = self._beside(fields, entry, handler)
        return self._going_on(fields, entry, handler)

    def _beside(self, fields: Fields, entry: Field | None, handler: Handler | None) -> Handler | None:
        """Apply ``max_attempts``, ``fail_workflow`` and ``retry_original`` of the step itself."""
        attempts = fields.get("max_attempts")
        if handler is None:
            return self._alone(fields, attempts)
        inner = _keys(entry)
        for name in ("max_attempts", "fail_workflow", "retry_original"):
            beside = fields.get(name)
            if beside is not None and name in inner:
                message = f"{quoted(name)} is given beside `on_failure` and inside it"
                self.problems.error("conflicting-keys", message, beside.key, "keep one of them")
        return self._rounds(fields, handler)

    def _alone(self, fields: Fields, attempts: Field | None) -> Handler | None:
        """The same options on a step without a handler."""
        if attempts is not None:
            self.reader.not_yet(attempts.key, f"{quoted(attempts.key.text)} without `on_failure` (a retry)")
        proof = fields.get("retry_original")
        if proof is not None:
            message = "`retry_original` has no effect without `on_failure`"
            self.problems.warning("no-effect", message, proof.key)
        return _ON if self.reader.boolean(fields.get("fail_workflow")) is False else None

    def _rounds(self, fields: Fields, handler: Handler) -> Handler:
        """``handler`` with what ``fields`` say about its rounds."""
        attempts = self.reader.integer(fields.get("max_attempts"), 1)
        fail = self.reader.boolean(fields.get("fail_workflow"))
        proof = self.reader.boolean(fields.get("retry_original"))
        return structs.replace(
            handler,
            max_attempts=handler.max_attempts if attempts is None else attempts,
            fail_workflow=handler.fail_workflow if fail is None else fail,
            retry_original=handler.retry_original if proof is None else proof,
        )

    def _going_on(self, fields: Fields, entry: Field | None, handler: Handler | None) -> Handler | None:
        going_on = fields.get("continue_on_error")
        if not self.reader.boolean(going_on):
            return handler
        if handler is None:
            return _ON
        outer = fields.get("fail_workflow")
        if going_on is not None and handler.fail_workflow and (outer or "fail_workflow" in _keys(entry)):
            message = f"{quoted(going_on.key.text)} goes on after a failure, `fail_workflow` does not"
            self.problems.error("conflicting-keys", message, going_on.key, "keep one of them")
        return structs.replace(handler, fail_workflow=False)

    def _handler(self, entry: Field) -> Handler | None:
        """Every form of ``on_failure``."""
        node = entry.value
        if isinstance(node, Mapping):
            return self._handler_mapping(node)
        if isinstance(node, Listing):
            steps = tuple(self._handler_step(item) for item in _flat(node))
            if not steps:
                self.problems.error("no-steps", f"{quoted(entry.key.text)} has no steps", node)
            return Handler(steps=steps)
        if node.text.strip().lower() in {"true", "false"}:
            return _ON if self.reader.boolean(entry) else None
        return Handler(steps=(self._handler_step(node),))

    def _handler_step(self, node: Node) -> Step:
        """A step of a handler, where plain text is a shell command unless it says otherwise."""
        if not isinstance(node, Scalar) or node.is_null:
            return self.step(node)
        text = node.text.strip()
        if text.startswith(("/", "claude:")):
            self.reader.not_yet(node, "a Claude command")
            text = ""
        script = text.removeprefix("shell:").strip()
        return Step(action=Shell(script, self.mark(node)), mark=self.mark(node), auto_commit=self.auto_commit)

    def _handler_mapping(self, node: Mapping) -> Handler:
        fields = self.reader.fields(node, HANDLER)
        handler = self._rounds(fields, Handler(timeout=self.reader.limit(fields.get("timeout"), None)))
        commands = fields.get("commands")
        own = Fields(
            {name: entry for name, entry in fields.found.items() if name not in HANDLER_OPTIONS},
            fields.suspected,
            fields.refused,
        )
        if commands is not None:
            self._only_rounds(own)
            return structs.replace(handler, steps=self._commands(commands))
        if fields.attempted((*_ACTIONS, "commands")):
            return structs.replace(handler, steps=(self._step(node, own),))
        self._only_rounds(own)
        return handler

    def _commands(self, entry: Field) -> tuple[Step, ...]:
        return tuple(self._handler_step(item) for item in _flat(entry.value))

    def _only_rounds(self, fields: Fields) -> None:
        """A handler without an action of its own has no place for the options of a step."""
        for name, entry in fields.found.items():
            if name in _STEP_ONLY or name in _ACTIONS:
                message = f"{quoted(entry.key.text)} has no step to belong to here"
                self.problems.error(
                    "conflicting-keys", message, entry.key, "put it into the step that it speaks of"
                )


def looks_like(node: Mapping, phase: Vocabulary) -> bool:
    """Whether a mapping in place of a step list is the phase's own mapping and not a single step."""
    keys = [key.text for key, _ in node.entries]
    if any(key in {"commands", "steps"} for key in keys):
        return True
    if any(key in _ACTIONS for key in keys):
        return False
    if any(nearest(key, ("commands", "steps")) for key in keys):
        return True
    return not any(nearest(key, _ACTIONS) for key in keys) and all(key in phase.spellings for key in keys)


def _without_foreach_options(node: Mapping) -> Mapping:
    if not any(key.text == "foreach" for key, _ in node.entries):
        return node
    return structs.replace(
        node, entries=[pair for pair in node.entries if pair[0].text not in FOREACH_OPTIONS]
    )


def _flat(node: Node) -> Iterator[Node]:
    if isinstance(node, Listing):
        for item in node.items:
            yield from _flat(item)
    else:
        yield node


def _keys(entry: Field | None) -> frozenset[str]:
    """The canonical keys inside ``on_failure``'s mapping."""
    if entry is None or not isinstance(entry.value, Mapping):
        return frozenset()
    spelled = (HANDLER.spellings.get(key.text) for key, _ in entry.value.entries)
    return frozenset(spelling.key.name for spelling in spelled if spelling is not None)
