"""Records counted by one thing that they say."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from prodigy.events import Record, event_type, item_of

Grouping = Literal["event_type", "job_id", "agent_id", "phase", "item"]


class EventGroup(Struct, frozen=True, kw_only=True):
    """The records that say the same; ``share`` is of all, ``key`` is ``None`` for those that do not say."""

    key: str | None
    count: int
    share: float
    first: datetime
    last: datetime


class EventStatsDocument(Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.event-stats/1"):
    """``prodigy.event-stats/1``: the largest group first."""

    group_by: Grouping
    groups: list[EventGroup]
    total: int


class _Group:
    """A group while it is counted."""

    def __init__(self, at: datetime) -> None:
        self.count = 0
        self.first = self.last = at

    def take(self, at: datetime) -> None:
        self.count += 1
        self.first, self.last = min(self.first, at), max(self.last, at)


def event_statistics(records: Iterable[tuple[str, Record]], by: Grouping) -> EventStatsDocument:
    """Count records; each comes with the id of its job."""
    groups: dict[str | None, _Group] = {}
    for job_id, record in records:
        key = _key(job_id, record, by)
        groups.setdefault(key, _Group(record.timestamp)).take(record.timestamp)
    total = sum(group.count for group in groups.values())
    counted = sorted(groups.items(), key=lambda pair: (-pair[1].count, pair[0] or ""))
    return EventStatsDocument(
        group_by=by,
        groups=[
            EventGroup(
                key=key, count=group.count, share=group.count / total, first=group.first, last=group.last
            )
            for key, group in counted
        ],
        total=total,
    )


def _key(job_id: str, record: Record, by: Grouping) -> str | None:
    match by:
        case "event_type":
            return event_type(record.event)
        case "job_id":
            return job_id
        case "item":
            return item_of(record.event)
        case "agent_id" | "phase":
            return getattr(record.event, by, None)
