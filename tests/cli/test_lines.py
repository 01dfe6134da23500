"""What a run says, record by record."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import get_args
from uuid import UUID

import pytest
from stories import started

from prodigy import events
from prodigy.cli.lines import TELLERS, Milestone, summary, told
from prodigy.cli.lines.line import Style
from prodigy.cli.printer import Level
from prodigy.cli.terminal import ASCII, UNICODE
from prodigy.events import Attempt, Event, Failure, Record, Stream
from prodigy.job.fold import apply
from prodigy.job.state import ItemState, JobState, item_rows

BEGAN = datetime(2026, 11, 22, 8, 15, 0, tzinfo=UTC)
STYLE = Style(UNICODE, home="/home/ann", steps={"setup": 4})


class Story:
    """A run as it is recorded: feeds records to the state and collects what is said."""

    def __init__(self, style: Style = STYLE) -> None:
        self.state = JobState()
        self.style = style
        self._numbers = count(1)
        self.happens(started(name="lint-files", max_parallel=8))

    def record(self, event: Event) -> Record:
        seq = next(self._numbers)
        return Record(
            v=1,
            seq=seq,
            id=UUID(int=seq),
            timestamp=BEGAN,
            correlation_id=UUID(int=0),
            event=event,  # type: ignore[arg-type]
        )

    def happens(self, *happened: Event, level: Level = Level.NORMAL) -> list[str]:
        """What is said of ``happened`` at ``level``."""
        return [line for event in happened for line in self._lines(event, level)]

    def _lines(self, event: Event, level: Level) -> Iterator[str]:
        record = self.record(event)
        apply(self.state, record)
        for said in told(self.state, record, self.style, level):
            yield "".join(part if isinstance(part, str) else part.text for part in said.parts)

    def select(self, *items: object) -> None:
        for index, item in enumerate(items):
            self.happens(events.ItemSelected(index=index, item_id=f"i{index}", item=item))
        self.happens(events.ItemsSelected(count=len(items)))

    def start(self, index: int, attempt: int = 1) -> None:
        self.happens(
            events.AgentStarted(
                item_id=f"i{index}",
                agent_id=f"agent-{index}-{attempt}",
                attempt=attempt,
                worktree="/wt",
                slot=1,
                base_commit="b" * 40,
                branch="x",
            )
        )


@pytest.fixture
def story() -> Story:
    return Story()


def completed(index: int, commits: tuple[str, ...] = (), duration_ms: int = 41_000) -> events.AgentCompleted:
    return events.AgentCompleted(
        item_id=f"i{index}",
        agent_id=f"agent-{index}-1",
        attempt=1,
        duration_ms=duration_ms,
        head="h" * 40,
        commits=commits,
    )


def merged(index: int) -> events.WorktreeMerged:
    return events.WorktreeMerged(
        intent=0,
        what="agent",
        target_branch="session",
        old="a" * 40,
        new="c" * 40,
        strategy="merge-tree",
        item_id=f"i{index}",
    )


def test_every_event_has_its_teller() -> None:
    assert set(TELLERS) == set(get_args(events.AnyEvent))


def test_steps_outside_the_map_phase(story: Story) -> None:
    step = events.StepIntended(phase="setup", step="2", kind="shell", command="npm ci\nnpm test")
    assert story.happens(
        events.PhaseStarted(phase="setup"),
        step,
        events.StepCompleted(phase="setup", step="2", intent=3, kind="shell", duration_ms=1234),
    ) == ["setup: 4 steps", "[2/4] shell: npm ci", "✅ Completed | 1.2 s"]


def test_a_command_takes_one_line_of_the_terminal() -> None:
    narrow = Story(STYLE._replace(width=40))
    step = events.StepIntended(phase="setup", step="2", kind="shell", command=f"echo {'漢' * 40}")
    (line,) = narrow.happens(step)
    assert line == f"[2/4] shell: echo {'漢' * 10}…"


def test_a_claude_step_names_its_log(story: Story) -> None:
    used = events.ClaudeUse(session_id="s", json_log_location="/home/ann/.claude/projects/w/s.jsonl")
    failure = Failure(error_class="claude-error", message="Claude failed: no", logs=("/l/1.err",))
    assert story.happens(
        events.StepCompleted(phase="setup", step="1", intent=3, kind="claude", duration_ms=1234, claude=used),
        events.StepFailed(
            phase="setup", step="2", intent=4, kind="claude", duration_ms=5, error=failure, claude=used
        ),
    ) == [
        "✅ Completed | Log: ~/.claude/projects/w/s.jsonl",
        "❌ Failed (Claude failed: no) | Log: ~/.claude/projects/w/s.jsonl",
    ]


def test_steps_that_run_side_by_side_are_named_at_their_end(story: Story) -> None:
    place = {"phase": "setup", "intent": 3, "kind": "shell", "duration_ms": 1234}
    failure = Failure(error_class="command-failed", message="Exited with 1", exit_code=1)
    assert story.happens(
        events.StepCompleted(step="2.foreach[0].1", **place),
        events.StepFailed(step="2.foreach[1].1", error=failure, **place),
    ) == ["✅ [2/4 foreach[0].1] Completed | 1.2 s", "❌ [2/4 foreach[1].1] Failed (exit 1)"]


def test_a_wait_before_another_try_is_told(story: Story) -> None:
    again = events.StepRetrying(phase="setup", step="2", try_=2, backoff_ms=20_000, message="Exited with 1")
    assert story.happens(again) == ["[2/4] run 2 follows in 20 s: Exited with 1"]


def test_a_failed_step_names_its_exit_code_and_its_error_log(story: Story) -> None:
    failure = Failure(
        error_class="command-failed",
        message="exited with 1",
        exit_code=1,
        logs=("/home/ann/l/01.out", "/home/ann/l/01.err"),
    )
    failed = events.StepFailed(phase="setup", step="1", intent=3, kind="shell", duration_ms=5, error=failure)
    assert story.happens(failed) == ["❌ Failed (exit 1) | Log: ~/l/01.err"]
    assert story.happens(events.PhaseFailed(phase="setup", duration_ms=9, error=failure)) == [
        "❌ setup | exited with 1 | Log: ~/l/01.err"
    ]


def test_a_handlers_step_says_whose_it_is(story: Story) -> None:
    step = events.StepIntended(
        phase="setup", step="2.on_failure#1.1", kind="shell", name="repair", command="fix"
    )
    assert story.happens(step, level=Level.VERBOSE) == ["[2/4 on_failure#1.1] shell: repair", "    fix"]


def test_the_map_phase_is_one_line_whatever_comes_first() -> None:
    early, late = Story(), Story()
    early.happens(events.PhaseStarted(phase="map"))
    early.happens(events.ItemSelected(index=0, item_id="i0", item="x"))
    late.happens(events.ItemSelected(index=0, item_id="i0", item="x"))
    late.happens(events.ItemsSelected(count=1))
    assert early.happens(events.ItemsSelected(count=1)) == ["map: 1 item, up to 8 at a time"]
    assert late.happens(events.PhaseStarted(phase="map")) == ["map: 1 item, up to 8 at a time"]


def test_an_item_with_commits_is_done_when_they_are_merged(story: Story) -> None:
    story.select("src/a.py", {"path": "src/b.py"})
    story.start(0)
    story.start(1)
    assert story.happens(completed(0, commits=("1" * 40, "2" * 40))) == []
    assert story.happens(merged(0)) == ["✅ src/a.py | 2 commits | 41 s"]
    assert story.happens(completed(1)) == ["✅ src/b.py | no change | 41 s"]


def test_an_item_that_failed_for_good(story: Story) -> None:
    story.select("src/a.py")
    story.start(0)
    failure = Failure(error_class="timeout", message="Step `lint` took longer than 5 s", logs=("/x/1.out",))
    failed = events.AgentFailed(
        item_id="i0", agent_id="agent-0-1", attempt=1, duration_ms=5000, error=failure, signature="s"
    )
    attempt = Attempt(
        attempt_number=1,
        timestamp=BEGAN,
        phase="map",
        error_type="timeout",
        error_message=failure.message,
        logs=failure.logs,
    )
    assert story.happens(failed) == []
    added = events.DlqItemAdded(
        item_id="i0", index=0, item="src/a.py", error_signature="s", history=(attempt, attempt)
    )
    assert story.happens(added) == [
        "❌ src/a.py | Step `lint` took longer than 5 s | 2 attempts | Log: /x/1.out"
    ]


def test_a_lost_worker_is_a_warning(story: Story) -> None:
    lost = events.WorkerLost(
        worker=2, pid=4711, reason="killed by signal 9", agents=("agent-1-1", "agent-2-1")
    )
    assert story.happens(lost) == [
        "warning: worker 2 (pid 4711) was lost, killed by signal 9; 2 agents handed back"
    ]


def test_what_agents_do_is_heard_from_verbose_on(story: Story) -> None:
    story.select("src/a.py")
    story.start(0)
    step = events.StepIntended(
        phase="map", step="1", kind="shell", command="ruff check", item_id="i0", agent_id="agent-0-1"
    )
    done = events.StepCompleted(phase="map", step="1", intent=5, kind="shell", duration_ms=900, item_id="i0")
    assert story.happens(step, done) == []
    assert story.happens(step, done, level=Level.VERBOSE) == [
        "[src/a.py 1] shell: ruff check",
        "[src/a.py 1] ✅ Completed | 0.9 s",
    ]


def test_output_is_heard_one_level_further_and_shortened(story: Story) -> None:
    tail = "".join(f"line {number}\n" for number in range(1, 31))
    done = events.StepCompleted(
        phase="setup",
        step="1",
        intent=2,
        kind="shell",
        duration_ms=5,
        stdout=Stream(size=len(tail), tail=tail),
    )
    said = story.happens(done, level=Level.OUTPUT)
    assert said[1] == "    line 1"
    assert said[11] == "    (15 lines left out)"
    assert said[-1] == "    line 30"
    assert len(said) == 1 + 10 + 1 + 5


def test_of_output_that_was_cut_the_end_is_shown(story: Story) -> None:
    stream = Stream(size=10_000_000, tail="a\nb\n", cut=True)
    done = events.StepCompleted(phase="setup", step="1", intent=2, kind="shell", duration_ms=5, stderr=stream)
    assert story.happens(done, level=Level.OUTPUT)[1:] == ["    (earlier output left out)", "    a", "    b"]


def test_everything_is_everything(story: Story) -> None:
    assert story.happens(events.WorkerStarted(worker=1, pid=7), level=Level.EVERYTHING) == [
        "worker 1, pid 7",
        '#2 {"event_type":"worker_started","worker":1,"pid":7}',
    ]


def test_ascii_marks_where_there_is_no_utf8() -> None:
    story = Story(Style(ASCII))
    story.select("a")
    story.start(0)
    assert story.happens(completed(0)) == ["OK a | no change | 41 s"]


def test_no_record_says_more_than_one_line_by_default(story: Story) -> None:
    story.select("src/a.py")
    story.start(0)
    for said in (
        story.happens(events.PhaseStarted(phase="map")),
        story.happens(completed(0)),
        story.happens(events.CancelRequested(signal=2, by="terminal", grace_ms=5000)),
        story.happens(events.PhaseSkipped(phase="reduce", reason="no item succeeded")),
    ):
        assert len(said) == 1


# -- the summary ---------------------------------------------------------------------------------------------------
def of_items(total: int, done: int) -> JobState:
    items = (ItemState(index=number, item_id=str(number), packed="0") for number in range(total))
    state = JobState(items=item_rows(items))
    state.counts.update(done=done, pending=total - done)
    return state


def test_a_summary_waits_for_both_half_a_minute_and_a_tenth() -> None:
    start = Milestone(BEGAN)
    soon, later = BEGAN + timedelta(seconds=29), BEGAN + timedelta(seconds=30)
    assert summary(of_items(100, 50), soon, start) == (None, start)
    assert summary(of_items(100, 9), later, start) == (None, start)
    said, following = summary(of_items(100, 10), later, start)
    assert said is not None
    assert "10/100 ended" in "".join(part if isinstance(part, str) else part.text for part in said.parts)
    assert following == Milestone(later, 10)


def test_ten_thousand_items_give_at_most_ten_summaries() -> None:
    last, said = Milestone(BEGAN), 0
    for done in range(10_001):
        line, last = summary(
            of_items(0, 0) if not done else _moved(done), BEGAN + timedelta(seconds=done), last
        )
        said += line is not None
    assert said == 10


_TEN_THOUSAND = of_items(10_000, 0)


def _moved(done: int) -> JobState:
    _TEN_THOUSAND.counts.update(done=1, pending=-1)
    assert _TEN_THOUSAND.counts["done"] == done
    return _TEN_THOUSAND


# -- policies ------------------------------------------------------------------------------------------------------
def bury(story: Story, index: int, signature: str = "s") -> list[str]:
    error = Attempt(
        attempt_number=1, timestamp=BEGAN, phase="map", error_type="timeout", error_message=f"no {index}"
    )
    added = events.DlqItemAdded(
        item_id=f"i{index}", index=index, item=index, error_signature=signature, history=(error,)
    )
    return story.happens(added)


@pytest.mark.parametrize(
    "end",
    [events.PhaseCompleted(phase="map", duration_ms=1), events.JobPaused(reason="signal", signal=2)],
    ids=["end", "rest"],
)
@pytest.mark.parametrize(
    ("failures", "told_at_once", "told_at_the_end"),
    [
        (1, [["❌ a | no 0"], ["❌ b | no 1"], ["❌ c | no 2"]], []),
        (2, [[], ["❌ a | no 0", "❌ b | no 1"], []], ["❌ c | no 2"]),
        (None, [[], [], []], ["❌ a | no 0", "❌ b | no 1", "❌ c | no 2"]),
    ],
)
def test_failed_items_are_told_as_the_workflow_wants(
    failures: int | None, told_at_once: list[list[str]], told_at_the_end: list[str], end: Event
) -> None:
    """All of them before the run is left, whether it is over or only rests."""
    story = Story(STYLE._replace(failures=failures))
    story.happens(events.PhaseStarted(phase="map"))
    story.select("a", "b", "c")
    marks = [[line.replace(UNICODE.failed, "❌") for line in bury(story, index)] for index in range(3)]
    assert marks == told_at_once
    assert [line.replace(UNICODE.failed, "❌") for line in story.happens(end)] == told_at_the_end


def test_of_many_that_failed_alike_some_are_told() -> None:
    """With the command that shows the others; those that failed otherwise are told among them."""
    story = Story(STYLE._replace(failures=None, samples=2))
    story.happens(events.PhaseStarted(phase="map"))
    story.select(*"abcde")
    for index in range(5):
        bury(story, index, "t" if index == 3 else "s")
    assert [
        line.removeprefix(UNICODE.failed)
        for line in story.happens(events.PhaseCompleted(phase="map", duration_ms=1))
    ] == [
        " a | no 0",
        " b | no 1",
        f" 2 more failed alike: prodigy dlq list {story.state.short_name} --signature s",
        " d | no 3",
    ]
    assert story.state.short_name


def test_a_policy_that_acts_says_so(story: Story) -> None:
    story.happens(events.PhaseStarted(phase="map"))
    story.select("a", "b")
    assert story.happens(
        events.CircuitOpened(failures=5, opening=1, pause_ms=30_000),
        events.CircuitClosed(),
        events.ItemSkipped(item_id="i0", reason="Exited with 1"),
        events.MapHalted(reason="stop", message="An item failed"),
    ) == [
        f"circuit open {UNICODE.dash} 5 failures in a row; nothing is started for 30 s",
        f"circuit closed {UNICODE.dash} items are started again",
        f"{UNICODE.failed} a | skipped: Exited with 1",
        f"map {UNICODE.dash} An item failed; no more items are started",
    ]
