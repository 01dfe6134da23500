"""What a run was waiting for: the chain of work that ended last, from its beginning.

Pure. A phase that is no map is a link by itself. Inside a map each link is an attempt at an item, and the one before it
is the attempt whose end made room for it: the last that ended before it began.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from prodigy.events import Phase
from prodigy.job.items import item_text
from prodigy.job.state import ItemState, JobState


class Link(Struct, frozen=True, kw_only=True):
    """One piece of work that the run could not have ended before."""

    phase: Phase
    item_id: str | None = None
    text: str | None = None
    """What people call the item."""
    attempt: int | None = None
    started_at: datetime
    duration_ms: int

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return self.started_at + timedelta(milliseconds=self.duration_ms)


def critical_path(state: JobState) -> list[Link]:
    """The chain of all phases that have begun, in the order of their beginnings."""
    phases = sorted(state.phases.items(), key=lambda known: known[1].started_at)
    found: list[Link] = []
    for name, phase in phases:
        chain = list(_chain(state)) if name == "map" else []
        whole = Link(phase=name, started_at=phase.started_at, duration_ms=phase.duration_ms)
        found += chain or [whole]
    return found


def _chain(state: JobState) -> list[Link]:
    links = sorted(
        (link for item in state.items.values() for link in attempts(item)), key=lambda link: link.ended_at
    )
    ends = [link.ended_at for link in links]
    chain: list[Link] = []
    position = len(links) - 1
    while position >= 0:
        chain.append(links[position])
        # never the link itself, and never a later one: an attempt can take no time at all
        position = min(position, bisect_right(ends, links[position].started_at)) - 1
    return chain[::-1]


def attempts(item: ItemState) -> Iterator[Link]:
    """The attempts at an item that have ended, oldest first."""
    text, told = item_text(item.item, item.item_id), 0
    for failed in item.failed:
        told += failed.duration_ms
        began = failed.at - timedelta(milliseconds=failed.duration_ms)
        yield Link(
            phase="map",
            item_id=item.item_id,
            text=text,
            attempt=failed.number,
            started_at=began,
            duration_ms=failed.duration_ms,
        )
    if item.status in {"done", "merging"} and item.started_at is not None:
        yield Link(
            phase="map",
            item_id=item.item_id,
            text=text,
            attempt=item.attempts,
            started_at=item.started_at,
            duration_ms=max(0, item.duration_ms - told),
        )
