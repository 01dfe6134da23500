"""Room on the machine: no agent is started while too little memory, or too little of a disk, is free.

What runs goes on. Whoever wants to start an agent waits, one after the other; that is recorded when it begins and when
it ends, and when it has lasted so long that the run comes to rest. After the phases that do the work there is no rest to
come to: whoever has waited so long is refused.
"""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio
from msgspec import structs

from prodigy.actors.recorder import RecorderRef, record
from prodigy.errors import RunError
from prodigy.events import HostRecovered, HostShort, Scarce

_MEMORY: Final = Path("/proc/meminfo")
_LOOK: Final = 2.0
"""Seconds between two looks at a machine that is short of something."""
Free = Mapping[Scarce, int]
"""Bytes."""


class Host:
    """The machine that a run shares with others.

    Args:
        floors: how many bytes of what have to be free.
        free: how many are; what nobody can tell is left out.
        recorder: where waiting is recorded.
        longest: seconds that anybody waits; ``None``: for ever.
    """

    def __init__(
        self,
        floors: Free,
        free: Callable[[], Free],
        recorder: RecorderRef,
        longest: float | None = None,
    ) -> None:
        self._floors = floors
        self._free = free
        self._recorder = recorder
        self._longest = math.inf if longest is None else longest
        self._turn = trio.Lock()
        self._short: Scarce | None = None

    async def room(self, *, afterwards: bool = False) -> None:
        """Wait until there is room for another agent.

        Args:
            afterwards: whether the phases that do the work are over, and nobody would stop who waits.

        Raises:
            RunError: ``host-short``: there was none for too long, and it is ``afterwards``.
        """
        async with self._turn:
            since = trio.current_time()
            while (short := self._look()) is not None:
                if afterwards and trio.current_time() - since >= self._longest:
                    raise _refusal(short)
                if short.what != self._short:
                    await self._recovered()
                    self._short = short.what
                    await record(self._recorder, short)
                await trio.sleep(_LOOK)
                if not afterwards and trio.current_time() - since >= self._longest:
                    await record(self._recorder, structs.replace(short, given_up=True))
                    await trio.sleep_forever()  # the run stops all phases
            await self._recovered()

    async def _recovered(self) -> None:
        known, self._short = self._short, None
        if known is not None:
            await record(self._recorder, HostRecovered(what=known))

    def _look(self) -> HostShort | None:
        free = self._free()
        for what, floor in self._floors.items():
            if free.get(what, floor) < floor:
                return HostShort(what=what, free=free[what], floor=floor)
        return None


def _refusal(short: HostShort) -> RunError:
    free, floor = (f"{size >> 20:,} MiB" for size in (short.free, short.floor))
    return RunError(
        "host-short",
        f"There is too little {short.what} for another agent: {free} free, less than {floor}"
        f" (`host.min_free_{short.what}`)",
    )


def floors_at(floors: Free, *places: Path) -> Free:
    """The floors, that of the disk no higher than a tenth of the smallest file system of the places."""
    try:
        tenth = min(_size(place) for place in places) // 10
    except (OSError, ValueError):
        return floors
    return {what: min(floor, tenth) if what == "disk" else floor for what, floor in floors.items()}


def free_at(*places: Path) -> Free:
    """What is free of the machine's memory, and of the disk of the place that has the least."""
    free: dict[Scarce, int] = {}
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
        free["memory"] = int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):
        free["disk"] = min(_room(place) for place in places)
    return free


def _room(place: Path) -> int:
    found = os.statvfs(_there(place))
    return found.f_bavail * found.f_frsize


def _size(place: Path) -> int:
    found = os.statvfs(_there(place))
    return found.f_blocks * found.f_frsize


def _there(place: Path) -> Path:
    """It, or where it will be."""
    while not place.is_dir():
        place = place.parent
    return place
