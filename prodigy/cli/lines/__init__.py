"""A run told line by line: what each record of the journal says to a person, and how loudly.

Pure: a record, the state after it, and how to write it come in; lines come out. At the default level a record gives
at most one line; a run of 10,000 items gives one line per item, and a summary only when both half a minute and a
tenth of the items passed since the last one.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from prodigy import events
from prodigy.cli.lines import around, claude, items, letters, merges, phases, steps
from prodigy.cli.lines.line import Style, Teller, Told, say
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import about
from prodigy.events import Record
from prodigy.job.state import JobState
from prodigy.job.summary import eta_ms, item_counts

_SUMMARY_EVERY = timedelta(seconds=30)
_SUMMARY_SHARE = 0.1


class Milestone(NamedTuple):
    """When the last summary was told, and how many items had ended then."""

    at: datetime
    ended: int = 0


def told(state: JobState, record: Record, style: Style, level: Level) -> Iterator[Told]:
    """The lines that ``record`` is worth up to a level, the quietest first; ``state`` is the one after it."""
    for line in TELLERS[type(record.event)](state, record.event, style):
        if line.level <= level:
            yield line
    if level >= Level.EVERYTHING:
        yield say(Level.EVERYTHING, Span(_raw(record), "dim"))


def summary(state: JobState, now: datetime, last: Milestone) -> tuple[Told | None, Milestone]:
    """A line about the whole map phase, if it is time for one."""
    if now - last.at < _SUMMARY_EVERY:
        return None, last
    counts = item_counts(state)
    ended = counts.done + counts.failed + counts.skipped
    if not counts.total or ended - last.ended < _SUMMARY_SHARE * counts.total:
        return None, last
    eta = eta_ms(state)
    left = f"eta {about(eta / 1000)}" if eta is not None else ""
    numbers = (
        f"{ended:,}/{counts.total:,} ended",
        f"{counts.failed:,} failed" if counts.failed else "",
        f"{counts.running:,} running",
        left,
    )
    return say(Level.NORMAL, Span(" | ".join(filter(None, numbers)), "dim")), Milestone(now, ended)


def _raw(record: Record) -> str:
    return f"#{record.seq} {msgspec.json.encode(record.event).decode()}"


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    **phases.TELLERS,
    **steps.TELLERS,
    **items.TELLERS,
    **letters.TELLERS,
    **merges.TELLERS,
    **claude.TELLERS,
    **around.TELLERS,
}
"""Every event has its teller; a new event without one fails a test."""
