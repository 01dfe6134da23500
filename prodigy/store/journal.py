"""The journal of a run: an append-only file of records, and the only truth about it.

A job's folder holds segments ``events-{stamp}.jsonl``, whose names sort in the order of writing. A record is one line
of JSON whose last field, ``sum``, is the checksum of all before it. Records are written in groups: one write, one
``fdatasync``, and only then does anyone rely on them.

- A damaged record is a *torn tail* if all good records behind it belong to its own group or none follow: that group was
  never acknowledged. Readers stop before it and tell; the writer moves it aside. Any other damage is ``journal-corrupt``
  and nothing is written.
- After a failed write or sync nobody knows what is on disk, so the writer refuses from then on; nothing is tried again.
- Room is reserved ahead of what is written. When the disk has no more of it, one group is refused before anything of it
  is written; the writer is then *low*, and what is left of its room is for what cannot be left unrecorded.
- Every format that was ever released stays readable; a newer one is refused, never guessed at.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.events import FORMAT, AnyEvent, Metadata, Record
from prodigy.store.atomic import names_in, private_folder, storage_code, sync_folder, write_file
from prodigy.store.lines import Damaged, end_of_line, group_of, line_of, number_of, record_of
from prodigy.store.segments import FileSegment, Segment

SEGMENT_BYTES = 256 * 1024 * 1024
"""A new segment is begun before a group that would make the present one larger."""
RESERVE_BYTES = 8 * 1024 * 1024
"""Room in the journal for the outcomes of what is under way when the disk is full; a disk that has not as much again
for everybody else is full."""
_STRIDE = 1024 * 1024
"""Bytes that are reserved at a time beyond that."""

_CHUNK = 1 << 20
_BACKWARDS = 4096
_ENDS_OF_A_LINE = 2
_STAMP = "%Y%m%d-%H%M%S"


class Entry(NamedTuple):
    """What the writer is given; it adds the number, the group and the checksum."""

    event: AnyEvent
    correlation_id: UUID
    timestamp: datetime
    id: UUID


class JournalDamage(Struct, frozen=True, kw_only=True):
    """A torn tail: from ``offset`` of ``segment`` on, where record ``number`` should be; bytes and why."""

    segment: str
    number: int
    offset: int
    size: int
    reason: str
    kept_at: str | None = None
    """Where the writer put the bytes that it cut."""
    sha256: str | None = None


class StorageFailed(RunError):  # named like the events: what happened
    """The journal could not be written; nothing after the last acknowledged group counts."""


class Position(NamedTuple):
    """Where a record ends: its number, bytes of all segments up to there, its checksum."""

    seq: int = 0
    size: int = 0
    sum: str = ""


# -- reading -------------------------------------------------------------------------------------------------------
class Line(NamedTuple):
    """One line, where it begins, and whether its newline is there."""

    path: Path
    offset: int
    text: bytes
    whole: bool


_BEGINNING = Position()


class JournalReader:
    """The records of a journal behind ``start``, in order, read as they are asked for.

    After the last record, ``position`` says how far the good part reaches, and ``damage`` whether a torn tail follows
    it. A journal that is being written ends, for a reader, with the last whole record
    that it happens to see.

    Raises, while iterating:
        RunError: ``journal-corrupt`` or ``journal-newer``, with file and record number.
    """

    def __init__(self, folder: Path, start: Position = _BEGINNING) -> None:
        self.folder = folder
        self.position = start
        self.ended = False
        self.damage: JournalDamage | None = None
        self._start = start

    def __iter__(self) -> Iterator[Record]:
        self.position = self._start
        self.ended = False
        self.damage = None
        lines = _lines(segments(self.folder), self._start.size)
        for line in lines:
            try:
                record = self._good(line)
            except Damaged as damaged:
                self._judge(line, lines, str(damaged))
                break
            except RunError as error:
                error.where = f"{line.path}: record {self.seq + 1}"
                raise
            self.position = Position(record.seq, self.size + len(line.text) + 1, record.sum)
            yield record
        self.ended = True

    @property
    def seq(self) -> int:
        """The number of the last good record."""
        return self.position.seq

    @property
    def size(self) -> int:
        """Bytes of all segments up to its end."""
        return self.position.size

    def current(self) -> bool:
        """Whether the journal ends where it was read to, as far as its size and its last record's checksum tell."""
        whole = self.ended and self.damage is None
        return whole and journal_size(self.folder) == self.size and ends_with(self.folder, self.position)

    def _good(self, line: Line) -> Record:
        if not line.whole:
            raise Damaged("it is cut off")
        return record_of(line.text, self.seq + 1)

    def _judge(self, bad: Line, rest: Iterable[Line], reason: str) -> None:
        """Torn tail or corruption: a good record of a later group proves that the missing one was acknowledged."""
        number = self.seq + 1
        size = 0
        for line in chain([bad], rest):
            size += len(line.text) + line.whole
            if line.whole and group_of(line.text) > number:
                raise _corrupt(bad.path, number, reason)
        self.damage = JournalDamage(
            segment=bad.path.name, number=number, offset=bad.offset, size=size, reason=reason
        )


def read(folder: Path) -> JournalReader:
    """The records of the journal in ``folder``; none if there is no journal."""
    return JournalReader(folder)


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, oldest first."""
    return [folder / name for name in sorted(names_in(folder, "events-", ".jsonl"))]


def journal_size(folder: Path) -> int:
    """Bytes in all segments of a journal."""
    return end_of(folder).size


def last_seq(folder: Path) -> int | None:
    """The number that the last line claims, without reading the others; ``None`` if there is no such line."""
    return end_of(folder).seq()


class End(NamedTuple):
    """Where a journal ends: the bytes in all its segments, and the last of these that has any."""

    size: int
    last: Path | None

    def seq(self) -> int | None:
        """The number that the last line claims; ``None`` if there is no such line."""
        return None if self.last is None else number_of(_last_line(self.last))


def end_of(folder: Path) -> End:
    """Where a journal ends, found without reading it."""
    sizes = [(path, path.stat().st_size) for path in segments(folder)]
    last = next((path for path, size in reversed(sizes) if size), None)
    return End(sum(size for _, size in sizes), last)


def _last_line(path: Path) -> bytes:
    """The last line of a file; empty if it is cut off."""
    tail = b""
    with path.open("rb") as file:
        place = file.seek(0, os.SEEK_END)
        while place and tail.count(b"\n") < _ENDS_OF_A_LINE:
            step = min(_BACKWARDS, place)
            place = file.seek(place - step)
            tail = file.read(step) + tail
    *_, line, rest = (b"\n" + tail).rsplit(b"\n", 2)
    return b"" if rest else line


def ends_with(folder: Path, position: Position) -> bool:
    """Whether a record ends at ``position``, as far as its checksum tells."""
    expected = end_of_line(position.sum)
    left = position.size
    for path in segments(folder):
        if left <= (size := path.stat().st_size):
            with path.open("rb") as file:
                file.seek(max(0, left - len(expected)))
                return file.read(len(expected)) == expected
        left -= size
    return False


def _lines(paths: Iterable[Path], skipped: int = 0) -> Iterator[Line]:
    """The lines behind the first ``skipped`` bytes, which end with a line."""
    for path in paths:
        offset, rest = 0, b""
        with path.open("rb") as file:
            if skipped:
                offset = file.seek(min(skipped, path.stat().st_size))
                skipped -= offset
            while chunk := file.read(_CHUNK):
                *whole, rest = (rest + chunk).split(b"\n")
                for text in whole:
                    yield Line(path, offset, text, whole=True)
                    offset += len(text) + 1
        if rest:
            yield Line(path, offset, rest, whole=False)


def _corrupt(path: Path, number: int, reason: str) -> RunError:
    return RunError(
        "journal-corrupt",
        f"Record {number} of the journal is damaged: {reason}",
        where=f"{path}: record {number}",
        note="acknowledged records follow it, so it can't be left out; nothing was changed",
        hint="restore the file from a copy; the records before it are good",
    )


# -- writing -------------------------------------------------------------------------------------------------------
class JournalWriter:
    """The one who appends to a journal; its caller holds the job's lock.

    Args:
        folder: the job's folder.
        metadata: who writes; goes into this writer's first record.
        seq: the number of the last record that is there.
        size: bytes of all segments together.
        segment: the segment to go on with.
        segment_bytes: how large a segment may become.
        reserve_bytes: how much room is kept behind what is written.
        open_segment: opens a file for appending.

    Attributes:
        low: whether the disk is full, and only what was reserved is left.
    """

    def __init__(
        self,
        folder: Path,
        metadata: Metadata,
        *,
        seq: int = 0,
        size: int = 0,
        segment: Path | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        open_segment: Callable[[Path], Segment] = FileSegment,
    ) -> None:
        self.folder = private_folder(folder)
        self.seq = seq
        self.size = size
        self.damage: JournalDamage | None = None
        self._metadata: Metadata | None = metadata
        self._path = segment
        self._segment_size = segment.stat().st_size if segment else 0
        self._segment_bytes = segment_bytes
        self.low = False
        self._reserve_bytes = reserve_bytes
        self._room = 0
        self._open_segment = open_segment
        self._segment: Segment | None = None
        self._failure: StorageFailed | None = None

    @classmethod
    def open_existing(
        cls,
        reader: JournalReader,
        metadata: Metadata,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        open_segment: Callable[[Path], Segment] = FileSegment,
    ) -> Self:
        """Go on where ``reader`` found the last good record; it is read to its end if it was not yet.

        A torn tail is moved aside first; ``damage`` of the writer then says where it is kept.
        """
        if not reader.ended:
            deque(reader, maxlen=0)
        damage = _cut(reader.folder, reader.damage) if reader.damage else None
        found = segments(reader.folder)
        writer = cls(
            reader.folder,
            metadata,
            seq=reader.seq,
            size=reader.size,
            segment=found[-1] if found else None,
            segment_bytes=segment_bytes,
            reserve_bytes=reserve_bytes,
            open_segment=open_segment,
        )
        writer.damage = damage
        return writer

    def append(self, batch: Sequence[Entry]) -> list[Record]:
        """Write ``batch`` as one group; when this returns, it is on disk.

        Raises:
            StorageFailed: none of the group counts, and nothing can be appended any more; unless the writer became
                ``low`` by it, and then what matters most still can.
            InternalError: ``record-unreadable``: nothing of the group was written.
        """
        if self._failure is not None:
            raise self._failure
        lines, records = self._numbered(batch)
        if not records:
            return []
        data = b"".join(lines)
        try:
            segment = self._segment_for(len(data), records[0].timestamp)
            self._make_room(segment, len(data))
            segment.write(data)
            segment.sync()
        except OSError as error:
            self._failure = self._failed(error)
            raise self._failure from error
        self.seq = records[-1].seq
        self.size += len(data)
        self._segment_size += len(data)
        self._metadata = None
        return records

    def close(self) -> None:
        """Close the file; everything acknowledged is on disk already."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _numbered(self, batch: Sequence[Entry]) -> tuple[list[bytes], list[Record]]:
        first = self.seq + 1
        lines, records = [], []
        for seq, entry in enumerate(batch, first):
            line, record = line_of(
                Record(
                    v=FORMAT,
                    seq=seq,
                    id=entry.id,
                    timestamp=entry.timestamp,
                    correlation_id=entry.correlation_id,
                    event=entry.event,
                    metadata=self._metadata if seq == first else None,
                    batch=first,
                )
            )
            lines.append(line)
            records.append(record)
        return lines, records

    def _segment_for(self, size: int, now: datetime) -> Segment:
        # a new segment would leave behind what is reserved in this one
        full = self._segment_size > 0 and self._segment_size + size > self._segment_bytes and not self.low
        if self._path is None or full:
            self.close()
            self._path = self.folder / f"events-{_next_stamp(self._path, now)}.jsonl"
            self._segment_size = 0
        if self._segment is None:
            self._segment = self._open_segment(self._path)
            self._room = 0
        return self._segment

    def _make_room(self, segment: Segment, size: int) -> None:
        """Reserve what is about to be written, and what is always kept behind it.

        Raises:
            StorageFailed: the disk has no room for both; the writer is low from now on.
        """
        if self.low:
            return
        end, room = self._segment_size + size + self._reserve_bytes, self._room
        try:
            if end > self._room:
                segment.reserve(self._segment_size, end + _STRIDE - self._segment_size)
                room = end + _STRIDE
            if segment.free() < self._reserve_bytes:
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        except OSError as error:
            if self._room == 0 or storage_code(error) != "storage-full":
                raise
            self.low = True
            raise self._failed(error) from error
        self._room = room

    def _failed(self, error: OSError) -> StorageFailed:
        return StorageFailed(
            storage_code(error),
            f"Could not write the journal: {error.strerror or error}",
            where=str(self._path),
            note=f"everything up to record {self.seq} is on disk",
        )


def _next_stamp(previous: Path | None, now: datetime) -> str:
    """UTC to the millisecond, later than the segment before whatever the clock says."""
    stamp = _stamp(now)
    if previous is None:
        return stamp
    last = previous.stem.removeprefix("events-")
    if stamp > last:
        return stamp
    day, second, millisecond = last.split("-")
    before = datetime.strptime(f"{day}-{second}", _STAMP).replace(tzinfo=UTC)
    return _stamp(before + timedelta(milliseconds=int(millisecond) + 1))


def _stamp(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:{_STAMP}}-{moment.microsecond // 1000:03d}"


def _cut(folder: Path, damage: JournalDamage) -> JournalDamage:
    """Move everything from the damage on aside, on disk first, and say where it is kept."""
    from hashlib import sha256  # only where something is wrong

    path = folder / damage.segment
    after = [later for later in segments(folder) if later.name > damage.segment]
    with path.open("rb") as file:
        file.seek(damage.offset)
        torn = file.read() + b"".join(later.read_bytes() for later in after)
    kept = folder / f"torn-{damage.number}-{sha256(torn).hexdigest()[:8]}.jsonl"
    write_file(kept, torn)
    try:
        for later in reversed(after):
            with crash_point("journal.drop"):
                later.unlink()
        _shorten(path, damage.offset)
        sync_folder(folder)
    except OSError as error:
        raise StorageFailed(
            storage_code(error), f"Could not repair the journal: {error.strerror or error}", where=str(path)
        ) from error
    return replace(damage, kept_at=str(kept), sha256=sha256(torn).hexdigest())


def _shorten(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        with crash_point("journal.cut"):
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
