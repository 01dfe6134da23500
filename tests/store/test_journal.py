"""The journal: what was acknowledged is read back, whatever happens to the rest."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodigy import events
from prodigy.errors import InternalError, RunError
from prodigy.events import AnyEvent, Metadata, Record
from prodigy.store import journal
from prodigy.store.journal import Entry, JournalWriter, StorageFailed, read, segments
from prodigy.store.lines import digest
from prodigy.store.segments import FileSegment, Segment

METADATA = Metadata(host="h", pid=1, boot_id="b")
START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)

Tell = Callable[[Path, list[AnyEvent]], list[Record]]
Story = Callable[..., list[AnyEvent]]


def entry(number: int, text: str = "") -> Entry:
    event = events.ItemSelected(index=number, item_id=f"i{number}", item=text)
    return Entry(event, UUID(int=7), START + timedelta(seconds=number), UUID(int=number))


def batches(sizes: list[int]) -> Iterator[list[Entry]]:
    number = 0
    for size in sizes:
        yield [entry(number + offset) for offset in range(1, size + 1)]
        number += size


def written(folder: Path, sizes: list[int], **options: int) -> list[Record]:
    writer = JournalWriter(folder, METADATA, **options)  # type: ignore[arg-type]
    records = [record for batch in batches(sizes) for record in writer.append(batch)]
    writer.close()
    return records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events" / "repo" / "job"


# -- what is written is read ---------------------------------------------------------------------------------------
sizes_of_groups = st.lists(st.integers(0, 4), min_size=1, max_size=6)


@given(sizes_of_groups, st.integers(100, 2000))
@settings(max_examples=40, deadline=None)
def test_what_was_appended_is_read_back(sizes: list[int], segment_bytes: int) -> None:
    with TemporaryDirectory() as scratch:
        records = written(Path(scratch), sizes, segment_bytes=segment_bytes)
        reader = read(Path(scratch))
        assert list(reader) == records
        assert [record.seq for record in records] == list(range(1, sum(sizes) + 1))
        assert (reader.seq, reader.size) == (len(records), journal.journal_size(Path(scratch)))
        assert reader.damage is None


def test_a_group_is_named_by_its_first_record(folder: Path) -> None:
    assert [record.batch for record in written(folder, [2, 3, 1])] == [1, 1, 3, 3, 3, 6]


def test_only_the_first_record_of_a_writer_says_who_it_is(folder: Path) -> None:
    written(folder, [2, 1])
    JournalWriter.open_existing(read(folder), METADATA).append([entry(4)])
    assert [record.metadata for record in read(folder)] == [METADATA, None, None, METADATA]


def test_the_checksum_is_the_last_field_of_the_line(folder: Path) -> None:
    (record,) = written(folder, [1])
    (path,) = segments(folder)
    assert path.read_bytes().endswith(f',"sum":"{record.sum}"}}\n'.encode())


def test_a_whole_story_comes_back(folder: Path, tell: Tell, story: Story) -> None:
    records = tell(folder, story())
    assert [record.event for record in read(folder)] == story()
    assert list(read(folder)) == records


def test_no_folder_is_no_journal(folder: Path) -> None:
    assert list(read(folder)) == []


def test_undecodable_text_of_others_costs_no_record(folder: Path) -> None:
    """Lone surrogates come from file names and outputs; what is returned is what is on disk."""
    written_records = JournalWriter(folder, METADATA).append([entry(1, "a\udcffb"), entry(2)])
    assert written_records == list(read(folder))
    assert written_records[0].event.item == "a?b"  # type: ignore[union-attr]


def test_what_could_not_be_read_is_not_written(folder: Path) -> None:
    """A wrong type is our mistake; it must show at once and not when the run is taken up again."""
    writer = JournalWriter(folder, METADATA)
    wrong = events.WorkerStarted(worker=1, pid="4711")  # type: ignore[arg-type]
    with pytest.raises(InternalError, match="record-unreadable"):
        writer.append([entry(1), entry(2)._replace(event=wrong)])
    assert segments(folder) == []
    assert [record.seq for record in writer.append([entry(1)])] == [1]


# -- segments ------------------------------------------------------------------------------------------------------
def test_a_group_that_does_not_fit_begins_a_new_segment(folder: Path) -> None:
    records = written(folder, [1, 1, 1], segment_bytes=300)
    assert len(segments(folder)) == 3
    assert list(read(folder)) == records


def test_segments_sort_even_if_the_clock_goes_backwards(folder: Path) -> None:
    writer = JournalWriter(folder, METADATA, segment_bytes=1)
    for number in (3, 1, 2):
        writer.append([entry(number)])
    assert [record.event.index for record in read(folder)] == [3, 1, 2]  # type: ignore[union-attr]


def test_an_empty_segment_is_gone_on_with(folder: Path) -> None:
    """What a crash between making the file and writing to it leaves."""
    records = written(folder, [2])
    (folder / "events-20991231-235959-000.jsonl").touch()
    more = JournalWriter.open_existing(read(folder), METADATA).append([entry(3)])
    assert list(read(folder)) == records + more


# -- torn tails ----------------------------------------------------------------------------------------------------
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.data())
@settings(max_examples=25, deadline=None)
def test_a_journal_cut_anywhere_in_its_last_group_keeps_every_acknowledged_record(
    sizes: list[int], data: st.DataObject
) -> None:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        records = written(folder, sizes)
        (path,) = segments(folder)
        whole = path.read_bytes()
        acknowledged = sum(sizes[:-1])
        start = len(b"".join(whole.splitlines(keepends=True)[:acknowledged]))
        cut = data.draw(st.integers(start, len(whole)))
        path.write_bytes(whole[:cut])
        found = list(read(folder))
        assert len(found) >= acknowledged
        assert found == records[: len(found)]


def test_a_journal_cut_at_every_byte_of_its_tail_can_be_gone_on_with(folder: Path) -> None:
    """The cut tail is kept aside, told of, and what is appended follows the good records."""
    records = written(folder, [1, 2])
    (path,) = segments(folder)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]), len(whole) + 1):
        path.write_bytes(whole[:cut])
        good = next(count for count in (3, 2, 1) if cut >= len(b"".join(lines[:count])))
        torn = whole[len(b"".join(lines[:good])) : cut]
        writer = JournalWriter.open_existing(read(folder), METADATA)
        (more,) = writer.append([entry(9)])
        writer.close()
        assert list(read(folder)) == [*records[:good], more]
        assert (writer.damage is None) == (torn == b"")
        if writer.damage:
            assert writer.damage.number == good + 1
            assert writer.damage.size == len(torn)
            assert writer.damage.kept_at is not None
            assert Path(writer.damage.kept_at).read_bytes() == torn


def test_a_torn_tail_is_left_alone_by_readers(folder: Path) -> None:
    written(folder, [1, 2])
    (path,) = segments(folder)
    torn = path.read_bytes()[:-5]
    path.write_bytes(torn)
    reader = read(folder)
    assert len(list(reader)) == 2
    assert reader.damage is not None
    assert reader.damage.reason == "it is cut off"
    assert path.read_bytes() == torn


def test_good_records_behind_damage_in_the_last_group_go_with_it(folder: Path) -> None:
    """A crash may bring the second page of a write to disk and not the first."""
    written(folder, [1, 3])
    (path,) = segments(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0" * len(lines[1]) + lines[2] + lines[3])
    reader = read(folder)
    assert len(list(reader)) == 1
    assert reader.damage is not None
    assert (reader.damage.number, reader.damage.offset) == (2, len(lines[0]))


def test_what_follows_the_torn_tail_in_later_segments_is_kept_too(folder: Path) -> None:
    records = written(folder, [1])
    (path,) = segments(folder)
    with path.open("ab") as file:
        file.write(b"torn")
    (folder / "events-20991231-235959-000.jsonl").write_bytes(b"garbage")
    writer = JournalWriter.open_existing(read(folder), METADATA)
    assert segments(folder) == [path]
    assert list(read(folder)) == records
    assert writer.damage is not None
    assert Path(str(writer.damage.kept_at)).read_bytes() == b"torngarbage"


# -- corruption ----------------------------------------------------------------------------------------------------
def test_a_corrupt_byte_anywhere_never_gives_a_wrong_record(folder: Path) -> None:
    """Before the last group it is refused with the record's number; in it, it is a torn tail."""
    records = written(folder, [1, 1, 2])
    (path,) = segments(folder)
    whole = path.read_bytes()
    ends = [len(b"".join(whole.splitlines(keepends=True)[:count])) for count in range(1, 5)]
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        damaged = next(number for number, end in enumerate(ends, 1) if place < end)
        reader = read(folder)
        if damaged <= 2:
            with pytest.raises(RunError, match=f"record {damaged}") as caught:
                list(reader)
            assert caught.value.code == "journal-corrupt"
            assert str(path) in str(caught.value.where)
        else:
            assert list(reader) == records[: damaged - 1]
            assert reader.damage is not None
    path.write_bytes(whole)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_missing_line_before_the_last_group_is_corruption(folder: Path, gone: int) -> None:
    written(folder, [1, 1, 1])
    (path,) = segments(folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for number, line in enumerate(lines) if number != gone))
    with pytest.raises(RunError, match="journal-corrupt"):
        list(read(folder))


def test_a_missing_segment_is_corruption(folder: Path) -> None:
    written(folder, [1, 1, 1], segment_bytes=1)
    segments(folder)[1].unlink()
    with pytest.raises(RunError, match="journal-corrupt"):
        list(read(folder))


def test_a_corrupt_journal_is_not_written_to(folder: Path) -> None:
    written(folder, [1, 1, 1])
    (path,) = segments(folder)
    damaged = path.read_bytes().replace(b'"i1"', b'"i9"')
    path.write_bytes(damaged)
    with pytest.raises(RunError, match="journal-corrupt"):
        JournalWriter.open_existing(read(folder), METADATA)
    assert path.read_bytes() == damaged
    assert list(folder.iterdir()) == [path]


# -- newer formats -------------------------------------------------------------------------------------------------
def summed(body: bytes) -> bytes:
    return body + f',"sum":"{digest(body)}"}}\n'.encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":2,"seq":1,"what":"nobody knows"',
        (
            b'{"v":1,"seq":1,"id":"00000000-0000-0000-0000-000000000001","timestamp":"2026-11-22T08:15:01Z",'
            b'"correlation_id":"00000000-0000-0000-0000-000000000007","event":{"event_type":"moon_reached"},"batch":1'
        ),
    ],
)
def test_a_record_of_a_newer_release_is_refused_and_not_called_corrupt(folder: Path, body: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "events-20261122-081500-000.jsonl").write_bytes(summed(body))
    with pytest.raises(RunError, match="journal-newer"):
        list(read(folder))


def test_an_unknown_field_is_ignored(folder: Path) -> None:
    folder.mkdir(parents=True)
    body = (
        b'{"v":1,"seq":1,"id":"00000000-0000-0000-0000-000000000001","timestamp":"2026-11-22T08:15:01Z",'
        b'"correlation_id":"00000000-0000-0000-0000-000000000007",'
        b'"event":{"event_type":"worker_started","worker":1,"pid":2,"colour":"red"},"batch":1,"mood":"good"'
    )
    (folder / "events-20261122-081500-000.jsonl").write_bytes(summed(body))
    (record,) = read(folder)
    assert record.event == events.WorkerStarted(worker=1, pid=2)


# -- storage that fails --------------------------------------------------------------------------------------------
class FullDisk:
    """A segment that takes ``room`` bytes and then is out of space."""

    def __init__(self, path: Path, room: int) -> None:
        self.real = FileSegment(path)
        self.room = room

    def reserve(self, offset: int, size: int) -> None:
        """It promises nothing."""

    def free(self) -> int:
        return 1 << 40

    def write(self, data: bytes) -> None:
        self.real.write(data[: self.room])
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(data)

    def sync(self) -> None:
        self.real.sync()

    def close(self) -> None:
        self.real.close()


class FailingSync(FileSegment):
    """A segment whose second sync fails, once: the kernel forgets such an error after telling it."""

    syncs = 0

    def sync(self) -> None:
        self.syncs += 1
        if self.syncs == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync()


def failing_writer(
    folder: Path, open_segment: Callable[[Path], Segment]
) -> tuple[JournalWriter, list[Record]]:
    writer = JournalWriter(folder, METADATA, open_segment=open_segment)
    return writer, writer.append([entry(1)])


@pytest.mark.parametrize("room", range(360, 900, 45))
def test_a_full_disk_loses_nothing_that_was_acknowledged(folder: Path, room: int) -> None:
    writer, acknowledged = failing_writer(folder, lambda path: FullDisk(path, room))
    with pytest.raises(StorageFailed) as caught:
        writer.append([entry(2), entry(3, "x" * 1000)])
    assert caught.value.code == "storage-full"
    assert list(read(folder))[:1] == acknowledged
    again = JournalWriter.open_existing(read(folder), METADATA)
    again.append([entry(4)])
    assert [record.seq for record in read(folder)] == list(range(1, again.seq + 1))


def test_a_failed_sync_is_never_tried_again(folder: Path) -> None:
    writer, _ = failing_writer(folder, FailingSync)
    with pytest.raises(StorageFailed) as caught:
        writer.append([entry(2)])
    assert caught.value.code == "storage-denied"
    with pytest.raises(StorageFailed):
        writer.append([entry(3)])
    assert writer.seq == 1


def test_a_full_device(folder: Path) -> None:
    writer = JournalWriter(folder, METADATA, open_segment=lambda _: FileSegment(Path("/dev/full")))
    with pytest.raises(StorageFailed, match="storage-full"):
        writer.append([entry(1)])


class SmallDisk(FileSegment):
    """A segment on a disk with so many bytes left, of which reserved ones are taken away."""

    left = 100_000
    had = 0

    def reserve(self, offset: int, size: int) -> None:
        more = offset + size - SmallDisk.had
        if more > SmallDisk.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        SmallDisk.left -= more
        SmallDisk.had = offset + size

    def free(self) -> int:
        return SmallDisk.left


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> type[SmallDisk]:
    monkeypatch.setattr(SmallDisk, "left", 3_000_000)
    monkeypatch.setattr(SmallDisk, "had", 0)
    return SmallDisk


def test_a_disk_that_others_fill_refuses_one_group_and_keeps_room_for_more(
    folder: Path, small_disk: type[SmallDisk]
) -> None:
    """Nothing of the refused group is written; a new segment would have no room of its own, so none is begun."""
    writer = JournalWriter(
        folder, METADATA, reserve_bytes=100_000, segment_bytes=50_000, open_segment=small_disk
    )
    acknowledged = writer.append([entry(1)])
    small_disk.left = 0
    with pytest.raises(StorageFailed, match="storage-full"):
        writer.append([entry(2)])
    assert writer.low
    assert list(read(folder)) == acknowledged
    acknowledged += writer.append([entry(3, "x" * 90_000)])
    acknowledged += writer.append([entry(4)])
    assert list(read(folder)) == acknowledged
    assert len(segments(folder)) == 1


def test_a_disk_that_is_full_at_the_start_is_not_begun_on(folder: Path, small_disk: type[SmallDisk]) -> None:
    small_disk.left = 50_000
    writer = JournalWriter(folder, METADATA, reserve_bytes=100_000, open_segment=small_disk)
    for _ in range(2):
        with pytest.raises(StorageFailed, match="storage-full"):
            writer.append([entry(1)])
    assert not writer.low


def test_what_is_reserved_is_the_journals_own_and_given_back(folder: Path) -> None:
    """It shows in the blocks of the file, not in its length."""
    writer = JournalWriter(folder, METADATA, reserve_bytes=1 << 20)
    writer.append([entry(1)])
    (path,) = segments(folder)
    assert path.stat().st_blocks * 512 > 1 << 20
    assert path.stat().st_size < 1000
    writer.close()
    assert path.stat().st_blocks * 512 < 1 << 16


# -- privacy -------------------------------------------------------------------------------------------------------
def test_a_journal_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written(tmp_path / "home" / "events" / "job", [1])
    finally:
        os.umask(before)
    for path in (tmp_path / "home").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
