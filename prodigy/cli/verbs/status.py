"""``prodigy status``: what runs, what can be taken up again, what failed, what is not merged, what was left running."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.looking import look_again
from prodigy.cli.options import seconds
from prodigy.cli.printer import Column, Part, Span, Tone
from prodigy.cli.statuses import status_text
from prodigy.cli.text import about, age, clock_time, counted, dollars
from prodigy.cli.usage import no_stream
from prodigy.ids import stem_of, tail_of
from prodigy.job.summary import JobSummary
from prodigy.store.documents import LeftRunning, StatusDocument
from prodigy.store.runs import status_document

app = App(
    name="status",
    help_epilogue="""Examples:
  prodigy status
  prodigy status --all-repos
  prodigy status --watch
  prodigy status --json | jq '.running[].items'""",
)

Row = tuple[Part, ...]

_EVERY = 2.0
"""Seconds between two looks."""
_COLUMNS = (
    Column("list"),
    Column("run"),
    Column("workflow", elastic=True),
    Column("state", elastic=True),
    Column("cost", right=True),
    Column("next"),
)


@app.default
def status(
    *,
    all_repos: bool = False,
    watch: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=(0, 1), metavar="TIME")] = None,
    invocation: Given,
) -> None:
    """Show what runs, what can be taken up again, what failed, what is not merged and what was left running.

    Args:
        all_repos: Look at every repository, not only at this one.
        watch: Look again and again, every 2s or so often as it says, until Ctrl-C.
        invocation: Who asks.
    """
    if watch is None:
        if invocation.options.jsonl:
            raise no_stream("status")
        _show(invocation, all_repos=all_repos)
        return
    every = seconds(watch[0], "--watch") if watch else _EVERY
    look_again(invocation, every, lambda: _show(invocation, all_repos=all_repos))


def _show(invocation: Invocation, *, all_repos: bool) -> int:
    """Print it all; how many lines that took."""
    repo = repository_here(invocation, all_repos=all_repos)
    document = status_document(invocation.storage, repo)
    printer = invocation.printer
    printer.document(document)
    printer.record(document)
    rows = list(_rows(document, invocation.around.now().astimezone(printer.zone), all_repos=all_repos))
    if not rows:
        printer.line("Nothing runs, waits or is left to merge")
    printer.table(_COLUMNS, rows, heading=False)
    return max(1, len(rows))


def _rows(document: StatusDocument, now: datetime, *, all_repos: bool) -> Iterator[Row]:
    lists: tuple[tuple[str, Tone, list[JobSummary]], ...] = (
        ("RUNNING", "good", document.running),
        ("RESUMABLE", "warning", document.resumable),
        ("WAITING", "warning", document.waiting),
        ("UNMERGED", "accent", document.unmerged),
    )
    for label, tone, runs in lists:
        for run in runs:
            yield _row(label, tone, run, now, all_repos=all_repos)
    for one in document.detached:
        yield _detached_row(one, all_repos=all_repos)


def _row(label: str, tone: Tone, run: JobSummary, now: datetime, *, all_repos: bool) -> Row:
    name = f"{run.repo}: {run.workflow}" if all_repos else run.workflow
    cost = dollars(run.cost_usd, run.reserved_usd, None if run.budget is None else run.budget.usd)
    following = _live(run) if run.live else _next(label, run)
    return Span(label, tone), Span(run.tail, "strong"), name, _state(label, run, now), cost, following


def _detached_row(one: LeftRunning, *, all_repos: bool) -> Row:
    name = f"{one.repo}: {one.workflow}" if all_repos else one.workflow
    what = next(iter(one.command.splitlines()), f"step {one.step}")
    for_good = one.until == "forever"
    until = "for good" if for_good else f"until the {one.until} ends"
    tail = tail_of(stem_of(one.job_id))
    label, run = Span("DETACHED", "accent"), Span(tail, "strong")
    following = f"kill {one.pid}" if for_good else f"pid {one.pid}"
    return label, run, name, f"{until}: {what}", "", following


def _next(label: str, run: JobSummary) -> str:
    return f"prodigy worktree merge {run.tail}" if label == "UNMERGED" else run.next or ""


def _live(run: JobSummary) -> str:
    eta = f"eta {about(run.eta_ms / 1000)}  " if run.eta_ms is not None else ""
    return f"{eta}pid {run.pid}" if run.pid else eta.rstrip()


def _state(label: str, run: JobSummary, now: datetime) -> str:
    since = age(run.ended_at or run.updated_at, now)
    match label:
        case "RUNNING":
            return f"{_progress(run)}{_pause(run, now)}"
        case "RESUMABLE":
            status = status_text(run, now)
            return f"{status} in {_where(run)}, {since}" if run.phase else f"{status}, {since}"
        case "WAITING":
            return f"{_about(run)}{counted(run.dlq_count, 'item')} in DLQ"
        case _:
            return f"{_about(run)}{counted(run.commits, 'commit')} for {run.target}, {since}"


def _progress(run: JobSummary) -> str:
    items = run.items
    numbers = (
        _where(run),
        f"{_about(run)}{items.failed} failed" if items.failed else "",
        f"{_about(run)}{items.running} running" if items.running else "",
    )
    return ", ".join(filter(None, numbers))


def _pause(run: JobSummary, now: datetime) -> str:
    """``, paused by quota until 14:05``, in the zone of ``now``; ``, waits for memory``."""
    if run.quota_until is None:
        return f", waits for {run.short_of}" if run.short_of is not None else ""
    return f", paused by quota until {clock_time(run.quota_until, now)}"


def _where(run: JobSummary) -> str:
    """``map 142/200``, ``setup step 2``."""
    if run.phase == "map" and run.items.total:
        ended = run.items.done + run.items.failed + run.items.skipped
        return f"map {_about(run)}{ended}/{run.items.total}"
    step = f" step {run.current_step}" if run.current_step else ""
    return f"{run.phase or run.status}{step}"


def _about(run: JobSummary) -> str:
    """The mark of numbers that are older than the run."""
    return "~" if run.stale else ""
