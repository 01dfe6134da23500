"""What must be true after any violence: nobody left, nothing open, nothing grown.

Rules: this process becomes the adopter of whatever its checks orphan, so "no process left" is a fact of the kernel and
not the result of a search; a check starts no process that it does not wait for by its pid before the inspection ends.
"""

import faulthandler
import gc
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

from stress._report import Report
from supervisors._reaper import (
    PR_SET_CHILD_SUBREAPER,
    childless,
    descendants,
    kill_below,
    prctl,
    reap,
    stat_fields,
)

MIB = 2**20
PATIENCE = 1200.0
"""Seconds after which a check hangs: it ends with a traceback, and all it started with it."""
GROWTH = 16 * MIB
"""Bytes of memory that a check may gain: what an allocator keeps, and no leak of many rounds."""
LAST_EXITS = 2.0
"""Seconds that a process which is known to be ending may take to be gone: its exit, not its decision."""


class Inspection:
    """The state of this process at a moment; ``mark`` moves the moment behind the warm-up."""

    def __init__(self) -> None:
        self.descriptors = open_descriptors()
        self.memory = resident()

    def mark(self) -> None:
        """Compare memory with now, not with the beginning."""
        gc.collect()
        self.memory = resident()


@contextmanager
def inspected(report: Report, *, growth: int = GROWTH, patience: float = PATIENCE) -> Iterator[Inspection]:
    """Judge what a block leaves behind.

    Args:
        report: gets the laws.
        growth: bytes of memory that may have come since ``mark``.
        patience: seconds after which the block hangs; a block that looks after its own may take longer.
    """
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    faulthandler.dump_traceback_later(patience, exit=True)
    gc.collect()
    inspection = Inspection()
    try:
        yield inspection
    finally:
        adopted, survivors = bury()
        faulthandler.cancel_dump_traceback_later()
        gc.collect()
        grown = resident() - inspection.memory
        report.figure(f"{adopted} dead adopted; memory {grown / MIB:+.1f} MiB since the mark")
        report.law("no process and no zombie is left", survivors)
        report.law("no descriptor is left", sorted(open_descriptors() - inspection.descriptors))
        report.law(f"memory has not grown by {growth // MIB} MiB", holds=grown < growth)


def judged(check: Callable[[Report, Inspection], Awaitable[None]], *, growth: int = GROWTH) -> int:
    """Run a check under inspection; its exit code."""
    report = Report()
    with inspected(report, growth=growth) as inspection:
        trio.run(check, report, inspection)
    return report.code


def bury() -> tuple[int, list[str]]:
    """Reap dead adopted children; how many, and which processes would not go, which are then killed."""
    adopted = 0
    deadline = time.monotonic() + LAST_EXITS
    while not childless() and time.monotonic() < deadline:
        adopted += sum(1 for _ in reap())
        time.sleep(0.005)
    survivors = [describe(pid) for pid in descendants()]
    while not childless():
        kill_below()
        adopted += sum(1 for _ in reap())
        time.sleep(0.005)
    return adopted, survivors


def describe(pid: int) -> str:
    """A process as its pid, state and command line."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        name = Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        command, name = "", ""
    state = b"".join(stat_fields(pid)[:1]).decode()
    return f"{pid} {state} {command or name}".strip()[:200]


def zombies() -> list[int]:
    """Dead processes below this one that nobody has reaped yet."""
    return [pid for pid in descendants() if stat_fields(pid)[:1] == [b"Z"]]


def open_descriptors() -> set[str]:
    """What this process has open, as number and target."""
    found: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if not target.endswith("/fd"):  # of this very listing
            found.add(f"{descriptor.name} {target}")
    return found


def resident(pid: int | None = None) -> int:
    """Bytes of memory that a process, by default this one, really has."""
    pages = Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak(pid: str) -> int:
    """Bytes of memory that a process has had at most; of its own life, unlike what getrusage tells after an exec."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, to the nanosecond; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Signal a process; whether it was still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
