"""The fold: every event has a rule, every law of the counts holds after any story."""

import typing
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from shelves import resting
from stories import started

from prodigy import events
from prodigy.events import AnyEvent, Attempt, Event, Failure, Phase, Record
from prodigy.job.fold import RULES, apply, fold
from prodigy.job.money import leaf_key
from prodigy.job.moves import duration_window
from prodigy.job.state import JobState, item_rows, leaves_of

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
JOB = UUID(int=7)
IDS = ("a", "b", "c")
BROKEN = Failure(error_class="command-failed", message="exited with 1", step="1", exit_code=1)

STARTED = started(max_parallel=4)


def records(story: Sequence[Event], first: int = 1) -> list[Record]:
    return [
        Record(
            v=1,
            seq=seq,
            id=UUID(int=seq),
            timestamp=START + timedelta(seconds=seq),
            correlation_id=JOB,
            event=typing.cast("AnyEvent", event),
            batch=seq,
        )
        for seq, event in enumerate(story, first)
    ]


def after(*story: Event) -> JobState:
    return fold(records([STARTED, *selection(), *story]))


def selection() -> list[Event]:
    listed = [events.ItemSelected(index=index, item_id=name, item=name) for index, name in enumerate(IDS)]
    return [*listed, events.ItemsSelected(count=len(IDS))]


def agent_started(item: str, attempt: int = 1) -> events.AgentStarted:
    return events.AgentStarted(
        item_id=item,
        agent_id=agent(item, attempt),
        attempt=attempt,
        worktree="/w",
        slot=0,
        base_commit="base",
        branch="b",
    )


def agent(item: str, attempt: int = 1) -> str:
    return f"agent-{IDS.index(item)}-{attempt}"


def agent_completed(
    item: str, *commits: str, files: tuple[str, ...] = (), attempt: int = 1
) -> events.AgentCompleted:
    return events.AgentCompleted(
        item_id=item,
        agent_id=agent(item, attempt),
        attempt=attempt,
        duration_ms=1000,
        head=commits[-1] if commits else "base",
        commits=commits,
        files_changed=files,
        cost_usd=0.25,
    )


def agent_failed(item: str, attempt: int = 1, rescue_ref: str | None = None) -> events.AgentFailed:
    return events.AgentFailed(
        item_id=item,
        agent_id=agent(item, attempt),
        attempt=attempt,
        duration_ms=500,
        error=BROKEN,
        signature="0" * 16,
        rescue_ref=rescue_ref,
    )


def retrying(item: str, charged_to: typing.Literal["item", "host_lost"] = "item") -> events.AgentRetrying:
    return events.AgentRetrying(item_id=item, agent_id=agent(item), next_attempt=2, charged_to=charged_to)


def buried(item: str, history: tuple[Attempt, ...] = ()) -> events.DlqItemAdded:
    return events.DlqItemAdded(
        item_id=item, index=IDS.index(item), item=item, error_signature="0" * 16, history=history
    )


def merged(item: str, new: str = "tip") -> events.WorktreeMerged:
    return events.WorktreeMerged(
        intent=1,
        what="agent",
        target_branch="s",
        old="base",
        new=new,
        strategy="merge-tree",
        item_id=item,
        agent_id=agent(item),
    )


def conflicted(item: str) -> events.MergeConflicted:
    return events.MergeConflicted(
        intent=1,
        what="agent",
        target_branch="s",
        paths=("x", "y", "z", "w"),
        item_id=item,
        agent_id=agent(item),
    )


# -- laws over any story -------------------------------------------------------------------------------------------
def item_events(item: str) -> st.SearchStrategy[Event]:
    phase: typing.Literal["map"] = "map"
    return st.sampled_from(
        [
            agent_started(item),
            agent_started(item, 2),
            agent_completed(item),
            agent_completed(item, "c1", files=("f",)),
            agent_failed(item),
            retrying(item),
            retrying(item, "host_lost"),
            buried(item),
            events.DlqItemRemoved(item_id=item, reason="retried"),
            events.ItemSkipped(item_id=item, reason="no"),
            merged(item),
            conflicted(item),
            events.WorktreeRescued(ref="r", sha="s", reason="dirty", item_id=item, agent_id=agent(item)),
            events.StepIntended(phase=phase, step="1", kind="shell", command="true", item_id=item),
            events.StepCompleted(phase=phase, step="1", intent=3, kind="shell", duration_ms=1, item_id=item),
            events.StepFailed(
                phase=phase, step="1", intent=3, kind="shell", duration_ms=1, error=BROKEN, item_id=item
            ),
        ]
    )


def job_events() -> st.SearchStrategy[Event]:
    return st.sampled_from(
        [
            events.PhaseStarted(phase="map", base_commit="base"),
            events.PhaseCompleted(phase="map", duration_ms=5, head="h"),
            events.PhaseFailed(phase="map", duration_ms=5, error=BROKEN),
            events.JobPaused(reason="signal", signal=2),
            events.JobCompleted(duration_ms=9),
            events.JobFailed(duration_ms=9, error=BROKEN),
            events.JobResumed(),
            events.MapHalted(reason="stop", message="m"),
            events.CircuitOpened(failures=2, opening=1, pause_ms=10),
            events.CircuitClosed(),
            events.WorkerStarted(worker=1, pid=5),
            events.WorkerLost(worker=1, pid=5, reason="killed"),
            events.CommitCreated(phase="reduce", step="1", sha="c9", auto=True, message="m", files=("g",)),
            events.ItemSelected(index=0, item_id="a", item="again"),
        ]
    )


stories = st.lists(st.one_of(job_events(), *[item_events(item) for item in IDS]), max_size=40)


@given(stories, st.integers(0, 50))
def test_a_prefix_and_then_the_rest_is_the_whole(story: list[Event], cut: int) -> None:
    whole = records([STARTED, *selection(), *story])
    assert fold(whole[cut:], fold(whole[:cut], resting())) == fold(whole), (
        "whatever of it is at rest meanwhile"
    )


@given(stories)
def test_counts_are_a_recount_after_every_event(story: list[Event]) -> None:
    state = resting()
    for record in records([STARTED, *selection(), *story]):
        apply(state, record)
        assert state.counts == Counter(item.status for item in state.items.values())
        assert sum(state.counts.values()) == state.total
        assert state.commits == len(state.commit_log)
        assert len(state.item_durations) <= duration_window(STARTED.max_parallel)


@given(stories)
@settings(max_examples=30)
def test_folding_changes_no_record(story: list[Event]) -> None:
    whole = records([STARTED, *selection(), *story])
    before = deepcopy(whole)
    assert fold(whole) == fold(whole)
    assert whole == before


# -- every event ---------------------------------------------------------------------------------------------------
def test_every_event_has_a_rule() -> None:
    """An event type without a rule would be ignored by everybody; the type of its records says it exists."""
    assert set(RULES) == set(typing.get_args(AnyEvent))


def test_every_event_class_is_recordable() -> None:
    """An event class that is not in the union could be made, but never written."""
    defined = {
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, Event) and not value.__subclasses__()
    }
    assert defined == set(typing.get_args(AnyEvent))


# -- an item's life ------------------------------------------------------------------------------------------------
def test_an_item_without_commits_is_done_at_once() -> None:
    state = after(agent_started("a"), agent_completed("a"))
    assert state.items["a"].status == "done"
    assert state.counts == Counter(pending=2, done=1)


def test_an_item_with_commits_is_done_when_merged() -> None:
    waiting = after(agent_started("a"), agent_completed("a", "c1", "c2", files=("f", "g")))
    assert waiting.items["a"].status == "merging"
    assert (waiting.commits, waiting.tip) == (0, "base")
    done = fold(records([merged("a", new="m1")], waiting.seq + 1), waiting)
    assert done.items["a"].status == "done"
    assert (done.commits, done.files_changed, done.tip) == (2, {"f", "g"}, "m1")
    assert [commit.sha for commit in done.commit_log] == ["c1", "c2"]


def test_a_failed_item_is_pending_again_when_it_is_retried() -> None:
    state = after(agent_started("a"), agent_failed("a"), retrying("a"))
    assert state.items["a"].status == "pending"
    assert [attempt.error_type for attempt in state.items["a"].history] == ["command-failed"]


def test_a_retried_item_forgets_the_error_but_not_that_it_failed() -> None:
    state = after(
        agent_started("a"), agent_failed("a"), retrying("a"), agent_started("a", 2), agent_completed("a")
    )
    item = state.items["a"]
    assert (item.status, item.error, item.attempts) == ("done", None, 2)
    assert [attempt.number for attempt in item.failed] == [1]
    assert item.history == (), "nobody will ask what a done item printed when it failed"
    assert item.duration_ms == 1500


def test_a_buried_item_is_failed_and_in_the_queue() -> None:
    history = (
        Attempt(
            attempt_number=1, timestamp=START, phase="map", error_type="command-failed", error_message="m"
        ),
    )
    state = after(agent_started("a"), agent_failed("a"), buried("a", history))
    letter = state.dead_letters["a"]
    assert state.items["a"].status == "failed"
    assert (letter.failure_count, letter.first_attempt, letter.last_attempt) == (1, START, START)
    assert letter.seq == state.seq
    assert state.items["a"].told == (state.seq,), "what failed stands there, whole"
    assert state.items["a"].history == ()
    assert [attempt.number for attempt in state.items["a"].failed] == [1]


def test_a_state_keeps_no_output_of_what_is_buried() -> None:
    """A state with hundreds of thousands of dead letters is in memory; what they printed is in the journal."""
    error = Failure(
        error_class="command-failed", message="m", stderr_tail="much", stdout_tail="much", logs=("much",)
    )
    attempt = Attempt(
        attempt_number=1, timestamp=START, phase="map", error_type="command-failed", error_message="m",
        stderr_tail="much", stdout_tail="much", logs=("much",),
    )  # fmt: skip
    failed = events.AgentFailed(
        item_id="a", agent_id=agent("a"), attempt=1, duration_ms=1, error=error, signature="s"
    )
    state = after(agent_started("a"), failed, buried("a", (attempt,)))
    assert b"much" not in b"".join((*state.items.packed(), *state.dead_letters.packed()))
    assert (
        state.items["a"].error
        == state.dead_letters["a"].last
        == Failure(error_class="command-failed", message="m")
    )


def test_an_item_leaves_the_queue() -> None:
    state = after(
        agent_started("a"),
        agent_failed("a"),
        buried("a"),
        events.DlqItemRemoved(item_id="a", reason="cleared"),
    )
    assert state.dead_letters == {}
    assert state.items["a"].status == "failed"


def test_a_failure_during_a_retry_of_dead_letters_says_so() -> None:
    state = after(
        agent_started("a"), agent_failed("a"), buried("a"), agent_started("a", 2), agent_failed("a", 2)
    )
    assert [attempt.retry for attempt in state.items["a"].history] == [True]


def test_a_conflict_is_counted_and_remembered_and_the_item_still_waits_for_its_merge() -> None:
    state = after(agent_started("a"), agent_completed("a", "c1"), conflicted("a"))
    item = state.items["a"]
    assert (item.status, item.conflicts) == ("merging", 1)
    assert item.history[-1].error_type == "merge-conflict"
    assert item.history[-1].error_message == "merge conflict in x, y, z and 1 more"
    again = fold(records([retrying("a")], state.seq + 1), state)
    assert again.items["a"].status == "pending"


def test_a_lost_host_is_charged_apart() -> None:
    state = after(
        agent_started("a"),
        events.WorkerLost(worker=1, pid=3, reason="killed", agents=("agent-0-1",)),
        events.AgentInterrupted(item_id="a", agent_id=agent("a"), attempt=1, reason="killed"),
    )
    assert (state.items["a"].host_losses, state.items["a"].status, state.workers_lost) == (1, "running", 1)


def test_an_item_that_began_anew_after_a_lost_host_is_read_from_older_journals() -> None:
    state = after(agent_started("a"), retrying("a", "host_lost"))
    assert (state.items["a"].host_losses, state.items["a"].status) == (1, "pending")


def test_a_rescue_after_the_failure_is_named_in_its_entry() -> None:
    rescue = events.WorktreeRescued(ref="refs/x", sha="s", reason="dirty", item_id="a", agent_id=agent("a"))
    state = after(agent_started("a"), agent_failed("a"), rescue)
    assert state.items["a"].history[-1].rescue_ref == "refs/x"
    assert state.rescue_refs == ["refs/x"]


def test_a_rescue_before_the_failure_is_named_in_its_entry() -> None:
    rescue = events.WorktreeRescued(ref="refs/x", sha="s", reason="dirty", item_id="a", agent_id=agent("a"))
    state = after(agent_started("a"), rescue, agent_failed("a"))
    assert state.items["a"].history[-1].rescue_ref == "refs/x"


def test_costs_add_up_over_attempts() -> None:
    state = after(
        agent_started("a"),
        agent_completed("a", "c"),
        retrying("a"),
        agent_started("a", 2),
        agent_completed("a"),
    )
    assert (state.items["a"].cost_usd, state.cost_usd) == (0.5, 0.5)


def test_a_selection_that_was_not_closed_is_done_anew() -> None:
    state = fold(
        records(
            [
                STARTED,
                events.ItemSelected(index=0, item_id="x", item=1),
                events.ItemSelected(index=1, item_id="y", item=2),
                *selection(),
            ]
        )
    )
    assert tuple(state.items) == IDS
    assert state.counts == Counter(pending=3)


# -- steps ---------------------------------------------------------------------------------------------------------
def leaf(step: str, command: str = "make lint\nmake test", item: str | None = None) -> events.StepIntended:
    return events.StepIntended(
        phase="map" if item else "setup", step=step, kind="shell", command=command, item_id=item
    )


def test_a_leaf_is_open_until_its_outcome() -> None:
    state = after(events.PhaseStarted(phase="setup"), leaf("1"))
    assert list(state.intents) == [state.seq]
    assert (state.current_step, state.current_step_name) == ("1", "make lint")
    outcome = events.StepCompleted(phase="setup", step="1", intent=state.seq, kind="shell", duration_ms=42)
    state = fold(records([outcome], state.seq + 1), state)
    assert state.intents == {}
    assert state.outcomes == {leaf_key("setup", "1", 1): outcome}
    assert [(timing.command, timing.duration_ms) for timing in state.command_timings] == [
        ("shell: make lint", 42)
    ]
    assert state.steps_done == 1


def test_a_step_inside_a_handler_is_no_step_of_the_phase() -> None:
    state = after(events.PhaseStarted(phase="setup"), leaf("1.on_failure#1.1"))
    outcome = events.StepCompleted(
        phase="setup", step="1.on_failure#1.1", intent=state.seq, kind="shell", duration_ms=1
    )
    assert fold(records([outcome], state.seq + 1), state).steps_done == 0


def test_outcomes_of_an_agent_live_as_long_as_its_attempt() -> None:
    state = after(agent_started("a"), leaf("1", item="a"))
    outcome = events.StepCompleted(
        phase="map", step="1", intent=state.seq, kind="shell", duration_ms=1, item_id="a"
    )
    state = fold(records([outcome, leaf("2", item="a")], state.seq + 1), state)
    assert list(leaves_of(state.items["a"]).outcomes) == ["map/1/1"]
    assert state.items["a"].step == "2"
    assert state.outcomes == {}
    state = fold(records([agent_failed("a")], state.seq + 1), state)
    assert (state.items["a"].leaves, state.intents, state.items["a"].step) == (None, {}, None)


def test_the_same_agent_taken_up_again_keeps_its_outcomes() -> None:
    state = after(agent_started("a"), leaf("1", item="a"))
    outcome = events.StepCompleted(
        phase="map", step="1", intent=state.seq, kind="shell", duration_ms=1, item_id="a"
    )
    state = fold(records([outcome, agent_started("a")], state.seq + 1), state)
    assert list(leaves_of(state.items["a"]).outcomes) == ["map/1/1"]
    state = fold(records([agent_started("a", 2)], state.seq + 1), state)
    assert state.items["a"].leaves is None


# -- phases, branches, ends ----------------------------------------------------------------------------------------
def test_the_tip_follows_commits_merges_and_ended_phases() -> None:
    commit = events.CommitCreated(phase="setup", step="1", sha="c1", auto=True, message="m", files=("f",))
    state = after(commit)
    assert (state.tip, state.commits, state.files_changed) == ("c1", 1, {"f"})
    state = fold(
        records([events.PhaseCompleted(phase="setup", duration_ms=1, head="h")], state.seq + 1), state
    )
    assert state.tip == "h"


def test_an_agents_commit_does_not_move_the_tip() -> None:
    commit = events.CommitCreated(phase="map", step="1", sha="c", auto=True, message="m", item_id="a")
    assert (after(commit).tip, after(commit).commits) == ("base", 0)


def test_a_conflict_is_foreseen_for_the_attempt_that_made_the_work() -> None:
    def foreseen(attempt: int, *paths: str) -> events.ConflictForeseen:
        return events.ConflictForeseen(
            item_id="a",
            agent_id=agent("a", attempt),
            attempt=attempt,
            source="s",
            onto="o",
            target_branch="t",
            paths=paths,
        )

    start = agent_started("a"), foreseen(1, "f")
    assert after(*start).items["a"].foreseen == ("f",)
    assert after(*start, foreseen(1)).items["a"].foreseen == ()
    assert after(*start, agent_completed("a", "c1")).items["a"].foreseen == ()
    assert after(*start, agent_failed("a"), agent_started("a", 2)).items["a"].foreseen == ()
    assert after(agent_started("a", 2), foreseen(1, "f")).items["a"].foreseen == ()


def test_variables_of_a_phase_are_kept() -> None:
    state = after(
        events.PhaseStarted(phase="setup"),
        events.PhaseCompleted(phase="setup", duration_ms=3, variables={"n": 1}),
    )
    assert state.phases["setup"].variables == {"n": 1}
    assert state.phases["setup"].status == "completed"


def test_a_git_intent_is_open_until_its_outcome() -> None:
    state = after(events.WorktreeCreateIntended(path="/w", branch=None, base_commit="base"))
    assert list(state.git_intents) == [state.seq]
    made = events.WorktreeCreated(intent=state.seq, path="/w")
    assert fold(records([made], state.seq + 1), state).git_intents == {}


def final(strategy: typing.Literal["git", "nothing"]) -> events.WorktreeMerged:
    return events.WorktreeMerged(
        intent=1, what="final", target_branch="main", old="o", new="n", strategy=strategy
    )


def test_the_final_merge() -> None:
    state = after(events.MergePrompted(target="main", answer="flag-yes"), final("git"))
    assert (state.merge, state.merged_into, state.merge_commit) == ("merged", "main", "n")
    assert state.tip == "base"


def test_a_final_merge_of_nothing() -> None:
    assert after(final("nothing")).merge == "nothing"


def test_a_declined_merge_can_be_made_later() -> None:
    declined = after(events.MergePrompted(target="main", answer="eof"), events.JobCompleted(duration_ms=1))
    assert (declined.merge, declined.status) == ("declined", "completed")
    agreed = fold(
        records([events.MergePrompted(target="main", answer="flag-yes")], declined.seq + 1), declined
    )
    assert (agreed.merge, agreed.merge_answer) == ("pending", "flag-yes"), (
        "one that is cut off is gone on with"
    )
    later = fold(records([final("git")], agreed.seq + 1), agreed)
    assert (later.merge, later.status) == ("merged", "completed")


def test_a_failed_final_merge() -> None:
    failed = events.MergeFailed(intent=1, what="final", target_branch="main", message="no")
    assert after(failed).merge == "failed"


def test_a_removed_session_branch() -> None:
    cleaned = events.WorktreeCleaned(intent=1, path="/w", branches=(STARTED.session_branch,))
    assert after(cleaned).branch_removed
    assert not after(events.WorktreeCleaned(intent=1, path="/slot", branches=("other",))).branch_removed


def test_how_a_run_ends() -> None:
    paused = after(events.CancelRequested(signal=15), events.JobPaused(reason="signal"))
    assert (paused.status, paused.signal) == ("interrupted", 15)
    assert after(events.JobCompleted(duration_ms=1)).status == "completed"
    failed = after(events.JobFailed(duration_ms=1, error=BROKEN))
    assert (failed.status, failed.error) == ("failed", BROKEN)
    assert failed.ended_at == failed.updated_at


def test_a_pause_keeps_open_leaves_and_an_end_does_not() -> None:
    story = (events.PhaseStarted(phase="setup"), leaf("1"))
    assert after(*story, events.JobPaused(reason="signal")).intents
    assert not after(*story, events.JobFailed(duration_ms=1, error=BROKEN)).intents


def test_a_state_can_be_written_and_read_back() -> None:
    """Snapshots need nothing but the state."""
    state = after(agent_started("a"), leaf("1", item="a"), agent_failed("b"), buried("b"))
    state.items["a"].variables = {"x": [1, None]}
    items = item_rows()
    items.load(state.items.packed())
    assert items == state.items


# -- policies ------------------------------------------------------------------------------------------------------
def test_an_item_that_is_not_valid_has_failed_before_any_attempt() -> None:
    told = events.ItemSelected(index=0, item_id="a", item={}, problem="no `path`")
    state = fold(records([STARTED, told, events.ItemsSelected(count=1)]))
    item = state.items["a"]
    assert (item.status, item.attempts, item.error) == (
        "failed",
        0,
        Failure(error_class="invalid-item", message="no `path`"),
    )
    assert [attempt.attempt_number for attempt in item.history] == [0]
    assert state.counts == Counter(failed=1)


def test_a_skipped_item_keeps_the_reason() -> None:
    state = after(agent_started("a"), agent_failed("a"), events.ItemSkipped(item_id="a", reason="no"))
    assert (state.items["a"].status, state.items["a"].error) == ("skipped", BROKEN)
    assert state.dead_letters == {}


def test_retries_are_counted_with_their_pauses_by_what_they_are_charged_to() -> None:
    pause = events.AgentRetrying(
        item_id="a", agent_id=agent("a"), next_attempt=2, charged_to="item", backoff_ms=1500
    )
    state = after(agent_started("a"), agent_failed("a"), pause, retrying("a", "host_lost"))
    item = state.items["a"]
    assert (item.retries, item.host_losses, item.waited_ms) == (1, 1, 1500)
    assert state.updated_at is not None
    assert item.ready_at == state.updated_at
    assert after(agent_started("a"), pause, agent_started("a", 2)).items["a"].ready_at is None


def test_failures_in_a_row_end_with_a_success() -> None:
    bad = [event for item in ("a", "b") for event in (agent_started(item), agent_failed(item), buried(item))]
    assert after(*bad).failures_in_a_row == 2
    assert after(*bad, agent_started("c"), agent_completed("c")).failures_in_a_row == 0


def test_a_circuit_counts_its_trials_alone() -> None:
    opened = events.CircuitOpened(failures=1, opening=2, pause_ms=500)
    state = after(agent_started("a"), agent_started("b"), opened, agent_failed("a"), buried("a"))
    assert state.circuit is not None
    assert (state.circuit.opening, state.circuit.successes, state.circuit.failures) == (2, 0, 0)
    opened_at = START + timedelta(seconds=1 + len(IDS) + 1 + 3, milliseconds=500)
    assert state.circuit.until == opened_at.timestamp()
    later = records([agent_completed("b"), agent_started("c"), agent_failed("c"), buried("c")], state.seq + 1)
    state = fold(later, state)
    assert state.circuit is not None
    assert (state.circuit.successes, state.circuit.failures) == (0, 1)
    closed = fold(records([events.CircuitClosed()], state.seq + 1), state)
    assert (closed.circuit, closed.failures_in_a_row) == (None, 0)


def test_a_map_phase_that_gave_up_says_why() -> None:
    halted = after(events.MapHalted(reason="stop", message="An item failed"))
    assert halted.halted == Failure(error_class="policy-stopped", message="An item failed")


def test_how_many_run_at_a_time_may_be_known_only_when_map_begins() -> None:
    assert after().max_parallel == 4
    assert after(events.PhaseStarted(phase="map", max_parallel=9)).max_parallel == 9


def test_steps_on_the_merged_tree_do_not_move_the_session() -> None:
    outcome = events.StepCompleted(
        phase="verify", step="1", intent=3, kind="shell", duration_ms=1, head_after="elsewhere"
    )
    commit = events.CommitCreated(phase="verify", step="1", sha="elsewhere", auto=False, message="m")
    assert after(events.PhaseStarted(phase="verify"), outcome, commit).tip == "base"


def test_merge_steps_that_failed_mean_that_nothing_was_merged() -> None:
    outcome = events.StepCompleted(phase="merge", step="1", intent=3, kind="shell", duration_ms=1)
    state = after(
        events.PhaseStarted(phase="merge"),
        outcome,
        events.PhaseFailed(phase="merge", duration_ms=1, error=BROKEN),
    )
    assert (state.merge, state.merges[-1].message) == ("failed", BROKEN.message)
    again = fold(records([events.PhaseStarted(phase="merge")], state.seq + 1), state)
    assert again.outcomes == {}, "a second try begins at the first step"


def outcome(step: str, intent: int, *, fails: bool = False) -> events.StepCompleted | events.StepFailed:
    if fails:
        error = Failure(error_class="command-failed", message="no", step=step)
        return events.StepFailed(
            phase="steps", step=step, intent=intent, kind="shell", duration_ms=1, error=error
        )
    return events.StepCompleted(phase="steps", step=step, intent=intent, kind="shell", duration_ms=1)


def test_a_run_that_failed_is_reopened_at_the_step_that_failed() -> None:
    failed = outcome("2.on_failure#1.1", 5, fails=True)
    state = after(
        STARTED,
        events.PhaseStarted(phase="steps", base_commit="b"),
        outcome("1", 3),
        outcome("2", 4, fails=True),
        failed,
        events.PhaseFailed(phase="steps", duration_ms=1, error=failed.error),
        events.PhaseStarted(phase="on_failure", base_commit="b"),
        events.PhaseCompleted(phase="on_failure", duration_ms=1),
        events.JobFailed(duration_ms=1, error=failed.error),
        events.JobResumed(),
    )
    assert (state.status, state.error, state.ended_at) == ("running", None, None)
    assert list(state.outcomes) == [leaf_key("steps", "1", 1)]
    assert {name: phase.status for name, phase in state.phases.items()} == {"steps": "running"}


def test_a_run_that_was_interrupted_keeps_every_outcome_and_every_limit() -> None:
    story = (*selection(), agent_started("a"), agent_failed("a"), buried("a"), outcome("1", 3, fails=True))
    state = after(*story, events.JobPaused(reason="signal", signal=2), events.JobResumed())
    assert (state.status, state.signal) == ("starting", None)
    assert list(state.outcomes) == [leaf_key("steps", "1", 1)]
    assert not state.items["a"].forgiven


def test_what_failed_for_the_disk_is_done_again_and_what_succeeded_is_not() -> None:
    def of_a(step: str, intent: int, *, fails: bool = False) -> events.StepCompleted | events.StepFailed:
        return msgspec.structs.replace(outcome(step, intent, fails=fails), phase="map", item_id="a")

    story = (
        *selection(),
        agent_started("a"),
        of_a("1", 3, fails=True),
        of_a("1.on_failure#1.1", 4),
        of_a("2", 5),
        of_a("2.commit", 6, fails=True),
        of_a("2.on_failure#1.1", 7),
        events.WritingRefused(path="/p/.git", reason="Read-only file system"),
        events.JobPaused(reason="disk"),
    )
    state = after(*story)
    assert (state.status, len(leaves_of(state.items["a"]).outcomes)) == ("paused", 5)
    assert state.refused is not None
    state = after(*story, events.JobResumed())
    assert state.refused is None
    assert list(leaves_of(state.items["a"]).outcomes) == ["map/1/1", "map/1.on_failure#1.1/1", "map/2/1"]


def test_items_that_failed_before_a_failed_run_went_on_are_forgiven() -> None:
    halted = events.MapHalted(reason="max-failures", message="too many")
    story = (*selection(), agent_started("a"), agent_failed("a"), buried("a"), halted)
    state = after(*story, events.JobFailed(duration_ms=1, error=BROKEN), events.JobResumed())
    assert state.halted is None
    assert [item.forgiven for item in state.items.values()] == [True, False, False]


def test_work_that_is_done_again_has_no_outcome_any_more() -> None:
    rewound = events.WorkRewound(phase="steps", head="back", forgotten=("2/1",))
    state = after(STARTED, outcome("1", 2), outcome("2", 3), rewound)
    assert list(state.outcomes) == [leaf_key("steps", "1", 1)]
    assert state.tip == "back"


def test_another_workflow_verifies_what_the_one_before_has_verified() -> None:
    verified = (
        events.PhaseStarted(phase="verify", base_commit="b", tree="t"),
        events.PhaseCompleted(phase="verify", duration_ms=1),
    )
    assert after(STARTED, *verified, events.JobResumed()).phases["verify"].tree == "t"
    other = events.JobResumed(workflow_sha256="1" * 64, template_sha256="2" * 64)
    assert "verify" not in after(STARTED, *verified, other).phases


def test_files_of_commits_that_are_taken_back_do_not_count() -> None:
    def commit(sha: str, *files: str, phase: Phase = "reduce") -> events.CommitCreated:
        return events.CommitCreated(phase=phase, step="1", sha=sha, auto=True, message="m", files=files)

    rewound = events.WorkRewound(phase="reduce", head="two", forgotten=("3/1",))
    story = (commit("one", "a", "b", phase="setup"), commit("two", "c"), commit("three", "b", "d"))
    state = after(STARTED, *story, rewound)
    assert (state.files_changed, state.commits) == ({"a", "b", "c"}, 2)
    again = fold(records([commit("four", "d", "e")], state.seq + 1), state)
    assert (again.files_changed, again.commits) == ({"a", "b", "c", "d", "e"}, 3)


def test_a_leaf_that_is_done_again_has_one_open_intent() -> None:
    state = after(STARTED, leaf("1"), events.JobResumed(), leaf("1"))
    assert [intent.step for intent in state.intents.values()] == ["1"]


# -- money ---------------------------------------------------------------------------------------------------------
def launched(item: str | None, intent: int) -> events.StepSpawned:
    return events.StepSpawned(
        phase="map" if item else "steps",
        step="1",
        item_id=item,
        intent=intent,
        pid=1,
        start_time=1,
        worker=1,
        claude_session=f"s{intent}",
    )


def used(cost: float, *, estimated: bool = False) -> events.ClaudeUse:
    return events.ClaudeUse(session_id="s", cost_usd=cost, estimated=estimated)


def cut_off(item: str | None, intent: int, cost: float) -> events.ClaudeCutOff:
    phase: events.Phase = "map" if item else "steps"
    use = used(cost, estimated=True)
    return events.ClaudeCutOff(phase=phase, step="1", item_id=item, intent=intent, claude=use)


def failed_launch(item: str, intent: int, cost: float) -> events.StepFailed:
    return events.StepFailed(
        phase="map",
        step="1",
        item_id=item,
        intent=intent,
        kind="claude",
        duration_ms=1,
        error=BROKEN,
        claude=used(cost),
    )


def test_a_launch_that_was_cut_off_is_paid_for_once() -> None:
    """It is open until its end is told or accounted for."""
    before = after(launched(None, 7))
    assert set(before.launches) == {7}
    state = after(launched(None, 7), cut_off(None, 7, 0.25))
    assert state.launches == {}
    assert (state.cost_usd, state.estimated_usd) == (0.25, 0.25)


def test_an_attempt_pays_for_what_is_done_again() -> None:
    """What is forgotten was paid for all the same, and so was an attempt that is given up."""
    spent = (
        agent_started("a"),
        launched("a", 7),
        failed_launch("a", 7, 0.5),
        launched("a", 8),
        cut_off("a", 8, 0.25),
    )
    rewound = events.WorkRewound(phase="map", head="h", forgotten=("1/1",), item_id="a")
    state = after(*spent, rewound)
    assert (state.items["a"].spent_usd, state.cost_usd) == (0.75, 0.0)
    state = after(*spent, rewound, retrying("a", "host_lost"))
    assert (state.items["a"].spent_usd, state.items["a"].cost_usd, state.cost_usd) == (0.0, 0.75, 0.75)
    assert state.estimated_usd == 0.25
