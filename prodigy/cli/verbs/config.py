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
from prodigy.cli.printer import Span
from prodigy.cli.settings_trace import TraceDocument, diagnosed, show_diagnosis, show_settings, text, traced
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
  prodigy config trace --overrides --diagnose
  prodigy config validate""",
)

_INVALID = 2


class ConfigDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.config/1"):
    """``prodigy.config/1``."""

    settings: dict[str, Any]
    """By section."""


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
        invocation.printer.line(Span(setting.key, "strong"), f": {text(setting.value)}")


@app.command
def trace(
    key: str | None = None,
    /,
    *,
    all_: bool = False,
    overrides: bool = False,
    diagnose: bool = False,
    invocation: Given,
) -> None:
    """Show where settings come from: every source that says something, the one that counts first.

    Args:
        key: Only this one, or the section of this name.
        all_: Those that nobody gave, too.
        overrides: Only those of which one source says otherwise than another.
        diagnose: Then say which sources there are, and what is wrong or odd about what they say.
        invocation: Who asks.
    """
    # What is wrong is part of a diagnosis, and else a reason to stop.
    configuration = invocation.sources.found.configuration if diagnose else invocation.configuration
    every = [
        traced(one) for one in _chosen(key, configuration) if all_ or key is not None or one.source != DEFAULT
    ]
    chosen = tuple(one for one in every if one.overrides or not overrides)
    diagnosis = diagnosed(invocation) if diagnose else None
    invocation.printer.document(TraceDocument(chosen, diagnosis))
    if chosen:
        show_settings(invocation.printer, chosen)
    elif every:
        invocation.printer.line("nobody says otherwise than anybody else")
    else:
        invocation.printer.line("nobody gave a setting: the defaults hold")
    if diagnosis is not None:
        invocation.printer.line()
        show_diagnosis(invocation, diagnosis)


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
