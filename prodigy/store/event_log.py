"""Reading a journal as a log: records that fit a filter, the newest of them.

Event types are accepted as they are recorded (``dlq_item_added``), in camel case (``DlqItemAdded``, ``DLQItemAdded``)
and as older logs spell them (``d_l_q_item_added``).
"""

import gzip
import re
import typing
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from prodigy import events
from prodigy.decoding import JsonDecoder
from prodigy.errors import UsageError
from prodigy.events import Record, event_type
from prodigy.job.items import item_text
from prodigy.store.documents import EventsDocument, RunRecord

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
EVENT_TYPES = frozenset(str(event.__struct_config__.tag) for event in typing.get_args(events.AnyEvent))

_decode = JsonDecoder(Record)


class EventFilter(Struct, frozen=True, kw_only=True):
    """Which records are wanted; what is empty does not matter.

    ``item`` is an item's id or its own text. ``limit`` keeps the newest so many; 0 is all.
    """

    types: frozenset[str] = frozenset()
    item: str | None = None
    agent_id: str | None = None
    phase: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


class Matcher:
    """Tells of the records of one run, in order, which are wanted; it learns what items are called as they come."""

    def __init__(self, wanted: EventFilter) -> None:
        self._wanted = wanted
        self._items = set() if wanted.item is None else {wanted.item}

    def fits(self, record: Record) -> bool:
        """Whether the next record is wanted."""
        wanted, event = self._wanted, record.event
        if isinstance(event, events.ItemSelected) and item_text(event.item, event.item_id) == wanted.item:
            self._items.add(event.item_id)
        return (
            (not wanted.types or event_type(event) in wanted.types)
            and (wanted.item is None or getattr(event, "item_id", None) in self._items)
            and (wanted.agent_id is None or getattr(event, "agent_id", None) == wanted.agent_id)
            and (wanted.phase is None or getattr(event, "phase", None) == wanted.phase)
            and (wanted.since is None or record.timestamp >= wanted.since)
            and (wanted.until is None or record.timestamp <= wanted.until)
        )


def fitting(records: Iterable[Record], wanted: EventFilter) -> Iterator[Record]:
    """The records of one run that are wanted, whatever the limit."""
    return filter(Matcher(wanted).fits, records)


def event_types(names: Iterable[str]) -> frozenset[str]:
    """The recorded names of event types, however they are spelt.

    Raises:
        UsageError: ``bad-value``, with the nearest name.
    """
    return frozenset(_event_type(name) for name in names)


def _event_type(name: str) -> str:
    recorded = _HUMP.sub("_", name).lower().replace("-", "_").replace("d_l_q_", "dlq_")
    if recorded in EVENT_TYPES:
        return recorded
    from difflib import get_close_matches  # only on the way to an error

    near = get_close_matches(recorded, EVENT_TYPES, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(f"`{kind}`" for kind in near) if near else None
    raise UsageError("bad-value", f"No event is called `{name}`", hint=hint)


def events_document(records: Iterable[Record], wanted: EventFilter) -> EventsDocument:
    """The newest records of one run that are wanted, oldest first; in memory never more than ``limit`` of them."""
    return newest(fitting(records, wanted), wanted.limit)


def newest(records: Iterable[Record], limit: int) -> EventsDocument:
    """The last ``limit`` of some records, 0 is all; and how many there are."""
    kept: deque[Record] = deque(maxlen=limit or None)
    total = 0
    for record in records:
        kept.append(record)
        total += 1
    return EventsDocument(events=list(kept), total=total, shown=len(kept))


def of_run(job_id: str, records: Iterable[Record]) -> Iterator[RunRecord]:
    """Records with the job that they are of."""
    for record in records:
        yield RunRecord(**structs.asdict(record), job_id=job_id)


def records_in(file: Path) -> Iterator[Record]:
    """The records in a file of lines, such as a copy of a segment or an export; ``.gz`` is unpacked.

    Raises:
        UsageError: ``bad-value``: it cannot be read, or a line is no record.
    """
    number = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for line in lines:
                number += 1
                yield _decode(line)
    except (OSError, EOFError) as error:
        raise UsageError(
            "bad-value",
            f"`{file}` cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(file),
        ) from None
    except msgspec.DecodeError as error:
        raise UsageError(
            "bad-value", f"Line {number} of the file is no record: {error}", where=f"{file}:{number}"
        ) from None
