"""``prodigy report``: the whole story of a run, to read, to keep and to show."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.here import run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP
from prodigy.cli.story import story
from prodigy.cli.story_page import page
from prodigy.cli.story_text import markdown, tell
from prodigy.errors import UsageError
from prodigy.job.report import Report
from prodigy.job.report import report as reported
from prodigy.store.atomic import write_file
from prodigy.store.runs import LATEST, load_state, run_holder

app = App(
    name="report",
    help_epilogue="""Examples:
  prodigy report latest
  prodigy report k7m2pq --html run.html
  prodigy report latest --md - --critical-path
  prodigy report latest --json | jq .cost""",
)

_FileFlag = Annotated[str | None, Parameter(metavar="FILE")]


@app.default
def report(
    run: Annotated[
        str, Parameter(name=("--run", "--job", "--job-id", "--session"), group=ARGUMENTS_GROUP)
    ] = LATEST,
    *,
    html: _FileFlag = None,
    md: _FileFlag = None,
    critical_path: bool = False,
    invocation: Given,
) -> None:
    """Tell the whole story of a run: its phases, items, failures, retries, merges, costs, and what to do next.

    Args:
        run: Any id of a run, or latest; it may be running.
        html: Write it to this file as one page of HTML, - for standard output.
        md: Write it to this file as Markdown, - for standard output.
        critical_path: Tell what the run was waiting for, too.
        invocation: Who asks.
    """
    found = run_called(run, invocation)
    holder = run_holder(found)
    document = reported(
        load_state(found),
        found.repo,
        invocation.around.now(),
        found.histories(),
        holder_pid=holder.pid if holder else None,
        path=critical_path,
    )
    told = (
        [_written(html, "".join(page(story(document, invocation.printer.zone))), invocation)]
        if html is not None
        else []
    )
    if md is not None:
        told.append(
            _written(
                md,
                "".join(f"{line}\n" for line in markdown(story(document, invocation.printer.zone))),
                invocation,
            )
        )
    _show(document, invocation, printed=any(told), written=bool(told))


def _show(document: Report, invocation: Invocation, *, printed: bool, written: bool) -> None:
    """On standard output, where nothing else was put there."""
    printer = invocation.printer
    if printed:
        return
    if not printer.document(document) and not written:
        tell(story(document, invocation.printer.zone), printer, invocation.around.environ.get("HOME"))


def _written(name: str, text: str, invocation: Invocation) -> bool:
    """Write it; whether that was to standard output."""
    from prodigy.cli.app import STDIN

    if name != STDIN:
        path = (invocation.around.directory / Path(name).expanduser()).resolve()
        write_file(path, text.encode("utf-8", "surrogatepass"))
        invocation.printer.talk(f"written to {path}")
        return False
    if invocation.options.json:
        raise UsageError(
            "conflicting-flags",
            "`--json` and a report on standard output exclude each other",
            hint="name a file",
        )
    invocation.printer.verbatim(text)
    return True
