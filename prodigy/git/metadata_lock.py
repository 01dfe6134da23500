"""One change of a repository's shared metadata at a time, over all tasks and all processes.

Rules: tasks of this process queue first, in order; the head of the queue takes the operating system's lock on the
file, which vanishes with the process that holds it. Waiting never blocks the event loop and can be cancelled.
"""

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from prodigy.crash_points import crash_point

_CLOSED = -1


class MetadataLock:
    """An asynchronous context manager factory: ``async with lock.held(): …``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue = trio.Lock()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock for the block."""
        async with self._queue:
            file = _LockFile(self._path)
            if not file.try_lock():
                # A cancelled wait leaves the thread behind with `file`: whoever drops it last closes it, and with
                # the descriptor goes the lock. Closing it here would hand its number to somebody else meanwhile.
                await trio.to_thread.run_sync(file.lock, abandon_on_cancel=True)
            try:
                yield
            finally:
                file.close()


class _LockFile:
    """A descriptor that closes itself when nobody refers to it any more."""

    _descriptor = _CLOSED

    def __init__(self, path: Path) -> None:
        with crash_point("metadata-lock.make"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def try_lock(self) -> bool:
        try:
            with crash_point("metadata-lock.try"):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(self) -> None:
        with crash_point("metadata-lock.wait"):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)

    __del__ = close
