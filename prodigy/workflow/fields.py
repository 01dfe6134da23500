"""Reading values of every type of the language, with a problem for what is none.

Pure. Each method takes the field that it reads, ``None`` if it is not there, and returns ``None`` for a field that is
not there or could not be read: then the problem is recorded. A value written as a reference is a ``Deferred`` where
the model has room for one, and refused where it has not.
"""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Named
from typing import Any, Literal, TypeVar

from prodigy.workflow import scalars
from prodigy.workflow.expression_text import BadExpression
from prodigy.workflow.json_path import check_json_path
from prodigy.workflow.keys import Field, Fields, KeyReader
from prodigy.workflow.model import Bytes, Count, Deferred, Expr, Seconds, Share, Text
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar, character, value_of
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import snake_case

__all__ = ["Field", "Fields", "Reader", "character"]

Value = TypeVar("Value")
Kind = Literal["duration", "integer", "number", "size"]
Names = Literal["variables", "item", "value"]

_SECS = 1.0
_NANOS = 1e-9


class Reader(KeyReader):
    """Reads fields and typed values, and puts what is wrong into ``problems``."""

    # -- texts -----------------------------------------------------------------------------------------------------
    def text(self, entry: Field | None) -> str | None:
        """A scalar's source text."""
        if entry is None:
            return None
        if not isinstance(entry.value, Scalar) or entry.value.is_null:
            self.wrong_type(entry.value, quoted(entry.key.text), "text")
            return None
        if "\0" in entry.value.text:
            message = f"{quoted(entry.key.text)} contains a NUL character"
            self.problems.error("bad-value", message, entry.value)
            return None
        return entry.value.text

    def filled(self, entry: Field | None) -> str | None:
        """A text that is not blank."""
        text = self.text(entry)
        if entry is not None and text is not None and not text.strip():
            self.problems.error("bad-value", f"{quoted(entry.key.text)} is empty", entry.value)
            return None
        return text

    def text_node(self, entry: Field | None) -> Text | None:
        """A text that is interpolated where it is used."""
        text = self.text(entry)
        return None if entry is None or text is None else Text(text, self.mark(entry.value))

    def each(self, entry: Field | None) -> list[Field]:
        """The elements of a list, or the one value that stands for a list of one."""
        if entry is None:
            return []
        nodes: Sequence[Node] = entry.value.items if isinstance(entry.value, Listing) else [entry.value]
        return [Field(entry.name, entry.key, node) for node in nodes]

    def texts(self, entry: Field | None) -> tuple[str, ...]:
        """One text or a list of texts."""
        read = (self.text(element) for element in self.each(entry))
        return tuple(text for text in read if text is not None)

    def data(self, entry: Field | None) -> Any:
        """The value as plain data."""
        return None if entry is None else value_of(entry.value)

    def choice(
        self, entry: Field | None, values: Sequence[Value], also: Named[str, Value] | None = None
    ) -> Value | None:
        """One of several words, in any style of case (``per_agent``, ``per-agent``, ``PerAgent``).

        Args:
            entry: the field.
            values: the words.
            also: further spellings of them.
        """
        text = self.text(entry)
        if entry is None or text is None:
            return None
        choices = {str(value): value for value in values} | dict(also or {})
        word = snake_case(text)
        if word in choices:
            return choices[word]
        meant = nearest(word, choices)
        names = ", ".join(quoted(str(value)) for value in values)
        hint = f"did you mean {quoted(meant)}?" if meant else f"use one of {names}"
        message = f"{quoted(text)} is no value of {quoted(entry.key.text)}"
        self.problems.error("bad-enum", message, entry.value, hint)
        return None

    # -- numbers and booleans --------------------------------------------------------------------------------------
    def integer(self, entry: Field | None, minimum: int, maximum: int | None = None) -> int | None:
        """A whole number between the two, both included, written out."""
        return self._typed(entry, lambda text: scalars.integer(text, minimum, maximum))

    def count(self, entry: Field | None, least: int, most: int | None = None) -> Count | None:
        """A whole number between the two, or a reference to one."""
        return self._deferred(entry, "integer", least) or self.integer(entry, least, most)

    def number(self, entry: Field | None, least: float, most: float | None = None) -> float | None:
        """A number between the two, both included, written out."""
        return self._typed(entry, lambda text: scalars.number(text, least, most))

    def share(self, entry: Field | None, least: float, most: float | None = None) -> Share | None:
        """A number between the two, or a reference to one."""
        return self._deferred(entry, "number", least) or self.number(entry, least, most)

    def fraction(self, entry: Field | None) -> float | None:
        """A part of a whole, 0 to 1 or with a percent sign, written out."""
        return self._typed(entry, scalars.share)

    def boolean(self, entry: Field | None) -> bool | None:
        """``true`` or ``false``, written out."""
        return self._typed(entry, scalars.boolean)

    # -- durations and sizes ---------------------------------------------------------------------------------------
    def seconds(self, entry: Field | None) -> Seconds:
        """A duration in seconds, or a reference to one; for a key that ends in ``_ms``, numbers are milliseconds."""
        return self._deferred(entry, "duration") or self.fixed_seconds(entry)

    def fixed_seconds(self, entry: Field | None) -> float | None:
        """A duration in seconds, written out."""
        if entry is None:
            return None
        if isinstance(entry.value, Mapping):
            return self._seconds_and_nanos(entry.value)
        milliseconds = _in_milliseconds(entry)
        return self._typed(entry, lambda text: scalars.duration(text, milliseconds=milliseconds))

    def limit(self, entry: Field | None, default: Seconds) -> Seconds:
        """A time limit in seconds: above zero, a reference, or ``none`` for no limit."""
        return self._deferred(entry, "duration", scalars.LEAST_LIMIT) or self._bounded(entry, default)

    def fixed_limit(self, entry: Field | None, default: float | None) -> float | None:
        """A time limit in seconds, written out: above zero, or ``none`` for no limit."""
        found = self._bounded(entry, default)
        assert not isinstance(found, Deferred)
        return found

    def size(self, entry: Field | None) -> Bytes:
        """A number of bytes, or a reference to one."""
        return self._deferred(entry, "size") or self.fixed_size(entry)

    def fixed_size(self, entry: Field | None) -> int | None:
        """A number of bytes, written out."""
        return self._typed(entry, scalars.size)

    # -- texts with a grammar --------------------------------------------------------------------------------------
    def expr(self, entry: Field | None, names: Names = "variables") -> Expr | None:
        """An expression that parses; ``names`` says what its bare names are."""
        from prodigy.workflow.expression import parse_expression

        if entry is not None and isinstance(entry.value, Listing):
            hint = "join several conditions with `&&`"
            self.wrong_type(entry.value, quoted(entry.key.text), "text", hint)
            return None
        text = self.filled(entry)
        if entry is None or text is None:
            return None
        try:
            parse_expression(text, names)
        except BadExpression as error:
            self.bad_expression(entry, text, error)
            return None
        return Expr(text, self.mark(entry.value))

    def bad_expression(self, entry: Field, text: str, error: BadExpression) -> None:
        """Report what is wrong inside an expression, a sort key or the like."""
        at = character(entry.value, text, error.column - 1)
        hints = (error.hint,) if error.hint else ()
        self.problems.error(error.code, f"{quoted(text)}: {error.message}", at, *hints)

    def pattern(self, entry: Field | None) -> str | None:
        """A regular expression that can be used."""
        from prodigy.workflow.patterns import BadPattern, check_pattern

        text = self.text(entry)
        if entry is None or text is None:
            return None
        try:
            check_pattern(text)
        except BadPattern as error:
            at = character(entry.value, text, error.position)
            self.problems.error("bad-regex", error.message, at)
            return None
        return text

    def json_path(self, entry: Field | None) -> str | None:
        """A JSONPath that can be used."""
        text = self.text(entry)
        if entry is not None and text is not None:
            check_json_path(text, entry.value, self.problems)
        return text

    # -- how -------------------------------------------------------------------------------------------------------
    def _deferred(self, entry: Field | None, kind: Kind, least: float | None = None) -> Deferred | None:
        """The value as a reference, if it holds one."""
        if entry is None or not isinstance(entry.value, Scalar) or "\0" in entry.value.text:
            return None
        if not scalars.REFERENCE.search(entry.value.text):
            return None
        unit = "ms" if kind == "duration" and _in_milliseconds(entry) else ""
        return Deferred(entry.value.text.strip() + unit, kind, self.mark(entry.value), least)

    def _bounded(self, entry: Field | None, default: Seconds) -> Seconds:
        if entry is None:
            return default
        if isinstance(entry.value, Scalar) and scalars.is_unlimited(entry.value.text):
            return None
        seconds = self.fixed_seconds(entry)
        if seconds == 0:
            message = f"{quoted(entry.key.text)} of 0 lets nothing run"
            self.problems.error("bad-value", message, entry.value, "leave it out for no limit")
        return default if seconds is None else seconds

    def _seconds_and_nanos(self, node: Mapping) -> float:
        """``{secs: 5, nanos: 250000000}``."""
        total = 0.0
        for key, value in node.entries:
            factor = {"secs": _SECS, "nanos": _NANOS}.get(key.text)
            if factor is None:
                message = f"unknown key {quoted(key.text)} in a duration"
                self.problems.error("unknown-key", message, key, "a duration has `secs` and `nanos`")
            else:
                total += (self.integer(Field(key.text, key, value), 0) or 0) * factor
        return total

    def _typed(self, entry: Field | None, convert: Callable[[str], Value]) -> Value | None:
        text = self.text(entry)
        if entry is None or text is None:
            return None
        if scalars.REFERENCE.search(text):
            self.not_yet(entry.value, f"a variable as the value of {quoted(entry.key.text)}", "write it out")
            return None
        try:
            return convert(text)
        except scalars.ScalarError as error:
            message = f"{quoted(entry.key.text)} is {quoted(text)}: {error.message}"
            self.problems.error(error.code, message, entry.value)
            return None


def _in_milliseconds(entry: Field) -> bool:
    return entry.key.text.endswith("_ms")
