"""``prodigy config``: which settings hold, where each comes from, whether the files are right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from prodigy.cli.configured import Found, found_in
from prodigy.cli.findings import FileView, ValidateDocument, problem_view
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Part, Span
from prodigy.configuration.effective import DEFAULT, Configuration, Effective
from prodigy.configuration.settings import BY_NAME, SECTIONS
from prodigy.configuration.variables import unread
from prodigy.errors import MachineError, UsageError
from prodigy.workflow.nearest import nearest
from prodigy.workflow.problems import Problem, render
from prodigy.workflow.vocabulary import Standing

app = App(
    name="config",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show settings, where they come from, and what is wrong with their files.",
    help_epilogue="""Examples:
  prodigy config show
  prodigy config show budget
  prodigy config trace budget.usd
  prodigy config validate""",
)

_INVALID = 2


class ConfigDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.config/1"):
    """``prodigy.config/1``."""

    settings: dict[str, Any]
    """By section."""


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


class TraceDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.config-trace/1"):
    """``prodigy.config-trace/1``."""

    settings: tuple[TracedSetting, ...]


@app.command
def show(key: str | None = None, /, *, invocation: Given) -> None:
    """Show the settings that hold.

    Args:
        key: Only this one, or the section of this name.
        invocation: Who asks.
    """
    chosen = list(_chosen(key, invocation.configuration))
    invocation.printer.document(ConfigDocument(_nested(chosen)))
    for setting in chosen:
        invocation.printer.line(Span(setting.key, "strong"), f": {_text(setting.value)}")


@app.command
def trace(key: str | None = None, /, *, all_: bool = False, invocation: Given) -> None:
    """Show where settings come from: every source that says something, the one that counts first.

    Args:
        key: Only this one, or the section of this name.
        all_: Those that nobody gave, too.
        invocation: Who asks.
    """
    every = _chosen(key, invocation.configuration)
    chosen = [setting for setting in every if all_ or key is not None or setting.source != DEFAULT]
    traced = tuple(
        TracedSetting(one.key, one.value, one.source, tuple(Said(*said) for said in one.chain))
        for one in chosen
    )
    invocation.printer.document(TraceDocument(traced))
    columns = (Column("key"), Column("value"), Column("source"))
    if chosen:
        invocation.printer.table(columns, [row for setting in chosen for row in _rows(setting)])
    else:
        invocation.printer.line("nobody gave a setting: the defaults hold")


@app.command
def validate(file: Path | None = None, /, *, invocation: Given) -> int:
    """Check files of configuration, and the variables of the environment; exits with 2 if anything is wrong.

    Args:
        file: Check this one, and nothing else.
        invocation: Who asks.
    """
    found = _sources(file, invocation)
    if file is None:
        for name in unread(invocation.around.environ):
            invocation.printer.note(f"`{name}` is of older programs; nobody reads it")
    problems = tuple(map(_strict, found.problems))
    texts = found.configuration.texts
    views = tuple(_view(name, problems) for name in found.sources)
    invocation.printer.document(ValidateDocument(views))
    for line in render(problems, texts).splitlines():
        invocation.printer.line(line)
    for view in views:
        verdict = Span("valid", "good") if view.valid else Span("invalid", "bad")
        invocation.printer.line(Span(view.path, "strong"), ": ", verdict)
    if not views:
        invocation.printer.line("there is no configuration: the defaults hold")
    return 0 if all(view.valid for view in views) else _INVALID


# -- which -----------------------------------------------------------------------------------------------------------
def _chosen(key: str | None, configuration: Configuration) -> Iterator[Effective]:
    """All settings, one, or those of a section.

    Raises:
        UsageError: ``bad-value``: there is no such key.
    """
    known = BY_NAME.get(key or "")
    if key is not None and key not in SECTIONS and (known is None or known.standing is not Standing.ACTING):
        meant = nearest(key, [setting.key for setting in configuration.every()])
        hint = f"did you mean `{meant}`?" if meant else "`prodigy config show` lists them"
        raise UsageError("bad-value", f"There is no setting `{key}`", hint=hint)
    name = key if known is None else known.name
    for setting in configuration.every():
        if key is None or setting.key == name or setting.key.startswith(f"{key}."):
            yield setting.shown


def _sources(file: Path | None, invocation: Invocation) -> Found:
    around = invocation.around
    if file is None:
        return invocation.sources.found
    path = around.directory / file.expanduser()
    if not path.is_file():
        raise MachineError(
            "storage-denied", f"`{file}` cannot be read: there is no such file", where=str(path)
        )
    return found_in(path)


def _strict(problem: Problem) -> Problem:
    """A key that nobody knows is an error here."""
    return msgspec.structs.replace(problem, severity="error") if problem.code == "unknown-key" else problem


def _view(name: str, problems: tuple[Problem, ...]) -> FileView:
    own = [problem for problem in problems if problem.mark.file == name]
    return FileView(
        path=name,
        valid=not any(problem.severity == "error" for problem in own),
        problems=tuple(map(problem_view, own)),
    )


# -- how it is shown ---------------------------------------------------------------------------------------------------
def _nested(settings: list[Effective]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for setting in settings:
        *sections, name = setting.key.split(".")
        inner = whole
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[name] = setting.value
    return whole


def _rows(setting: Effective) -> Iterator[tuple[Part, ...]]:
    for number, (source, value) in enumerate(setting.chain):
        yield (Span(setting.key, "strong") if number == 0 else "", _text(value), source)


def _text(value: Any) -> str:
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
