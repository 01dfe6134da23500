"""Bringing to disk what other programs wrote, git among them: few of them see to that themselves.

Rules: nobody knows which files those were, so it is whole file systems. What a record or a ref relies on has been brought
to disk before it is written. Who asks while that is under way shares the next turn with all others that do.
"""

import errno
import os
from pathlib import Path

import trio

from prodigy.crash_points import crash_point
from prodigy.errors import RunError

_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
"""What a kernel says that cannot flush one file system; then it is all of them."""


class Disks:
    """The file systems of this machine, by any of their folders."""

    def __init__(self) -> None:
        self._turns: dict[int, _Turn] = {}

    async def flush(self, *places: str) -> None:
        """Return when all that was written before to the file systems of ``places`` is on disk.

        Raises:
            RunError: ``not-writable``: a disk does not take it, or a place is gone.
        """
        try:
            devices = {Path(place).stat().st_dev: place for place in places}
            for device, place in devices.items():
                await self._turns.setdefault(device, _Turn()).share(place)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                "not-writable",
                f"what was written could not be brought to disk: {reason}",
                where=error.filename,
            ) from error


class _Turn:
    """Flushes of one file system, one after the other."""

    def __init__(self) -> None:
        self._lock = trio.Lock()
        self._begun = self._done = 0

    async def share(self, place: str) -> None:
        """Return when one that began after now has ended."""
        wanted = self._begun + 1
        async with self._lock:
            if self._done >= wanted:
                return
            self._begun = number = self._begun + 1
            await trio.to_thread.run_sync(_flush, place, abandon_on_cancel=True)
            self._done = number


def _flush(place: str) -> None:
    import ctypes  # Python has no call for it

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with crash_point("disk.flush"):
            if libc.syncfs(ctypes.c_int(descriptor)) != 0:
                number = ctypes.get_errno()
                if number not in _UNKNOWN:
                    raise OSError(number, os.strerror(number), place)
                os.sync()
    finally:
        os.close(descriptor)
