"""The map phase as a machine: whatever happens to agents, every item comes to exactly one end, as the policy says."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from map_stages import FAILURES, Stage, always, failing
from msgspec.structs import replace

from prodigy import events
from prodigy.events import Failure
from prodigy.job.fold import fold
from prodigy.job.policy import Rules
from prodigy.job.state import DeadLetter, ItemState, JobState, item_rows, letter_rows
from prodigy.job.window import Bury, OpenCircuit, Resolve, Return, Settle, Start, Window, failed_everything
from prodigy.job.window import Retry as Repeat
from prodigy.workflow.model import Backoff, CircuitBreaker, Retry

FAILED = FAILURES["failed"]


def window(rules: Rules, *items: ItemState, **fields: object) -> Window:
    state = JobState(items=item_rows(items))
    for name, value in fields.items():
        setattr(state, name, value)
    return Window(rules, state)


def item(index: int, **fields: object) -> ItemState:
    return ItemState(index=index, item_id=f"i{index}", packed=str(index), **fields)  # type: ignore[arg-type]


def letter(index: int) -> DeadLetter:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return DeadLetter(
        seq=9,
        item_id=f"i{index}",
        index=index,
        packed=str(index),
        error_signature="f" * 16,
        reprocess_eligible=True,
        manual_review_required=False,
        first_attempt=moment,
        last_attempt=moment,
    )


# -- the order of things -------------------------------------------------------------------------------------------
def test_no_items_settle_at_once() -> None:
    assert window(Rules()).begin(0) == [Settle()]


def parked(name: str) -> events.AgentParked:
    return events.AgentParked(item_id=name, agent_id="agent", attempt=1, account="a", model=None)


BLOCKED = events.QuotaBlocked(account="a", model=None, until=datetime.fromtimestamp(100, UTC))
CLEARED = events.QuotaCleared(account="a", model=None)


def test_a_parked_agent_leaves_its_place_to_another() -> None:
    """Until there are as many of them as places; then all of them return before anybody new begins."""
    one = window(Rules(max_parallel=2), *map(item, range(9)))
    assert one.begin(0) == [Start("i0", 1), Start("i1", 1)]
    assert one.on(BLOCKED, 0) == []
    assert one.on(parked("i1"), 0) == [Start("i2", 1)]
    assert one.on(parked("i0"), 0) == [Start("i3", 1)]
    assert one.on(parked("i2"), 0) == []
    assert one.on(parked("i3"), 0) == []
    assert one.wakes_at == 100
    assert one.tick(100) == [Return("i1")]
    assert one.on(CLEARED, 101) == [Return("i0")]
    assert one.on(done("i1"), 102) == [Return("i2")]
    assert one.on(done("i0"), 103) == [Return("i3")]
    assert one.on(done("i2"), 104) == [Start("i4", 1)]


def test_a_phase_that_gave_up_still_waits_for_those_that_are_parked() -> None:
    rules = Rules(max_parallel=1, stop=True)
    one = window(
        rules, item(0, status="running", attempts=1), halted=FAILED, parked_agents={"i0": ("a", None)}
    )
    assert one.begin(0) == [Return("i0")]
    assert one.on(done("i0"), 1) == [Settle()]


def done(name: str) -> events.AgentCompleted:
    return events.AgentCompleted(item_id=name, agent_id="agent", attempt=1, duration_ms=1, head="h")


def test_items_start_in_order_up_to_the_limit() -> None:
    assert window(Rules(max_parallel=2), *map(item, range(5))).begin(0) == [Start("i0", 1), Start("i1", 1)]


def test_a_finished_agent_makes_room_before_its_merge_is_done() -> None:
    one = window(Rules(), *map(item, range(2)))
    assert one.begin(0) == [Start("i0", 1)]
    ended = events.AgentCompleted(
        item_id="i0", agent_id="a", attempt=1, duration_ms=1, head="h", commits=("c",)
    )
    assert one.on(ended, 1) == [Start("i1", 1)]


def test_every_item_runs_once_when_all_goes_well() -> None:
    stage = Stage(Rules(max_parallel=2), 5, always("merged")).play()
    assert stage.order() == [(f"i{n}", 1) for n in range(5)]
    assert stage.statuses == Counter(done=5)


def test_taken_up_again_with_items_in_every_place() -> None:
    found = [
        item(0, status="done"),
        item(1, status="running", attempts=1),
        item(2, status="merging", attempts=1),
        item(3, status="failed", error=FAILED, attempts=1),
        item(4, status="failed", error=FAILED, attempts=1),
        item(5),
        item(6, status="skipped", error=FAILED),
    ]
    again = window(Rules(max_parallel=2), *found, dead_letters=letter_rows([letter(4)]))
    assert again.begin(0) == [Bury("i3"), Start("i5", 1)]


# -- lost hosts and conflicts --------------------------------------------------------------------------------------
def test_an_item_that_lost_its_worker_once_too_often_is_given_up_at_once() -> None:
    stage = Stage(Rules(retry=SLOW), 1, always("lost")).play()
    assert stage.order() == [("i0", 1)]
    assert stage.statuses == Counter(failed=1)
    assert stage.state.items["i0"].retries == 0


def test_a_conflict_runs_the_item_once_more_from_the_tip_then_buries_it() -> None:
    stage = Stage(Rules(), 1, always("conflict")).play()
    assert [(attempt, from_tip) for _, attempt, _, from_tip in stage.started] == [(1, False), (2, True)]
    assert list(stage.state.dead_letters) == ["i0"]
    assert stage.state.items["i0"].retries == 0


def test_a_conflict_is_not_run_again_when_the_workflow_says_dlq() -> None:
    stage = Stage(Rules(conflict_reruns=0), 1, always("conflict")).play()
    assert stage.order() == [("i0", 1)]
    assert list(stage.state.dead_letters) == ["i0"]


def test_what_git_cannot_merge_is_not_tried_again() -> None:
    stage = Stage(Rules(retry=Retry(attempts=3)), 1, always("unmergeable")).play()
    assert stage.order() == [("i0", 1)]
    assert stage.statuses == Counter(failed=1)


def test_from_tip_items_wait_for_the_merges_that_they_start_from() -> None:
    one = window(Rules(from_tip=True), *map(item, range(2)))
    one.begin(0)
    ended = events.AgentCompleted(
        item_id="i0", agent_id="a", attempt=1, duration_ms=1, head="h", commits=("c",)
    )
    assert one.on(ended, 1) == []
    merged = events.WorktreeMerged(
        intent=1, what="agent", target_branch="t", old="o", new="n", strategy="git", item_id="i0"
    )
    assert one.on(merged, 2) == [Start("i1", 1, from_tip=True)]


def test_from_tip_starts_every_attempt_there() -> None:
    stage = Stage(Rules(from_tip=True), 2, always("nothing")).play()
    assert [from_tip for *_, from_tip in stage.started] == [True, True]


# -- retries -------------------------------------------------------------------------------------------------------
SLOW = Retry(attempts=3, backoff=Backoff(kind="fixed", initial=60.0, max_delay=None))


def test_a_failed_item_is_tried_again_with_pauses_then_buried() -> None:
    stage = Stage(Rules(retry=SLOW), 1, always("failed")).play()
    assert stage.order() == [("i0", 1), ("i0", 2), ("i0", 3)]
    assert stage.times() == [0, 61, 122]
    assert stage.state.dead_letters["i0"].failure_count == 3


def test_others_run_while_an_item_waits_for_its_next_attempt() -> None:
    stage = Stage(Rules(retry=SLOW), 3, failing("i0")).play()
    assert stage.order() == [("i0", 1), ("i1", 1), ("i2", 1), ("i0", 2), ("i0", 3)]


def test_an_item_that_succeeds_at_last_is_done() -> None:
    stage = Stage(Rules(retry=SLOW), 1, lambda _, attempt: "failed" if attempt < 3 else "merged").play()
    assert stage.statuses == Counter(done=1)
    assert (stage.state.items["i0"].attempts, stage.state.items["i0"].retries) == (3, 2)


def test_a_budget_ends_retries_early() -> None:
    retry = Retry(attempts=9, backoff=SLOW.backoff, budget=100.0)
    stage = Stage(Rules(retry=retry), 1, always("failed")).play()
    assert len(stage.started) == 2, "the second pause would pass 100 s"


def test_conflicts_cost_no_retries() -> None:
    outcomes = ["failed", "conflict", "failed", "failed", "failed"]
    stage = Stage(Rules(retry=SLOW), 1, lambda _, attempt: outcomes[attempt - 1]).play()
    assert len(stage.started) == 4
    charged = stage.state.items["i0"]
    assert (charged.conflicts, charged.retries) == (1, 2)


# -- what becomes of failed items ----------------------------------------------------------------------------------
def test_skipped_items_are_not_in_the_queue() -> None:
    stage = Stage(Rules(end="skip"), 3, failing("i1")).play()
    assert stage.statuses == Counter(done=2, skipped=1)
    assert stage.state.dead_letters == {}
    assert stage.state.items["i1"].error == FAILED


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (Rules(stop=True), "An item failed: exited with 1"),
        (Rules(max_failures=1), "1 of 9 items failed; `max_failures` is 1"),
        (Rules(failure_threshold=0.1), "1 of 9 items failed; `failure_threshold` is 10%"),
    ],
)
def test_the_phase_gives_up_at_its_limit(rules: Rules, reason: str) -> None:
    stage = Stage(rules, 9, failing("i2")).play()
    assert stage.order() == [("i0", 1), ("i1", 1), ("i2", 1)]
    assert stage.state.halted == Failure(error_class="policy-stopped", message=reason)
    assert stage.statuses == Counter(done=2, failed=1, pending=6)


def test_what_runs_when_the_phase_gives_up_ends_as_it_may() -> None:
    stage = Stage(Rules(max_parallel=3, stop=True), 9, failing("i0", outcome="failed")).play()
    assert stage.order() == [("i0", 1), ("i1", 1), ("i2", 1)]
    assert stage.statuses == Counter(done=2, failed=1, pending=6)


def test_the_limits_are_passed_not_met() -> None:
    assert Stage(Rules(max_failures=2), 3, failing("i0")).play().state.halted is None
    assert Stage(Rules(alike=2), 3, failing("i0", "i1")).play().state.halted is not None
    assert Stage(Rules(alike=2), 3, failing("i0", "i2")).play().state.halted is None
    assert Stage(Rules(alike=2), 2, failing("i0", "i1")).play().state.halted is None, "nobody is spared by it"
    assert Stage(Rules(failure_threshold=0.5), 4, failing("i0", "i1")).play().state.halted is None
    assert Stage(Rules(failure_threshold=0.5), 4, failing("i0", "i1", "i2")).play().state.halted is not None
    assert Stage(Rules(failure_threshold=0.0), 4, failing("i3")).play().state.halted is not None


def test_an_item_that_is_tried_again_has_not_failed_yet() -> None:
    stage = Stage(Rules(stop=True, retry=SLOW), 3, lambda _, attempt: "failed" if attempt == 1 else "nothing")
    assert stage.play().statuses == Counter(done=3)


@pytest.mark.parametrize(
    ("on_timeout", "statuses"),
    [
        ("dlq", {"done": 2, "failed": 1}),
        ("skip", {"done": 2, "skipped": 1}),
        ("fail", {"failed": 1, "pending": 2}),
    ],
)
def test_items_that_run_out_of_time(on_timeout: str, statuses: dict[str, int]) -> None:
    rules = Rules(on_timeout=on_timeout)  # type: ignore[arg-type]
    stage = Stage(rules, 3, failing("i0", outcome="timeout")).play()
    assert stage.statuses == Counter(statuses)
    assert (stage.state.halted is not None) == (on_timeout == "fail")


# -- items that are not valid --------------------------------------------------------------------------------------
def test_items_that_are_not_valid_are_buried_without_an_attempt() -> None:
    stage = Stage(Rules(), 3, always("nothing"), invalid=(1,)).play()
    assert stage.order() == [("i0", 1), ("i2", 1)]
    [letter] = stage.state.dead_letters.values()
    assert (letter.item_id, letter.error_class) == ("i1", "invalid-item")


def test_items_that_are_not_valid_can_be_passed_over() -> None:
    rules = Rules(on_invalid="skip", max_failures=1, stop=True)
    stage = Stage(rules, 3, always("nothing"), invalid=(0, 1)).play()
    assert stage.statuses == Counter(done=1, skipped=2)
    assert stage.state.halted is None


def test_invalid_items_count_as_failed_when_they_are_buried() -> None:
    assert Stage(Rules(max_failures=2), 3, always("nothing"), invalid=(0, 1)).play().started == []


def test_only_items_that_were_worked_at_say_that_everything_failed() -> None:
    invalid = Failure(error_class="invalid-item", message="no `path`")
    assert failed_everything([item(0, status="failed"), item(1, status="skipped", error=FAILED)])
    assert failed_everything([item(0, status="failed"), item(1, status="skipped", error=invalid)])
    assert not failed_everything([item(0, status="skipped", error=invalid)])
    assert not failed_everything([item(0, status="failed"), item(1, status="done")])
    assert not failed_everything([])


# -- the circuit breaker -------------------------------------------------------------------------------------------
BREAKER = CircuitBreaker(failure_threshold=2, success_threshold=2, timeout=30.0, half_open_requests=1)


def test_failures_in_a_row_pause_the_phase_and_trials_end_the_pause() -> None:
    stage = Stage(Rules(breaker=BREAKER), 6, failing("i0", "i1")).play()
    assert stage.times() == [0, 1, 32, 33, 34, 35]
    kinds = [type(record.event) for record in stage.records]
    assert kinds.count(events.CircuitOpened) == kinds.count(events.CircuitClosed) == 1
    assert (stage.state.circuit, stage.state.halted) == (None, None)


def test_a_success_between_failures_keeps_the_circuit_closed() -> None:
    stage = Stage(Rules(breaker=BREAKER), 6, failing("i0", "i2", "i4")).play()
    assert stage.times() == [0, 1, 2, 3, 4, 5]


def test_the_third_opening_in_a_row_ends_the_phase() -> None:
    stage = Stage(Rules(breaker=BREAKER), 9, always("failed")).play()
    assert stage.times() == [0, 1, 32, 63]
    assert stage.state.halted is not None
    opened = [
        record.event.opening for record in stage.records if isinstance(record.event, events.CircuitOpened)
    ]
    assert opened == [1, 2]
    assert stage.statuses == Counter(failed=4, pending=5)


def test_openings_are_counted_anew_once_the_circuit_was_closed() -> None:
    bad = {"i0", "i1", "i4", "i5", "i8", "i9"}
    stage = Stage(Rules(breaker=BREAKER), 12, failing(*bad)).play()
    opened = [
        record.event.opening for record in stage.records if isinstance(record.event, events.CircuitOpened)
    ]
    assert opened == [1, 1, 1]
    assert stage.state.halted is None


def test_only_so_many_trials_run_at_a_time() -> None:
    stage = Stage(Rules(max_parallel=4, breaker=BREAKER), 9, failing("i0", "i1", "i2", "i3")).play()
    first_trials = stage.times()[4:6]
    assert first_trials[1] > first_trials[0], "one after the other until the circuit is closed"


def test_what_was_running_when_the_circuit_opened_is_no_trial() -> None:
    stage = Stage(Rules(max_parallel=3, breaker=BREAKER), 8, failing("i0", "i1", "i2")).play()
    opened = [
        record.event.opening for record in stage.records if isinstance(record.event, events.CircuitOpened)
    ]
    assert opened == [1]


def test_a_pause_that_was_over_before_it_was_heard_of_still_ends() -> None:
    """Its record is older than whatever the clock says by then."""
    breaker = CircuitBreaker(failure_threshold=1, success_threshold=1, timeout=1.0, half_open_requests=1)
    late = window(Rules(max_parallel=1, breaker=breaker), item(0), item(1))
    assert late.begin(0) == [Start("i0", 1)]
    failed = events.AgentFailed(
        item_id="i0", agent_id="agent-0-1", attempt=1, duration_ms=1, error=FAILED, signature="5" * 16
    )
    assert late.on(failed, 5) == [Bury("i0"), OpenCircuit(1, 1, 1.0)]
    assert late.on(events.CircuitOpened(failures=1, opening=1, pause_ms=1000), 5) == []
    assert late.wakes_at == 6
    assert late.tick(9) == [Start("i1", 1)]
    assert late.wakes_at is None


def test_a_delay_that_was_over_before_it_was_heard_of_still_ends() -> None:
    late = window(Rules(max_parallel=1, retry=Retry(attempts=2)), item(0))
    assert late.begin(0) == [Start("i0", 1)]
    retrying = events.AgentRetrying(
        item_id="i0", agent_id="agent-0-1", next_attempt=2, charged_to="item", backoff_ms=1000
    )
    assert late.on(retrying, 5) == []
    assert late.wakes_at == 6
    assert late.tick(5.5) == []
    assert late.wakes_at == 6, "a clock that is early is asked once more"
    assert late.tick(9) == [Start("i0", 1)]


# -- laws over any story -------------------------------------------------------------------------------------------
rules_of_any_kind = st.builds(
    Rules,
    max_parallel=st.integers(1, 5),
    retry=st.none() | st.builds(Retry, attempts=st.integers(1, 3)),
    end=st.sampled_from(["dlq", "skip"]),
    stop=st.booleans(),
    on_timeout=st.sampled_from(["dlq", "skip", "fail"]),
    on_invalid=st.sampled_from(["dlq", "skip"]),
    max_failures=st.none() | st.integers(1, 6),
    failure_threshold=st.none() | st.floats(0, 1),
    conflict_reruns=st.integers(0, 1),
    breaker=st.none()
    | st.builds(
        CircuitBreaker,
        failure_threshold=st.integers(1, 3),
        success_threshold=st.integers(1, 3),
        half_open_requests=st.integers(1, 3),
    ),
)
OUTCOMES = ["nothing", "merged", "conflict", "unmergeable", *FAILURES]


@given(rules_of_any_kind, st.integers(0, 12), st.integers(0, 6), st.randoms(use_true_random=False))
def test_every_item_comes_to_one_end(rules: Rules, count: int, crashes: int, random: Random) -> None:
    """Whatever the order, the outcomes and the crashes, it settles once, and what was not given up is over."""
    stage = Stage(rules, count, lambda _item, _attempt: random.choice(OUTCOMES)).play(random, crashes)
    open_ = stage.statuses["pending"]
    assert stage.ends == 1
    assert not stage.running
    assert not stage.merging
    assert sum(stage.statuses.values()) == count
    assert set(stage.statuses) <= {"done", "failed", "skipped", "pending"}
    assert stage.state.halted is not None or open_ == 0
    assert len(set(stage.order())) == len(stage.started), "an attempt was made twice"


@given(rules_of_any_kind, st.integers(0, 12), st.randoms(use_true_random=False))
def test_crashes_of_the_window_change_nothing(rules: Rules, count: int, random: Random) -> None:
    """As long as the phase does not give up, which depends on the order, items end as they would without crashes."""
    patient = replace(
        rules, stop=False, on_timeout="dlq", max_failures=None, failure_threshold=None, breaker=None
    )
    outcomes = {(f"i{n}", attempt): random.choice(OUTCOMES) for n in range(count) for attempt in range(1, 20)}
    stages = [Stage(patient, count, lambda name, attempt: outcomes[name, attempt]) for _ in range(2)]
    whole, broken = stages[0].play().state, stages[1].play(random, crashes=5).state
    for name, one in whole.items.items():
        other = broken.items[name]
        assert (one.status, one.attempts, one.retries) == (other.status, other.attempts, other.retries)
        assert [attempt.number for attempt in one.failed] == [attempt.number for attempt in other.failed]


@given(rules_of_any_kind, st.integers(0, 12), st.randoms(use_true_random=False))
def test_a_phase_is_the_fold_of_its_records(rules: Rules, count: int, random: Random) -> None:
    stage = Stage(rules, count, lambda _item, _attempt: random.choice(OUTCOMES)).play(random)
    assert fold(stage.records) == stage.state


# -- conflicts that Claude resolves ----------------------------------------------------------------------------------
def conflict(name: str) -> events.MergeConflicted:
    return events.MergeConflicted(
        what="agent", target_branch="b", intent=1, paths=("f",), item_id=name, agent_id="a"
    )


def unresolved(name: str) -> events.ConflictResolutionFailed:
    error = Failure(error_class="merge-conflict", message="no")
    return events.ConflictResolutionFailed(
        what="agent", target_branch="b", item_id=name, agent_id="a", error=error
    )


def merged(name: str) -> events.WorktreeMerged:
    return events.WorktreeMerged(
        what="agent", target_branch="b", intent=1, old="o", new="n", strategy="claude", item_id=name
    )


def test_conflicts_are_resolved_one_at_a_time_and_the_phase_waits_for_them() -> None:
    merging = [item(n, status="merging", attempts=1, head="h") for n in range(2)]
    one = window(Rules(resolve=True), *merging)
    assert one.begin(0) == []
    assert one.on(conflict("i0"), 1) == [Resolve("i0")]
    assert one.on(conflict("i1"), 2) == []
    assert one.on(merged("i0"), 3) == [Resolve("i1")]
    assert one.on(unresolved("i1"), 4) == [Repeat("i1", 2, "conflict")]


def test_a_resolution_that_was_cut_off_is_begun_again_and_one_that_failed_is_not() -> None:
    error = Failure(error_class="merge-conflict", message="no")
    cut = item(0, status="merging", attempts=1, head="h", conflicts=1, error=error)
    assert window(Rules(resolve=True), cut).begin(0) == [Resolve("i0")]
    failed = replace(cut, resolutions=1)
    assert window(Rules(resolve=True), failed).begin(0) == [Repeat("i0", 2, "conflict")]


def test_a_phase_that_gave_up_still_brings_conflicts_to_an_end() -> None:
    halted = Failure(error_class="policy-stopped", message="enough")
    one = window(Rules(resolve=True), item(0, status="merging", attempts=1, head="h"), halted=halted)
    assert one.begin(0) == []
    assert one.on(conflict("i0"), 1) == [Resolve("i0")]
    assert one.on(merged("i0"), 2) == [Settle()]
