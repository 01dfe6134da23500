"""What is known at one place of a workflow: a scope without values, asked before anything runs.

Pure. A ``Known`` belongs to one step list and grows as its steps go by; lists inside steps get one of their own that
looks outwards. What only may have a value counts as known: whether it has is seen when the text is used.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from prodigy.workflow.declared import Declared
from prodigy.workflow.refs import AnyRef, Computed, Fold
from prodigy.workflow.scope import WORKED_OUT, Path
from prodigy.workflow.variables import (
    AFTER_MAP,
    CONTEXTS,
    DEPRECATED,
    NEVER_SET,
    PHASES,
    VARIABLES,
    Context,
    Phase,
    Variable,
    variable,
)

_MOST_NAMED = 40
"""Fields that a hint lists."""


_WITHOUT_TIME: Final[frozenset[Phase]] = frozenset({"input", "item id"})
_WITHOUT_STEPS: Final[frozenset[Phase]] = _WITHOUT_TIME | {"environment"}


class Refusal(Struct, frozen=True):
    """Why a reference cannot work: code, message and hints of a problem."""

    code: str
    message: str
    hints: tuple[str, ...] = ()


class Known:
    """The names that texts of one step list can use.

    Args:
        phase: where the list stands.
        declared: what the whole workflow declares.
        outer: the list around it.
        contexts: what it stands inside of, besides what ``outer`` does.
        setup: the setup phase, if it has run before.
    """

    def __init__(
        self,
        phase: Phase,
        declared: Declared,
        *,
        outer: "Known | None" = None,
        contexts: frozenset[Context] = frozenset(),
        setup: "Known | None" = None,
    ) -> None:
        self.phase = phase
        self.declared = declared
        self.outer = outer
        self.contexts: frozenset[Context] = contexts if outer is None else contexts | outer.contexts
        self.works_out: bool = outer is None or outer.works_out
        """Whether texts here are those of a step, which can have values worked out."""
        self.setup: Known | None = outer.setup if outer is not None and setup is None else setup
        self.names_set: dict[str, frozenset[str] | None] = {}
        self.text_names: set[str] = set()
        """Those of them that have one text as their value, whatever it is."""
        self.kinds: set[str] = set()
        self.environment: frozenset[str] = frozenset()
        self.secrets: frozenset[str] = frozenset()

    # -- growing ---------------------------------------------------------------------------------------------------
    def inside(self, *contexts: Context) -> "Known":
        """A list inside a step of this one."""
        return Known(self.phase, self.declared, outer=self, contexts=frozenset(contexts))

    def without_steps(self) -> "Known":
        """The same place for texts that are no step's."""
        place = self.inside()
        place.works_out = False
        return place

    def define(self, name: str, fields: frozenset[str] | None = None, *, is_text: bool = False) -> None:
        """A capture or id has a value from here on; ``fields`` as of ``Variable``."""
        first = name not in self.names_set
        self.names_set[name] = fields if first else None
        if is_text and (first or name in self.text_names):
            self.text_names.add(name)
        else:
            self.text_names.discard(name)

    def ran(self, kind: str) -> None:
        """A step of a kind has run."""
        self.kinds.add(kind)

    def take(self, inner: "Known") -> None:
        """What a list inside a step defined is known here as well."""
        self.take_names(inner)
        self.kinds |= inner.kinds

    def take_names(self, other: "Known") -> None:
        """The captures and ids of another list are known here as well."""
        self.names_set.update(other.names_set)
        self.text_names = (self.text_names - other.names_set.keys()) | other.text_names

    # -- asking ----------------------------------------------------------------------------------------------------
    def knows(self, root: str) -> bool:
        """Whether a root name can have a value here."""
        row = variable(root)
        return (row is not None and self._reaches(row)) or self.is_own(root)

    def is_own(self, root: str) -> bool:
        """Whether the workflow itself gives the name a value here."""
        return (
            root in self.declared.parameters
            or self._in_chain("environment", root)
            or self._fields(root) is not _UNSET
            or (root == "setup" and self.setup is not None)
        )

    def holds_data(self, root: str) -> bool:
        """Whether the name alone is worth writing: it is no group of values."""
        row = variable(root)
        return row is None or row.fields is None or self.is_own(root)

    def is_text(self, root: str) -> bool:
        """Whether a name is a capture that is one text."""
        place: Known | None = self
        while place is not None:
            if root in place.names_set:
                return root in place.text_names
            place = place.outer
        return self.setup is not None and root in self.setup.text_names

    def is_secret(self, path: Path) -> bool:
        """Whether a path leads to a secret, as far as declarations tell."""
        name = path[1] if path[0] == "env" and len(path) > 1 else path[0]
        hidden = path[0] != "env" and (
            name in self.declared.parameters or self._fields(str(name)) is not _UNSET
        )
        return not hidden and self._in_chain("secrets", str(name))

    def may_declare(self, path: Path) -> bool:
        """Whether a path may lead to what a file sets that nobody has looked into."""
        return self.declared.partial or (self.declared.has_files and len(path) == 1)

    def names(self) -> Iterator[str]:
        """Every root name that can have a value here, those of older workflows aside."""
        rows = (row for row in VARIABLES.values() if row.name not in DEPRECATED)
        yield from (row.name for row in rows if self._reaches(row))
        place: Known | None = self
        while place is not None:
            yield from place.names_set
            yield from place.environment
            place = place.outer
        if self.setup is not None:
            yield from ("setup", *self.setup.names_set)
        if self.phase in AFTER_MAP:
            yield from self.declared.aggregates
        yield from (*self.declared.parameters, *self.declared.environment)

    def meant(self, root: str) -> str | None:
        """The name that somebody meant who wrote one that is unknown here."""
        return self.declared.guesses.nearest(root, self.names())

    def refusal(self, ref: AnyRef) -> Refusal | None:
        """Why a reference can never have a value here, if it cannot."""
        if isinstance(ref, Fold):
            return self.refusal_of(ref.path, ref.name)
        if isinstance(ref, Computed):
            is_told = ref.kind not in WORKED_OUT and self.phase not in _WITHOUT_TIME
            if is_told or (self.works_out and self.phase not in _WITHOUT_STEPS):
                return None
            hint = "let a step capture it, and refer to that"
            return Refusal("bad-reference", f"`{ref.source}` works in the texts of steps only", (hint,))
        has_default = ref.default is not None or any(step.name == "default" for step in ref.filters)
        return self.refusal_of(ref.path, ref.name, has_default=has_default)

    def refusal_of(self, path: Path, name: str, *, has_default: bool = False) -> Refusal | None:
        """As ``refusal`` for a path that people write as ``name``."""
        root = str(path[0])
        row = variable(root)
        reached = row if row is not None and self._reaches(row) else None
        if self.is_own(root):
            fields = self._own_fields(root, reached)
            return None if fields is None else self._wrong_field(path, name, fields)
        if row is None:
            return self._unknown(path, name, has_default=has_default)
        if reached is None:
            expected = has_default or path == NEVER_SET or (self.declared.partial and len(path) == 1)
            return None if expected else self._out_of_reach(row, name)
        is_early = len(path) > 1 and path[1] in row.early
        if not has_default and not is_early and not self._has_run(row):
            what = "step" if row.after == "last" else f"`{row.after}` step"
            hint = f"no {what} of this list has run before it"
            return Refusal("undefined-variable", f"`{name}` is not defined here", (hint,))
        if row.fields is None:
            return None
        fields = row.fields | self.declared.aggregates if root == "map" else row.fields
        return self._wrong_field(path, name, fields)

    # -- how -------------------------------------------------------------------------------------------------------
    def _reaches(self, row: Variable) -> bool:
        return self.phase in row.phases or not self.contexts.isdisjoint(row.contexts)

    def _own_fields(self, root: str, built_in: Variable | None) -> frozenset[str] | None:
        """The fields of a name of the user's, with those of the variable that it hides; ``None`` for any."""
        if root == "setup" and self.setup is not None:
            return frozenset(self.setup.names_set)
        fields = self._fields(root)
        if not isinstance(fields, frozenset) or (built_in is not None and built_in.fields is None):
            return None
        return fields if built_in is None or built_in.fields is None else fields | built_in.fields

    def _has_run(self, row: Variable) -> bool:
        """Whether the kind of step that gives a variable its value has come before."""
        if row.after is None or not self.contexts.isdisjoint(row.contexts):
            return True
        place: Known | None = self
        while place is not None:
            if row.after in place.kinds or (row.after == "last" and place.kinds):
                return True
            place = place.outer
        return False

    def _in_chain(self, which: str, name: str) -> bool:
        place: Known | None = self
        while place is not None:
            if name in getattr(place, which):
                return True
            place = place.outer
        return name in getattr(self.declared, which)

    def _fields(self, root: str) -> "frozenset[str] | _Unset | None":
        """The fields of a capture, id or aggregate that comes before, ``None`` for any."""
        place: Known | None = self
        while place is not None:
            if root in place.names_set:
                return place.names_set[root]
            place = place.outer
        if self.setup is not None and root in self.setup.names_set:
            return self.setup.names_set[root]
        return None if root in self.declared.aggregates and self.phase in AFTER_MAP else _UNSET

    def _unknown(self, path: Path, name: str, *, has_default: bool) -> Refusal | None:
        """Why a name that nothing declares is refused, unless it may still come from a file or has a default."""
        root = str(path[0])
        if self.may_declare(path):
            return None
        hints: tuple[str, ...] = ()
        meant = self.meant(root)
        elsewhere = self.declared.elsewhere.get(root)
        if has_default and (meant is None or elsewhere is not None):
            return None
        if elsewhere is not None:
            what = "but not before this" if elsewhere == self.phase else "and known nowhere else"
            hints = (f"`{root}` is set in {PHASES[elsewhere]}, {what}",)
        elif root in self.declared.aggregates:
            hints = (f"`{root}` is known when all agents have ended: {_listed(_names_of(AFTER_MAP))}",)
        elif meant is not None:
            hints = (f"did you mean `{name.replace(root, meant, 1)}`?",)
        elif len(path) == 1 and root.isupper():
            hints = (f"a variable of the environment that the workflow does not declare is `env.{root}`",)
        return Refusal("undefined-variable", f"`{name}` is not defined", hints)

    def _out_of_reach(self, row: Variable, name: str) -> Refusal:
        phases = _names_of(row.phases - {"item id"})
        where = [f"in {_listed(phases)}"] if phases else []
        where += [CONTEXTS[context] for context in sorted(row.contexts)]
        hint = f"`{row.name}` is known {' or '.join(where)} only"
        return Refusal("undefined-variable", f"`{name}` is not defined in {PHASES[self.phase]}", (hint,))

    def _wrong_field(self, path: Path, name: str, fields: frozenset[str]) -> Refusal | None:
        key = path[1] if len(path) > 1 else None
        if key is None or key in fields or path == NEVER_SET:
            return None
        root = path[0]
        meant = self.declared.guesses.nearest(str(key), sorted(fields))
        if meant is None and self.declared.partial:
            return None
        if meant is not None:
            rest = name.removeprefix(f"{root}.{key}")
            hint = f"did you mean `{root}.{meant}{rest}`?"
        elif fields:
            hint = f"`{root}` has {_some(sorted(fields))}"
        else:
            hint = "setup captures nothing"
        return Refusal("undefined-variable", f"`{name}` is not defined", (hint,))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")


def _names_of(phases: frozenset[Phase]) -> list[str]:
    return [PHASES[phase] for phase in PHASES if phase in phases]


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


class _Unset:
    """Stands for a name that nobody set."""


_UNSET = _Unset()
