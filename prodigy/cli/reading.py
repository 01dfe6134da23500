"""Reading a workflow that is to be run: found, loaded with its parameters, refused with every problem shown."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct, structs

from prodigy.actors.launch import Source
from prodigy.cli.invocation import Invocation
from prodigy.cli.printer import Form, Level, Printer
from prodigy.cli.workflow_files import load_file, open_workflow
from prodigy.workflow.load import Loaded
from prodigy.workflow.problems import WorkflowInvalid


class Reading(Struct, frozen=True):
    """A valid workflow: its text as it was read, what is known about it, and what a run starts from."""

    text: bytes
    loaded: Loaded
    source: Source


def read_workflow(
    name: str, invocation: Invocation, parameters: Mapping[str, Any], *, strict: bool = False
) -> Reading:
    """Read a workflow for a run.

    Args:
        name: as ``workflow_files.open_workflow`` takes it.
        invocation: tells where, and shows what is wrong.
        parameters: their values; all that are required must be there.
        strict: whether scripts that hand text to a second shell are refused.

    Raises:
        UsageError: ``workflow-not-found``.
        MachineError: ``storage-denied``.
        WorkflowInvalid: every problem has been shown.
    """
    file = open_workflow(name, invocation)
    with shown_problems(invocation.printer):
        loaded = load_file(file, invocation, parameters)
        if strict:
            _refuse_second_shells(loaded)
    digest = hashlib.sha256(file.data).hexdigest()
    return Reading(file.data, loaded, Source(loaded.workflow, file.place, digest))


@contextmanager
def shown_problems(printer: Printer) -> Iterator[None]:
    """Shows what is wrong with a file that is read inside."""
    try:
        yield
    except WorkflowInvalid as invalid:
        _show(invalid, printer)
        raise


def _refuse_second_shells(loaded: Loaded) -> None:
    """Who is strict does not hand text to a shell that nobody quotes it for."""
    problems = [
        structs.replace(problem, severity="error") if problem.code == "nested-shell" else problem
        for problem in loaded.problems
    ]
    if any(problem.severity == "error" for problem in problems):
        raise WorkflowInvalid(problems, loaded.texts)


def _show(invalid: WorkflowInvalid, printer: Printer) -> None:
    """Every problem with its source line; scripts find them in the error's note."""
    if printer.form is not Form.TEXT:
        invalid.note = invalid.report()
        return
    for line in invalid.report().splitlines():
        printer.talk(line, at=Level.QUIET)
    printer.talk(at=Level.QUIET)
