"""Single records of a journal, by their numbers; what a state does not hold is read here.

Numbers grow by one from line to line, so a record is found by halving. Nothing is kept but the piece of a segment that was
read last: who asks for many asks for them in order.
"""

from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from prodigy.errors import RunError
from prodigy.events import Attempt, Record
from prodigy.job.letters import history
from prodigy.job.state import ItemState
from prodigy.store.journal import segments
from prodigy.store.lines import Damaged, number_of, record_of

_PIECE: Final = 256 * 1024
"""Bytes that are read at once, and not halved any more."""


class _Piece(NamedTuple):
    """Lines that follow each other; the first of them is the record ``first``."""

    path: Path
    first: int
    lines: list[bytes]


class Lookup:
    """Reads records of the journal in ``folder``, which may be growing.

    Raises, whatever is asked for:
        RunError: ``journal-corrupt``: it has no such record, or that is damaged; ``journal-newer``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._piece = _Piece(folder, 0, [])

    def record(self, seq: int) -> Record:
        """The record with that number."""
        piece = self._piece
        if not piece.first <= seq < piece.first + len(piece.lines):
            piece = self._piece = self._piece_with(seq)
        try:
            return record_of(piece.lines[seq - piece.first], seq)
        except (IndexError, Damaged) as damaged:
            where = f"{piece.path}: record {seq}"
            raise RunError(
                "journal-corrupt", f"Record {seq} of the journal is damaged: {damaged}", where=where
            ) from None
        except RunError as error:
            error.where = f"{piece.path}: record {seq}"
            raise

    def history(self, item: ItemState) -> list[Attempt]:
        """The failed attempts of an item that its dead letter queue was told of, oldest first."""
        return history(part if isinstance(part, Attempt) else self.record(part).event for part in item.told)

    def _piece_with(self, seq: int) -> _Piece:
        for path in reversed(segments(self._folder)):
            with path.open("rb") as file:
                first = number_of(file.readline())
                if first is not None and first <= seq:
                    return _halved(path, file, seq, first)
        return _Piece(self._folder, seq, [])


def _halved(path: Path, file: BinaryIO, seq: int, first: int) -> _Piece:
    """Lines among which the record ``seq`` is, of a segment that begins with the record ``first``."""
    low, high = 0, path.stat().st_size
    while high - low > _PIECE:
        file.seek((low + high) // 2)
        file.readline()
        place = file.tell()
        number = number_of(file.readline())
        if number is None or place >= high:  # one long line, or what is left of one
            break
        if number > seq:
            high = place
        else:
            low, first = place, number
    file.seek(low)
    return _Piece(path, first, file.read(high - low).split(b"\n")[:-1])
