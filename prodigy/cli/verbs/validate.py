"""``prodigy validate``: the whole check that ``run`` does, without a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from prodigy.cli.claude_commands import found_commands
from prodigy.cli.findings import FileView, ValidateDocument, problem_view, tally
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.parameters import given_parameters
from prodigy.cli.printer import Form, Printer, Span
from prodigy.cli.workflow_files import WorkflowFile, load_file, open_workflow, repository_root
from prodigy.errors import UsageError
from prodigy.steps.packaged_prompts import packaged_commands
from prodigy.workflow.check_commands import check_commands
from prodigy.workflow.check_machine import check_machine
from prodigy.workflow.load import Loaded
from prodigy.workflow.problems import Problem, Problems, WorkflowInvalid, render

app = App(
    name="validate",
    help_epilogue="""Examples:
  prodigy validate workflow.yml
  prodigy validate workflows/*.yml --strict
  prodigy validate deploy.yml --param env=prod
  prodigy validate workflow.yml --json | jq '.files[].problems'""",
)

_INVALID = 2


class _Checked(msgspec.Struct, frozen=True):
    """A file with all that was found in it, and the texts of its parts."""

    file: WorkflowFile
    problems: tuple[Problem, ...]
    texts: dict[str, str]

    def is_valid(self, *, strict: bool) -> bool:
        """Whether a run would take it; ``strict`` also asks for no warnings."""
        refused = {"error", "warning"} if strict else {"error"}
        return not any(problem.severity in refused for problem in self.problems)


@app.default
def validate(
    *workflow: str,
    strict: bool = False,
    suggest: Annotated[bool, Parameter(negative="--no-suggest")] = True,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the flag's name
    param: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE")] = (),
    param_file: Annotated[tuple[str, ...], Parameter(metavar="FILE")] = (),
    invocation: Given,
) -> int:
    """Check workflows as `run` does, and start nothing. Exits with 2 if one is invalid.

    Args:
        workflow: Paths, names under workflows/, or - for standard input.
        strict: Warnings count as errors.
        suggest: Show what could be written instead.
        format: As `--json`, for scripts that say it so.
        param: The value of a parameter; without any, parameters may be anything.
        param_file: A JSON or YAML file of values of parameters.
        invocation: Who asks.
    """
    if not workflow:
        raise UsageError(
            "missing-argument", "`prodigy validate` needs WORKFLOW", hint="see `prodigy validate --help`"
        )
    if format == "json":
        invocation.printer.form = Form.JSON
    parameters = given_parameters(param, param_file, invocation.around.directory)
    found = [_checked(open_workflow(name, invocation), invocation, parameters) for name in workflow]
    document = ValidateDocument(tuple(_view(one, strict=strict, suggest=suggest) for one in found))
    invocation.printer.document(document)
    for one in found:
        _show(one, invocation.printer, strict=strict, suggest=suggest)
    return 0 if all(file.valid for file in document.files) else _INVALID


def _checked(file: WorkflowFile, invocation: Invocation, parameters: Mapping[str, Any] | None) -> _Checked:
    try:
        loaded = load_file(file, invocation, parameters)
    except WorkflowInvalid as invalid:
        return _Checked(file, invalid.problems, invalid.texts)
    return _Checked(file, _with_machine(file, loaded, invocation), loaded.texts)


def _with_machine(file: WorkflowFile, loaded: Loaded, invocation: Invocation) -> tuple[Problem, ...]:
    """What is known of a valid file, and what it misses on this machine."""
    problems = Problems(file.name, loaded.problems)
    root = repository_root(invocation.place)
    check_machine(
        loaded.workflow,
        loaded.texts,
        problems,
        environ=invocation.around.environ,
        is_file=lambda path: (root / Path(path).expanduser()).is_file(),
    )
    commands = found_commands(root, invocation.around.environ)
    if commands is not None:
        check_commands(loaded.workflow, loaded.texts, problems, known=commands, packaged=packaged_commands())
    return problems.sorted()


def _view(checked: _Checked, *, strict: bool, suggest: bool) -> FileView:
    return FileView(
        path=checked.file.place,
        valid=checked.is_valid(strict=strict),
        problems=tuple(problem_view(problem, suggest=suggest) for problem in checked.problems),
    )


def _show(checked: _Checked, printer: Printer, *, strict: bool, suggest: bool) -> None:
    problems: Sequence[Problem] = checked.problems
    if not suggest:
        problems = [msgspec.structs.replace(problem, hints=()) for problem in problems]
    for line in render(problems, checked.texts).splitlines():
        printer.line(line)
    valid = checked.is_valid(strict=strict)
    verdict = Span("valid", "good") if valid else Span("invalid", "bad")
    numbers = ", ".join(tally(checked.problems))
    printer.line(Span(checked.file.name, "strong"), ": ", verdict, f", {numbers}" if numbers else "")
