"""One file of a journal, as its writer uses it: appended to, brought to disk, with room kept free behind its end.

The room belongs to the file: whatever else fills the disk cannot take it, and it shows in no length. A file system that
keeps none is written to without.
"""

import os
from contextlib import suppress
from errno import EINVAL, ENODEV, ENOSYS, EOPNOTSUPP
from pathlib import Path
from typing import Final, Protocol

from prodigy.crash_points import crash_point
from prodigy.store.atomic import FILE_MODE, sync_folder, write_all

_KEEP_SIZE: Final = 1
_NOT_OFFERED: Final = frozenset({EINVAL, ENODEV, ENOSYS, EOPNOTSUPP})


class Segment(Protocol):
    """One file that is appended to."""

    def reserve(self, offset: int, size: int) -> None:
        """Have ``size`` bytes of disk from ``offset`` on, whether or not the file reaches so far.

        Raises:
            OSError: there are not so many; nothing has changed.
        """
        ...

    def free(self) -> int:
        """Bytes that the disk has left for everybody."""
        ...

    def write(self, data: bytes) -> None:
        """Append all of ``data``."""
        ...

    def sync(self) -> None:
        """Bring what was written to disk."""
        ...

    def close(self) -> None:
        """Close the file, and give back what was reserved behind its end."""
        ...


class FileSegment:
    """A segment on disk; made private and named durably if it does not exist."""

    def __init__(self, path: Path) -> None:
        new = not path.exists()
        with crash_point("journal.open"):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        if new:
            os.fchmod(self._descriptor, FILE_MODE)
            sync_folder(path.parent)

    def reserve(self, offset: int, size: int) -> None:
        """Have ``size`` bytes of disk from ``offset`` on, if the file system can promise that."""
        try:
            with crash_point("journal.reserve"):
                fallocate(self._descriptor, offset, size)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise

    def free(self) -> int:
        """Bytes that users other than root can still take."""
        disk = os.fstatvfs(self._descriptor)
        return disk.f_bavail * disk.f_frsize

    def write(self, data: bytes) -> None:
        """Append all of ``data``."""
        with crash_point("journal.write"):
            write_all(self._descriptor, data)

    def sync(self) -> None:
        """Bring what was written, and the size of the file, to disk."""
        with crash_point("journal.sync"):
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; cutting it at its own length is what gives reserved room back."""
        with suppress(OSError), crash_point("journal.trim"):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size)
        os.close(self._descriptor)


def fallocate(descriptor: int, offset: int, size: int) -> None:
    """Reserve disk for a file without changing its length, which ``os.posix_fallocate`` does.

    Raises:
        OSError: as ``fallocate(2)``.
    """
    import ctypes  # who only reads needs none of it

    libc = ctypes.CDLL(None, use_errno=True)
    arguments = ctypes.c_int(_KEEP_SIZE), ctypes.c_int64(offset), ctypes.c_int64(size)
    if libc.fallocate64(ctypes.c_int(descriptor), *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
