"""Keeps the limits of all trees of this process: one scan of the process table a tick, whatever their number.

Rules:

- Scans happen only while a tree has a limit that needs them; a command that ends within a tick causes none. Where only
  processes are limited, they are counted first, at a tenth of the cost: no tree has more than the whole machine.
- Time and output are kept without scanning: by deadlines, and by counting what is read.
- Silence that we caused, by not reading, is not held against a tree. Neither is time in which it is being stopped.
- A tree that breaches a limit is killed; what it says on its way out changes no verdict.
"""

import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Protocol

import trio

from supervisors._judge import Judge
from supervisors._process_table import Key, ProcessSample, ProcessTable, parents_first, trees
from supervisors.limits import Breach, Limits

TICK = 1.0
"""Seconds between two scans."""


class Watched(Protocol):
    """What a tree lets the sampler know and do."""

    @property
    def reaper(self) -> int:
        """Pid of its root."""
        ...

    @property
    def breach(self) -> Breach | None:
        """The verdict."""
        ...

    def ending(self) -> bool:
        """Whether it has ended, or is being stopped."""
        ...

    def unread(self) -> bool:
        """Whether it has written something that nobody has read."""
        ...

    def condemn(self, breach: Breach) -> None:
        """Note the verdict; the first stands."""
        ...

    async def execute(self) -> None:
        """Kill it and wait for its end; must not raise."""


class Watch:
    """A tree that is being watched, and its judge."""

    def __init__(self, tree: Watched, judge: Judge) -> None:
        self.tree = tree
        self.judge = judge
        self.deadline = judge.deadline
        self.members: dict[Key, int] = {}

    def look_at_clock(self, now: float) -> Breach | None:
        """Judge by time, and know when to do so again."""
        if self.tree.ending():
            self.deadline = math.inf
            return None
        if self.tree.unread():
            self.judge.hear(0, now)
        breach = self.judge.wait(now)
        self.deadline = self.judge.deadline
        return breach


class Sampler:
    """Watches trees.

    Args:
        table: where the processes are found.
        tick: seconds between two scans.
    """

    def __init__(self, table: ProcessTable, tick: float = TICK) -> None:
        self._table = table
        self._tick = tick
        self._watches: dict[int, Watch] = {}
        self._wanted = trio.Event()
        self._sooner = trio.Event()
        self._alarm = math.inf
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Keep the limits until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._keep_time)
            self._nursery.start_soon(self._keep_scanning)

    def buried(self, root: int, limits: Limits | None) -> float:
        """The CPU seconds that a root has buried, for a tree that is about to begin below it.

        Raises:
            OSError: the system is out of descriptors or memory.
        """
        return 0.0 if limits is None or limits.cpu_time is None else self._table.buried(root)

    @contextmanager
    def watching(self, tree: Watched, limits: Limits, buried: float) -> Generator[Watch]:
        """Hold a tree to its limits for the time of the block.

        Args:
            tree: that has just begun.
            limits: what it may use.
            buried: what ``buried`` said before.
        """
        watch = Watch(tree, Judge(limits, trio.current_time(), buried))
        self._watches[tree.reaper] = watch
        if watch.judge.needs_readings:
            self._wanted.set()
        if watch.deadline < self._alarm:
            self._sooner.set()
        try:
            yield watch
        finally:
            del self._watches[tree.reaper]

    def hear(self, watch: Watch, size: int) -> None:
        """Count output that has just been read."""
        self._settle(watch, watch.judge.hear(size, trio.current_time()))

    def _settle(self, watch: Watch, breach: Breach | None) -> None:
        if breach is None or watch.tree.breach is not None:
            return
        watch.tree.condemn(breach)
        watch.deadline = math.inf
        if self._nursery is not None:
            self._nursery.start_soon(watch.tree.execute)

    # Time

    async def _keep_time(self) -> None:
        while True:
            self._sooner = trio.Event()
            self._alarm = self._look_at_clock(trio.current_time())
            with trio.move_on_at(self._alarm):
                await self._sooner.wait()

    def _look_at_clock(self, now: float) -> float:
        """Judge whoever is due; the moment when the next is."""
        for watch in self._watches.values():
            if watch.deadline <= now:
                self._settle(watch, watch.look_at_clock(now))
        return min((watch.deadline for watch in self._watches.values()), default=math.inf)

    # Readings of the process table

    async def _keep_scanning(self) -> None:
        while True:
            await self._wanted.wait()
            await trio.sleep(self._tick)
            watches = self._undecided()
            if not watches:
                self._wanted = trio.Event()
                continue
            try:
                await self._scan(watches)
            except OSError:  # out of descriptors or memory, like whoever caused it: the next tick tries again
                continue

    def _undecided(self) -> dict[int, Watch]:
        return {
            root: watch
            for root, watch in self._watches.items()
            if watch.judge.needs_readings and watch.tree.breach is None
        }

    async def _scan(self, watches: dict[int, Watch]) -> None:
        harmless = min(watch.judge.harmless for watch in watches.values())
        if harmless and self._table.count() <= harmless:
            return
        table = await self._table.scan()
        known = {key: root for watch in watches.values() for key, root in watch.members.items()}
        for root, members in trees(table, watches.keys(), known).items():
            watch = watches[root]
            watch.members = {process.key: root for process in members}
            if members and self._watches.get(root) is watch:
                await self._weigh(watch, table, members)

    async def _weigh(
        self, watch: Watch, table: Mapping[int, ProcessSample], members: list[ProcessSample]
    ) -> None:
        """Suspect by what the scan says; convict by a close look only."""
        root = table.get(watch.tree.reaper)
        if root is None:  # it was killed, and the zygote kills what it left
            return
        suspicion = watch.judge.weigh(root.buried, members)
        if suspicion is None:
            return
        shared = suspicion.limit == "memory"
        now = await self._table.look([root, *parents_first(members)], shared=shared)
        if now and now[0].pid == root.pid and self._watches.get(root.pid) is watch:
            self._settle(watch, watch.judge.weigh(now[0].buried, now[1:]))
