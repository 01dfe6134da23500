"""What the verbs of events share: which records are meant, and a record as a line."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.options import ARGUMENTS_GROUP
from prodigy.cli.printer import Part, Span
from prodigy.cli.text import local_time
from prodigy.errors import ProdigyError, UsageError
from prodigy.events import Phase, Record, event_type, item_of
from prodigy.store.event_log import EventFilter, Matcher, event_types, fitting, records_in
from prodigy.store.runs import all_runs, records

JobOption = Annotated[str | None, Parameter(name=("--job", "--job-id"), group=ARGUMENTS_GROUP)]

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
        file: Those of this file, such as a copy of a journal's segment, an archive or an export.
        journal_only: What is told is always that of the journal; older scripts say so.
    """

    types: Annotated[tuple[str, ...], Parameter(name=("--event-type", "--type"))] = ()
    item: str | None = None
    agent_id: str | None = None
    phase: Phase | None = None
    since: str | None = None
    until: str | None = None
    file: Path | None = None
    journal_only: Annotated[bool, Parameter(show=False)] = field(default=False, compare=False)

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


EVERYTHING = Filters()


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


# -- records -------------------------------------------------------------------------------------------------------
def wanted_records(
    job: str | None, filters: Filters, invocation: Invocation, *, all_repos: bool
) -> Iterator[tuple[str, Record]]:
    """The records that are meant, each with the id of its job: of a file, of one run, or of all, the oldest run first.

    Of many runs, one whose journal cannot be read is told and passed over.
    """
    wanted = filters.meant(0, invocation.around.now())
    if filters.file is not None:
        yield from _in_file(filters.file, wanted, invocation)
        return
    if job is not None:
        run = run_called(job, invocation)
        yield from ((run.job_id, record) for record in fitting(records(run), wanted))
        return
    repo = repository_here(invocation, all_repos=all_repos)
    for run in reversed(all_runs(invocation.storage, repo)):
        try:
            yield from ((run.job_id, record) for record in fitting(records(run), wanted))
        except ProdigyError as error:
            invocation.printer.warn(f"{run.job_id}: {error.code}: {error.message}")


def place_of(file: Path, invocation: Invocation) -> Path:
    """A file that the caller names, relative to where they are."""
    return (invocation.around.directory / file.expanduser()).resolve()


def _in_file(file: Path, wanted: EventFilter, invocation: Invocation) -> Iterator[tuple[str, Record]]:
    job_id, matcher = "", Matcher(wanted)
    for record in records_in(place_of(file, invocation)):
        job_id = getattr(record.event, "job_id", job_id)
        if matcher.fits(record):
            yield job_id, record


# -- lines ---------------------------------------------------------------------------------------------------------
def event_row(record: Record, zone: tzinfo | None) -> tuple[Part, ...]:
    """When, which number, what, whose, by whom, and what else."""
    event = record.event
    return (
        local_time(record.timestamp, zone),
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
            case list() | tuple():
                yield f"{name}={len(value)}"
            case dict():
                yield f"{name}={value.get('message') or f'{{{len(value)}}}'}"
            case _:
                yield f"{name}={value}"
