"""``prodigy events``: the records of runs, as they were written."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Form, Part, Span
from prodigy.cli.text import age, duration, local_time
from prodigy.errors import UsageError
from prodigy.events import Phase, Record, event_type, item_of
from prodigy.job.summary import JobSummary
from prodigy.store.documents import EventsDocument
from prodigy.store.event_log import EventFilter, event_types, events_document
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
  prodigy events latest --item src/a.py --jsonl""",
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
_SHOWN_ELSEWHERE = frozenset({"event_type", "item_id", "agent_id"})
_MINUTE = 60


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Filters:
    """Which events are wanted.

    Args:
        types: Only events of this type; may be repeated.
        item: Only events of one item, by id or text.
        agent_id: Only events of one agent.
        phase: Only events of one phase.
        since: Only events after this: minutes, a duration such as 2h, or a time.
        until: Only events before this.
    """

    types: Annotated[tuple[str, ...], Parameter(name=("--event-type", "--type"))] = ()
    item: str | None = None
    agent_id: str | None = None
    phase: Phase | None = None
    since: str | None = None
    until: str | None = None

    def meant(self, limit: int, now: datetime) -> EventFilter:
        """The filter, its times counted from ``now``."""
        return EventFilter(
            types=event_types(self.types),
            item=self.item,
            agent_id=self.agent_id,
            phase=self.phase,
            since=_moment(self.since, now),
            until=_moment(self.until, now),
            limit=limit,
        )


_EVERYTHING = Filters()


@app.default
def events(
    job: Annotated[str | None, Parameter(name=("--job", "--job-id"), group=ARGUMENTS_GROUP)] = None,
    *,
    filters: Filters = _EVERYTHING,
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
    wanted = filters.meant(limit, invocation.around.now())
    if job is None and filters == _EVERYTHING:
        _show_jobs(invocation, limit, all_repos=all_repos)
        return
    run = run_called(job or LATEST, invocation)
    if job is None:
        invocation.printer.note(f"of the newest run, {run.job_id}")
    _show_events(events_document(records(run), wanted), invocation)


app.command(events, name=("ls", "list"))


def _moment(text: str | None, now: datetime) -> datetime | None:
    """A point in time: minutes ago, a duration ago, or a time as RFC 3339 writes it."""
    if text is None:
        return None
    if text.isdecimal():
        return now - timedelta(seconds=int(text) * _MINUTE)
    from prodigy.workflow import scalars

    with contextlib.suppress(scalars.ScalarError, OverflowError):
        return now - timedelta(seconds=scalars.duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            "bad-value",
            f"`{text}` is no time",
            hint="it takes minutes, a duration such as `2h`, or a time such as `2026-11-22T09:15:00Z`",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# -- runs ----------------------------------------------------------------------------------------------------------
def _show_jobs(invocation: Invocation, limit: int, *, all_repos: bool) -> None:
    repo = repository_here(invocation, all_repos=all_repos)
    document = jobs_document(invocation.home, repo, limit)
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
def _show_events(document: EventsDocument, invocation: Invocation) -> None:
    printer = invocation.printer
    printer.document(document)
    if printer.form is Form.JSONL:
        for record in document.events:
            printer.record(record)
        return
    if document.events:
        printer.table(_EVENT_COLUMNS, (_event_row(record) for record in document.events))
    else:
        printer.line("No event fits")
    if document.shown < document.total:
        printer.note(f"the newest {document.shown} of {document.total} events; see all with `--limit 0`")


def _event_row(record: Record) -> tuple[Part, ...]:
    event = record.event
    return (
        local_time(record.timestamp),
        str(record.seq),
        Span(event_type(event), "accent"),
        item_of(event) or "",
        getattr(event, "agent_id", None) or "",
        " ".join(_facts(event)),
    )


def _facts(event: msgspec.Struct) -> Iterator[str]:
    """What else a record says: short values as they are, longer ones by their size."""
    for name, value in msgspec.to_builtins(event).items():
        if name in _SHOWN_ELSEWHERE:
            continue
        match value:
            case list():
                yield f"{name}={len(value)}"
            case dict():
                yield f"{name}={value.get('message') or f'{{{len(value)}}}'}"
            case _:
                yield f"{name}={value}"
