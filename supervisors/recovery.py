"""Ends what outlived everybody who could have ended it.

While one of a coordinator, its workers, zygotes and reapers lives, no process tree outlives the others. When all of
them are killed at the same moment, trees go on; whoever starts the next time calls ``reap_left_overs``.

Rules:

- A process is known by its pid, its start time and the boot it started in. A pid alone names nobody.
- Nobody else is ever signalled: a descriptor of the process is opened, then looked at once more, then used.
- What belongs to the left-overs is what was named, what carries the mark, and whatever is below those. An orphan that
  emptied its environment is found only if its identity was written down.
- We, whom we descend from, and what we have started are not left over, whatever mark they carry.
"""

import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import msgspec
import trio

from supervisors import _procfs
from supervisors._process_table import Key, ProcessSample, parents_first
from supervisors.processes import below

POLL = 0.02
"""Seconds between two looks at who has ended."""
KILL_LIMIT = 10.0
"""Seconds of killing after which what is left can only be waited for: uninterruptible, or faster than we are."""
QUIET = 0.005
"""Seconds in which no left-over is born before nobody is taken to multiply any more."""
CHASE_LIMIT = 1.0
"""Seconds of chasing the newborn before everybody else is looked at again."""
EMPTY_LOOKS = 2
"""A reading is not exact: so many in a row in which nobody is found count as nobody."""


class ProcessIdentity(msgspec.Struct, frozen=True):
    """Names one process for ever, also after it has ended and its pid was given away.

    Attributes:
        pid: its number.
        start_time: in clock ticks since boot, as ``ProcessTree.start_time``.
        boot_id: of the boot it started in.
    """

    pid: int
    start_time: int
    boot_id: str

    @property
    def key(self) -> Key:
        """What names it within its boot."""
        return self.pid, self.start_time


class Mark(msgspec.Struct, frozen=True):
    """An environment variable that the caller has put into its commands, and nobody else into his.

    Attributes:
        name: of the variable.
        value: the same in all commands whose left-overs may be ended together.
        spared: a variable that has the same value in commands that are to be left alone, though they carry the mark;
            empty: there are none.
    """

    name: str
    value: str
    spared: str = ""

    def carried(self, environment: Collection[bytes]) -> bool:
        """Whether a process with these variables is somebody's left-over.

        Args:
            environment: ``NAME=VALUE`` each.
        """
        if os.fsencode(f"{self.name}={self.value}") not in environment:
            return False
        return not self.spared or os.fsencode(f"{self.spared}={self.value}") not in environment


class Machine(Protocol):
    """The processes of a machine, and how they are signalled."""

    @property
    def pid(self) -> int:
        """Our own."""
        ...

    @property
    def boot_id(self) -> str:
        """Of the present boot."""
        ...

    async def survey(self, mark: Mark | None) -> tuple[Mapping[int, ProcessSample], Collection[int]]:
        """Every process by pid, and the pids of those that carry a mark."""
        ...

    async def chase(self, mark: Mark) -> Collection[Key]:
        """Kill who carries a mark at birth, unless it descends from us, until nobody is born any more; who was killed.

        Who multiplies faster than everybody can be looked at is found in no other way.
        """
        ...

    def alive(self, key: Key) -> bool:
        """Whether a process has not ended."""
        ...

    def signal(self, key: Key, number: signal.Signals) -> bool:
        """Signal exactly this process; whether it was there.

        Raises:
            PermissionError: it is not ours to signal.
        """
        ...


class LinuxMachine:
    """This machine."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.boot_id = _procfs.boot_id()

    async def survey(self, mark: Mark | None) -> tuple[Mapping[int, ProcessSample], Collection[int]]:
        """Every process by pid, and the pids of those that carry a mark."""
        return await trio.to_thread.run_sync(_survey, mark, abandon_on_cancel=True)

    async def chase(self, mark: Mark) -> Collection[Key]:
        """Kill who carries a mark at birth, unless it descends from us, until nobody is born any more; who was killed."""
        return await trio.to_thread.run_sync(_chase, mark, abandon_on_cancel=True)

    def alive(self, key: Key) -> bool:
        """Whether a process has not ended."""
        process = _procfs.read_process(key[0])
        return process is not None and process.key == key and not process.dead

    def signal(self, key: Key, number: signal.Signals) -> bool:
        """Signal exactly this process; whether it was there.

        The descriptor is opened before the process is looked at: if the one that bears the pid then is ours, it bore
        the pid before as well, since it had started already when its start time was written down.
        """
        try:
            descriptor = os.pidfd_open(key[0])
        except ProcessLookupError:
            return False
        try:
            if not self.alive(key):
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


def _survey(mark: Mark | None) -> tuple[dict[int, ProcessSample], set[int]]:
    table = _procfs.scan()
    if mark is None:
        return table, set()
    return table, {pid for pid in table if mark.carried(_procfs.environment(pid))}


def _chase(mark: Mark) -> list[Key]:
    """Kill the newborn that carry a mark as soon as they are born, until none was for a while."""
    killed: list[Key] = []
    with _procfs.proc_folder() as folder:
        before = _procfs.newest_pid(folder)
        beginning = last = time.monotonic()
        while (now := time.monotonic()) < min(last + QUIET, beginning + CHASE_LIMIT):
            newest = _procfs.newest_pid(folder)
            for pid in range(before + 1, newest + 1):  # empty when pids begin anew
                if mark.carried(_procfs.environment(pid)) and (key := _kill_stranger(folder, pid)):
                    killed.append(key)
                    last = now
            before = newest
    return killed


def _kill_stranger(folder: int, pid: int) -> Key | None:
    """Kill a process that does not descend from us; what named it, unless it was ours, or not there to be killed."""
    process = _procfs.sample(folder, pid)
    above = process
    while above is not None and above.parent > 1:
        if above.parent == os.getpid():
            return None
        above = _procfs.sample(folder, above.parent)
    try:
        return process.key if process and LinuxMachine().signal(process.key, signal.SIGKILL) else None
    except PermissionError:
        return None


def identity(pid: int) -> ProcessIdentity:
    """Name a process.

    Raises:
        ProcessLookupError: there is none with this pid.
    """
    process = _procfs.read_process(pid)
    if process is None:
        raise ProcessLookupError(pid)
    return ProcessIdentity(pid, process.start_time, _procfs.boot_id())


def alive(identity: ProcessIdentity) -> bool:
    """Whether a process has not ended; one that only waits to be waited for has."""
    machine = LinuxMachine()
    return identity.boot_id == machine.boot_id and machine.alive(identity.key)


def find_marked(name: str, value: str) -> tuple[ProcessIdentity, ...]:
    """Processes that were executed with an environment variable, or forked from such; those that we may ask.

    Args:
        name: of the variable.
        value: the whole of it.
    """
    table, marked = _survey(Mark(name, value))
    boot = _procfs.boot_id()
    living = (table[pid] for pid in sorted(marked) if not table[pid].dead)
    return tuple(ProcessIdentity(process.pid, process.start_time, boot) for process in living)


async def reap_left_overs(
    identities: Iterable[ProcessIdentity] = (),
    marked: Mark | None = None,
    grace: float = 5.0,
    *,
    machine: Machine | None = None,
) -> tuple[ProcessIdentity, ...]:
    """End what is left of an earlier life: SIGTERM and SIGCONT, after the grace SIGKILL.

    Cancelled, it stops where it is.

    Args:
        identities: of processes that were ours; those of another boot, or that have ended, mean nothing.
        marked: the mark of our commands.
        grace: seconds between SIGTERM and SIGKILL; 0 kills at once.
        machine: where to look; this one by default.

    Returns:
        Those that were signalled and have ended. Who was not ours to signal, or cannot be killed, is not among them;
        ``find_marked`` and ``alive`` tell.

    Raises:
        OSError: the system is out of descriptors or memory.
    """
    hunt = _Hunt(machine or LinuxMachine(), identities, marked)
    if grace > 0:
        await hunt.ask(grace)
    await hunt.kill()
    return hunt.ended()


class _Hunt:
    """The end of one set of left-overs, and who turned out to belong to it."""

    def __init__(self, machine: Machine, identities: Iterable[ProcessIdentity], mark: Mark | None) -> None:
        self._machine = machine
        self._mark = mark
        self._named = {one.key for one in identities if one.boot_id == machine.boot_id}
        self._spared: set[Key] = set()
        self._signalled: dict[Key, None] = {}  # in order

    async def ask(self, grace: float) -> None:
        """Ask everybody to end, and wait for it."""
        asked = await self._find()
        for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped one would never hear
            self._send(asked, number)
        with trio.move_on_after(grace):
            while any(map(self._machine.alive, self._signalled)):  # noqa: ASYNC110 - strangers set no events
                await trio.sleep(POLL)

    async def kill(self) -> None:
        """Kill everybody, until nobody is found any more."""
        looks = EMPTY_LOOKS
        with trio.move_on_after(KILL_LIMIT):
            while looks:
                if self._mark is not None:
                    self._signalled.update(dict.fromkeys(await self._machine.chase(self._mark)))
                found = await self._find()
                self._send(found, signal.SIGKILL)
                looks = looks - 1 if not found else EMPTY_LOOKS
                await trio.sleep(POLL if found else 0)

    def ended(self) -> tuple[ProcessIdentity, ...]:
        """Those that were signalled and have ended."""
        ended = (key for key in self._signalled if not self._machine.alive(key))
        return tuple(ProcessIdentity(pid, start_time, self._machine.boot_id) for pid, start_time in ended)

    def _send(self, processes: Iterable[Key], number: signal.Signals) -> None:
        for key in processes:
            try:
                if self._machine.signal(key, number):
                    self._signalled[key] = None
            except PermissionError:
                self._spared.add(key)

    async def _find(self) -> list[Key]:
        """Who is left, parents before children; whoever was found once is named from then on."""
        table, marked = await self._machine.survey(self._mark)
        us = {self._machine.pid, *_ancestors(table, self._machine.pid)}
        started = {process.pid for process in below(table, {self._machine.pid})}
        named = {process.pid for process in table.values() if process.key in self._named}
        roots = (named | set(marked) - started) - us
        found = [*(table[pid] for pid in roots), *below(table, roots)]
        self._named.update(process.key for process in found)
        left = parents_first({process.key: process for process in found if process.pid not in us}.values())
        return [process.key for process in left if not process.dead and process.key not in self._spared]


def _ancestors(table: Mapping[int, ProcessSample], pid: int) -> Iterable[int]:
    """Pids of whom a process descends from, up to the first, who is nobody's left-over in any case."""
    seen = {pid}
    while (process := table.get(pid)) is not None and process.parent not in seen:
        pid = process.parent
        seen.add(pid)
        yield pid
