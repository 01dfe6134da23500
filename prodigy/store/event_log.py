"""Reading a journal as a log: records that fit a filter, the newest of them.

Event types are accepted as they are recorded (``dlq_item_added``), in camel case (``DlqItemAdded``, ``DLQItemAdded``)
and as older logs spell them (``d_l_q_item_added``).
"""

import re
import typing
from collections import deque
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from prodigy import events
from prodigy.errors import UsageError
from prodigy.events import Record, event_type
from prodigy.job.items import item_text
from prodigy.store.documents import EventsDocument

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
EVENT_TYPES = frozenset(str(event.__struct_config__.tag) for event in typing.get_args(events.AnyEvent))


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

    def fits(self, record: Record, items: frozenset[str]) -> bool:
        """Whether a record is wanted, given the ids that ``item`` stands for."""
        event = record.event
        return (
            (not self.types or event_type(event) in self.types)
            and (self.item is None or getattr(event, "item_id", None) in items)
            and (self.agent_id is None or getattr(event, "agent_id", None) == self.agent_id)
            and (self.phase is None or getattr(event, "phase", None) == self.phase)
            and (self.since is None or record.timestamp >= self.since)
            and (self.until is None or record.timestamp <= self.until)
        )


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
    """The newest records that fit, oldest first; in memory never more than ``limit`` of them."""
    kept: deque[Record] = deque(maxlen=wanted.limit or None)
    items = frozenset() if wanted.item is None else frozenset({wanted.item})
    total = 0
    for record in records:
        event = record.event
        if isinstance(event, events.ItemSelected) and item_text(event.item, event.item_id) == wanted.item:
            items |= {event.item_id}
        if wanted.fits(record, items):
            kept.append(record)
            total += 1
    return EventsDocument(events=list(kept), total=total, shown=len(kept))
