"""``prodigy events``: the records of runs, as they were written and as they come."""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.event_lines import EVERYTHING, Filters, JobOption, event_row, wanted_records
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Form, Part, Span
from prodigy.cli.text import age, duration
from prodigy.cli.verbs.events_figures import export, stats
from prodigy.cli.verbs.events_removal import clean
from prodigy.errors import UsageError
from prodigy.events import Record
from prodigy.ids import tail_of
from prodigy.job.summary import JobSummary
from prodigy.store.documents import EventsDocument, RunRecord
from prodigy.store.event_following import followed
from prodigy.store.event_log import Matcher, events_document, newest, of_run
from prodigy.store.event_search import searcher
from prodigy.store.runs import LATEST, jobs_document, records

app = App(
    name="events",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help_epilogue="""Examples:
  prodigy events                                     runs, with their counts
  prodigy events latest                              everything recorded of the newest run
  prodigy events k7m2pq --type AgentFailed --since 2h
  prodigy events latest --item src/a.py --jsonl
  prodigy events search 'src/a\\.py' --fields files_changed
  prodigy events follow
  prodigy events stats --group-by agent_id""",
)

_JOB_COLUMNS = (
    Column("run"),
    Column("workflow", elastic=True),
    Column("status"),
    Column("items", right=True),
    Column("failed", right=True),
    Column("took", right=True),
    Column("started"),
)
_EVENT_COLUMNS = (
    Column("time"),
    Column("seq", right=True),
    Column("type"),
    Column("item"),
    Column("agent"),
    Column("text", elastic=True),
)
_PAUSE = 0.25
"""Seconds between two looks of who follows."""
_TYPE_WIDTH = 24


@app.default
def events(
    job: JobOption = None,
    *,
    filters: Filters = EVERYTHING,
    limit: int = 100,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Show what was recorded of a run, or without any filter which runs there are.

    Args:
        job: The run; latest for the newest one, which is also what any other filter means by itself.
        filters: Which events are wanted.
        limit: The newest so many; 0 for all.
        all_repos: Without a filter, list the runs of every repository.
        invocation: Who asks.
    """
    if job is None and filters == EVERYTHING:
        _show_jobs(invocation, limit, all_repos=all_repos)
        return
    if filters.file is not None:
        found = wanted_records(None, filters, invocation, all_repos=False)
        _show_events(newest((record for _, record in found), limit), invocation)
        return
    wanted = filters.meant(limit, invocation.around.now())
    run = run_called(job or LATEST, invocation)
    if job is None:
        invocation.printer.note(f"of the newest run, {run.job_id}")
    _show_events(events_document(records(run), wanted), invocation)


app.command(events, name=("ls", "list"), sort_key=1)


@app.command(sort_key=2)
def search(
    pattern: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    job: JobOption = None,
    *,
    fields: tuple[str, ...] = (),
    filters: Filters = EVERYTHING,
    limit: int = 100,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Show the events of all runs that have a text somewhere.

    Args:
        pattern: A regular expression.
        job: Only those of one run.
        fields: Look only in this field, such as error.message; may be repeated.
        filters: Which events are wanted.
        limit: The newest so many; 0 for all.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    has = searcher(pattern, fields)
    found = (
        told
        for job_id, record in wanted_records(job, filters, invocation, all_repos=all_repos)
        if has(record)
        for told in of_run(job_id, (record,))
    )
    _show_events(newest(found, limit), invocation, several=job is None)


@app.command(sort_key=3)
def follow(job: JobOption = None, *, filters: Filters = EVERYTHING, invocation: Given) -> None:
    """Show what was recorded of a run and then what comes, until the run ends or Ctrl-C.

    Args:
        job: The run; the newest one that is running if it is left out.
        filters: Which events are wanted.
        invocation: Who asks.
    """
    if invocation.printer.form is Form.JSON:
        raise UsageError(
            "conflicting-flags", "`--json` is one document, and this is a stream", hint="use `--jsonl`"
        )
    if filters.file is not None:
        raise UsageError(
            "conflicting-flags", "A file is not followed", hint="`prodigy events --file` shows it"
        )
    run = run_called(job or LATEST, invocation, None if job else lambda known: known.live)
    matcher, printer = Matcher(filters.meant(0, invocation.around.now())), invocation.printer

    def wait() -> None:
        printer.flush()
        invocation.around.sleep(_PAUSE)

    for record in followed(run, wait):
        if matcher.fits(record):
            printer.record(record)
            printer.line(*_line(record, printer.zone))


app.command(stats, sort_key=4)
app.command(export, sort_key=5)
app.command(clean, sort_key=6)


# -- runs ----------------------------------------------------------------------------------------------------------
def _show_jobs(invocation: Invocation, limit: int, *, all_repos: bool) -> None:
    repo = repository_here(invocation, all_repos=all_repos)
    document = jobs_document(invocation.storage, repo, limit)
    printer = invocation.printer
    printer.document(document)
    for job in document.jobs:
        printer.record(job)
    now = invocation.around.now()
    if document.jobs:
        printer.table(_JOB_COLUMNS, (_job_row(job, now) for job in document.jobs))
    else:
        printer.line("Nothing has run yet")


def _job_row(job: JobSummary, now: datetime) -> tuple[Part, ...]:
    items = job.items
    took = ((job.ended_at or job.updated_at) - job.started_at) / timedelta(seconds=1)
    return (
        Span(job.tail, "strong"),
        job.workflow,
        job.status,
        f"{items.done}/{items.total}" if items.total else "",
        str(items.failed) if items.total else "",
        duration(took),
        age(job.started_at, now),
    )


# -- records -------------------------------------------------------------------------------------------------------
def _show_events(document: EventsDocument, invocation: Invocation, *, several: bool = False) -> None:
    printer = invocation.printer
    printer.document(document)
    if printer.form is Form.JSONL:
        for record in document.events:
            printer.record(record)
        return
    if document.events:
        columns = (Column("run"), *_EVENT_COLUMNS) if several else _EVENT_COLUMNS
        printer.table(columns, _rows(document.events, printer.zone, several=several))
    else:
        printer.line("No event fits")
    if document.shown < document.total:
        printer.note(f"the newest {document.shown} of {document.total} events; see all with `--limit 0`")


def _rows(shown: Iterable[Record], zone: tzinfo | None, *, several: bool) -> Iterable[tuple[Part, ...]]:
    for record in shown:
        run = (Span(tail_of(record.job_id), "strong"),) if isinstance(record, RunRecord) and several else ()
        yield (*run, *event_row(record, zone))


def _line(record: Record, zone: tzinfo | None) -> tuple[Part, ...]:
    """A row that cannot know how wide the others are."""
    time, seq, kind, item, agent, text = event_row(record, zone)
    name = kind.text if isinstance(kind, Span) else kind
    whose = "  ".join(str(part) for part in (item, agent) if part)
    return (
        f"{time}  {seq:>6}  ",
        Span(name.ljust(_TYPE_WIDTH), "accent"),
        f"  {whose}{'  ' if whose else ''}{text}",
    )
