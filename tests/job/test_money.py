"""What the fold makes of launches: reserved, paid once, parked, blocked, taken up."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import structs
from stories import started

from prodigy import events
from prodigy.events import ClaudeUse, Record
from prodigy.job.amounts import beyond, tally, together
from prodigy.job.fold import fold
from prodigy.job.report import report
from prodigy.job.state import JobState
from prodigy.job.summary import lived, summarize
from prodigy.job.waiting import Waits, waits_for

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
STARTED = started(kind="workflow")
PLACE = {"phase": "steps", "step": "1"}
INTENDED = events.StepIntended(**PLACE, kind="claude")  # type: ignore[arg-type]
LAUNCH = events.ClaudeIntended(**PLACE, intent=2, session_id="s", reserved_usd=0.5)  # type: ignore[arg-type]


def told(*happened: events.AnyEvent) -> JobState:
    return fold(
        Record(
            v=1,
            seq=seq,
            id=UUID(int=seq),
            timestamp=START + timedelta(seconds=seq),
            correlation_id=UUID(int=7),
            event=event,
        )
        for seq, event in enumerate((STARTED, INTENDED, *happened), 1)
    )


def used(cost: float) -> ClaudeUse:
    return ClaudeUse(session_id="s", cost_usd=cost, input_tokens=10)


def parked(reason: str = "quota") -> events.ClaudeParked:
    return events.ClaudeParked(**PLACE, intent=2, reason=reason, claude=used(0.1))  # type: ignore[arg-type]


def test_a_reserve_counts_until_the_launch_is_paid_for() -> None:
    state = told(LAUNCH)
    assert (state.money.reserved, state.money.usd, state.money.launches) == (0.5, 0.0, 1)
    state = told(LAUNCH, parked())
    assert (state.money.reserved, state.money.usd, state.money.tokens) == (0.0, 0.1, 10)
    assert state.parked == {2}
    assert state.conversations["steps/1/1"].cost_usd == 0.1
    ended = events.StepCompleted(**PLACE, intent=2, kind="claude", duration_ms=1, claude=used(0.2))  # type: ignore[arg-type]
    state = told(LAUNCH, parked(), LAUNCH, ended)
    assert round(state.money.usd, 9) == round(state.cost_usd, 9) == 0.3
    assert (state.money.launches, state.parked, state.conversations) == (2, set(), {})


def test_the_conversation_of_an_open_leaf_outlives_a_resume() -> None:
    state = told(LAUNCH, parked(), events.JobPaused(reason="budget"), events.JobResumed(), INTENDED)
    assert state.conversations["steps/1/1"].session_id == "s"
    assert (state.money.under_way, state.parked, state.status) == ({}, set(), "starting")


def test_what_an_earlier_process_spent_is_no_spending_since() -> None:
    """It is found out only by the one that takes the run up."""
    cut_off = events.ClaudeCutOff(**PLACE, intent=2, claude=used(0.1))  # type: ignore[arg-type]
    state = told(LAUNCH, events.JobResumed(), cut_off)
    assert state.before is not None
    assert (state.before.cost_usd, state.money.usd) == (0.1, 0.1)
    later = structs.replace(cut_off, intent=6)
    again = structs.replace(LAUNCH, intent=6)
    state = told(LAUNCH, events.JobResumed(), cut_off, INTENDED, again, later)
    assert state.before is not None
    assert (state.before.cost_usd, state.money.usd) == (0.1, 0.2)


def test_the_time_between_two_processes_is_no_running_time() -> None:
    state = told(events.JobPaused(reason="signal"), events.JobResumed())
    assert state.money.wall == 2.0  # from the first record to the pause


def test_status_tells_until_when_the_quota_blocks() -> None:
    until = START + timedelta(hours=1)
    block = events.QuotaBlocked(account="a", model=None, until=until)
    summary = summarize(told(block), "r")
    assert summary.quota_until == until
    assert lived(summary, None).quota_until is None
    cleared = events.QuotaCleared(account="a", model=None)
    assert summarize(told(block, cleared), "r").quota_until is None


def test_who_is_not_at_work_says_what_it_waits_for() -> None:
    """The API, since when and until when; money that others may need; else its turn."""
    until = START + timedelta(hours=1)
    block = events.QuotaBlocked(account="a", model=None, until=until)
    ended = events.StepCompleted(**PLACE, intent=2, kind="claude", duration_ms=1)  # type: ignore[arg-type]
    blocked = waits_for(told(LAUNCH, parked(), block), None)
    assert blocked == Waits(what="quota", since=START + timedelta(seconds=5), until=until)
    assert waits_for(told(), None) == Waits(what="turn")
    assert waits_for(told(LAUNCH), None) is None
    assert waits_for(told(LAUNCH, ended), None) is None
    poor = told(events.BudgetSet(caps=events.Caps(usd=1.0)))
    poor.money.under_way[99] = 0.9  # of somebody else
    assert waits_for(poor, None) == Waits(what="budget")


def test_a_conversation_is_not_counted_twice() -> None:
    whole = together(used(0.1), used(0.2))
    assert round(whole.cost_usd, 9) == 0.3
    added = beyond(events.ClaudeTally(cost_usd=0.1, input_tokens=15), whole)
    assert (round(added.cost_usd, 9), added.input_tokens) == (0.2, 5)
    assert beyond(events.ClaudeTally(cost_usd=0.5), whole).cost_usd == 0.0


def test_whoever_gave_up_waiting_asks_again_at_once() -> None:
    until = START + timedelta(hours=9)
    block = events.QuotaBlocked(account="a", model=None, until=until, given_up=True)
    state = told(block, events.JobPaused(reason="quota"))
    assert state.given_up == block
    assert (state.quotas[0].since, state.quotas[0].until) == (START + timedelta(seconds=3), until)
    again = told(block, events.JobPaused(reason="quota"), events.JobResumed())
    assert again.given_up is None
    assert (again.quotas[0].since, again.quotas[0].until) == (None, START + timedelta(seconds=5))
    crashed = told(structs.replace(block, given_up=False), events.JobResumed())
    assert crashed.quotas[0].until == until, "what is known of the quota still holds"


def test_what_steps_and_models_cost() -> None:
    """The items of a loop count as one step; a launch counts once, however often it is told of."""
    place = {"phase": "steps", "step": "2.foreach[3].1"}
    loop = events.StepIntended(**place, kind="claude", name="mend")  # type: ignore[arg-type]
    launch = events.ClaudeIntended(**place, intent=4, session_id="t")  # type: ignore[arg-type]
    use = ClaudeUse(session_id="t", model="m", cost_usd=0.5, output_tokens=7)
    failure = events.Failure(error_class="claude-error", message="no")
    ended = events.StepFailed(
        **place,  # type: ignore[arg-type]
        intent=4,
        kind="claude",
        duration_ms=1,
        error=failure,
        claude=use,
    )
    cost = report(told(LAUNCH, loop, launch, ended, parked()), "r", START, lambda _: ()).cost
    assert [(one.step, one.name, one.launches, one.usd, one.tokens) for one in cost.by_step] == [
        ("2.foreach[].1", "mend", 1, 0.5, 7),
        ("1", "", 1, 0.1, 10),
    ]
    assert [(one.model, one.launches, one.usd) for one in cost.by_model] == [("m", 1, 0.5), (None, 1, 0.1)]
    assert cost.tokens == {"input": 10, "output": 7, "cache_read": 0, "cache_creation": 0}
    assert (cost.launches, cost.usd, cost.budget) == (2, 0.6, None)


def test_models_that_worked_in_one_launch_are_told_apart() -> None:
    """Those of its subagents too; records without their shares count for the launch's own model."""
    parts = {
        "opus": events.ClaudeAmount(cost_usd=0.5, input_tokens=10, output_tokens=1),
        "sonnet": events.ClaudeAmount(cost_usd=0.1, input_tokens=4),
    }
    both = ClaudeUse(session_id="s", model="opus", **structs.asdict(tally(parts)))
    one = ClaudeUse(session_id="s", model="opus", cost_usd=0.25, input_tokens=2)
    again = events.ClaudeParked(**PLACE, intent=2, reason="quota", claude=one)  # type: ignore[arg-type]
    ended = events.StepCompleted(**PLACE, intent=2, kind="claude", duration_ms=1, claude=both)  # type: ignore[arg-type]
    cost = report(told(LAUNCH, again, LAUNCH, ended), "r", START, lambda _: ()).cost
    assert [(one.model, one.launches, one.usd, one.tokens) for one in cost.by_model] == [
        ("opus", 2, 0.75, 13),
        ("sonnet", 1, 0.1, 4),
    ]
    assert (cost.launches, cost.usd) == (2, 0.85)


def test_a_bill_is_a_sum_that_people_would_write() -> None:
    """Three times ten cents are thirty, and not 0.30000000000000004 dollars."""
    state = told(*[event for _ in range(3) for event in (LAUNCH, parked())])
    assert state.spent_usd != 0.3
    bill = report(state, "r", START, lambda _: ()).cost
    assert [bill.usd, bill.by_step[0].usd, bill.by_model[0].usd] == [0.3, 0.3, 0.3]
    assert summarize(state, "r").cost_usd == 0.3


def test_what_may_be_spent_is_told() -> None:
    caps = events.Caps(usd=5.0)
    state = told(events.BudgetSet(caps=caps), LAUNCH)
    assert report(state, "r", START, lambda _: ()).cost.budget == summarize(state, "r").budget == caps
    assert summarize(state, "r").reserved_usd == 0.5
    more = events.Caps(usd=9.0)
    retried = events.DlqRetryStarted(item_ids=(), base_commit="base", budget=more)
    assert told(events.BudgetSet(caps=caps), retried).money.caps == more


def test_a_meter_is_kept_until_its_launch_is_paid_for() -> None:
    meter = events.ClaudeMeter(summed=events.ClaudeTally(cost_usd=0.1), replies=1)
    again = structs.replace(LAUNCH, meter=meter)
    assert told(LAUNCH, parked(), again).launches[2].meter == meter
    assert told(LAUNCH, parked(), again, parked()).launches == {}


def test_only_a_conversation_that_is_lost_is_paid_for_again() -> None:
    """Going on with one costs what is left of it; a new one in its place costs all of it."""
    cut_off = events.ClaudeCutOff(**PLACE, intent=2, claude=used(0.1))  # type: ignore[arg-type]
    assert told(LAUNCH, cut_off, INTENDED, structs.replace(LAUNCH, resumes=True)).repeated == []
    another = structs.replace(LAUNCH, session_id="t")
    [again] = told(LAUNCH, cut_off, INTENDED, another).repeated
    assert (again.phase, again.step, again.kind) == ("steps", "1", "claude")
    free = structs.replace(cut_off, claude=ClaudeUse(session_id="s"))
    assert told(LAUNCH, free, INTENDED, another).repeated == []


def test_a_worktree_is_as_a_launch_left_it_until_the_next_one_begins() -> None:
    spawned = events.StepSpawned(**PLACE, intent=2, pid=1, start_time=1, worker=1, claude_session="s")  # type: ignore[arg-type]
    assert told(LAUNCH, spawned, parked()).waiting.keys() == {"steps/1/1"}
    assert told(LAUNCH, spawned, parked(), LAUNCH).waiting.keys() == {"steps/1/1"}
    assert told(LAUNCH, spawned, parked(), LAUNCH, spawned).waiting == {}
    unknown = events.ClaudeCutOff(**PLACE, intent=2, claude=used(0.1))  # type: ignore[arg-type]
    assert told(LAUNCH, spawned, parked(), LAUNCH, unknown).waiting == {}
    never = structs.replace(unknown, began=False)
    assert told(LAUNCH, spawned, parked(), LAUNCH, never).waiting.keys() == {"steps/1/1"}


def test_a_launch_that_never_began_is_none() -> None:
    """It was admitted and no more; whoever may launch so many Claudes has one more."""
    use = ClaudeUse(session_id="s")
    ended = events.ClaudeCutOff(**PLACE, intent=2, claude=use, began=False)  # type: ignore[arg-type]
    state = told(LAUNCH, ended)
    assert (state.launches, state.money.launches, state.money.under_way) == ({}, 0, {})
    assert report(state, "r", START, lambda _: ()).cost.by_model == []
    assert told(LAUNCH, structs.replace(ended, began=True)).money.launches == 1
