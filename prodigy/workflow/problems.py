"""What is wrong with a workflow file: collected, sorted, and shown with the line it stands on.

Pure. A problem has a stable *code*, says what is wrong in one sentence, and never stops the search for the next
one. Only errors make a file invalid; warnings and notes travel with the workflow.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from prodigy.errors import WorkflowError
from prodigy.workflow.model import Mark
from prodigy.workflow.nearest import Guesses
from prodigy.workflow.nodes import Placed

Severity = Literal["error", "warning", "note"]

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_RANK = {"error": 0, "warning": 1, "note": 2}
_SHOWN = 60
_LINE = 160
_BEFORE = 60
MOST = 1_000
"""Errors recorded of one file, which bounds the work on a hopeless one."""


class Problem(Struct, frozen=True):
    """One finding at one place; ``end_column`` is exclusive and on the line of ``mark``."""

    code: str
    severity: Severity
    message: str
    mark: Mark
    end_column: int
    hints: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The head line: ``file:line:column: severity[code]: message``."""
        return f"{self.mark}: {self.severity}[{self.code}]: {self.message}"


class Problems:
    """Collects the problems of one file, in any order; ``found`` are those known before."""

    def __init__(self, file: str, found: Iterable[Problem] = ()) -> None:
        self.file = file
        self._found = {(problem.code, problem.mark, problem.message): problem for problem in found}
        self._errors = sum(problem.severity == "error" for problem in self._found.values())
        self.guesses = Guesses()
        self.partial = False
        """Whether a part of the workflow could not be read, so that a name which nothing declares may stand there."""

    def add(self, severity: Severity, code: str, message: str, at: Placed, *hints: str) -> None:
        """Record a problem once, however often it is found."""
        end = at.end_column if at.end_line == at.line else at.column + 1
        mark = Mark(at.file or self.file, at.line, at.column)
        if self.full:
            return
        problem = Problem(code, severity, message, mark, max(end, at.column + 1), hints)
        if self._found.setdefault((code, mark, message), problem) is problem:
            self._errors += severity == "error"

    def error(self, code: str, message: str, at: Placed, *hints: str) -> None:
        """Record what makes the file invalid."""
        self.add("error", code, message, at, *hints)

    def warning(self, code: str, message: str, at: Placed, *hints: str) -> None:
        """Record what is probably not meant, but works."""
        self.add("warning", code, message, at, *hints)

    def note(self, code: str, message: str, at: Placed, *hints: str) -> None:
        """Record what is good to know."""
        self.add("note", code, message, at, *hints)

    @property
    def full(self) -> bool:
        """Whether so much is wrong that looking further helps nobody; what comes now is not recorded."""
        return self._errors >= MOST

    @property
    def invalid(self) -> bool:
        """Whether there is an error among them."""
        return self._errors > 0

    def sorted(self) -> tuple[Problem, ...]:
        """All of them by position, errors first where several stand at one place."""
        return tuple(sorted(self._found.values(), key=_order))


class WorkflowInvalid(WorkflowError):
    """A workflow file with at least one error; carries every problem that was found.

    Args:
        problems: all problems, sorted.
        texts: of its files by name, for showing the lines.
    """

    def __init__(self, problems: Sequence[Problem], texts: Mapping[str, str]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        first = errors[0]
        count = "one error" if len(errors) == 1 else f"{len(errors)} errors"
        super().__init__("workflow-invalid", f"{first.mark.file} has {count}", where=str(first.mark))
        self.problems = tuple(problems)
        self.texts = dict(texts)

    def report(self) -> str:
        """Every problem with its source line, as people read it."""
        return render(self.problems, self.texts)


def quoted(text: str) -> str:
    """``text`` in backquotes, cut and with control characters shown, for use in a message."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return f"`{''.join(letter if letter.isprintable() else _escaped(letter) for letter in cut)}`"


def split_lines(text: str) -> list[str]:
    """The lines of a file as YAML counts them."""
    return _LINE_BREAK.split(text)


def render(problems: Iterable[Problem], texts: Mapping[str, str]) -> str:
    """The problems as text: head line, source line, caret line, help lines; ``texts`` are the files by name."""
    lines = {file: split_lines(text) for file, text in texts.items()}
    return "\n".join("\n".join(_shown(problem, lines.get(problem.mark.file, ()))) for problem in problems)


def _order(problem: Problem) -> tuple[str, int, int, int, str, str]:
    mark = problem.mark
    return (mark.file, mark.line, mark.column, _RANK[problem.severity], problem.code, problem.message)


def _shown(problem: Problem, lines: Sequence[str]) -> list[str]:
    shown = [str(problem)]
    mark = problem.mark
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    if line.strip():
        number = f" {mark.line} | "
        source, caret = _pointed_at(line, mark.column - 1, problem.end_column - 1)
        shown += [number + source, " " * (len(number) - 2) + "| " + caret]
    return shown + [f"   help: {hint}" for hint in problem.hints]


def _pointed_at(line: str, start: int, end: int) -> tuple[str, str]:
    """A source line and the carets under it; a very long line is shown around the place only."""
    first = start - _BEFORE if len(line) > _LINE and start > _BEFORE else 0
    cut = line[first : first + _LINE] if len(line) > _LINE else line
    source = "".join(_visible(letter) for letter in cut)
    before = "".join(_blank(letter) for letter in cut[: start - first])
    caret = "^" + "~" * (_width(cut[start - first : end - first]) - 1)
    dots = ("…" if first else "", "…" if first + len(cut) < len(line) else "")
    return dots[0] + source + dots[1], " " * len(dots[0]) + before + caret


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")


def _visible(letter: str) -> str:
    return letter if letter == "\t" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _cells(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _blank(letter: str) -> str:
    return "\t" if letter == "\t" else " " * _cells(letter)


def _width(text: str) -> int:
    return max(1, sum(_cells(letter) for letter in text))
