"""From declared variables to their values: which layer wins, what depends on what, and what only an effect can tell.

Pure. ``resolve`` is a generator: it yields a ``Request`` for each value that a command or a file holds, is sent what
was found, and returns what came of it. So the coordinator and the workers do the same in their own ways.

- Variables of one call see each other in any order; a variable that names itself means the layer below.
- What lies below is given as ``base``: the process's environment and everything resolved before.
- A value that cannot be known yet, because it is asked anew for each step or names something that only a step knows,
  is returned as it is declared, to be resolved when a step starts.
"""

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from prodigy.errors import WorkflowError
from prodigy.workflow.environment_scope import Others, Values
from prodigy.workflow.expression import holds, parse_expression
from prodigy.workflow.layers import Definition, definitions
from prodigy.workflow.model import Environment, EnvVar, Mark
from prodigy.workflow.refs import Computed, Dollar, Fold, Ref, Unread, compile_text
from prodigy.workflow.scope import UNDEFINED, Path, Question, Scope
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

_MENTION = re.compile(r"\$\{?\s*([A-Za-z_]\w*)", re.ASCII)


RequestKind = Literal["command", "file", "date", "uuid"]


class Request(Struct, frozen=True, kw_only=True):
    """What only an effect can tell: what a command printed, what is in a file, the time, a number nobody else has.

    ``environment`` is the command's whole environment but for what every child gets.
    """

    kind: RequestKind
    name: str
    text: str
    """Script, path, or format of the time."""
    environment: dict[str, str] = {}
    timeout: float | None = None
    secret: bool = False
    mark: Mark = Mark()


class Resolved(Struct, frozen=True, kw_only=True):
    """Values by name, which of them are secrets, and the variables that are left for later, in order."""

    values: dict[str, str] = {}
    secrets: frozenset[str] = frozenset()
    later: tuple[EnvVar, ...] = ()


Answers = Generator[Request, str, Resolved]
Knows = Callable[[str], bool]


def resolve(
    layers: Sequence[Environment],
    base: Mapping[str, str],
    scope: Scope,
    *,
    profile: str | None = None,
    process: Mapping[str, str] | None = None,
    later: Knows | None = None,
    only_secrets: bool = False,
) -> Answers:
    """The values of what some layers declare.

    Args:
        layers: lowest first; their secrets lie above all their variables.
        base: what lies below them.
        scope: other variables that texts may use.
        profile: the active one.
        process: where variables of the process are looked for, if ``base`` does not have them.
        later: whether a name that has no value here may have one when a step starts; ``None``: the step starts now.
        only_secrets: leave everything alone that no secret needs.

    Raises:
        WorkflowError: ``env-cycle``, ``secret-missing``, ``undefined-variable`` and whatever else a text may raise.
    """
    resolving = _Resolving(definitions(layers, profile), base, scope, process or base, later)
    values: dict[str, str] = {}
    left: list[EnvVar] = []
    for name, chain in resolving.chains.items():
        if only_secrets and not chain[-1].secret:
            continue
        for level in range(len(chain) - 1, -1, -1):
            value = yield from resolving.value(name, level)
            if value is not None:
                values[name] = value
                break
            left.append(EnvVar(name=name, values={"": chain[level].value}, mark=chain[level].mark))
    secrets = frozenset(name for name in values if resolving.chains[name][-1].secret)
    return Resolved(values=values, secrets=secrets, later=tuple(reversed(left)))


class _Resolving:
    """One call of ``resolve``: what is known so far, and what is being worked out."""

    def __init__(
        self,
        chains: dict[str, tuple[Definition, ...]],
        base: Mapping[str, str],
        scope: Scope,
        process: Mapping[str, str],
        later: Knows | None,
    ) -> None:
        self.chains = chains
        self.base = base
        self.scope = scope
        self.process = process
        self.waits = later is not None
        self.later = later or _never
        self.known: dict[tuple[str, int], str | None] = {}
        self.open: list[tuple[str, int]] = []

    def value(self, name: str, level: int) -> Generator[Request, str, str | None]:
        """The value that a level of a chain gives, or ``None`` if it is for later."""
        place = name, level
        if place in self.known:
            return self.known[place]
        definition = self.chains[name][level]
        if place in self.open:
            raise self._cycle(definition, place)
        self.open.append(place)
        try:
            value = yield from self._worked_out(definition, level)
        except TemplateError as error:
            raise located(error, name, definition.mark) from None
        self.open.pop()
        self.known[place] = self._usable(definition, value)
        return self.known[place]

    def _worked_out(self, definition: Definition, level: int) -> Generator[Request, str, str | None]:
        value = definition.value
        match value.kind:
            case "literal":
                return value.text
            case "text":
                return (yield from self._rendered(definition, level, value.text))
            case "condition":
                return (yield from self._chosen(definition, level))
            case "env":
                return (yield from self._from_process(definition, level))
            case "command":
                return (yield from self._printed(definition, level))
            case "file":
                answer = yield _request(definition, "file", value.text)
                return answer.removesuffix("\n").removesuffix("\r")

    def _usable(self, definition: Definition, value: str | None) -> str | None:
        if definition.secret and not value:
            raise missing_secret(definition, None if value is None else "it is empty")
        if value is not None and "\0" in value:
            message = f"The value of `{definition.name}` contains a NUL character"
            raise WorkflowError("bad-value", message, where=str(definition.mark))
        return value

    # -- kinds of values -----------------------------------------------------------------------------------------------
    def _rendered(self, definition: Definition, level: int, text: str) -> Generator[Request, str, str | None]:
        references = list(compile_text(text).refs())
        names = [name for reference in references if (name := _variable_of(reference)) is not None]
        known = yield from self._needed(definition, level, names)
        if known is None or any(self._is_later(reference, known) for reference in references):
            return None
        answers: dict[Question, str] = {}
        for reference in references:
            if isinstance(reference, Computed) and self._is_asked(reference):
                assert reference.kind in {"date", "uuid"}, "validation refuses the others"
                answers[reference.kind, reference.argument] = yield _request(
                    definition, reference.kind, reference.argument
                )
        return render_text(text, Values(known, self.base, self.scope, answers))

    def _chosen(self, definition: Definition, level: int) -> Generator[Request, str, str | None]:
        condition = definition.value.condition
        assert condition is not None, "a conditional value has its condition"
        expression = parse_expression(condition.source)
        paths = [reference.path for reference in expression.references() if reference.path]
        names = [str(path[1] if path[0] == "env" and len(path) > 1 else path[0]) for path in paths]
        known = yield from self._needed(definition, level, names)
        if known is None or self._is_any_later([str(path[0]) for path in paths], known):
            return None
        true = holds(expression, Values(known, self.base, self.scope))
        text = definition.value.when_true if true else definition.value.when_false
        return (yield from self._rendered(definition, level, text))

    def _from_process(self, definition: Definition, level: int) -> Generator[Request, str, str | None]:
        name = definition.value.text
        known = yield from self._needed(definition, level, [name])
        if known is None:
            return None
        for source in (known, self.base, self.process):
            if name in source:
                return source[name]
        if definition.secret:
            raise missing_secret(definition, f"`{name}` is not set in the environment")
        message = f"`{name}`, which `{definition.name}` is made of, is not set in the environment"
        raise WorkflowError("undefined-variable", message, where=str(definition.value.mark))

    def _printed(self, definition: Definition, level: int) -> Generator[Request, str, str | None]:
        value = definition.value
        mentioned = set(_MENTION.findall(value.text))
        known = yield from self._needed(definition, level, sorted(mentioned))
        asked_anew = not value.cache and not definition.secret
        if known is None or (self.waits and (asked_anew or self._is_any_later(mentioned, known))):
            return None
        script = render_shell(value.text, Others({**self.base, **known}, self.scope))
        answer = yield _request(definition, "command", script, {**self.base, **known})
        return answer.rstrip("\n")

    # -- what a value needs --------------------------------------------------------------------------------------------
    def _needed(
        self, definition: Definition, level: int, names: Iterable[str]
    ) -> Generator[Request, str, dict[str, str] | None]:
        """Values of the variables that a definition names; ``None`` if one of them is for later."""
        known: dict[str, str] = {}
        for name in dict.fromkeys(names):
            own = name == definition.name
            chain = self.chains.get(name, ())
            below = level if own else len(chain)
            if below == 0:
                continue
            value = yield from self.value(name, below - 1)
            if value is None:
                return None
            known[name] = value
        return known

    def _is_any_later(self, names: Iterable[str], known: Mapping[str, str]) -> bool:
        return any(self.later(name) and self._is_unknown((name,), known) for name in names)

    def _is_later(self, reference: Unread, known: Mapping[str, str]) -> bool:
        match reference:
            case Ref() | Fold():
                return self._is_unknown(reference.path, known) and self.later(reference.root)
            case Dollar():
                return self._is_unknown((reference.name,), known) and self.later(reference.name)
            case Computed():
                return self.later(reference.kind)
            case _:
                return False

    def _is_asked(self, computed: Computed) -> bool:
        """Whether nobody around knows it: in a step it was worked out with the other texts."""
        is_users = computed.kind == "uuid" and self.scope.knows("uuid")
        return not is_users and self.scope.computed(computed.kind, computed.argument) is UNDEFINED

    def _is_unknown(self, path: Path, known: Mapping[str, str]) -> bool:
        return Values(known, self.base, self.scope).lookup(path) is UNDEFINED

    def _cycle(self, definition: Definition, place: tuple[str, int]) -> WorkflowError:
        names = [name for name, _ in self.open[self.open.index(place) :]]
        shown = " → ".join(f"`{name}`" for name in [*names, definition.name])
        return WorkflowError("env-cycle", f"Variables need each other: {shown}", where=str(definition.mark))


def _never(_: str) -> bool:
    return False


def _request(
    definition: Definition,
    kind: RequestKind,
    text: str,
    environment: dict[str, str] | None = None,
) -> Request:
    return Request(
        kind=kind,
        name=definition.name,
        text=text,
        environment=environment or {},
        timeout=definition.value.timeout,
        secret=definition.secret,
        mark=definition.value.mark,
    )


def _variable_of(reference: Unread) -> str | None:
    """The variable of the environment that a reference may mean."""
    match reference:
        case Dollar():
            return reference.name
        case Ref() if reference.root == "env" and len(reference.path) > 1:
            return str(reference.path[1])
        case Ref() | Fold():
            return reference.root
        case _:
            return None


# -- errors ------------------------------------------------------------------------------------------------------------
def missing_secret(definition: Definition, why: str | None) -> WorkflowError:
    """A secret that has no value before the run."""
    reason = why or "its value is known only when a step runs"
    return WorkflowError(
        "secret-missing", f"The secret `{definition.name}` has no value: {reason}", where=str(definition.mark)
    )


def located(error: TemplateError, name: str, mark: Mark) -> WorkflowError:
    """The error of a text as one of the variable that it belongs to."""
    return WorkflowError(error.code, f"`{name}`: {error.message}", where=str(mark), hint=error.hint)
