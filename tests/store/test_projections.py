"""Projections: files that follow the state, and that nobody needs."""

import json
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from prodigy import events
from prodigy.events import AnyEvent, Record
from prodigy.ids import JobId, SessionId
from prodigy.job.fold import apply, fold
from prodigy.job.plan import RunPlan
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.asked import asked, write_asked
from prodigy.store.projections import Projections
from prodigy.store.repos import register
from prodigy.workflow.model import Shell, Step, StepList, Workflow

Tell = Callable[[Path, list[AnyEvent]], list[Record]]
Story = Callable[..., list[AnyEvent]]
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
STEM = "20261122-081500-k7m2pq"
SESSION = SessionId(f"session-mapreduce-{STEM}")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan(job: JobId) -> RunPlan:
    step = Step(action=Shell(script="make"))
    return RunPlan(
        job_id=job,
        session_id=SESSION,
        workflow=Workflow(name="lint", mode="sequential", steps=StepList(steps=(step, step))),
        workflow_path="/r/lint.yml",
        workflow_sha256="0" * 64,
        repository="/r",
        base_commit="base",
        original_branch="main",
    )


@pytest.fixture
def follow(layout: Layout, job: JobId, tell: Tell, clock: Clock) -> Callable[..., JobState]:
    """Plays a story to the projections as the recorder does, record by record, a tenth of a second each."""

    def play(story: list[AnyEvent]) -> JobState:
        projections = Projections(layout, clock, pid=4711)
        state = JobState()
        for record in tell(layout.journal(job), story):
            clock.now += timedelta(milliseconds=100)
            apply(state, record)
            projections.heard(state, record)
        assert projections.problem is None
        return state

    return play


Follow = Callable[[list[AnyEvent]], JobState]


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def test_session_state_tells_the_run(follow: Follow, layout: Layout, story: Story) -> None:
    state = follow(story())
    told = document(layout.session_state(SESSION))
    assert told["status"] == "Completed"
    assert told["items"]["failed"] == told["dlq_count"] == 1
    assert told["errors"] == [{"item_id": "b", "class": "command-failed", "message": "exited with 1"}]
    assert told["journal"]["seq"] == state.seq
    assert told["iteration_timings"] == [[1, {"secs": 14, "nanos": 0}]]
    assert (told["pid"], told["merge"]) == (None, "declined")


def test_command_timings_have_one_entry_per_step(follow: Follow, layout: Layout, story: Story) -> None:
    steps: list[AnyEvent] = [
        events.StepIntended(phase="setup", step="1", kind="shell", command="make lint\nmake test"),
        events.StepCompleted(phase="setup", step="1", intent=2, kind="shell", duration_ms=1250),
        events.JobPaused(reason="signal"),
    ]
    follow([story()[0], *steps])
    told = document(layout.session_state(SESSION))
    assert told["command_timings"] == [["shell: make lint", {"secs": 1, "nanos": 250_000_000}]]
    assert told["status"] == "Interrupted"


def test_session_state_is_written_once_a_second_and_at_every_turn(
    follow: Follow, layout: Layout, story: Story
) -> None:
    """Eleven records in: the last turn was the start of the phase, the last second has not passed."""
    follow(story()[:9])
    assert document(layout.session_state(SESSION))["journal"]["seq"] == 2


def test_session_state_follows_after_a_second(follow: Follow, layout: Layout, story: Story) -> None:
    follow(story()[:12])
    assert document(layout.session_state(SESSION))["journal"]["seq"] == 12


def test_a_live_run_names_its_process_and_its_steps(follow: Follow, layout: Layout, story: Story) -> None:
    begun = structs.replace(story()[0], steps={"steps": 2})
    follow([begun, events.PhaseStarted(phase="steps")])
    told = document(layout.session_state(SESSION))
    assert (told["pid"], told["total_steps"], told["status"]) == (4711, 2, "InProgress")


def test_a_dead_letter_has_a_file_while_it_is_in_the_queue(
    follow: Follow, layout: Layout, job: JobId, story: Story
) -> None:
    state = follow(story())
    path = layout.dead_letters(job) / "b.json"
    told = document(path)
    assert told["item"] == {"path": "src/b.py"}
    assert told["failure_count"] == len(told["failure_history"]) == 1
    assert told["seq"] == state.dead_letters["b"].seq
    assert "item_data" not in told
    shutil.rmtree(layout.journal(job))
    follow([*story(), events.DlqItemRemoved(item_id="b", reason="retried")])
    assert not path.exists()


def test_foreign_files_among_the_dead_letters_stay(
    follow: Follow, layout: Layout, job: JobId, story: Story, clock: Clock
) -> None:
    state = follow(story())
    foreign = layout.dead_letters(job) / "notes.txt"
    foreign.write_text("mine")
    stale = layout.dead_letters(job) / "a.json"
    stale.write_text("{}")
    Projections(layout, clock).write_everything(state)
    assert foreign.exists()
    assert not stale.exists()


def test_results_stand_ready_when_the_map_phase_is_done(
    follow: Follow, layout: Layout, job: JobId, story: Story
) -> None:
    """The phase's end is on disk before anyone hears of it; so is this file."""
    told = story()
    ended = next(number for number, event in enumerate(told) if isinstance(event, events.PhaseCompleted))
    follow(told[: ended + 1])
    results = json.loads((layout.state(job) / "results.json").read_bytes())
    assert [(result["item_id"], result["status"]) for result in results] == [
        ("a", "success"),
        ("b", "failed"),
    ]
    assert results[0]["commits"] == ["c1"]
    assert results[0]["branch"] == "prodigy-k7m2pq-agent-0-1"
    assert results[1]["exit_code"] == 1


def test_the_worktree_record_knows_the_merge(follow: Follow, layout: Layout, story: Story) -> None:
    register(layout.home, Path("/r/.git"), worktree=Path("/r/repo"), root_commits=(), now=NOW)
    merged = events.WorktreeMerged(
        intent=1, what="final", target_branch="main", old="o", new="n", strategy="git"
    )
    follow([*story(), merged])
    told = document(layout.worktree_record(SESSION))
    assert (told["status"], told["merged"], told["merge_commit"]) == ("merged", True, "n")
    assert told["repo_git_dir"] == "/r/.git"
    assert told["stats"] == {"files_changed": 1, "commits": 1, "last_commit_sha": "c1"}
    assert (told["merge_prompt_shown"], told["merge_prompt_response"]) == (False, "no-tty")


def test_what_was_asked_is_kept(layout: Layout, job: JobId, plan: RunPlan, clock: Clock) -> None:
    assert asked(layout, job) is None
    write_asked(layout, plan, b"- shell: make\n", clock())
    assert asked(layout, job) == plan
    assert (layout.state(job) / "workflow.yml").read_bytes() == b"- shell: make\n"


def test_a_disk_that_refuses_stops_no_run(
    layout: Layout, job: JobId, tell: Tell, story: Story, clock: Clock
) -> None:
    written = tell(layout.journal(job), story())
    (layout.home / "sessions").write_text("in the way")
    projections = Projections(layout, clock)
    projections.heard(fold(written), written[-1])
    assert projections.problem is not None


def test_all_files_are_private(follow: Follow, layout: Layout, story: Story) -> None:
    follow(story())
    for path in layout.home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
