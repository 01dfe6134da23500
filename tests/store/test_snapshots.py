"""Snapshots: folding from one is folding everything, and whatever is wrong with one, it is as if it were not there."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import msgspec.inspect
import pytest
from faulty_disk import SURVIVALS, Fault, FaultyDisk, Survival
from hypothesis import given, settings
from hypothesis import strategies as st
from map_stages import Stage, failing

from prodigy.errors import ProdigyError
from prodigy.events import AnyEvent, Record
from prodigy.ids import JobId
from prodigy.job.fold import apply, fold
from prodigy.job.policy import Rules
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.atomic import write_parts
from prodigy.store.journal import Position, read, segments
from prodigy.store.snapshot_lines import Unusable, content_of, snapshot_in, state_of
from prodigy.store.snapshots import faults, folded, opened, renewed, save, snapshots

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
GOLDEN = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())

Tell = Callable[[Path, list[AnyEvent]], list[Record]]
Story = Callable[..., list[AnyEvent]]


@pytest.fixture
def records(layout: Layout, job: JobId, tell: Tell, story: Story) -> list[Record]:
    """A journal without snapshots."""
    return tell(layout.journal(job), story())


def keep(layout: Layout, job: JobId, seq: int) -> Path:
    """A snapshot after record ``seq``."""
    state, size = JobState(), 0
    lines = b"".join(path.read_bytes() for path in segments(layout.journal(job))).splitlines(keepends=True)
    for record, line in zip(read(layout.journal(job)), lines, strict=False):
        if record.seq <= seq:
            apply(state, record)
            size += len(line)
            position = Position(seq, size, record.sum)
    return save(layout, job, seq, content_of(state, job, position, NOW))


# -- folding from a snapshot is folding everything -----------------------------------------------------------------
@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_folding_from_a_copy_after_any_record_is_folding_everything(
    folder: Path, data: st.DataObject
) -> None:
    """With every type of event, and however often the copy is copied."""
    every = list(read(folder))
    places = data.draw(st.lists(st.integers(1, len(every)), min_size=1, max_size=3).map(sorted))
    state, done = JobState(), 0
    for place in places:
        fold(every[done:place], state)
        state = state_of(content_of(state, JobId("j"), Position(place, 1, "0" * 16), NOW))
        done = place
    assert fold(every[done:], state) == fold(every)


def test_a_run_is_read_from_its_newest_snapshot_on(layout: Layout, job: JobId, records: list[Record]) -> None:
    for seq in range(1, len(records) + 1):
        keep(layout, job, seq)
        found = opened(layout, job)
        assert found.state == fold(records)
        assert found.notes == ()
        assert (found.reader.seq, found.reader.size) == (len(records), len(journal(layout, job)))
    (path,) = segments(layout.journal(job))
    whole = path.read_bytes()
    path.write_bytes(b"#" + whole[1:])
    assert opened(layout, job).state == fold(records), "what is before the snapshot is not read again"


def test_what_was_read_before_is_not_read_again_unless_the_journal_has_grown(
    layout: Layout, job: JobId, records: list[Record]
) -> None:
    (path,) = segments(layout.journal(job))
    *lines, last = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines))
    found = opened(layout, job)
    assert renewed(found, layout, job) is found
    path.write_bytes(b"".join([*lines, last]))
    assert renewed(found, layout, job).state == fold(records)
    torn = opened(layout, job)
    path.write_bytes(b"".join([*lines, last[:-3]]))
    again = renewed(torn, layout, job)
    assert again.state == fold(records[:-1])
    assert renewed(again, layout, job) is not again, "a torn tail is looked at once more"


def journal(layout: Layout, job: JobId) -> bytes:
    return b"".join(path.read_bytes() for path in segments(layout.journal(job)))


def test_a_large_state_is_written_and_read_in_pieces() -> None:
    """However many items there are, no piece holds more than some of them."""
    count = 1200
    state = Stage(Rules(), count, failing(*(f"i{number}" for number in range(0, count, 2)))).play().state
    content = content_of(state, JobId("j"), Position(1, 1, "0" * 16), NOW)
    lines = list(content)
    assert max(line.count(b'"index":') for line in lines) == 500
    assert sum(line.count(b'"index":') for line in lines) == count + count // 2
    assert state_of(content) == state
    for missing in range(len(lines)):
        with pytest.raises(Unusable):
            state_of(lines[:missing] + lines[missing + 1 :])


def test_the_newest_two_are_kept(layout: Layout, job: JobId, records: list[Record]) -> None:
    del records
    for seq in (3, 9, 10):
        keep(layout, job, seq)
    assert [path.name for path in snapshots(layout, job)] == ["checkpoint-10.json", "checkpoint-9.json"]


# -- what is wrong is left out ---------------------------------------------------------------------------------------
Change = Callable[[bytes], bytes]
WRONG: dict[str, Change] = {
    "empty": lambda _: b"",
    "cut off": lambda whole: whole[:-30],
    "a byte of the state": lambda whole: whole.replace(b'"status":"running"', b'"status":"runninh"', 1),
    "another format": lambda whole: whole.replace(b'"v":4', b'"v":5', 1),
    "another release": lambda whole: whole.replace(b'"prodigy_version":"', b'"prodigy_version":"9', 1),
    "other rules": lambda whole: whole.replace(b'"rules":"', b'"rules":"f', 1),
    "another record": lambda whole: whole.replace(b'"sum":"', b'"sum":"f', 1),
    "another place": lambda whole: whole.replace(b'"size":', b'"size":1', 1),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_wrong_snapshot_is_noted_and_an_older_one_used(
    layout: Layout, job: JobId, records: list[Record], change: Change
) -> None:
    older, newer = keep(layout, job, 6), keep(layout, job, 9)
    newer.write_bytes(change(newer.read_bytes()))
    found = opened(layout, job)
    assert found.state == fold(records)
    assert [note.partition(" ")[0] for note in found.notes] == [str(newer)]
    older.write_bytes(change(older.read_bytes()))
    assert len(opened(layout, job).notes) == 2
    assert opened(layout, job).state == fold(records)


def test_a_snapshot_of_more_than_the_journal_has_is_not_used(
    layout: Layout, job: JobId, records: list[Record]
) -> None:
    """Such as after a copy of an older journal was put back."""
    path = keep(layout, job, len(records))
    (segment,) = segments(layout.journal(job))
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:-2]))
    assert opened(layout, job).state == fold(records[:-2])
    assert list(faults(layout, job)) == [(path, "the journal has no record that it could be of")]


# -- validating ------------------------------------------------------------------------------------------------------
def test_what_is_right_has_no_fault(layout: Layout, job: JobId, records: list[Record]) -> None:
    del records
    keep(layout, job, 4)
    keep(layout, job, 9)
    assert list(faults(layout, job)) == []


def test_a_snapshot_that_is_not_what_the_records_say_is_found(
    layout: Layout, job: JobId, records: list[Record]
) -> None:
    path = keep(layout, job, 9)
    snapshot = snapshot_in(path)
    other = fold(records[:8])
    write_parts(path, content_of(other, job, Position(9, snapshot.size, snapshot.sum), NOW))
    assert list(faults(layout, job)) == [(path, "it is not what the records say")]


def test_damage_before_a_snapshot_is_found(layout: Layout, job: JobId, records: list[Record]) -> None:
    del records
    keep(layout, job, 9)
    (segment,) = segments(layout.journal(job))
    segment.write_bytes(b"#" + segment.read_bytes()[1:])
    (place, fault), *_ = faults(layout, job)
    assert place is None
    assert "Record 1 of the journal is damaged" in fault


# -- disks that fail -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", get_args(Fault))
@pytest.mark.parametrize("survival", SURVIVALS)
def test_whatever_call_fails_the_state_is_the_same(
    layout: Layout, job: JobId, records: list[Record], fault: Fault, survival: Survival
) -> None:
    keep(layout, job, 4)
    keep(layout, job, 6)
    for at in range(100):
        disk = FaultyDisk(layout.state(job), fault, at)
        with disk.failing():
            try:
                keep(layout, job, 7 + at % 3)
            except ProdigyError as error:
                assert error.code in {"storage-full", "storage-denied"}  # noqa: PT017 - it may also work
        disk.lose_power(survival)
        assert folded(layout, job).state == fold(records)
        assert folded(layout, job).notes == ()
        if not disk.reached:
            return
    raise AssertionError


def test_an_unusable_snapshot_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        snapshot_in(tmp_path / "checkpoint-1.json")


def test_whatever_a_state_may_hold_can_be_written() -> None:
    """JSON has no other keys than texts; a state with others is found out only when it has some."""
    mappings = [
        part
        for part in parts(msgspec.inspect.type_info(JobState))
        if isinstance(part, msgspec.inspect.DictType)
    ]
    assert mappings
    for mapping in mappings:
        assert isinstance(
            mapping.key_type, msgspec.inspect.StrType | msgspec.inspect.IntType | msgspec.inspect.LiteralType
        ), mapping


def parts(whole: Any) -> list[Any]:
    """A type and all that it is made of."""
    found: list[Any] = []
    todo = [whole]
    while todo:
        part = todo.pop()
        if any(part is known for known in found):
            continue
        found.append(part)
        inner = [getattr(part, name) for name in getattr(part, "__struct_fields__", ())]
        for each in inner:
            todo += [
                one
                for one in (each if isinstance(each, tuple) else (each,))
                if isinstance(one, msgspec.Struct)
            ]
    return found
