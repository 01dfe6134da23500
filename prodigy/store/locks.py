"""Locks that die with their holder.

A lock is an advisory ``flock`` on a file that is never removed; the kernel gives it back when the last process that
has it open is gone, so there are no stale locks. What stands inside the file is for messages only: nobody decides
anything by a pid. A look at a lock takes it shared for an instant, and never in the way of a taker: who is refused
while the holder named inside is not alive tries again for a moment.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.errors import RunError
from prodigy.store.atomic import FILE_MODE, denied, private_folder

_TRIES = 50
_BETWEEN_TRIES = 0.002
_START_TIME = 19
"""The field ``starttime`` of ``/proc/PID/stat``, counted from the one after the name."""


class Holder(Struct, frozen=True, kw_only=True):
    """The process that holds a lock. ``start_time`` is in clock ticks since boot; pid 0 is a process without a name."""

    pid: int = 0
    start_time: int = 0
    boot_id: str = ""
    host: str = ""
    argv: tuple[str, ...] = ()
    since: datetime | None = None

    def alive(self) -> bool:
        """Whether exactly this process lives, as far as can be seen from this machine."""
        return self.pid > 0 and self.boot_id == boot_id() and self.start_time == start_time(self.pid)

    def __str__(self) -> str:
        """``pid 4711 on host since 2026-11-22 08:15:00``."""
        if not self.pid:
            return "another process"
        since = f" since {self.since.astimezone():%Y-%m-%d %H:%M:%S}" if self.since else ""
        return f"pid {self.pid} on {self.host}{since}"


_read_holder = JsonDecoder(Holder)


class JobLock:
    """The right to run a job; hold it as long as the process works at it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path, *, since: datetime, argv: Sequence[str] = ()) -> Self:
        """Take the lock at once or not at all.

        Raises:
            RunError: ``already-running``, naming the holder.
            MachineError: ``storage-full`` or ``storage-denied``; nobody holds it then.
        """
        descriptor = _open(path)
        for remaining in reversed(range(_TRIES)):
            if _locked(descriptor, fcntl.LOCK_EX):
                try:
                    _write(descriptor, this_process(since, argv))
                except OSError as error:
                    os.close(descriptor)
                    raise denied(error, path) from error
                return cls(path, descriptor)
            found = _read(descriptor)
            if found.alive() or not remaining:
                break
            time.sleep(_BETWEEN_TRIES)
        os.close(descriptor)
        raise RunError(
            "already-running",
            f"The run is held by {found}",
            note="command: " + " ".join(found.argv) if found.argv else None,
            hint="`prodigy status` shows what is running",
        )

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self._descriptor >= 0:
            with crash_point("lock.release"):
                with suppress(OSError):  # a name that stays is that of a process without the lock
                    os.ftruncate(self._descriptor, 0)
                os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class SharedLock:
    """A lock that many hold: ``descriptor`` is handed to processes, and held until the last of them is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = _open(path)
        with crash_point("lock.share"):
            fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of this process's share."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Claim:
    """The right to keep one thing going, and the name of what is kept; it may be handed on as a descriptor.

    Args:
        descriptor: of the locked file. The lock is held until every copy of it is closed.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take it at once; ``None`` if somebody has it, whom ``holder`` tells."""
        descriptor = _open(path)
        if _locked(descriptor, fcntl.LOCK_EX):
            with crash_point("lock.claim"):
                os.ftruncate(descriptor, 0)
            return cls(descriptor)
        os.close(descriptor)
        return None

    def name(self, pid: int) -> Holder:
        """Write down which process is kept."""
        kept = Holder(pid=pid, start_time=start_time(pid) or 0, boot_id=boot_id(), host=os.uname().nodename)
        _write(self.descriptor, kept)
        return kept

    def close(self) -> None:
        """Let go of this process's copy."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class FileLock:
    """A lock for the length of a block: waits for its turn. For short changes of shared files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self._descriptor = _open(self.path)
        with crash_point("lock.wait"):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with crash_point("lock.return"):
            os.close(self._descriptor)


def holder(path: Path) -> Holder | None:
    """Who holds the lock right now; ``None`` if nobody does."""
    with _looked_at(path) as found:
        return found


@contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Whether nobody holds the lock; if so, nobody takes it inside the block, which must be over in an instant."""
    with _looked_at(path) as found:
        yield found is None


@contextmanager
def _looked_at(path: Path) -> Iterator[Holder | None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise denied(error, path) from error
    try:
        yield None if _locked(descriptor, fcntl.LOCK_SH) else _read(descriptor)
    finally:
        os.close(descriptor)


def held(path: Path) -> bool:
    """Whether anybody holds the lock, shared or not; for locks that are waited for, never for a ``JobLock``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


# -- who we are ----------------------------------------------------------------------------------------------------
def this_process(since: datetime, argv: Sequence[str] = ()) -> Holder:
    """What this process writes into a lock that it holds."""
    pid = os.getpid()
    return Holder(
        pid=pid,
        start_time=start_time(pid) or 0,
        boot_id=boot_id(),
        host=os.uname().nodename,
        argv=tuple(argv),
        since=since,
    )


def boot_id() -> str:
    """The kernel's name of this boot; empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; ``None`` if it does not exist."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    after_name = stat.rpartition(")")[2].split()
    return int(after_name[_START_TIME])


# -- the file ------------------------------------------------------------------------------------------------------
def _open(path: Path) -> int:
    private_folder(path.parent)
    try:
        with crash_point("lock.make"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        os.fchmod(descriptor, FILE_MODE)
    except OSError as error:
        raise denied(error, path) from error
    return descriptor


def _locked(descriptor: int, kind: int) -> bool:
    try:
        with crash_point("lock.try"):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, process: Holder) -> None:
    with crash_point("lock.sign"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(process), 0)


def _read(descriptor: int) -> Holder:
    try:
        return _read_holder(os.pread(descriptor, 1 << 20, 0))
    except msgspec.DecodeError:
        return Holder()
