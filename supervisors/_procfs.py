"""The process table of Linux, read from ``/proc``.

Rules:

- One small read for each process: ``stat`` says all that a scan needs. 2,000 processes cost about 30 ms of one core.
- Who is gone while we read is left out. Being out of descriptors is an error, or a full machine would look empty.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
import trio

from supervisors._process_table import ProcessSample

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What reading says of a process that has ended, or that is hidden from us."""


class ProcFs:
    """The ``ProcessTable`` of this machine; reads in a thread, since it may take long."""

    async def scan(self) -> Mapping[int, ProcessSample]:
        """Every process, by its pid."""
        return await trio.to_thread.run_sync(scan, abandon_on_cancel=True)

    def count(self) -> int:
        """How many processes there are."""
        return sum(map(str.isdigit, os.listdir("/proc")))  # noqa: PTH208 - as below

    def buried(self, pid: int) -> float:
        """CPU seconds of the descendants that a process has waited for; 0 when it is gone."""
        process = read_process(pid)
        return process.buried if process is not None else 0.0

    async def look(self, processes: Sequence[ProcessSample], *, shared: bool) -> Sequence[ProcessSample]:
        """Those that are still there, read once more and in the same order."""
        return await trio.to_thread.run_sync(look, processes, shared, abandon_on_cancel=True)


def scan() -> dict[int, ProcessSample]:
    """Every process, by its pid; raises ``OSError``, as all functions here, when the system is out of descriptors."""
    with proc_folder() as folder:
        names = os.listdir(folder)  # noqa: PTH208 - takes a descriptor
        samples = (sample(folder, int(name)) for name in names if name.isdigit())
        return {process.pid: process for process in samples if process is not None}


def newest_pid(folder: int) -> int:
    """The pid that was given away last; they go up one by one, and begin anew at the end."""
    return int(read(folder, "loadavg").split()[-1])


def read_process(pid: int) -> ProcessSample | None:
    """One process; ``None`` when there is no such process."""
    with proc_folder() as folder:
        return sample(folder, pid)


def look(processes: Sequence[ProcessSample], shared: bool) -> list[ProcessSample]:  # noqa: FBT001 - called by position in a thread
    """Those that are still there, read once more and in the same order."""
    with proc_folder() as folder:
        found = [sample(folder, before.pid) for before in processes]
        same = [now for now, before in zip(found, processes, strict=True) if now and now.key == before.key]
        if shared and os.access("self/smaps_rollup", os.R_OK, dir_fd=folder):
            same = [
                msgspec.structs.replace(process, memory=share_of_memory(folder, process)) for process in same
            ]
        return same


@contextmanager
def proc_folder() -> Generator[int]:
    """A descriptor of ``/proc``: names below it are found in half the time."""
    folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def read(folder: int, name: str) -> bytes:
    """A whole small file."""
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, 4096)  # never cut: ``stat`` and ``smaps_rollup`` are shorter
    finally:
        os.close(descriptor)


def sample(folder: int, pid: int) -> ProcessSample | None:
    """One process; ``None`` when there is no such process."""
    try:
        content = read(folder, f"{pid}/stat")
    except GONE:
        return None
    return parse_stat(pid, content)


def parse_stat(pid: int, content: bytes) -> ProcessSample | None:
    """What a ``stat`` file says; see ``proc_pid_stat(5)``, whose fields count from 1 and whose third is our first."""
    fields = content.rpartition(b")")[2].split(None, 22)
    if len(fields) < 22:  # noqa: PLR2004 - up to rss; less is no process
        return None
    return ProcessSample(
        pid=pid,
        parent=int(fields[1]),
        start_time=int(fields[19]),
        cpu_time=(int(fields[11]) + int(fields[12])) * TICK,
        buried=(int(fields[13]) + int(fields[14])) * TICK,
        memory=int(fields[21]) * PAGE,
        dead=fields[0] in (b"Z", b"X"),
    )


def share_of_memory(folder: int, process: ProcessSample) -> int:
    """The bytes that a process holds, where a page of *n* processes counts for the *n*-th part.

    Of one that we may not ask, another user's, the resident bytes.
    """
    try:
        content = read(folder, f"{process.pid}/smaps_rollup")
    except PermissionError:
        return process.memory
    except GONE:
        return 0
    _, _, after = content.partition(b"\nPss:")
    return int(after.split(None, 1)[0]) * 1024 if after else 0


def boot_id() -> str:
    """What names the time since the machine was started, as the kernel made it up."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 - as everywhere here
        return file.read().strip()


def environment(pid: int) -> list[bytes]:
    """The variables that a process was executed with, ``NAME=VALUE``; empty when it is gone or not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - as everywhere here
            return file.read().split(b"\0")
    except GONE:
        return []
