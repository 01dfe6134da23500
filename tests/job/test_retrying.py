"""Laws of a retry of dead letters: whatever happens, an item is in the queue or it is done."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from map_stages import FAILURES, Script, Stage

from prodigy import events
from prodigy.errors import UsageError
from prodigy.job.fold import fold
from prodigy.job.policy import Rules, retry_rules
from prodigy.job.retrying import Choice, chosen
from prodigy.workflow.model import Retry

OUTCOMES = ["nothing", "merged", "conflict", "unmergeable", *FAILURES]


def failing(*items: str) -> Script:
    return lambda item, _attempt: "failed" if item in items else "merged"


@given(
    st.integers(1, 4),
    st.integers(1, 8),
    st.none() | st.integers(1, 3),
    st.integers(0, 6),
    st.randoms(use_true_random=False),
)
def test_an_item_is_in_the_queue_until_it_is_done(
    parallel: int, count: int, alike: int | None, crashes: int, random: Random
) -> None:
    stage = Stage(Rules(max_parallel=parallel), count, lambda *_: random.choice(OUTCOMES)).play(
        random, crashes
    )
    queue = dict(stage.state.dead_letters)
    wanted = [item for item in queue if random.random() < 0.7]
    if not wanted:
        return
    before = {item: letter.failure_count for item, letter in queue.items()}
    already = len(stage.started)
    stage.retry(
        *wanted, script=lambda *_: random.choice(OUTCOMES), alike=alike, random=random, crashes=crashes
    )
    state = stage.state
    assert stage.ends == 1
    assert {item for item, _, _, _ in stage.started[already:]} <= set(wanted)
    assert len(set(stage.order())) == len(stage.started), "an attempt was made twice"
    for item in queue:
        done = state.items[item].status == "done"
        assert (item in state.dead_letters) != done
        if not done:
            grown = state.dead_letters[item].failure_count - before[item]
            assert (grown > 0) == any(one == item for one, _, _, _ in stage.started[already:])
            assert state.items[item].status == "failed"
    assert fold(stage.records) == state


def test_one_way_of_failing_ends_it_and_what_was_not_started_is_as_before() -> None:
    ill = [f"i{number}" for number in range(6)]
    stage = Stage(Rules(), 7, failing(*ill)).play()
    before = stage.state.dead_letters["i5"].failure_count
    stage.retry(*ill, script=failing(*ill), alike=3)
    assert [item for item, _ in stage.order()[7:]] == ["i0", "i1", "i2"]
    assert stage.state.halted is not None
    assert stage.state.retry is not None
    assert stage.state.retry.ended == events.DlqItemsReprocessed(count=6, succeeded=0, failed=3)
    assert stage.state.dead_letters["i5"].failure_count == before
    assert stage.state.items["i5"].status == "failed"


def test_a_success_or_another_failure_in_between_is_not_alike() -> None:
    ill = [f"i{number}" for number in range(6)]
    stage = Stage(Rules(), 6, failing(*ill)).play()
    mixed = {"i2": "merged", "i4": "timeout"}
    stage.retry(*ill, script=lambda item, _: mixed.get(item, "failed"), alike=3)
    assert stage.state.halted is None
    assert set(stage.state.dead_letters) == set(ill) - {"i2"}


def test_what_counted_before_the_retry_counts_no_more() -> None:
    """Attempts, seconds and failed items of the run itself leave the whole of its limits to the retry."""
    rules = Rules(retry=Retry(attempts=2, budget=2.5), max_failures=2)
    stage = Stage(rules, 1, failing("i0")).play()
    assert stage.order() == [("i0", 1), ("i0", 2)]
    stage.retry("i0", script=failing("i0"))
    assert stage.order() == [("i0", 1), ("i0", 2), ("i0", 3), ("i0", 4)]
    assert stage.state.halted is None


def test_the_rules_of_a_retry() -> None:
    strict = Rules(end="skip", stop=True, on_timeout="fail", max_failures=1, failure_threshold=0.0)
    assert retry_rules(strict, 3, 2, 5) == Rules(max_parallel=3, retry=Retry(attempts=2), alike=5)


def test_discarded_items_are_not_asked_about_again() -> None:
    """A run that gave up and is resumed leaves them alone."""
    stage = Stage(Rules(max_failures=1), 3, failing("i0")).play()
    stage._record(events.DlqItemRemoved(item_id="i0", reason="cleared"))
    stage._record(events.JobFailed(duration_ms=1, error=FAILURES["failed"]))
    stage._record(events.JobResumed())
    again = Stage(Rules(max_failures=1), 0, failing("i0"))
    again.state, again.records, again.pending = stage.state, stage.records, []
    again.window = type(again.window)(again.rules, again.state)
    again.play()
    assert stage.state.dead_letters == {}
    assert [item for item, _ in again.order()] == ["i1", "i2"]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (Choice(), ["i0", "i1", "i3"]),
        (Choice(names=("i3", "#0")), ["i0", "i3"]),
        (Choice(filter="class == 'timeout'"), ["i1"]),
        (Choice(filter="error_type=timeout"), ["i1"]),
        (Choice(filter="failure_count=1"), ["i0", "i1", "i3"]),
        (Choice(filter="item >= 1 && failure_count < 2"), ["i1", "i3"]),
        (Choice(filter="nothing_of_the_kind == 1"), []),
        (Choice(names=("i0",), filter="class == 'timeout'"), []),
    ],
)
def test_choosing(choice: Choice, found: list[str]) -> None:
    outcomes = {"i0": "failed", "i1": "timeout", "i2": "merged", "i3": "failed"}
    stage = Stage(Rules(), 4, lambda item, _: outcomes[item]).play()
    assert [letter.item_id for letter in chosen(stage.state, choice)] == found


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (Choice(names=("i2",)), "item-not-found"),
        (Choice(filter="(("), "bad-value"),
        (Choice(filter=""), "bad-value"),
    ],
)
def test_choices_that_mean_nothing(choice: Choice, code: str) -> None:
    stage = Stage(Rules(), 3, failing("i0")).play()
    with pytest.raises(UsageError) as refused:
        chosen(stage.state, choice)
    assert refused.value.code == code
