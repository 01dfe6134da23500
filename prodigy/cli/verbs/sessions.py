"""``prodigy sessions``: runs as their sessions, and what is known of one."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.disposing import Outcome, Wanted, age_of, clean_places, tell
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.statuses import status_text
from prodigy.cli.text import age, clock_time, counted, duration, home_short, local_time
from prodigy.job.summary import JobSummary, SummaryStatus
from prodigy.store.legacy import legacy_sessions
from prodigy.store.runs import LATEST, summaries
from prodigy.store.sessions import SessionDocument, session, sessions

app = App(
    name="sessions",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show the sessions of runs, and remove their files.",
    help_epilogue="""Examples:
  prodigy sessions ls
  prodigy sessions ls --resumable
  prodigy sessions show latest
  prodigy sessions show k7m2pq --json | jq .state
  prodigy sessions clean --dry-run""",
)

_STEPS = 20
"""The last so many are shown to people."""
_COLUMNS = (
    Column("session"),
    Column("status"),
    Column("workflow", elastic=True),
    Column("where"),
    Column("items", right=True),
    Column("cost", right=True),
    Column("started"),
    Column("next"),
)


@app.command(name=("ls", "list"))
def list_sessions(
    *,
    status: SummaryStatus | None = None,
    resumable: bool = False,
    limit: int = 20,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """List the sessions of this repository, newest first.

    Args:
        status: Only those that are this.
        resumable: Only those that `prodigy resume` goes on with.
        limit: The newest so many; 0 for all.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    repo = repository_here(invocation, all_repos=all_repos)
    known = (run for run in summaries(invocation.storage, repo) if status in {None, run.status})
    older = [] if resumable else legacy_sessions(invocation.storage, repo)
    document = sessions(
        (run for run in known if run.resumable or not resumable),
        limit,
        (one for one in older if status in {None, one.status}),
    )
    printer = invocation.printer
    if printer.document(document):
        return
    now = invocation.around.now()
    if document.sessions:
        printer.table(_COLUMNS, (_row(run, now, all_repos=all_repos) for run in document.sessions))
    elif not document.legacy:
        printer.line("No session")
    for one in document.legacy:
        begun = f", begun {one.started_at}" if one.started_at else ""
        printer.line(
            Span(one.session_id, "strong"),
            f"  {one.status}, of an older program{begun}; it cannot be resumed",
        )
    if document.shown < document.total:
        printer.note(
            f"the newest {document.shown} of {counted(document.total, 'session')}; all with `--limit 0`"
        )


@app.command
def show(
    run: Annotated[str, Parameter(name=("--run", "--job-id"), group=ARGUMENTS_GROUP)] = LATEST,
    *,
    invocation: Given,
) -> None:
    """Show where a session stands, its steps and how long they took, its worktree, and how to go on.

    Args:
        run: Any id of a run, or latest.
        invocation: Who asks.
    """
    document = session(run_called(run, invocation))
    if invocation.printer.document(document, in_pipe=True):
        return
    for line in _lines(document, invocation):
        invocation.printer.line(*line)


@app.command
def clean(
    *,
    older_than: Annotated[str, Parameter(metavar="TIME")] = "7d",
    every: Annotated[bool, Parameter(name="--all")] = False,
    force: Annotated[bool, Parameter(name=("--force", "-f"))] = False,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Remove the files of sessions that have ended and were merged. Journals, worktrees and branches stay.

    Args:
        older_than: Only sessions whose last activity is so long ago.
        every: Whatever their age.
        force: Also of runs that can be resumed, are not merged or have dead letters.
        dry_run: Say what would be removed.
        invocation: Who asks.
    """
    wanted = Wanted(older_than=age_of("0s" if every else older_than), dry_run=dry_run, force=force)
    outcome = Outcome()
    clean_places("sessions", invocation, wanted, outcome)
    return tell(invocation, outcome, dry_run=dry_run)


def _row(run: JobSummary, now: datetime, *, all_repos: bool) -> tuple[Part, ...]:
    items = run.items
    step = f" step {run.current_step}" if run.current_step else ""
    return (
        Span(run.session_id, "strong"),
        status_text(run, now),
        f"{run.repo}: {run.workflow}" if all_repos else run.workflow,
        f"{run.phase or ''}{step}",
        f"{items.done}/{items.total}" if items.total else "",
        f"${run.cost_usd:.2f}" if run.cost_usd else "",
        age(run.started_at, now),
        run.next or "",
    )


def _lines(document: SessionDocument, invocation: Invocation) -> Iterator[tuple[Part, ...]]:
    run, state, home = document.run, document.state, invocation.around.environ.get("HOME")
    now = invocation.around.now()
    yield Span(run.session_id, "strong"), f"  {status_text(run, now)}", f"  {age(run.updated_at, now)}"
    zone = invocation.printer.zone
    facts = {
        "workflow": f"{run.workflow}  {home_short(run.workflow_path, home)}",
        "job": run.job_id,
        "values": ", ".join(run.arguments),
        "started": local_time(run.started_at, zone),
        "ended": local_time(run.ended_at, zone) if run.ended_at else "",
        "phase": f"{run.phase or ''}{f' step {run.current_step}' if run.current_step else ''}",
        "paused": _pause(run, now),
        "items": _items(run),
        "commits": f"{run.commits} on {run.branch} for {run.target}, merge {run.merge}",
        "cost": f"${run.cost_usd:.2f}, {state.tokens or 0:,} tokens" if run.cost_usd or state.tokens else "",
        "in DLQ": str(run.dlq_count) if run.dlq_count else "",
        "variables": ", ".join(document.variables),
        "worktree": home_short(document.worktree, home) if document.worktree else "removed",
        "error": run.error or "",
        "held by": _holder(document, zone),
    }
    width = max(len(name) for name, value in facts.items() if value) + 2
    for name, value in facts.items():
        if value:
            yield f"  {name:<{width}}", value
    for step in document.steps[-_STEPS:]:
        yield f"  {duration(step.duration_ms / 1000):>8}  ", step.command
    if (earlier := len(document.steps) - _STEPS) > 0:
        yield (f"  {counted(earlier, 'step')} before these: see `--json`",)
    if document.next:
        yield "  next: ", Span(document.next, "accent")


def _pause(run: JobSummary, now: datetime) -> str:
    """Why it rests: ``the API turns Claude away until 14:05``."""
    if run.pause is None:
        return ""
    until = f" until {clock_time(run.pause.until, now)}" if run.pause.until is not None else ""
    return f"{run.pause.message}{until}"


def _items(run: JobSummary) -> str:
    items = run.items
    if not items.total:
        return ""
    left = items.running + items.waiting + items.merging
    return f"{items.done} done, {items.failed} failed, {items.skipped} skipped, {left} left of {items.total}"


def _holder(document: SessionDocument, zone: tzinfo | None) -> str:
    """Who works at it, as the lock says that is held at this moment."""
    holder = document.holder
    if holder is None:
        return ""
    since = f" since {local_time(holder.since, zone)}" if holder.since else ""
    return f"pid {holder.pid} on {holder.host}{since}"
