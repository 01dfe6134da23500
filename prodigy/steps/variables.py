"""The variables that a step's text can read, as the run goes on: the ``Scope`` of one list of steps.

Layers, the first that has a value wins, so that ``${test.output}`` of a step with id ``test`` and ``${test.attempt}`` of
ours live together::

    local      what foreach, goal_seek … set for the steps inside them
    kept       captures and ids; shared by all lists of an agent but those inside a compound step
    recent     shell.*, last.*, step.*, error.* …; of this list alone
    asked      what only git or the clock can tell, asked because a text refers to it
    roots      what the agent was given: item, map, workflow, captures of setup, parameters …
    fields     of captures that the agent was given
    declared   variables of the environment that the workflow declares
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from msgspec import Struct, structs

from prodigy.events import Captured, Failure, StepFailed
from prodigy.steps.protocol import Outcome
from prodigy.workflow.model import Local, Step
from prodigy.workflow.scope import UNDEFINED, ComputedKind, Path, Question, resolve, resolve_item
from prodigy.workflow.template import render_value, secret_of
from prodigy.workflow.values import BadReference

LATER: Final = frozenset({
    "shell", "claude", "test", "foreach", "goal_seek", "write_file", "handler", "last", "step", "error",
    "validation", "git", "env", "CAPTURED_OUTPUT",
})  # fmt: skip
"""Names that are ours before anything has given them a value."""


class Span(Struct, frozen=True):
    """The commits before and after a step; ``after`` is ``None`` while it runs."""

    before: str
    after: str | None = None


class Layers(Struct, frozen=True, kw_only=True):
    """What the steps set; the mappings themselves change."""

    local: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}
    """Fields of captures that are no mappings themselves, as in ``${NAME.exit_code}``."""
    recent: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    """By ``step`` and by id: what ``${step.commits}`` and ``${ID.files_changed}`` speak of."""

    def nested(self, roots: Mapping[str, Any]) -> "Layers":
        """What belongs to one list alone, copied, with ``roots`` on top; captures are shared."""
        local = {**self.local, **roots}
        return structs.replace(self, local=local, recent=dict(self.recent), spans=dict(self.spans))

    def inside(self, roots: Mapping[str, Any]) -> "Layers":
        """All copied, with ``roots`` on top."""
        return Layers(
            local={**self.local, **roots},
            kept=dict(self.kept),
            fields=dict(self.fields),
            recent=dict(self.recent),
            spans=dict(self.spans),
        )


class Variables:
    """Names and their values, which are plain data.

    Args:
        roots: what the agent was given.
        fields: of captures among them that are no mappings themselves.
        environment: what its processes find, for ``${env.NAME}``.
        declared: names in it that texts may use as ``${NAME}``.
        secrets: names in it whose values scripts must not hold.
        layers: what the steps set before.
    """

    def __init__(
        self,
        roots: Mapping[str, Any],
        *,
        fields: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        declared: Iterable[str] = (),
        secrets: Iterable[str] = (),
        layers: Layers | None = None,
    ) -> None:
        self.environment = dict(environment or {})
        self.secrets = frozenset(secrets)
        self._declared = frozenset(declared) | self.secrets
        self._set = layers or Layers()
        self._roots = dict(roots)
        self._fields = dict(fields or {})
        self._asked: dict[str, Any] = {}
        self._computed: dict[Question, Any] = {}
        self._own: dict[str, Any] = {}
        self._held: dict[str, str] = {}
        """Own variables that are a secret, each with the secret's environment variable."""
        self._around = self.environment

    @property
    def spans(self) -> Mapping[str, Span]:
        """By ``step`` and by id: the commits that they speak of."""
        return self._set.spans

    # -- the scope -------------------------------------------------------------------------------------------------
    def knows(self, root: str) -> bool:
        """Whether ``root`` is a variable at all, defined or not yet."""
        return root in LATER or root in self._declared or any(root in layer for layer in self._layers())

    def names(self) -> Iterable[str]:
        """All roots, for "did you mean"."""
        return LATER.union(self._declared, *self._layers())

    def lookup(self, path: Path) -> Any:
        """The value at ``path``, or ``UNDEFINED``."""
        root, *rest = path
        for layer in self._layers():
            value = layer.get(str(root), UNDEFINED)
            if value is UNDEFINED:
                continue
            found = resolve_item(value, rest) if root == "item" else resolve(value, rest)
            if found is not UNDEFINED:
                return found
        return self._of_environment(path)

    def secret(self, path: Path) -> str | None:
        """The environment variable that holds the secret at ``path``."""
        root, *rest = path
        if root == "env" and len(rest) == 1 and rest[0] in self.secrets:
            return str(rest[0])
        held = self._held.get(str(root)) if not rest else None
        if held is not None and self.lookup(path) == self._around.get(held):
            return held
        hidden = any(root in layer for layer in self._layers())
        return str(root) if not rest and root in self.secrets and not hidden else None

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """The value of ``${date:…}``, ``${file:…}`` and the like in this try."""
        found = self._computed.get((kind, argument), UNDEFINED)
        if isinstance(found, Failure):
            raise BadReference(found.message, code="bad-value")
        return found

    def has_computed(self, question: Question) -> bool:
        """Whether a computed value is known in this try, or known not to be had."""
        return question in self._computed

    def _layers(self) -> tuple[Mapping[str, Any], ...]:
        ours = self._set
        set_here = self._own, ours.local, ours.kept, ours.fields, ours.recent, self._asked
        return *set_here, self._roots, self._fields

    def _of_environment(self, path: Path) -> Any:
        root, *rest = path
        if root == "env":
            return resolve(self._around, rest)
        known = root in self._declared and root in self._around
        return resolve(self._around[str(root)], rest) if known else UNDEFINED

    # -- lists within lists ------------------------------------------------------------------------------------------
    def nested(self) -> Self:
        """For a list of steps within ours, such as a handler's: captures are shared, what is recent is its own."""
        return self._with(self._set.nested(self._own))

    def inside(self, roots: Mapping[str, Any], *, isolated: bool = False) -> Self:
        """For the steps of a compound step: ``roots`` over all we know, and nothing comes back.

        Args:
            roots: further variables.
            isolated: whether captures and what is recent are left out.
        """
        return self._with(Layers(local=dict(roots)) if isolated else self._set.inside({**self._own, **roots}))

    def _with(self, layers: Layers) -> Self:
        inner = type(self)(
            self._roots,
            fields=self._fields,
            environment=self.environment,
            declared=self._declared,
            secrets=self.secrets,
            layers=layers,
        )
        inner._held = dict(self._held)  # noqa: SLF001 - one of us
        return inner

    def surrounded(
        self, environment: Mapping[str, str], names: Iterable[str], secrets: Iterable[str]
    ) -> None:
        """Take the environment of the step that runs.

        Args:
            environment: all of it, for ``${env.NAME}``.
            names: what texts may use of it as ``${NAME}``, besides what is declared for all steps.
            secrets: names in it whose values scripts must not hold.
        """
        self._around = dict(environment)
        self.secrets = frozenset(secrets)
        self._declared |= frozenset(names) | self.secrets

    # -- what the steps leave ----------------------------------------------------------------------------------------
    def answered(self, asked: Mapping[str, Any], computed: Mapping[Question, Any]) -> None:
        """Take answers for one try of a step: ``git``, ``workflow`` … by root, and computed values."""
        self._asked = dict(asked)
        self._computed = dict(computed)

    def computed_also(self, computed: Mapping[Question, Any]) -> None:
        """Take further computed values of the try; a ``Failure`` stands for one that could not be worked out."""
        self._computed |= computed

    def owned(self, variables: Iterable[Local]) -> None:
        """Take the variables that only the step that runs has, each in turn: one may name those before it.

        Raises:
            TemplateError: a text of theirs cannot be filled in.
        """
        self._own = {}
        for one in variables:
            source = one.text
            held = None if source is None else secret_of(source.source, self)
            self._own[one.name] = one.data if source is None else render_value(source.source, self)
            if held is not None:
                self._held[one.name] = held

    def ran(self, step: Step, span: Span, index: int, try_: int) -> None:
        """Make a step whose action is over readable as ``step``, for its commit message and what checks it."""
        self._set.recent["step"] = {"name": step.label, "index": index, "id": step.id, "attempt": try_}
        self._set.spans["step"] = span

    def finished(self, step: Step, outcome: Outcome, span: Span, index: int) -> None:
        """Make a finished step readable as ``KIND``, ``last``, ``step`` and its id, and its captures by their names."""
        fields = step_fields(outcome)
        self._show(step, outcome, fields, index)
        self._set.spans["step"] = span
        if step.id is not None:
            outputs = outcome.outputs if not isinstance(outcome, StepFailed) else {}
            self._set.kept[step.id] = {**fields, **outputs}
            self._set.spans[step.id] = span
        self.capture(outcome.captures)

    def skipped(self, step: Step) -> None:
        """Make a step that did not run readable: it succeeded, and all it could have said is null."""
        if step.id is not None:
            nothing = dict.fromkeys(("output", "stdout", "stderr", "exit_code", "duration"))
            self._set.kept[step.id] = {
                **nothing,
                **{output.name: None for output in step.outputs},
                "success": True,
            }
        self.capture({capture.name: Captured() for capture in step.captures})

    def capture(self, captures: Mapping[str, Captured]) -> None:
        """Set captured variables; a dotted name is a value within one."""
        for name, captured in captures.items():
            put(self._set.kept, name, captured.value)
            for field, value in captured.fields.items():
                put(self._set.fields, f"{name}.{field}", value)

    def captured(self) -> dict[str, Any]:
        """All captures and ids so far."""
        return dict(self._set.kept)

    def captured_fields(self) -> dict[str, Any]:
        """The fields of all captures so far."""
        return dict(self._set.fields)

    def failing(self, step: Step, outcome: Outcome, failure: Failure, index: int) -> None:
        """Set the scene for a handler: ``error.*``, ``test.*``, and ``shell.output`` as stdout then stderr."""
        fields = step_fields(outcome)
        fields["output"] = joined(outcome.stdout.tail, outcome.stderr.tail)
        fields["exit_code"] = failure.exit_code
        self._show(step, outcome, fields, index)
        self._set.recent["shell"] = fields
        if step.kind in {"shell", "test"}:
            self._set.recent["test"] = fields
        self._set.recent["error"] = {
            "message": failure.message,
            "exit_code": failure.exit_code,
            "signal": failure.signal,
            "step": failure.step_name or step.label,
            "class": failure.error_class,
            "log": failure.logs[0] if failure.logs else None,
        }

    def in_handler(self, attempt: int, max_attempts: int, output: str | None = None) -> None:
        """Set ``handler.*`` for a round."""
        self._set.recent["handler"] = {"attempt": attempt, "max_attempts": max_attempts, "output": output}

    def handled(self, output: str) -> None:
        """Set ``handler.output`` to what the last handler printed; a list of a handler keeps its own attempt."""
        self._set.recent["handler"] = {**self._set.recent.get("handler", {}), "output": output}

    def validated(self, value: Any) -> None:
        """Set ``validation.*``."""
        if isinstance(value, Mapping):
            self._set.recent["validation"] = value

    def _show(self, step: Step, outcome: Outcome, fields: dict[str, Any], index: int) -> None:
        shown = fields if step.keep_output else {**fields, "output": UNDEFINED}
        self._set.recent[step.kind] = {name: value for name, value in shown.items() if value is not UNDEFINED}
        self._set.recent["last"] = fields
        self._set.recent["CAPTURED_OUTPUT"] = fields["output"]
        self._set.recent["step"] = {
            "name": step.label,
            "index": index,
            "id": step.id,
            "attempt": outcome.try_,
        }
        if step.kind == "validate":
            self.validated(outcome.value)


def step_fields(outcome: Outcome) -> dict[str, Any]:
    """``output stdout stderr exit_code success duration attempt`` of a finished step, and what its action says.

    The duration is in seconds.
    """
    failed = isinstance(outcome, StepFailed)
    code = outcome.error.exit_code if isinstance(outcome, StepFailed) else outcome.exit_code
    output = outcome.stdout.tail.rstrip("\n")
    if outcome.stdout.cut:
        kept = len(outcome.stdout.tail.encode())
        output = f"[the first {outcome.stdout.size - kept} bytes are only in {outcome.stdout.log}]\n{output}"
    return {
        "output": output,
        "stdout": outcome.stdout.tail.rstrip("\n"),
        "stderr": outcome.stderr.tail.rstrip("\n"),
        "exit_code": code,
        "success": not failed,
        "duration": outcome.duration_ms / 1000,
        "attempt": outcome.try_,
        **(outcome.value if isinstance(outcome.value, Mapping) else {}),
    }


def joined(*streams: str) -> str:
    """Streams one after the other, each without its trailing newlines."""
    return "\n".join(text for text in (stream.rstrip("\n") for stream in streams) if text)


def put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Set a value at a dotted name; what stands in the way of a nested one gives way."""
    *outer, last = name.split(".")
    for key in outer:
        inner = tree.get(key)
        tree[key] = dict(inner) if isinstance(inner, Mapping) else {}
        tree = tree[key]
    tree[last] = value
