"""The one object that prints: data to stdout, talk to stderr.

Rules:

- every text is made ``printable`` on its way out, so nothing an item, a file name or a log contains acts on the terminal
- in JSON mode stdout carries exactly one document and nothing else; in JSON Lines mode only records
- talk never stops anything: a stderr that is gone is ignored
- a stdout whose reader is gone raises ``BrokenPipeError`` and ends a reading verb, unless ``outlive_reader`` was called
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from enum import Enum, IntEnum
from typing import Literal, NamedTuple, TextIO

import msgspec

from prodigy.cli import terminal
from prodigy.cli.terminal import Choice, Marks
from prodigy.cli.text import cells, cut, pad, printable
from prodigy.errors import ProdigyError, RunError

Tone = Literal["plain", "strong", "dim", "good", "bad", "warning", "accent"]

_SGR: Mapping[Tone, str] = {
    "strong": "1",
    "dim": "2",
    "good": "32",
    "bad": "31",
    "warning": "33",
    "accent": "36",
}
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON leaves as it is although a terminal may act on it."""
_GAP = 2
"""Cells between two columns of a table."""
_NARROWEST = 8
"""A column is never cut below this."""


class Level(IntEnum):
    """How much is said on stderr."""

    SILENT = -2
    QUIET = -1
    NORMAL = 0
    VERBOSE = 1
    OUTPUT = 2
    EVERYTHING = 3


class Form(Enum):
    """What stdout carries."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


class Span(NamedTuple):
    """Text in one tone."""

    text: str
    tone: Tone = "plain"


Part = str | Span
"""A piece of a line; a plain string has the plain tone."""
Sink = Callable[[str], None]
"""Takes one whole coloured line without its newline."""


class Column(msgspec.Struct, frozen=True):
    """A column of a table; ids and paths are never cut, right-aligned are numbers."""

    title: str
    elastic: bool = False
    right: bool = False


class ErrorBody(msgspec.Struct, frozen=True):
    """A failure as scripts read it."""

    code: str
    message: str
    where: str | None
    note: str | None
    hint: str | None
    log: str | None
    exit_code: int


class ErrorDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.error/1"):
    """``prodigy.error/1``."""

    error: ErrorBody

    @classmethod
    def of(cls, error: ProdigyError) -> "ErrorDocument":
        """The document of ``error``."""
        return cls(
            ErrorBody(
                code=error.code,
                message=error.message,
                where=error.where,
                note=error.note,
                hint=error.hint,
                log=None,
                exit_code=error.exit_code,
            )
        )


class Printer:
    """Prints for one command.

    Args:
        out: stdout, for data.
        err: stderr, for talk.
        environ: decides on colour, width and marks.
        form: what stdout carries.
        level: how much is said on stderr.
        colour: the user's choice.
        signs: likewise, of signs beyond ASCII.
        zone: that times are shown in; ``None``: the reader's.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        environ: Mapping[str, str],
        *,
        form: Form = Form.TEXT,
        level: Level = Level.NORMAL,
        colour: Choice = "auto",
        signs: Choice = "auto",
        zone: tzinfo | None = None,
    ) -> None:
        self.form = form
        self.zone = zone
        self.level = level
        self.environ = environ
        self.marks: Marks = terminal.marks_for(out, environ, signs)
        self.talk_marks: Marks = terminal.marks_for(err, environ, signs)
        self._out = out
        self._err = err
        self._out_colour = terminal.has_colour(out, environ, colour)
        self._err_colour = terminal.has_colour(err, environ, colour)
        self._said: set[str] = set()
        self._outlives_reader = False
        self.reader_gone = False
        self._err_gone = False
        self._sink: Sink | None = None

    # -- data ------------------------------------------------------------------------------------------------------
    def document(self, document: msgspec.Struct, *, in_pipe: bool = False) -> bool:
        """The one JSON document of this command; nothing in the other forms.

        Args:
            document: what to print.
            in_pipe: print it in the text form too, if nobody but a program can be reading.

        Returns:
            Whether it was printed.
        """
        piped = in_pipe and self.form is Form.TEXT and not terminal.is_terminal(self._out)
        printed = self.form is Form.JSON or piped
        if printed:
            self._write(_json_line(document))
        return printed

    def record(self, record: msgspec.Struct) -> None:
        """One record of a JSON Lines stream; nothing in the other forms."""
        if self.form is Form.JSONL:
            self._write(_json_line(record))

    def verbatim(self, text: str) -> None:
        """A text that is data as it stands, whatever the form; it has nothing in it that acts on a terminal."""
        self._write(text)

    def line(self, *parts: Part) -> None:
        """One line of human-readable data."""
        if self.form is Form.TEXT and self.level > Level.SILENT:
            self._write(_painted(parts, colour=self._out_colour) + "\n")

    def table(
        self, columns: Sequence[Column], rows: Iterable[Sequence[Part]], *, heading: bool = True
    ) -> None:
        """Rows under their titles; elastic columns are cut where the terminal is too narrow for all."""
        body = [tuple(_span(cell) for cell in row) for row in rows]
        titles = tuple(Span(column.title, "dim") for column in columns)
        shown = [titles, *body] if heading else body
        widths = _fitted(columns, shown, self.width)
        for row in shown:
            self.line(*_row(columns, row, widths, self.marks.ellipsis))

    # -- talk ------------------------------------------------------------------------------------------------------
    def talk(self, *parts: Part, at: Level = Level.NORMAL) -> None:
        """One line on stderr, if the user wants to hear that much."""
        if self.level >= at:
            self._say(_painted(parts, colour=self._err_colour))

    def question(self, text: str) -> None:
        """A question on stderr, the cursor behind it; only where no live region is drawn."""
        if not self._err_gone:
            self._to_err(_painted((Span(text.rstrip(), "strong"),), colour=self._err_colour) + " ")

    def note(self, text: str) -> None:
        """Background that asks for nothing; each note once."""
        self._once("note", "accent", text)

    def warn(self, text: str) -> None:
        """Something that works today and may surprise tomorrow; each warning once."""
        self._once("warning", "warning", text)

    def error(self, error: ProdigyError) -> None:
        """A failure: the error document in the JSON forms, else code, message, place, note and hint on stderr."""
        if self.form is not Form.TEXT:
            self._write(_json_line(ErrorDocument.of(error)))
            return
        for parts in _error_lines(error):
            self.talk(*parts, at=Level.QUIET)

    def _once(self, kind: str, tone: Tone, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.talk(Span(f"{kind}:", tone), f" {text}")

    # -- the streams -----------------------------------------------------------------------------------------------
    @property
    def width(self) -> int | None:
        """Cells per line of stdout, ``None`` without a limit."""
        return terminal.width_of(self._out, self.environ)

    @property
    def talk_width(self) -> int | None:
        """Cells per line of stderr, ``None`` without a limit."""
        return terminal.width_of(self._err, self.environ)

    @property
    def talks_to_terminal(self) -> bool:
        """Whether a person may be looking at stderr."""
        return terminal.is_terminal(self._err)

    @property
    def talk_stream(self) -> TextIO:
        """The stream itself, for the live screen and the prompt."""
        return self._err

    @property
    def talk_has_colour(self) -> bool:
        """Whether stderr is coloured."""
        return self._err_colour

    def outlive_reader(self) -> None:
        """From now on a stdout whose reader is gone is ignored: a run goes on."""
        self._outlives_reader = True

    @contextmanager
    def talking_through(self, sink: Sink) -> Iterator[None]:
        """Hand every line of talk to ``sink`` meanwhile: a live region has to make room for it first."""
        self._sink = sink
        try:
            yield
        finally:
            self._sink = None

    def flush(self) -> None:
        """Everything printed has reached the streams, or raises as printing does."""
        if not self.reader_gone:
            self._to_out("")
        self._to_err("")

    def _write(self, text: str) -> None:
        if not self.reader_gone:
            self._to_out(text, flush=False)

    def _to_out(self, text: str, *, flush: bool = True) -> None:
        try:
            self._out.write(text)
            if flush:
                self._out.flush()
        except OSError as refusal:
            self.reader_gone = True
            if self._outlives_reader:
                return
            if isinstance(refusal, BrokenPipeError):
                raise
            raise RunError("storage-full", f"cannot write to stdout: {refusal.strerror}") from None

    def _say(self, line: str) -> None:
        if self._sink is not None:
            self._sink(line)
        elif not self._err_gone:
            self._to_err(line + "\n")

    def _to_err(self, text: str) -> None:
        try:
            self._err.write(text)
            self._err.flush()
        except OSError:
            self._err_gone = True


def _json_line(value: msgspec.Struct) -> str:
    text = msgspec.json.encode(value).decode()
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _span(part: Part) -> Span:
    return part if isinstance(part, Span) else Span(part)


def _painted(parts: Iterable[Part], *, colour: bool) -> str:
    return "".join(_paint(_span(part), colour=colour) for part in parts).rstrip(" ")


def _paint(span: Span, *, colour: bool) -> str:
    text = printable(span.text)
    if not colour or span.tone == "plain" or not text:
        return text
    return f"\x1b[{_SGR[span.tone]}m{text}\x1b[0m"


def _error_lines(error: ProdigyError) -> Iterator[tuple[Part, ...]]:
    yield Span("error:", "bad"), Span(f" {error.code}", "strong")
    for line in error.message.splitlines():
        yield (f"  {line}",)
    if error.where:
        yield (f"  where: {error.where}",)
    if error.note:
        yield from _remark("note", error.note)
    if error.hint:
        yield ("",)
        yield from _remark("hint", error.hint)


def _remark(kind: str, text: str) -> Iterator[tuple[Part, ...]]:
    first, *others = text.splitlines()
    yield Span(f"{kind}:", "accent"), f" {first}"
    for line in others:
        yield (" " * (len(kind) + 2) + line,)


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[Span]], limit: int | None) -> list[int]:
    """The width of each column: what its widest cell needs, the elastic ones less if the line is too long."""
    widths = [
        max((cells(printable(row[position].text)) for row in rows), default=0)
        for position in range(len(columns))
    ]
    if limit is None:
        return widths
    excess = sum(widths) + _GAP * (len(columns) - 1) - limit
    elastic = [position for position, column in enumerate(columns) if column.elastic]
    while excess > 0 and elastic:
        widest = max(elastic, key=lambda position: widths[position])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _row(
    columns: Sequence[Column], row: Sequence[Span], widths: Sequence[int], ellipsis: str
) -> Iterator[Part]:
    last = len(columns) - 1
    for position, (column, cell, width) in enumerate(zip(columns, row, widths, strict=True)):
        text = printable(cell.text)
        fitting = cut(text, width, ellipsis) if column.elastic else text
        yield Span(
            fitting if position == last and not column.right else pad(fitting, width, right=column.right),
            cell.tone,
        )
        if position != last:
            yield " " * _GAP
