"""What every line of a run is made of: how loud it is, and the words that many of them have."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from prodigy import events
from prodigy.cli.printer import Level, Part
from prodigy.cli.terminal import Marks
from prodigy.cli.text import home_short
from prodigy.events import Phase
from prodigy.job.items import item_text
from prodigy.job.iterations import path_within
from prodigy.job.state import Histories, ItemState, JobState
from prodigy.paths import worth_reading

SHORT_SHA = 10
"""Characters of a commit's name."""


class Told(NamedTuple):
    """One line, and the level from which on it is said."""

    level: Level
    parts: tuple[Part, ...]


def _untold(_: ItemState) -> Sequence[events.Attempt]:
    return ()


class Style(NamedTuple):
    """How to write: the marks, what ``~`` stands for, how many steps each phase has, where known, and which failures to tell when."""

    marks: Marks
    home: str | None = None
    steps: Mapping[Phase, int] = {}
    failures: int | None = 1
    """After how many failed items they are told; ``None``: when the map phase ends."""
    samples: int | None = None
    """How many of the items that failed alike are told; ``None``: all."""
    width: int | None = None
    """Cells that a step's command may take with what stands before it; ``None``: however long it is."""
    histories: Histories = _untold
    """Where it stands how the items of the queue failed."""
    zone: tzinfo | None = None
    """That times are shown in; ``None``: the reader's."""


Teller = Callable[[JobState, Any, Style], Iterator[Told]]


def say(level: Level, *parts: Part) -> Told:
    """One line, in parts."""
    return Told(level, parts)


def nothing(_state: JobState, _event: events.Event, _style: Style) -> Iterator[Told]:
    """Said by another record, or of no use to a person."""
    return iter(())


def item_name(state: JobState, item_id: str) -> str:
    """How people know an item."""
    item = state.items.get(item_id)
    return item_text(item.item, item_id) if item else item_id


def step_place(state: JobState, event: events.StepEvent, style: Style) -> str:
    """``[2/4]``, within a handler ``[2/4 on_failure#1.1]``, in an agent ``[src/a.py 2]``."""
    number, _, inside = path_within(event.step).partition(".")
    total = style.steps.get(event.phase)
    words = (
        item_name(state, event.item_id) if event.item_id else "",
        f"{number}/{total}" if total else number,
        inside,
    )
    return f"[{' '.join(filter(None, words))}]"


def log_part(logs: tuple[str, ...], style: Style) -> Part:
    """The log to look into; never cut."""
    log = worth_reading(logs)
    return f" | Log: {home_short(log, style.home)}" if log else ""


def first_line(text: str) -> str:
    """The first line that says anything."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
