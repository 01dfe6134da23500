"""A story of a small run, and a journal that holds it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from stories import started

from prodigy import events
from prodigy.events import AnyEvent, Attempt, Failure, Metadata, Record
from prodigy.ids import JobId
from prodigy.paths import Layout
from prodigy.store.journal import Entry, JournalWriter

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
STEM = "20261122-081500-k7m2pq"
METADATA = Metadata(host="h", pid=1, boot_id="b", session_id=f"session-mapreduce-{STEM}")
BROKEN = Failure(error_class="command-failed", message="exited with 1", step="1", exit_code=1, logs=("/l",))


def entries(story: Sequence[AnyEvent], first: int = 1) -> list[Entry]:
    """One entry a second, with ids that count."""
    return [
        Entry(event, UUID(int=7), START + timedelta(seconds=seq), UUID(int=seq))
        for seq, event in enumerate(story, first)
    ]


def job_started(stem: str = STEM, name: str = "lint") -> events.JobStarted:
    return started(
        stem, name, max_parallel=2, argv=("prodigy", "run", f"{name}.yml"), prodigy_version="0.1.0"
    )


def agent_of(item: str, attempt: int = 1) -> str:
    return f"agent-{'ab'.index(item)}-{attempt}"


def agent_story(item: str, commits: tuple[str, ...]) -> list[AnyEvent]:
    agent = agent_of(item)
    return [
        events.AgentStarted(
            item_id=item, agent_id=agent, attempt=1, worktree="/w", slot=0, base_commit="base", branch="b"
        ),
        events.AgentCompleted(
            item_id=item,
            agent_id=agent,
            attempt=1,
            duration_ms=700,
            head="c1",
            commits=commits,
            files_changed=("f",),
            output="done\n",
        ),
    ]


def whole_story(stem: str = STEM, name: str = "lint") -> list[AnyEvent]:
    """Item ``a`` is merged, item ``b`` ends in the dead letter queue, the final merge is declined."""
    attempt = Attempt(
        attempt_number=1,
        timestamp=START + timedelta(seconds=9),
        phase="map",
        error_type="command-failed",
        error_message="exited with 1",
        step_failed="1",
        exit_code=1,
        agent_id="agent-1-1",
        logs=("/l",),
    )
    started = job_started(stem, name)
    return [
        started,
        events.PhaseStarted(phase="map", base_commit="base"),
        events.ItemSelected(index=0, item_id="a", item={"path": "src/a.py"}),
        events.ItemSelected(index=1, item_id="b", item={"path": "src/b.py"}),
        events.ItemsSelected(count=2),
        *agent_story("a", ("c1",)),
        events.AgentStarted(
            item_id="b",
            agent_id="agent-1-1",
            attempt=1,
            worktree="/w",
            slot=1,
            base_commit="base",
            branch="b",
        ),
        events.AgentFailed(
            item_id="b",
            agent_id="agent-1-1",
            attempt=1,
            duration_ms=300,
            error=BROKEN,
            signature="0" * 16,
            rescue_ref="refs/prodigy/rescue/x",
        ),
        events.DlqItemAdded(
            item_id="b", index=1, item={"path": "src/b.py"}, error_signature="0" * 16, history=(attempt,)
        ),
        events.MergeIntended(
            what="agent",
            source="c1",
            target_branch=started.session_branch,
            expected_old="base",
            item_id="a",
            agent_id="agent-0-1",
        ),
        events.WorktreeMerged(
            intent=11,
            what="agent",
            target_branch=started.session_branch,
            old="base",
            new="c1",
            strategy="fast-forward",
            item_id="a",
            agent_id="agent-0-1",
        ),
        events.PhaseCompleted(phase="map", duration_ms=900, head="c1"),
        events.JobCompleted(duration_ms=1000, success_count=1, failure_count=1),
        events.MergePrompted(target="main", answer="no-tty"),
    ]


Tell = Callable[[Path, Sequence[AnyEvent]], list[Record]]


@pytest.fixture
def tell() -> Tell:
    """Writes a story into a journal folder, three events a group."""

    def tell_it(folder: Path, story: Sequence[AnyEvent]) -> list[Record]:
        writer = JournalWriter(folder, METADATA)
        told = entries(story)
        written = [
            record for start in range(0, len(told), 3) for record in writer.append(told[start : start + 3])
        ]
        writer.close()
        return written

    return tell_it


@pytest.fixture
def story() -> Callable[..., list[AnyEvent]]:
    """The story of a run, by stem and workflow name."""
    return whole_story


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty home with one repository."""
    return Layout(tmp_path / "home", "repo")


@pytest.fixture
def job() -> JobId:
    """The job of the story."""
    return JobId(f"mapreduce-{STEM}")
