"""Holds one process tree to its limits: what was seen goes in, a breach comes out.

Pure: no trio, no clock, no ``/proc``; times come in as values.

Rules:

- Nothing is held against a tree that it did not use. Where readings are not exact, the figure is one that the tree has
  surely reached.
- What it spent is the larger of two sums, since each misses something. The *living* with all that they have buried,
  which the kernel adds up, misses a child whose parent refused to hear of its end. Our own account of everybody ever
  seen misses whoever came and went between two readings.
- A scan suspects, a close look convicts: the processes of a scan did not all exist at the same moment. Those that are
  still there afterwards did, when the scan ended.
"""

import math
from collections.abc import Collection

from supervisors._process_table import Key, ProcessSample
from supervisors.limits import Breach, LimitName, Limits


class CpuAccount:
    """The seconds that a tree has spent, from one reading to the next.

    Args:
        buried: what its root had buried before the tree began.
    """

    def __init__(self, buried: float) -> None:
        self._before = buried
        self._ended = 0.0
        self._living: dict[Key, float] = {}

    def add(self, buried: float, processes: Collection[ProcessSample]) -> float:
        """Take a reading; what was surely spent by now.

        Args:
            buried: what its root has buried by now.
            processes: those of the tree; one that is missing has ended.
        """
        living = {process.key: process.cpu_time for process in processes}
        self._ended += sum(spent for key, spent in self._living.items() if key not in living)
        self._living = living
        inherited = buried - self._before + sum(process.buried for process in processes)
        return sum(living.values()) + max(self._ended, inherited)


class Judge:
    """The limits of one tree, and what is known of it.

    Args:
        limits: what it may use.
        now: the moment of its start, in seconds of any clock that only goes forward.
        buried: what its root had buried before, in CPU seconds.
    """

    def __init__(self, limits: Limits, now: float, buried: float = 0.0) -> None:
        self.limits = limits
        self._started = now
        self._heard = now
        self._output = 0
        self._cpu = CpuAccount(buried)

    @property
    def needs_readings(self) -> bool:
        """Whether a limit holds that only the process table can tell about."""
        limits = self.limits
        return limits.memory is not None or limits.cpu_time is not None or limits.processes is not None

    @property
    def harmless(self) -> int:
        """So many processes may be on the machine without a reading telling anything."""
        limits = self.limits
        counts_only = limits.memory is None and limits.cpu_time is None
        return limits.processes if counts_only and limits.processes is not None else 0

    @property
    def deadline(self) -> float:
        """The moment at which time alone will be a breach, unless something is heard before."""
        limits = self.limits
        wall = math.inf if limits.wall is None else self._started + limits.wall
        idle = math.inf if limits.idle is None else self._heard + limits.idle
        return min(wall, idle)

    def hear(self, size: int, now: float) -> Breach | None:
        """Take note of output; with a size of 0, that there is some which nobody has read."""
        self._heard = now
        self._output += size
        return over("output", self._output, self.limits.output)

    def wait(self, now: float) -> Breach | None:
        """Take note of the time."""
        if now < self.deadline:
            return None
        wall, idle = self.limits.wall, self.limits.idle
        if wall is not None and now >= self._started + wall:
            return Breach("wall", now - self._started, wall)
        assert idle is not None
        return Breach("idle", now - self._heard, idle)

    def weigh(self, buried: float, processes: Collection[ProcessSample]) -> Breach | None:
        """Take a reading of the tree.

        Args:
            buried: what its root has buried by now.
            processes: everybody below the root.
        """
        limits = self.limits
        spent = self._cpu.add(buried, processes)
        memory = sum(process.memory for process in processes)
        return (
            over("memory", memory, limits.memory)
            or over("cpu_time", spent, limits.cpu_time)
            or over("processes", len(processes), limits.processes)
        )


def over(name: LimitName, used: float, allowed: float | None) -> Breach | None:
    """A breach if more was used than is allowed."""
    return Breach(name, used, allowed) if allowed is not None and used > allowed else None
