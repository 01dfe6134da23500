"""Where settings come from, and what is odd about that, as documents and as lines."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from prodigy.cli.configured import PROJECT_FILE
from prodigy.cli.findings import ProblemView, problem_view
from prodigy.cli.git_folder import main_worktree
from prodigy.cli.invocation import Invocation
from prodigy.cli.printer import Column, Part, Printer, Span
from prodigy.configuration.diagnosis import Finding, diagnose
from prodigy.configuration.effective import Effective
from prodigy.configuration.variables import unread
from prodigy.workflow.problems import render


class Said(msgspec.Struct, frozen=True):
    """What one source says."""

    source: str
    value: Any


class TracedSetting(msgspec.Struct, frozen=True):
    """A setting with everybody who says something of it, the one that counts first."""

    key: str
    value: Any
    source: str
    chain: tuple[Said, ...]

    @property
    def overrides(self) -> bool:
        """Whether somebody says otherwise than somebody else did, the default not counted."""
        said = [one.value for one in self.chain[:-1]]
        return any(value != said[0] for value in said)


class SourceView(msgspec.Struct, frozen=True):
    """A file that was looked for, or a variable of the environment; whether it is there."""

    source: str
    found: bool


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Who may say something, lowest first, and all that is wrong or odd about what they say."""

    sources: tuple[SourceView, ...]
    problems: tuple[ProblemView, ...]
    findings: tuple[Finding, ...]
    unread: tuple[str, ...]
    """Variables that only older programs read."""


class TraceDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.config-trace/1"):
    """``prodigy.config-trace/1``; ``diagnosis`` if it was asked for."""

    settings: tuple[TracedSetting, ...]
    diagnosis: Diagnosis | None = None


def traced(setting: Effective) -> TracedSetting:
    """A setting as scripts read it."""
    chain = tuple(Said(*said) for said in setting.chain)
    return TracedSetting(setting.key, setting.value, setting.source, chain)


def diagnosed(invocation: Invocation) -> Diagnosis:
    """What all sources say here, looked at as a whole.

    Raises:
        MachineError: ``storage-denied``.
    """
    found = invocation.sources.found
    looked_for = dict.fromkeys(map(str, invocation.sources.places), False)
    project = main_worktree(invocation.place)
    return Diagnosis(
        sources=tuple(
            SourceView(name, there)
            for name, there in (looked_for | dict.fromkeys(found.sources, True)).items()
        ),
        problems=tuple(map(problem_view, found.problems)),
        findings=tuple(
            diagnose(found.configuration, None if project is None else str(project / PROJECT_FILE))
        ),
        unread=tuple(unread(invocation.around.environ)),
    )


# -- lines -------------------------------------------------------------------------------------------------------------
def show_settings(printer: Printer, settings: Iterable[TracedSetting]) -> None:
    """A table of settings, each with its chain."""
    columns = (Column("key"), Column("value"), Column("source"))
    printer.table(columns, [row for setting in settings for row in _rows(setting)])


def _rows(setting: TracedSetting) -> Iterator[tuple[Part, ...]]:
    for number, said in enumerate(setting.chain):
        yield (Span(setting.key, "strong") if number == 0 else "", text(said.value), said.source)


def show_diagnosis(invocation: Invocation, diagnosis: Diagnosis) -> None:
    """The sources, then what is wrong, then what is odd."""
    printer, found = invocation.printer, invocation.sources.found
    printer.line("sources, the one that counts least first")
    for one in diagnosis.sources:
        printer.line(Span("  read    ", "good") if one.found else Span("  absent  ", "dim"), one.source)
    for line in render(found.problems, found.configuration.texts).splitlines():
        printer.line(line)
    for finding in diagnosis.findings:
        printer.line(
            Span(finding.oddity, "warning"), "  ", Span(finding.key, "strong"), f": {finding.message}"
        )
    for name in diagnosis.unread:
        printer.line(Span("unread", "warning"), f"  {name} is of older programs; nobody reads it")
    if not (diagnosis.problems or diagnosis.findings or diagnosis.unread):
        printer.line(Span("nothing is wrong, and nothing is odd", "good"))


def text(value: Any) -> str:
    """A value as it would be written."""
    match value:
        case None:
            return "none"
        case str():
            return value
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return msgspec.json.encode(value).decode()
