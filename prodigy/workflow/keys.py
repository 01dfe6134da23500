"""Reading a mapping by its vocabulary: canonical names out, a problem for everything else.

Pure. No key is dropped without a problem: unknown keys, keys of coming releases, keys without a value and keys
given under two names are each reported where they stand. Keys that start with ``x-`` are the author's own.
"""

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from typing import TYPE_CHECKING

from msgspec import Struct, field

from prodigy.workflow.language import SETTINGS, WORKFLOW
from prodigy.workflow.model import Mark
from prodigy.workflow.nearest import nearest
from prodigy.workflow.neighbours import MEANT, NEIGHBOURS
from prodigy.workflow.nodes import Mapping, Node, Scalar, kind_of
from prodigy.workflow.problems import Problems, quoted
from prodigy.workflow.standards import NO_STANDARDS, Standards
from prodigy.workflow.vocabulary import Spelling, Standing, Vocabulary, snake_case

if TYPE_CHECKING:
    from prodigy.workflow.templates import StepTemplate


class Field(Struct, frozen=True):
    """One key with its value, under its canonical name."""

    name: str
    key: Scalar
    value: Node


class Fields(Struct):
    """The keys of one mapping; ``suspected`` are canonical names that a misspelt key probably meant.

    ``unread`` is true of what should be a mapping and is none: nobody knows what it was to say.
    """

    found: dict[str, Field]
    suspected: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unread: bool = False

    def get(self, name: str) -> Field | None:
        """The field of that canonical name."""
        return self.found.get(name)

    def attempted(self, names: Iterable[str]) -> bool:
        """Whether one of the names is, or may be, there, misspelt, or refused as not supported yet."""
        present = self.found.keys() | self.suspected | self.refused
        return self.unread or any(name in present for name in names)

    def without(self, names: Iterable[str]) -> "Fields":
        """The same fields except those."""
        dropped = frozenset(names)
        kept = {name: entry for name, entry in self.found.items() if name not in dropped}
        return Fields(kept, self.suspected - dropped, self.refused - dropped)


class KeyReader:
    """Reads the keys of mappings, and puts what is wrong into ``problems``; steps may use ``templates``.

    ``standards`` hold for what is not given.
    """

    def __init__(
        self,
        problems: Problems,
        templates: "MappingOf[str, StepTemplate] | None" = None,
        standards: Standards = NO_STANDARDS,
    ) -> None:
        self.problems = problems
        self.templates = templates or {}
        self.standards = standards
        self.expanding: list[str] = []
        """Names of the templates whose steps are being read, outermost first."""
        self.expanded = 0
        self._misplaced: dict[str, set[str]] = {}
        """Canonical names of keys that stood at the top level, by the home of the vocabulary that they belong to."""

    def mark(self, node: Node) -> Mark:
        """Where a node stands."""
        return Mark(node.file or self.problems.file, node.line, node.column)

    def fields(self, node: Mapping, vocabulary: Vocabulary) -> Fields:
        """The known keys of a mapping, and those that are misspelt beyond doubt: their values are judged as well."""
        fields = Fields({}, suspected=set(self._misplaced.get(vocabulary.home, ())))
        misspelt: list[Field] = []
        for key, value in node.entries:
            if self.problems.full:
                break
            if is_free(key.text, vocabulary):
                continue
            spelling = vocabulary.spelling(key.text)
            if spelling is None:
                meant = self._unknown(key, vocabulary, fields)
                if meant is not None and not (isinstance(value, Scalar) and value.is_null):
                    misspelt.append(Field(meant, key, value))
            elif isinstance(value, Scalar) and value.is_null and not spelling.key.nullable:
                self.empty(key)
            elif self._standing(key, spelling, fields):
                self._take(Field(spelling.key.name, key, value), fields)
        for entry in misspelt:
            fields.found.setdefault(entry.name, entry)
        return fields

    def inside(self, entry: Field | None, vocabulary: Vocabulary) -> Fields:
        """The keys of a field's mapping; none if the field is not there or not a mapping."""
        if entry is None:
            return Fields({})
        if not isinstance(entry.value, Mapping):
            self.wrong_type(entry.value, quoted(entry.key.text), "a mapping")
            return Fields({}, unread=True)
        return self.fields(entry.value, vocabulary)

    def named(self, entry: Field | None) -> list[Field]:
        """The entries of a mapping whose keys are names of the author's own."""
        if entry is None:
            return []
        if not isinstance(entry.value, Mapping):
            hint = "write `NAME: VALUE` on each line, without `- `"
            self.wrong_type(entry.value, quoted(entry.key.text), "a mapping", hint)
            return []
        return [
            Field(key.text, key, value) for key, value in entry.value.entries if not key.text.startswith("x-")
        ]

    def given(self, entry: Field | None) -> list[Field]:
        """The same entries, without those that have no value: they are reported."""
        found = []
        for named in self.named(entry):
            if isinstance(named.value, Scalar) and named.value.is_null:
                self.empty(named.key)
            else:
                found.append(named)
        return found

    def empty(self, key: Scalar) -> None:
        """Report a key without a value."""
        self.problems.warning("empty-key", f"{quoted(key.text)} has no value and counts as absent", key)

    def not_yet(self, at: Node, what: str, *hints: str) -> None:
        """Report something of the language that this release refuses; names that it declares are no further problem."""
        self.problems.partial = True
        self.problems.error("not-yet-supported", f"{what} is not supported yet", at, *hints)

    def wrong_type(self, node: Node, what: str, wanted: str, *hints: str) -> None:
        """Report a node of another shape than wanted."""
        self.problems.error("wrong-type", f"{what} must be {wanted}, not {kind_of(node)}", node, *hints)

    def deprecated(self, key: Node, message: str, *hints: str) -> None:
        """Report an old form that still works."""
        self.problems.warning("deprecated-key", message, key, *hints)

    def no_effect(self, at: Node, message: str, *hints: str) -> None:
        """Report something that is accepted and does nothing."""
        self.problems.warning("no-effect", message, at, *hints)

    def _standing(self, key: Scalar, spelling: Spelling, fields: Fields) -> bool:
        """Report how the key stands in this release; true if it is to be read."""
        name = spelling.key.name
        if spelling.key.standing is Standing.LATER:
            fields.refused.add(name)
            self.not_yet(key, quoted(key.text))
            return False
        if spelling.key.standing is Standing.INERT:
            hints = (spelling.key.hint,) if spelling.key.hint else ()
            self.no_effect(key, f"{quoted(key.text)} has no effect", *hints)
            return False
        if spelling.deprecated:
            self.deprecated(key, f"{quoted(key.text)} is an old spelling", f"write {quoted(name)}")
        return True

    def _take(self, entry: Field, fields: Fields) -> None:
        other = fields.found.setdefault(entry.name, entry)
        if other is not entry:
            message = f"{quoted(entry.key.text)} and {quoted(other.key.text)} mean the same"
            self.problems.error("conflicting-keys", message, entry.key, "keep one of them")

    def _unknown(self, key: Scalar, vocabulary: Vocabulary, fields: Fields) -> str | None:
        """Report a key; the canonical name of the one that is written so but for a slip, if its value can be judged."""
        hints: list[str] = []
        others = NEIGHBOURS.get(vocabulary.title, ())
        home = next((other for other in others if key.text in other.spellings), None)
        confused = MEANT.get(vocabulary.title, {}).get(key.text)
        meant = confused or _in_style(key.text, vocabulary) or nearest(key.text, vocabulary.names())
        spelling = None if meant is None else vocabulary.spellings[meant]
        if spelling is not None:
            fields.suspected.add(spelling.key.name)
        if home is not None and vocabulary is WORKFLOW:
            name = home.spellings[key.text].key.name
            self._misplaced.setdefault(home.home, set()).add(name)
            fields.suspected.add("commands" if home.home == "in a step" else name)
        if home is not None and confused is None:
            hints.append(f"{quoted(key.text)} belongs {home.home}")
        elif meant is not None:
            hints.append(f"did you mean {quoted(meant)}?")
        elif vocabulary is WORKFLOW and key.text in SETTINGS:
            hints.append("settings belong in the configuration file: see `prodigy config show`")
        message = f"unknown key {quoted(key.text)} in {vocabulary.title}"
        self.problems.error("unknown-key", message, key, *hints)
        slipped = spelling is not None and home is None and confused is None
        return spelling.key.name if spelling is not None and slipped and _judged(spelling) else None


def _in_style(text: str, vocabulary: Vocabulary) -> str | None:
    """The spelling that differs from a text in its style of case only."""
    styled = snake_case(text)
    return styled if styled in vocabulary.spellings else None


def _judged(spelling: Spelling) -> bool:
    """Whether the value under a misspelt key is looked into; a template that was not meant would only add problems."""
    return spelling.key.standing is Standing.ACTING and spelling.key.name != "template"


def is_free(text: str, vocabulary: Vocabulary) -> bool:
    """Whether a key is the author's own and never looked at."""
    return text.startswith("x-") or (vocabulary is WORKFLOW and text.startswith("."))
