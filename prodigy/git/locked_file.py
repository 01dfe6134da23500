"""Replacing one of git's files under git's own lock: a file beside it, named ``….lock``, that only one can make.

Rules: the lock is the next content, and gone as soon as it stands in the place of the old. From then on a file of its
name is somebody else's, and nobody but its maker removes it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prodigy.crash_points import crash_point


class Replacement:
    """What a file is to hold next. Its maker has the file's lock until it is put in its place, or given up.

    Args:
        file: that is replaced.
        lock: of it, made by us.
        descriptor: of the lock, open for writing.
    """

    def __init__(self, file: Path, lock: Path, descriptor: int) -> None:
        self._file = file
        self._lock = lock
        self._descriptor = descriptor
        self.in_place = False

    def write(self, content: bytes) -> None:
        """Write all of it, and see it on disk."""
        with os.fdopen(self._descriptor, "wb", closefd=False) as opened:
            opened.write(content)
        with crash_point("git-file.sync"):
            os.fsync(self._descriptor)

    def take_permissions(self) -> None:
        """Give it those of the file, if there is one."""
        if self._file.exists():
            shutil.copymode(self._file, self._lock)

    def put(self) -> None:
        """Put it in its place."""
        with crash_point("git-file.replace"):
            self._lock.replace(self._file)
        self.in_place = True


@contextmanager
def locked(file: Path) -> Iterator[Replacement]:
    """A replacement of ``file``; if it was not put in its place at the end of the block, nothing has changed.

    Raises:
        FileExistsError: somebody holds the lock.
        OSError: it cannot be made, written or put in its place.
    """
    lock = file.with_name(f"{file.name}.lock")
    with crash_point("git-file.lock"):
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    replacement = Replacement(file, lock, descriptor)
    try:
        yield replacement
    finally:
        os.close(descriptor)
        if not replacement.in_place:
            with crash_point("git-file.unlock"):
                lock.unlink(missing_ok=True)
