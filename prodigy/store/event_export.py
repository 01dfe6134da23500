"""Records as files for other programs: JSON, JSON lines, CSV, Markdown, a trace of spans; one record at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

import msgspec

from prodigy.events import event_type, item_of
from prodigy.job.trace import TraceEvent, Tracer
from prodigy.store.documents import RunRecord

EventFormat = Literal["json", "jsonl", "csv", "markdown", "trace"]

_COLUMNS = ("timestamp", "job_id", "seq", "event_type", "phase", "step", "item_id", "agent_id", "attempt")
_MARKDOWN = ("timestamp", "job_id", "seq", "event_type", "item_id", "event")


def events_exported(records: Iterable[RunRecord], form: EventFormat) -> Iterator[str]:
    """The text of a file, in parts; CSV and Markdown have a row for each, whose last column is the event as JSON."""
    match form:
        case "json":
            yield from _json(records)
        case "jsonl":
            yield from (_line(record) + "\n" for record in records)
        case "csv":
            yield from _csv(records)
        case "markdown":
            yield from _markdown(records)
        case "trace":
            yield from _trace(records)


def _json(records: Iterable[RunRecord]) -> Iterator[str]:
    separator = "[\n"
    for record in records:
        yield separator + _line(record)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _line(record: RunRecord) -> str:
    return msgspec.json.encode(record).decode()


def _csv(records: Iterable[RunRecord]) -> Iterator[str]:
    yield _row((*_COLUMNS, "event"))
    for record in records:
        cells = _cells(record)
        yield _row([*(cells[name] for name in _COLUMNS), cells["event"]])


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _markdown(records: Iterable[RunRecord]) -> Iterator[str]:
    yield f"| {' | '.join(_MARKDOWN)} |\n|{' --- |' * len(_MARKDOWN)}\n"
    for record in records:
        cells = _cells(record)
        yield f"| {' | '.join(_escaped(cells[name]) for name in _MARKDOWN)} |\n"


def _escaped(cell: str) -> str:
    """What would end a cell, or begin a tag."""
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _trace(records: Iterable[RunRecord]) -> Iterator[str]:
    separator = '{"displayTimeUnit":"ms","traceEvents":[\n'
    for entry in _entries(records):
        yield separator + msgspec.json.encode(entry).decode()
        separator = ",\n"
    yield "]}\n" if separator == ",\n" else separator + "]}\n"


def _entries(records: Iterable[RunRecord]) -> Iterator[TraceEvent]:
    for number, (_, run) in enumerate(groupby(records, key=lambda record: record.job_id), 1):
        tracer = Tracer(number)
        for record in run:
            yield from tracer.after(record)
        yield from tracer.end()


def _cells(record: RunRecord) -> dict[str, str]:
    event = record.event
    attempt = getattr(event, "attempt", None)
    return {
        "timestamp": record.timestamp.isoformat(),
        "job_id": record.job_id,
        "seq": str(record.seq),
        "event_type": event_type(event),
        "phase": getattr(event, "phase", None) or "",
        "step": getattr(event, "step", None) or "",
        "item_id": item_of(event) or "",
        "agent_id": getattr(event, "agent_id", None) or "",
        "attempt": "" if attempt is None else str(attempt),
        "event": msgspec.json.encode(event).decode(),
    }
