"""JSON text as the same marked tree that YAML gives.

Pure. A reader of its own, because YAML is not quite a superset: surrogate pairs, long keys and tabs differ.
"""

import re
from collections.abc import Iterator
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # public by use, not by stub

from msgspec import Struct

from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar, Span
from prodigy.workflow.problems import Problems, quoted

_BLANK = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null", re.ASCII)


class JsonSyntaxError(Exception):
    """The text is not JSON from here on."""

    def __init__(self, code: str, message: str, at: Span) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at


def read_json(text: str, problems: Problems, max_depth: int) -> Node | None:
    """The root of a JSON document, or ``None`` for an empty file.

    Raises:
        JsonSyntaxError: where the text stops being JSON, or is nested too deep.
    """
    reader = _Reader(text, problems, max_depth)
    reader.skip()
    if reader.position == len(text):
        return None
    root = reader.value(0)
    reader.skip()
    if reader.position < len(text):
        raise reader.failure("there is text after the end of the document")
    return root


class _Place(Struct, frozen=True):
    line: int
    column: int


class _Reader:
    """A recursive descent over one text; positions only grow, so line counting is linear."""

    def __init__(self, text: str, problems: Problems, max_depth: int) -> None:
        self.text = text
        self.problems = problems
        self.max_depth = max_depth
        self.position = 0
        self._counted = 0
        self._line = 1
        self._line_start = 0

    def value(self, depth: int) -> Node:
        if depth > self.max_depth:
            raise self.failure(f"nested more than {self.max_depth} levels deep", "yaml-limit")
        head = self.text[self.position : self.position + 1]
        if head == "{":
            return self.mapping(depth)
        if head == "[":
            return self.listing(depth)
        if head == '"':
            return self.string()
        return self.word()

    def mapping(self, depth: int) -> Mapping:
        start = self.place()
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        for _ in self.elements("}"):
            if self.text[self.position : self.position + 1] != '"':
                raise self.failure("expected a key in double quotes")
            key = self.string()
            self.skip()
            self.expect(":")
            self.skip()
            value = self.value(depth + 1)
            if key.text in seen:
                hint = f"the first one is on line {seen[key.text]}"
                message = f"{quoted(key.text)} is given twice in one mapping"
                self.problems.error("duplicate-key", message, key, hint)
            else:
                seen[key.text] = key.line
                entries.append((key, value))
        end = self.place()
        return Mapping(entries, start.line, start.column, end.line, end.column)

    def listing(self, depth: int) -> Listing:
        start = self.place()
        items = [self.value(depth + 1) for _ in self.elements("]")]
        end = self.place()
        return Listing(items, start.line, start.column, end.line, end.column)

    def elements(self, closing: str) -> Iterator[None]:
        """One turn per element of a list or mapping; brackets and commas are taken here."""
        self.position += 1
        self.skip()
        if self.take(closing):
            return
        while True:
            yield
            self.skip()
            if self.take(closing):
                return
            self.expect(",")
            self.skip()

    def string(self) -> Scalar:
        start = self.place()
        try:
            text, end = scanstring(self.text, self.position + 1, True)
        except JSONDecodeError as error:
            self.position = min(error.pos, len(self.text))
            raise self.failure(error.msg.lower()) from None
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise self.failure("half of a surrogate pair is not a character")
        return self._scalar(text, start, end, plain=False)

    def word(self) -> Scalar:
        match = _WORD.match(self.text, self.position)
        if match is None:
            raise self.failure("expected a value")
        return self._scalar(match[0], self.place(), match.end(), plain=True)

    def _scalar(self, text: str, start: _Place, end: int, *, plain: bool) -> Scalar:
        self.position = end
        after = self.place()
        return Scalar(text, plain, start.line, start.column, after.line, after.column)

    def skip(self) -> None:
        match = _BLANK.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def take(self, sign: str) -> bool:
        found = self.text.startswith(sign, self.position)
        self.position += found
        return found

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise self.failure(f"expected {quoted(sign)}")

    def place(self) -> _Place:
        """Line and column of the current position."""
        newlines = self.text.count("\n", self._counted, self.position)
        if newlines:
            self._line += newlines
            self._line_start = self.text.rindex("\n", self._counted, self.position) + 1
        self._counted = max(self._counted, self.position)
        return _Place(self._line, self.position - self._line_start + 1)

    def failure(self, message: str, code: str = "yaml-syntax") -> JsonSyntaxError:
        at = self.place()
        if self.text.startswith(("//", "/*", "#"), self.position):
            message += "; JSON has no comments"
        return JsonSyntaxError(code, message, Span(at.line, at.column, at.line, at.column + 1))
