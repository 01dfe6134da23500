"""Stories of small runs, as records, for what reads a home."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prodigy import events
from prodigy.events import AnyEvent, Attempt, Failure, Metadata
from prodigy.store.journal import Entry, JournalWriter, read

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
STEM = "20261122-081500-k7m2pq"
OTHER = "20261121-081500-h8w1zz"
BROKEN = Failure(
    error_class="command-failed",
    message="Exited with 1",
    step="1",
    exit_code=1,
    stderr_tail="no frob\n",
    logs=("/l",),
)
NASTY = "src/\x1b[2Jb.py"


def started(
    stem: str = STEM,
    name: str = "lint",
    *,
    kind: Literal["workflow", "mapreduce"] = "mapreduce",
    **fields: Any,
) -> events.JobStarted:
    """The first record of a run, with the names that a run of that time has; ``fields`` are what it says beside them."""
    session = f"session-{stem}" if kind == "workflow" else f"session-{kind}-{stem}"
    return events.JobStarted(
        job_id=f"{kind}-{stem}",
        session_id=session,
        kind=kind,
        workflow_name=name,
        workflow_path=f"/r/{name}.yml",
        workflow_sha256="0" * 64,
        base_commit="base",
        session_branch=f"prodigy-{session}",
        original_branch="main",
        repository="/r",
        **fields,
    )


def half(stem: str, name: str) -> list[AnyEvent]:
    """A run of two items that stopped after the first: no record says that it ended."""
    branch = f"prodigy-session-mapreduce-{stem}"
    return [
        started(stem, name, max_parallel=2),
        events.PhaseStarted(phase="map", base_commit="base"),
        events.ItemSelected(index=0, item_id="a", item={"path": "src/a.py"}),
        events.ItemSelected(index=1, item_id="b", item={"path": NASTY}),
        events.ItemsSelected(count=2),
        events.AgentStarted(
            item_id="a",
            agent_id="agent-0-1",
            attempt=1,
            worktree="/w",
            slot=0,
            base_commit="base",
            branch="x",
        ),
        events.AgentCompleted(
            item_id="a",
            agent_id="agent-0-1",
            attempt=1,
            duration_ms=700,
            head="c1",
            commits=("c1",),
            files_changed=("f",),
        ),
        events.WorktreeMerged(
            intent=1,
            what="agent",
            target_branch=branch,
            old="base",
            new="c1",
            strategy="fast-forward",
            item_id="a",
        ),
    ]


def whole(stem: str, name: str) -> list[AnyEvent]:
    """The same run to its end: the second item is in the dead letter queue, nobody was there to merge."""
    attempt = Attempt(
        attempt_number=1,
        timestamp=START + timedelta(seconds=9),
        phase="map",
        error_type="command-failed",
        error_message="Exited with 1",
        step_failed="1",
        exit_code=1,
        stderr_tail="no frob\n",
        agent_id="agent-1-1",
        duration_ms=300,
        logs=("/l",),
    )
    return [
        *half(stem, name),
        events.AgentStarted(
            item_id="b",
            agent_id="agent-1-1",
            attempt=1,
            worktree="/w",
            slot=1,
            base_commit="base",
            branch="x",
        ),
        events.AgentFailed(
            item_id="b", agent_id="agent-1-1", attempt=1, duration_ms=300, error=BROKEN, signature="5" * 16
        ),
        events.DlqItemAdded(
            item_id="b", index=1, item={"path": NASTY}, error_signature="5" * 16, history=(attempt,)
        ),
        events.PhaseCompleted(phase="map", duration_ms=900, head="c1"),
        events.JobCompleted(duration_ms=1000, success_count=1, failure_count=1),
        events.MergePrompted(target="main", answer="no-tty"),
    ]


Write = Callable[[str, Sequence[AnyEvent]], None]


def write_journal(home: Path, stem: str, story: Sequence[AnyEvent], first: int = 1, **writing: int) -> None:
    """Records of a run of the repository ``here``, the first numbered so: one a second, all in one group.

    ``writing``: how the writer goes on.
    """
    folder, metadata = home / "events" / "here" / f"mapreduce-{stem}", Metadata(host="h", pid=1, boot_id="b")
    reader = read(folder)
    assert len(list(reader)) == first - 1
    writer = (
        JournalWriter(folder, metadata)
        if first == 1
        else JournalWriter.open_existing(reader, metadata, **writing)
    )
    writer.append(
        [
            Entry(event, UUID(int=7), START + timedelta(seconds=seq), UUID(int=seq))
            for seq, event in enumerate(story, first)
        ]
    )
    writer.close()
