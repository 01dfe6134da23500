"""What a check found in files, as scripts read it and as people count it."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from prodigy.cli.text import counted
from prodigy.workflow.problems import Problem

_SEVERITIES = ("error", "warning", "note")


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; lines and columns count from 1, ``end_column`` is exclusive."""

    code: str
    severity: Literal["error", "warning", "note"]
    file: str
    line: int
    column: int
    end_column: int
    message: str
    hint: str | None


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """One file that was checked."""

    path: str
    valid: bool
    problems: tuple[ProblemView, ...]


class ValidateDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.validate/1"):
    """``prodigy.validate/1``."""

    files: tuple[FileView, ...]


def problem_view(problem: Problem, *, suggest: bool = True) -> ProblemView:
    """A finding as scripts read it; with what could be written instead, if that is to be suggested."""
    return ProblemView(
        code=problem.code,
        severity=problem.severity,
        file=problem.mark.file,
        line=problem.mark.line,
        column=problem.mark.column,
        end_column=problem.end_column,
        message=problem.message,
        hint="\n".join(problem.hints) or None if suggest else None,
    )


def tally(problems: Sequence[Problem]) -> Iterator[str]:
    """How many there are of each kind."""
    for severity in _SEVERITIES:
        number = sum(problem.severity == severity for problem in problems)
        if number:
            yield counted(number, severity)
