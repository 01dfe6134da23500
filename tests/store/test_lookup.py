"""Single records by their numbers, and what dead letters tell from them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodigy import events
from prodigy.errors import RunError
from prodigy.events import AnyEvent, Attempt, Metadata, Record
from prodigy.job.fold import fold
from prodigy.store import lookup
from prodigy.store.journal import Entry, JournalWriter, read, segments
from prodigy.store.lookup import Lookup

METADATA = Metadata(host="h", pid=1, boot_id="b")
START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


def written(folder: Path, happened: list[AnyEvent], segment_bytes: int = 1 << 20) -> list[Record]:
    writer = JournalWriter(folder, METADATA, segment_bytes=segment_bytes)
    records = []
    for number, event in enumerate(happened, 1):
        entry = Entry(event, UUID(int=7), START + timedelta(seconds=number), UUID(int=number))
        records += writer.append([entry])
    writer.close()
    return records


def selected(index: int, size: int) -> events.ItemSelected:
    return events.ItemSelected(index=index, item_id=f"i{index}", item="x" * size)


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=30),
    st.integers(500, 20_000),
    st.integers(1, 3000),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_every_record_is_found(sizes: list[int], segment_bytes: int, piece: int, random: object) -> None:
    """In whatever order they are asked for, whatever their lengths, in however many segments."""
    with TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_PIECE", piece)
        folder = Path(scratch)
        records = written(folder, [selected(*each) for each in enumerate(sizes)], segment_bytes)
        found = Lookup(folder)
        for record in records:
            assert found.record(record.seq) == record
        random.shuffle(records)  # type: ignore[attr-defined]
        for record in records:
            assert found.record(record.seq) == record


def test_only_a_piece_of_a_long_journal_is_read(tmp_path: Path) -> None:
    """What is damaged elsewhere does not matter, and is not seen."""
    records = written(tmp_path, [selected(index, 4000) for index in range(400)], 1 << 24)
    (path,) = segments(tmp_path)
    whole = bytearray(path.read_bytes())
    place = whole.index(b'"item_id":"i390"')
    whole[place + 12] ^= 1
    path.write_bytes(whole)
    assert Lookup(tmp_path).record(7) == records[6]
    with pytest.raises(RunError, match="Record 391 of the journal is damaged"):
        Lookup(tmp_path).record(391)


def test_a_journal_may_grow(tmp_path: Path) -> None:
    first = written(tmp_path, [selected(0, 9)])
    found = Lookup(tmp_path)
    assert found.record(1) == first[0]
    with pytest.raises(RunError, match="journal-corrupt"):
        found.record(2)
    writer = JournalWriter.open_existing(_at_its_end(tmp_path), METADATA)
    [second] = writer.append([Entry(selected(1, 9), UUID(int=7), START, UUID(int=2))])
    assert found.record(2) == second
    writer.close()


def _at_its_end(folder: Path):  # type: ignore[no-untyped-def]
    reader = read(folder)
    list(reader)
    return reader


def attempt(number: int, **fields: object) -> Attempt:
    return Attempt(
        attempt_number=number,
        timestamp=START + timedelta(seconds=number),
        phase="map",
        error_type="command-failed",
        error_message=f"no {number}",
        agent_id=f"agent-0-{number}",
        **fields,  # type: ignore[arg-type]
    )


def tried(number: int) -> list[AnyEvent]:
    agent = f"agent-0-{number}"
    return [
        events.AgentStarted(
            item_id="i0", agent_id=agent, attempt=number, worktree="/w", slot=0, base_commit="b", branch="x"
        ),
        events.AgentFailed(
            item_id="i0",
            agent_id=agent,
            attempt=number,
            duration_ms=1,
            error=events.Failure(error_class="command-failed", message=f"no {number}", stderr_tail="loud"),
            signature="s",
        ),
    ]


def retry() -> events.DlqRetryStarted:
    return events.DlqRetryStarted(item_ids=("i0",), base_commit="b")


def updated(number: int) -> events.DlqItemUpdated:
    return events.DlqItemUpdated(
        item_id="i0",
        error_signature="s",
        failure_count=number,
        history=(attempt(number, stderr_tail="loud"),),
    )


def rescued(number: int) -> events.WorktreeRescued:
    return events.WorktreeRescued(
        ref=f"refs/{number}",
        sha="s",
        reason="dirty",
        item_id="i0",
        agent_id=f"agent-0-{number}",
        files=("f",),
    )


def test_a_letter_tells_its_whole_history(tmp_path: Path) -> None:
    """Whether an attempt was buried first or later, ended with a retry that stopped, or was rescued when it was buried."""
    halted = events.DlqItemsReprocessed(count=1, succeeded=0, failed=1)
    story: list[AnyEvent] = [
        selected(0, 1),
        events.ItemsSelected(count=1),
        *tried(1),
        events.DlqItemAdded(
            item_id="i0", index=0, item="x", error_signature="s", history=(attempt(1, stderr_tail="loud"),)
        ),
        rescued(1),
        retry(),
        *tried(2),
        updated(2),
        retry(),
        *tried(3),
        halted,
        rescued(3),
        retry(),
        *tried(4),
        updated(4),
    ]
    state = fold(written(tmp_path, story))
    letter, item = state.dead_letters["i0"], state.items["i0"]
    told = Lookup(tmp_path).history(item)
    assert [one.attempt_number for one in told] == [1, 2, 3, 4]
    assert [one.rescue_ref for one in told] == ["refs/1", None, "refs/3", None]
    assert {one.stderr_tail for one in told} == {"loud"}
    assert letter.failure_count == 4
    assert letter.last_attempt == told[-1].timestamp
    assert (letter.error_class, letter.message) == ("command-failed", "no 4")
    assert item.history == ()
