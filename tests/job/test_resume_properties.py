"""The properties of resuming that need no processes, over every story of a map phase that can be made up.

A story is cut after any of its records, as by the death of everybody, and another process goes on with the records that
are left. What costs money and changes the world is an attempt at an item, and a merge.
"""

from collections import Counter
from copy import deepcopy
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from map_stages import FAILURES, Stage

from prodigy import events
from prodigy.events import Record
from prodigy.ids import JobId
from prodigy.job.fold import fold
from prodigy.job.policy import Rules
from prodigy.job.state import DeadLetter, JobState
from prodigy.job.window import Window
from prodigy.store.journal import Position
from prodigy.store.snapshot_lines import content_of, state_of
from prodigy.workflow.model import Retry

OUTCOMES = ["nothing", "merged", "conflict", "unmergeable", "unstarted", *FAILURES]
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

rules = st.builds(
    Rules,
    max_parallel=st.integers(1, 4),
    retry=st.none() | st.builds(Retry, attempts=st.integers(1, 3)),
    end=st.sampled_from(["dlq", "skip"]),
    on_timeout=st.sampled_from(["dlq", "skip"]),
    conflict_reruns=st.integers(0, 1),
)
"""Policies under which an item's end depends on nothing but its own attempts."""


@st.composite
def stories(draw: st.DrawFn) -> Stage:
    """A phase that ran to its end, and perhaps a retry of some of its dead letters."""
    count = draw(st.integers(0, 8))
    outcomes = draw(st.lists(st.sampled_from(OUTCOMES), min_size=count * 8, max_size=count * 8))
    stage = Stage(draw(rules), count, lambda item, attempt: outcomes[int(item[1:]) * 8 + (attempt - 1) % 8])
    chance = draw(st.randoms(use_true_random=False))
    stage.play(chance)
    ill = [item_id for item_id in stage.state.dead_letters if draw(st.booleans())]
    return stage.retry(*ill, script=stage.script, random=chance) if ill else stage


cuts = st.lists(st.floats(0, 1), min_size=1, max_size=4)
chances = st.integers(0, 1000).map(Random)


def cut_of(story: Stage, place: float) -> int:
    """How many records there are before a cut; ``place`` is a share of those of the phase, or of the retry."""
    return story.begun + round(place * (len(story.records) - story.begun))


def cut_and_resumed(story: Stage, places: list[float], chance: Random) -> Stage:
    """The story with a death at each place, as shares of what was recorded by then."""
    for place in places:
        story = story.resumed(cut_of(story, place)).play(chance)
    return story


def ends(state: JobState) -> dict[str, Any]:
    """What became of each item, whenever that was."""
    return {
        item.item_id: (
            item.status,
            item.attempts,
            item.retries,
            item.conflicts,
            item.commits,
            [attempt.number for attempt in item.failed],
            [attempt.error_type for attempt in item.history],
            _queued(state.dead_letters.get(item.item_id)),
        )
        for item in state.items.values()
    }


def _queued(letter: DeadLetter | None) -> tuple[Any, ...] | None:
    return (letter.failure_count, letter.error_class, letter.message) if letter is not None else None


def over(records: list[Record]) -> set[str]:
    """The items that had come to their end."""
    state = fold(records)
    buried = {
        letter.item_id
        for letter in state.dead_letters.values()
        if state.items[letter.item_id].status == "failed" and not state.items[letter.item_id].history
    }
    return {item.item_id for item in state.items.values() if item.status in {"done", "skipped"}} | buried


@given(stories(), cuts, chances)
def test_prefix_continuation(story: Stage, places: list[float], chance: Random) -> None:
    """What was recorded stays as it was, what had ended is not begun again, and the end is that of the uncut story."""
    for place in places:
        cut = cut_of(story, place)
        again = story.resumed(cut).play(chance)
        assert again.records[:cut] == story.records[:cut]
        assert not over(story.records[:cut]) & {item_id for item_id, _ in again.order()}
        assert ends(again.state) == ends(story.state)
        story = again


@given(stories(), cuts, chances)
def test_effect_exactly_once(story: Stage, places: list[float], chance: Random) -> None:
    """Every attempt begins and ends once, work is merged once, and an item enters the queue once; however often it is cut."""
    story = cut_and_resumed(story, places, chance)
    happened = [record.event for record in story.records]
    begun = Counter((one.item_id, one.attempt) for one in happened if isinstance(one, events.AgentStarted))
    ended = Counter(
        (one.item_id, one.attempt)
        for one in happened
        if isinstance(one, events.AgentCompleted | events.AgentFailed)
    )
    assert begun <= ended
    assert set(ended.values()) <= {1}
    merged = Counter(one.item_id for one in happened if isinstance(one, events.WorktreeMerged))
    assert merged == Counter(
        item.item_id for item in story.state.items.values() if item.commits and item.status == "done"
    )
    assert story.state.commits == merged.total()
    buried = Counter(one.item_id for one in happened if isinstance(one, events.DlqItemAdded))
    assert set(buried.values()) <= {1}
    freed = Counter(one.item_id for one in happened if isinstance(one, events.DlqItemRemoved))
    assert (buried - freed).keys() == story.state.dead_letters.keys()
    assert freed <= buried


@given(stories(), st.floats(0, 1), chances, chances)
def test_fork_determinism(story: Stage, place: float, chance: Random, another: Random) -> None:
    """Of one journal's copies, each goes on as any other would: the same things in the same order lead to the same records.

    Where they happen in another order, they come to the same end all the same.
    """
    cut = cut_of(story, place)
    one, same = (story.resumed(cut).play(chosen) for chosen in (deepcopy(chance), chance))
    assert one.records == same.records
    assert one.state == same.state
    other = story.resumed(cut).play(another)
    assert ends(other.state) == ends(one.state)


@given(stories(), st.lists(st.floats(0, 1), min_size=1, max_size=3).map(sorted))
def test_checkpoint_validity(story: Stage, places: list[float]) -> None:
    """A snapshot after any record, and one of what a snapshot led to, says what the records say, and leads to the same."""
    state, done = JobState(), 0
    for place in places:
        cut = cut_of(story, place)
        fold(story.records[done:cut], state)
        content = content_of(state, JobId("j"), Position(cut, 1, "0" * 16), NOW)
        state = state_of(content)
        done = cut
        assert state == fold(story.records[:cut])
        copied = state_of(content)
        assert story.resumed(cut, copied).play().records == story.resumed(cut).play().records
    assert fold(story.records[done:], state) == story.state


@given(stories(), st.floats(0, 1), cuts, chances)
def test_recovery_determinism(story: Stage, place: float, places: list[float], chance: Random) -> None:
    """A recovery that is cut itself, anywhere and several times, decides what one that is let alone decides."""
    cut = cut_of(story, place)
    alone = story.resumed(cut)
    again = alone
    for _ in places:  # each dies right after it has begun
        again = again.resumed(len(again.records))
    assert ends(again.state) == ends(alone.state)
    assert Window(again.rules, again.state).begin(again.at) == Window(alone.rules, alone.state).begin(
        alone.at
    )
    whole = alone.play()
    assert ends(cut_and_resumed(whole, places, chance).state) == ends(whole.state)
