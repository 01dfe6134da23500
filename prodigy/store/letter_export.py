"""Dead letters as files for other programs: JSON, JSON lines, CSV; one item at a time."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from prodigy.store.documents import DeadLetterView

ExportFormat = Literal["json", "jsonl", "csv"]

_COLUMNS = (
    "item_id",
    "text",
    "job_id",
    "failure_count",
    "first_attempt",
    "last_attempt",
    "class",
    "error_signature",
    "reprocess_eligible",
    "exit_code",
    "message",
    "json_log_location",
    "rescue_ref",
    "item",
)


def format_of(name: str) -> ExportFormat:
    """The format that a file's name asks for."""
    suffix = name.rpartition(".")[2].lower()
    return "csv" if suffix == "csv" else "jsonl" if suffix in {"jsonl", "ndjson"} else "json"


def exported(views: Iterable[DeadLetterView], form: ExportFormat) -> Iterator[str]:
    """The text of a file, in parts: a list of whole items, an item a line, or a row of plain values each."""
    match form:
        case "json":
            yield from _json(views)
        case "jsonl":
            yield from (_line(view) + "\n" for view in views)
        case "csv":
            yield from _csv(views)


def _json(views: Iterable[DeadLetterView]) -> Iterator[str]:
    separator = "[\n"
    for view in views:
        yield separator + _line(view)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _line(view: DeadLetterView) -> str:
    return msgspec.json.encode(view).decode()


def _csv(views: Iterable[DeadLetterView]) -> Iterator[str]:
    yield _row(_COLUMNS)
    for view in views:
        last = view.failure_history[-1] if view.failure_history else None
        yield _row(
            (
                view.item_id,
                view.text,
                view.job_id,
                view.failure_count,
                view.first_attempt.isoformat(),
                view.last_attempt.isoformat(),
                last.error_type if last else "",
                view.error_signature,
                "true" if view.reprocess_eligible else "false",
                "" if last is None or last.exit_code is None else last.exit_code,
                last.error_message if last else "",
                (last.json_log_location if last else None) or "",
                (last.rescue_ref if last else None) or "",
                msgspec.json.encode(view.item).decode(),
            )
        )


def _row(cells: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
