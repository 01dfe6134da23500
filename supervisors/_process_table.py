"""What is known of the processes of a machine at one moment, and which of them belong to which tree.

Pure, but for the port ``ProcessTable``: no trio, no clock, no ``/proc``.

A reading of the table is not exact. Processes are read one after the other, so one that has ended and one that began
later may stand in it side by side, and a parent may be missing that its child still names. Therefore:

- A process is taken for the child of the one that it names only if that one is not younger.
- A process that belonged to a tree once belongs to it until it is dead, whatever became of its parents: below a
  subreaper nothing leaves.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

Key: TypeAlias = tuple[int, int]
"""Pid and start time: names a process until the machine is started anew."""


class ProcessSample(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One process as it was read.

    Attributes:
        pid: its number.
        parent: pid of its parent.
        start_time: in clock ticks since boot.
        cpu_time: seconds that it has spent itself, in the kernel too.
        buried: the same of its descendants that have ended and that were waited for.
        memory: bytes; resident ones, or its share of them where a close look was taken.
        dead: whether it has ended and only waits to be waited for.
    """

    pid: int
    parent: int = 1
    start_time: int = 0
    cpu_time: float = 0.0
    buried: float = 0.0
    memory: int = 0
    dead: bool = False

    @property
    def key(self) -> Key:
        """What names it."""
        return self.pid, self.start_time


class ProcessTable(Protocol):
    """The processes of a machine."""

    async def scan(self) -> Mapping[int, ProcessSample]:
        """Every process, by its pid.

        Raises:
            OSError: the system is out of descriptors or memory.
        """
        ...

    def count(self) -> int:
        """How many processes there are, dead ones that nobody has waited for included.

        Raises:
            OSError: as ``scan``.
        """
        ...

    def buried(self, pid: int) -> float:
        """CPU seconds of the descendants that a process has waited for; 0 when it is gone.

        Raises:
            OSError: as ``scan``.
        """
        ...

    async def look(self, processes: Sequence[ProcessSample], *, shared: bool) -> Sequence[ProcessSample]:
        """Those that are still there, read once more and in the same order.

        Args:
            processes: as they were read before.
            shared: whether ``memory`` is to be each one's proportional share, which takes long.

        Raises:
            OSError: as ``scan``.
        """
        ...


def trees(
    table: Mapping[int, ProcessSample], roots: Collection[int], known: Mapping[Key, int] | None = None
) -> dict[int, list[ProcessSample]]:
    """The processes below each root; one below several belongs to the nearest.

    Args:
        table: a reading.
        roots: pids; they do not belong to their own trees.
        known: which processes belonged to which root at an earlier reading.
    """
    owners = _Owners(table, frozenset(roots), known or {})
    found: dict[int, list[ProcessSample]] = {root: [] for root in roots}
    for process in table.values():
        if (root := owners.of(process)) is not None:
            found[root].append(process)
    return found


class _Owners:
    """Which root each process belongs to; every chain of parents is walked once."""

    def __init__(
        self, table: Mapping[int, ProcessSample], roots: frozenset[int], known: Mapping[Key, int]
    ) -> None:
        self._table = table
        self._roots = roots
        self._known = known
        self._found: dict[int, int | None] = {}

    def of(self, process: ProcessSample) -> int | None:
        path: list[int] = []
        here: ProcessSample | None = process
        root: int | None = None
        while here is not None:
            if here.pid in self._found:
                root = self._found[here.pid]
                break
            self._found[here.pid] = None  # a circle of stale readings ends here
            path.append(here.pid)
            if (root := self._known.get(here.key)) is not None:
                break
            here = self._parent(here)
            if here is not None and here.pid in self._roots:
                root = here.pid
                break
        for pid in path:
            self._found[pid] = root
        return root

    def _parent(self, process: ProcessSample) -> ProcessSample | None:
        parent = self._table.get(process.parent)
        return parent if parent is not None and parent.start_time <= process.start_time else None


def parents_first(processes: Iterable[ProcessSample]) -> list[ProcessSample]:
    """The same processes, each after its parent.

    Read in this order, what a child has spent is never counted twice: a parent that is read while its child lives has
    not inherited the child's account yet.
    """
    waiting = {process.pid: process for process in processes}
    ordered: list[ProcessSample] = []
    while waiting:
        line: list[ProcessSample] = []
        here: ProcessSample | None = next(iter(waiting.values()))
        while here is not None:
            line.append(waiting.pop(here.pid))
            here = waiting.get(here.parent)
        ordered += reversed(line)
    return ordered
