"""``prodigy progress``: one screen of one run: how far it is, what is at work, what it costs."""

import csv
import io
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from prodigy.cli.here import run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.looking import look_again
from prodigy.cli.options import ARGUMENTS_GROUP, seconds
from prodigy.cli.progress_story import progress_story
from prodigy.cli.story_page import page
from prodigy.cli.story_text import tell
from prodigy.cli.usage import no_stream
from prodigy.errors import UsageError
from prodigy.job.items import item_text
from prodigy.job.progress import ProgressDocument, progress_document
from prodigy.job.state import JobState
from prodigy.job.summary import JobSummary
from prodigy.store.atomic import write_file
from prodigy.store.runs import LATEST, Run, run_holder
from prodigy.store.snapshots import Folded, followed, opened

ExportFormat = Literal["json", "csv", "html"]

app = App(
    name="progress",
    help_epilogue="""Examples:
  prodigy progress latest
  prodigy progress k7m2pq --watch
  prodigy progress latest --export progress.html
  prodigy progress latest --json | jq '.items'""",
)

_EVERY = 2.0
"""Seconds between two looks."""
_COLUMNS = ("index", "item_id", "text", "status", "attempts", "duration_ms", "cost_usd", "commits", "error")


@app.default
def progress(
    run: Annotated[str, Parameter(name=("--run", "--job", "--job-id"), group=ARGUMENTS_GROUP)] = LATEST,
    *,
    watch: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=(0, 1), metavar="TIME")] = None,
    export: Annotated[str | None, Parameter(metavar="FILE")] = None,
    form: Annotated[ExportFormat | None, Parameter(name="--format")] = None,
    invocation: Given,
) -> None:
    """Show how far a run is: items, rate, time left, cost, what is at work, what is tried again, what was slow.

    Args:
        run: Any id of a run, or latest, which is the newest one that is running, if any is.
        watch: Look again, every 2s or so often as it says, until the run has ended, or Ctrl-C.
        export: Write it to this file.
        form: The format of that file; without it by its suffix, JSON if that says nothing.
        invocation: Who asks.
    """
    if form is not None and export is None:
        raise UsageError("missing-argument", "`--format` is of a file", hint="name it with `--export FILE`")
    if watch is not None and export is not None:
        raise UsageError(
            "conflicting-flags", "`--watch` and `--export` exclude each other", hint="give one of them"
        )
    view = _View(_meant(run, invocation), invocation)
    if export is not None:
        _write(view, export, form or _format_of(export), invocation)
    elif watch is not None:
        every = seconds(watch[0], "--watch") if watch else _EVERY
        look_again(invocation, every, view.show, lambda: view.ended)
    elif invocation.options.jsonl:
        raise no_stream("progress")
    else:
        view.show()


def _meant(name: str, invocation: Invocation) -> Run:
    if name == LATEST:
        try:
            return run_called(name, invocation, _runs)
        except UsageError:
            pass
    return run_called(name, invocation)


def _runs(run: JobSummary) -> bool:
    return run.live


class _View:
    """A run that is looked at again and again: each record of it is read once."""

    def __init__(self, run: Run, invocation: Invocation) -> None:
        self._run = run
        self._invocation = invocation
        self._found: Folded | None = None
        self.ended = False

    def look(self) -> tuple[ProgressDocument, JobState]:
        """How it stands now.

        Raises:
            RunError: ``journal-corrupt`` or ``journal-newer``.
        """
        holder = run_holder(self._run)  # asked before reading: whoever is gone has written all
        found = self._found
        self._found = found = followed(found) if found else opened(self._run.layout, self._run.job_id)
        if found.problem is not None:
            raise found.problem
        self.ended = holder is None
        now, pid = self._invocation.around.now(), holder.pid if holder else None
        return progress_document(found.state, self._run.repo, now, holder_pid=pid), found.state

    def show(self) -> int:
        """Print it; how many lines that took."""
        document, _ = self.look()
        printer, around = self._invocation.printer, self._invocation.around
        printer.document(document)
        printer.record(document)
        return tell(progress_story(document, around.now(), printer.zone), printer, around.environ.get("HOME"))


def _format_of(name: str) -> ExportFormat:
    suffix = Path(name).suffix.lower()
    return "html" if suffix in {".html", ".htm"} else "csv" if suffix == ".csv" else "json"


def _write(view: _View, name: str, form: ExportFormat, invocation: Invocation) -> None:
    document, state = view.look()
    match form:
        case "json":
            content = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
        case "csv":
            content = _csv(state).encode("utf-8", "surrogatepass")
        case "html":
            text = "".join(page(progress_story(document, invocation.around.now(), invocation.printer.zone)))
            content = text.encode("utf-8", "surrogatepass")
    path = (invocation.around.directory / Path(name).expanduser()).resolve()
    write_file(path, content)
    invocation.printer.talk(f"written to {path}")


def _csv(state: JobState) -> str:
    """A row for each item."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for item in state.items.by_index():
        rows.writerow(
            (
                item.index,
                item.item_id,
                item_text(item.item, item.item_id),
                item.status,
                item.attempts,
                item.duration_ms,
                round(item.cost_usd + item.spent_usd, 6),
                len(item.commits),
                item.error.message if item.error else "",
            )
        )
    return text.getvalue()
