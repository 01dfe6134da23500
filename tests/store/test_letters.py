"""Dead letters of many runs are told without all of these in memory."""

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from stories import whole, write_journal

from prodigy.job.fold import fold
from prodigy.job.state import DeadLetter, JobState
from prodigy.store.dead_letters import DlqFilter, dead_letter_views, dlq_list
from prodigy.store.journal import read
from prodigy.store.letter_export import exported
from prodigy.store.letter_figures import analysis, statistics

STEMS = [f"2026112{day}-081500-k7m2p{day}" for day in range(6)]


class Tracked(DeadLetter, kw_only=True, weakref=True):
    """A dead letter of which can be seen whether it is there still."""


def told_one_by_one(home: Path, alive: list[int]) -> Iterator[JobState]:
    """The states of all runs, of one letter each; ``alive`` counts the letters that are there when the next is wanted."""
    known: list[Any] = []
    for stem in STEMS:
        gc.collect()
        alive.append(sum(one() is not None for one in known))
        state = fold(read(home / "events" / "here" / f"mapreduce-{stem}"))
        [letter] = state.dead_letters.values()
        item_id = letter.item_id
        tracked = Tracked(**structs.asdict(letter))
        state.dead_letters[item_id] = tracked
        known.append(weakref.ref(tracked))
        del tracked
        yield state
        del state


def export(states: Iterable[JobState]) -> int:
    views = (view for state in states for view in dead_letter_views(state, lambda _: ()))
    return sum(part.count('"item_id"') for part in exported(views, "json"))


@pytest.mark.parametrize(
    "total",
    [
        lambda states: dlq_list(states, DlqFilter(limit=1)).total,
        lambda states: analysis((state, lambda _: ()) for state in states).total,
        lambda states: statistics(states).total,
        export,
    ],
    ids=["list", "analyze", "stats", "export"],
)
def test_one_run_at_a_time(tmp_path: Path, total: Callable[[Iterable[JobState]], int]) -> None:
    """Whoever is told of the next one has forgotten all but the last."""
    for stem in STEMS:
        write_journal(tmp_path, stem, whole(stem, "lint"))
    alive: list[int] = []
    assert total(told_one_by_one(tmp_path, alive)) == len(STEMS)
    assert len(alive) == len(STEMS)
    assert max(alive) <= 1


def test_a_list_keeps_what_it_shows(tmp_path: Path) -> None:
    for stem in STEMS:
        write_journal(tmp_path, stem, whole(stem, "lint"))
    document = dlq_list(told_one_by_one(tmp_path, []), DlqFilter(limit=2))
    assert (document.shown, document.total, len(document.items)) == (2, len(STEMS), 2)
    assert dlq_list(told_one_by_one(tmp_path, []), DlqFilter(limit=0)).shown == len(STEMS)
