"""A shelf for the rows of a state: a file of this process alone, which has no name and is gone with it.

What comes last stays in memory until it is worth a write. The file is made with the first of these, so that small runs have
none. Where the disk refuses, what could not be written stays in memory for good, and nothing more is taken.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import finalize

from prodigy.errors import MachineError
from prodigy.job.state import JobState, item_rows, letter_rows

_PIECE: Final = 256 * 1024
"""Bytes that are written at a time."""


class FileShelf:
    """A shelf on disk.

    Args:
        folder: on the file system that is to hold it; the one for temporary files holds it otherwise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._written = 0
        self._fresh = bytearray()
        self._refused = False

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._written + len(self._fresh)

    def lay(self, data: bytes) -> int | None:
        """The place where ``data`` lies from now on; ``None``: the disk refused."""
        if self._refused:
            return None
        place = self.size
        self._fresh += data
        if len(self._fresh) >= _PIECE:
            self._write()
        return place

    def lay_over(self, place: int, data: bytes) -> bool:
        """Put ``data`` in the place of as many bytes; whether that could be done."""
        if place >= self._written:
            start = place - self._written
            self._fresh[start : start + len(data)] = data
            return True
        return self._put(data, place)

    def take(self, place: int, size: int) -> bytes:
        """What lies there.

        Raises:
            MachineError: ``storage-denied``: it cannot be read any more.
        """
        if place >= self._written:
            start = place - self._written
            return bytes(self._fresh[start : start + size])
        assert self._file is not None, "it was written"
        try:
            data = os.pread(self._file, size, place)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        if len(data) < size:
            raise self._unreadable("it is too short")
        return data

    def _write(self) -> None:
        if self._put(self._fresh, self._written):
            self._written += len(self._fresh)
            self._fresh = bytearray()
        else:
            self._refused = True

    def _put(self, data: bytes | bytearray, place: int) -> bool:
        try:
            if self._file is None:
                self._file = _unnamed(self._folder)
                finalize(self, os.close, self._file)
            view = memoryview(data)
            while view:
                done = os.pwrite(self._file, view, place)
                view, place = view[done:], place + done
        except OSError:
            return False
        return True

    def _unreadable(self, why: str) -> MachineError:
        return MachineError(
            "storage-denied",
            f"Could not read back what was put aside: {why}",
            where=str(self._folder),
            hint="the journal has all of it: go on with the run",
        )


def blank(folder: Path) -> JobState:
    """The state before the first record, whose rows will lie on shelves on the file system of ``folder``."""
    return JobState(
        items=item_rows(shelf=FileShelf(folder)), dead_letters=letter_rows(shelf=FileShelf(folder))
    )


def _unnamed(folder: Path) -> int:
    """A file without a name, open for reading and writing."""
    from tempfile import TemporaryFile  # small runs need none of it

    for place in (folder, None):
        with suppress(OSError), TemporaryFile(dir=place) as file:
            return os.dup(file.fileno())
    raise OSError("no file system takes a temporary file")
