"""Reading a mapping by its vocabulary: canonical names out, a problem for everything else.

Pure. No key is dropped without a problem: unknown keys, keys of coming releases, keys without a value and keys
given under two names are each reported where they stand. Keys that start with ``x-`` are the author's own.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct, field

from prodigy.workflow import scalars
from prodigy.workflow.language import NEIGHBOURS, SETTINGS, WORKFLOW, Spelling, Standing, Vocabulary
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar, kind_of
from prodigy.workflow.problems import Problems, quoted

Value = TypeVar("Value")


class Field(Struct, frozen=True):
    """One key with its value, under its canonical name."""

    name: str
    key: Scalar
    value: Node


class Fields(Struct):
    """The keys of one mapping; ``suspected`` are canonical names that a misspelt key probably meant."""

    found: dict[str, Field]
    suspected: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def get(self, name: str) -> Field | None:
        """The field of that canonical name."""
        return self.found.get(name)

    def attempted(self, names: Iterable[str]) -> bool:
        """Whether one of the names is there, misspelt, or refused as not supported yet."""
        present = self.found.keys() | self.suspected | self.refused
        return any(name in present for name in names)


class Reader:
    """Reads fields and typed values, and puts what is wrong into ``problems``."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def fields(self, node: Mapping, vocabulary: Vocabulary) -> Fields:
        """The known keys of a mapping."""
        fields = Fields({})
        for key, value in node.entries:
            if self.problems.full:
                break
            if _is_free(key.text, vocabulary):
                continue
            spelling = vocabulary.spellings.get(key.text)
            if spelling is None:
                self._unknown(key, vocabulary, fields)
            elif isinstance(value, Scalar) and value.is_null:
                self.problems.warning(
                    "empty-key", f"{quoted(key.text)} has no value and counts as absent", key
                )
            elif self._standing(key, spelling, fields):
                self._take(Field(spelling.key.name, key, value), fields)
        return fields

    def _standing(self, key: Scalar, spelling: Spelling, fields: Fields) -> bool:
        """Report how the key stands in this release; true if it is to be read."""
        name = spelling.key.name
        if spelling.key.standing is Standing.LATER:
            fields.refused.add(name)
            self.not_yet(key, quoted(key.text))
            return False
        if spelling.key.standing is Standing.INERT:
            hints = (spelling.key.hint,) if spelling.key.hint else ()
            self.problems.warning("no-effect", f"{quoted(key.text)} has no effect", key, *hints)
            return False
        if spelling.deprecated:
            hint = f"write {quoted(name)}"
            self.problems.warning("deprecated-key", f"{quoted(key.text)} is an old spelling", key, hint)
        return True

    def _take(self, entry: Field, fields: Fields) -> None:
        other = fields.found.setdefault(entry.name, entry)
        if other is not entry:
            message = f"{quoted(entry.key.text)} and {quoted(other.key.text)} mean the same"
            self.problems.error("conflicting-keys", message, entry.key, "keep one of them")

    def _unknown(self, key: Scalar, vocabulary: Vocabulary, fields: Fields) -> None:
        hints: list[str] = []
        home = next(
            (other.home for other in NEIGHBOURS[vocabulary.title] if key.text in other.spellings), None
        )
        meant = nearest(key.text, vocabulary.names())
        if meant is not None:
            fields.suspected.add(vocabulary.spellings[meant].key.name)
        if home is not None:
            hints.append(f"{quoted(key.text)} belongs {home}")
        elif meant is not None:
            hints.append(f"did you mean {quoted(meant)}?")
        elif vocabulary is WORKFLOW and key.text in SETTINGS:
            hints.append("settings belong in the configuration file: see `prodigy config show`")
        message = f"unknown key {quoted(key.text)} in {vocabulary.title}"
        self.problems.error("unknown-key", message, key, *hints)

    def not_yet(self, at: Node, what: str) -> None:
        """Report something of the language that this release refuses."""
        self.problems.error("not-yet-supported", f"{what} is not supported yet", at)

    def wrong_type(self, node: Node, what: str, wanted: str) -> None:
        """Report a node of another shape than wanted."""
        self.problems.error("wrong-type", f"{what} must be {wanted}, not {kind_of(node)}", node)

    def text(self, entry: Field | None) -> str | None:
        """A scalar's source text."""
        if entry is None:
            return None
        if not isinstance(entry.value, Scalar):
            self.wrong_type(entry.value, quoted(entry.key.text), "text")
            return None
        if "\0" in entry.value.text:
            self.problems.error(
                "bad-value", f"{quoted(entry.key.text)} contains a NUL character", entry.value
            )
            return None
        return entry.value.text

    def texts(self, entry: Field | None) -> tuple[str, ...]:
        """One text or a list of texts."""
        if entry is None:
            return ()
        nodes = entry.value.items if isinstance(entry.value, Listing) else [entry.value]
        read = (self.text(Field(entry.name, entry.key, node)) for node in nodes)
        return tuple(text for text in read if text is not None)

    def integer(self, entry: Field | None, minimum: int) -> int | None:
        """A whole number of at least ``minimum``."""
        return self._typed(entry, lambda text: scalars.integer(text, minimum))

    def boolean(self, entry: Field | None) -> bool | None:
        """``true`` or ``false``."""
        return self._typed(entry, scalars.boolean)

    def seconds(self, entry: Field | None) -> float | None:
        """A duration in seconds; a mapping of ``secs`` and ``nanos`` too."""
        if entry is not None and isinstance(entry.value, Mapping):
            return self._typed(Field(entry.name, entry.key, self._seconds_and_nanos(entry)), scalars.duration)
        return self._typed(entry, scalars.duration)

    def limit(self, entry: Field | None, default: float | None) -> float | None:
        """A time limit in seconds: above zero, or ``none`` for no limit."""
        if entry is None:
            return default
        if isinstance(entry.value, Scalar) and entry.value.text.strip().lower() == "none":
            return None
        seconds = self.seconds(entry)
        if seconds == 0:
            message = f"{quoted(entry.key.text)} of 0 lets nothing run"
            self.problems.error("bad-value", message, entry.value, "leave it out for no limit")
        return default if seconds is None else seconds

    def _seconds_and_nanos(self, entry: Field) -> Scalar:
        """``{secs: 5, nanos: 250000000}`` as the text of one number."""
        node = entry.value
        total = 0.0
        for key, value in node.entries if isinstance(node, Mapping) else ():
            factor = {"secs": 1.0, "nanos": 1e-9}.get(key.text)
            if factor is None:
                message = f"unknown key {quoted(key.text)} in a duration"
                self.problems.error("unknown-key", message, key, "a duration has `secs` and `nanos`")
            else:
                number = self._typed(Field(key.text, key, value), lambda text: scalars.integer(text, 0))
                total += (number or 0) * factor
        return Scalar(repr(total), True, node.line, node.column, node.end_line, node.end_column)

    def _typed(self, entry: Field | None, convert: Callable[[str], Value]) -> Value | None:
        text = self.text(entry)
        if entry is None or text is None:
            return None
        if scalars.REFERENCE.fullmatch(text.strip()):
            self.not_yet(entry.value, f"a variable as the value of {quoted(entry.key.text)}")
            return None
        try:
            return convert(text)
        except scalars.ScalarError as error:
            message = f"{quoted(entry.key.text)} is {quoted(text)}: {error.message}"
            self.problems.error(error.code, message, entry.value)
            return None


def _is_free(text: str, vocabulary: Vocabulary) -> bool:
    return text.startswith("x-") or (vocabulary is WORKFLOW and text.startswith("."))
