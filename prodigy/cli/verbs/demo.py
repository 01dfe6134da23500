"""``prodigy demo``: the main job before one's eyes, in a repository of its own: no Claude, no network, no cost."""

import io
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import Struct

from prodigy.cli.demonstration import FEWEST, Demonstration
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import Positive
from prodigy.cli.printer import Form, Span
from prodigy.cli.text import counted
from prodigy.errors import UsageError
from prodigy.git.aside import folder_aside, remove_forsaken

app = App(
    name="demo",
    help_epilogue="""Examples:
  prodigy demo
  prodigy demo --dir /tmp/demo --keep      look around in it afterwards
  prodigy demo --items 40 --fast""",
)

_ITEMS = 12
_NAME = "prodigy-demo-"
"""How the names of temporary folders begin."""


class DemoStep(Struct, frozen=True, kw_only=True):
    """A command, and what it ended with; ``output`` is what it printed, where that was not shown."""

    command: str
    exit_code: int
    output: str


class DemoDocument(Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.demo/1"):
    """``prodigy.demo/1``."""

    folder: str
    kept: bool
    items: int
    signed: int
    steps: list[DemoStep]


@app.default
def demo(
    *,
    dir_: Annotated[str | None, Parameter(name="--dir", metavar="DIR")] = None,
    items: Annotated[Positive, Parameter(metavar="N")] = _ITEMS,
    keep: bool = False,
    fast: bool = False,
    invocation: Given,
) -> int:
    """See a job from its beginning to its merge, in a repository made for it: no Claude, no network, no cost.

    One of its items fails twice and then heals, and one comes into the dead letter queue and is tried again from there.
    All that it made is removed at the end.

    Args:
        dir_: Make it in this folder, which is empty or not there yet; a temporary one if left out.
        items: How many items there are.
        keep: Leave everything there, to look around.
        fast: Without the pauses in which one sees the agents at work.
        invocation: Who asks.
    """
    if items < FEWEST:
        raise UsageError("bad-value", f"`--items {items}` is too few", hint=f"it takes {FEWEST} or more")
    with _folder(dir_, invocation, keep=keep) as folder:
        shown = Demonstration(folder)
        shown.make(items, fast=fast, environ=invocation.around.environ)
        steps = list(_steps(shown, invocation))
        document = DemoDocument(
            folder=str(folder), kept=keep, items=items, signed=shown.signed(), steps=steps
        )
    well = document.signed == items and not any(step.exit_code for step in steps)
    printer = invocation.printer
    if not printer.document(document):
        printer.line()
        printer.line(
            f"{document.signed} of {counted(items, 'note')} signed and merged; ",
            f"all of it is in {folder}" if keep else "all that was made is removed again",
        )
    return 0 if well else max((step.exit_code for step in steps), default=0) or 1


def _steps(shown: Demonstration, invocation: Invocation) -> Iterator[DemoStep]:
    """Run the commands one after the other, up to the first that fails."""
    for words in (
        ("run", str(shown.workflow), "--script", str(shown.first), "--no-merge"),
        ("status",),
        ("dlq", "list"),
        ("dlq", "retry", "latest", "--script", str(shown.healed), "--reduce", "--no-merge"),
        ("report", "latest"),
        ("worktree", "merge", "latest", "--yes"),
    ):
        step = _step(words, shown, invocation)
        yield step
        if step.exit_code:
            return


def _step(words: Sequence[str], shown: Demonstration, invocation: Invocation) -> DemoStep:
    from prodigy.cli.app import perform

    printer, around = invocation.printer, invocation.around
    command = shlex.join(("prodigy", *words))
    printer.line()
    printer.line(Span(f"$ {command}", "accent"))
    printer.flush()
    kept = io.StringIO()
    silent = printer.form is not Form.TEXT
    inside = replace(
        around,
        stdout=kept if silent else around.stdout,
        stderr=kept if silent else around.stderr,
        environ=shown.environment(around.environ),
        directory=shown.repository,
    )
    return DemoStep(
        command=command, exit_code=perform((*words, *_as_loud(invocation)), inside), output=kept.getvalue()
    )


def _as_loud(invocation: Invocation) -> Iterator[str]:
    """The flags of this call that say how its commands talk."""
    options = invocation.options
    if options.quiet:
        yield "--quiet"
    yield from ("--verbose",) * options.verbose
    yield from ("--color", options.colour)


@contextmanager
def _folder(name: str | None, invocation: Invocation, *, keep: bool) -> Iterator[Path]:
    """The folder of the demonstration, gone afterwards unless it is to be kept.

    With it go temporary folders of demonstrations that were killed.
    """
    if name is None and not keep:
        remove_forsaken(tempfile.gettempdir(), _NAME)
        with folder_aside(tempfile.gettempdir(), _NAME) as aside:
            yield Path(aside)
        return
    folder = Path(tempfile.mkdtemp(prefix=_NAME)) if name is None else _named(name, invocation)
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _named(name: str, invocation: Invocation) -> Path:
    """The folder that the user names, empty."""
    folder = (invocation.around.directory / Path(name).expanduser()).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("bad-value", f"`{folder}` is there and not empty", hint="name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
