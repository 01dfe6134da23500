"""A process table in which the test says who is there and what he uses."""

from collections.abc import Mapping, Sequence

import msgspec
import trio

from supervisors._process_table import ProcessSample


class FakeProcessTable:
    """A `ProcessTable` for tests of what happens at limits, without anybody who really uses so much.

    ::

        table = FakeProcessTable()
        async with open_slots(table=table, tick=0.01) as slots, slots.lease() as slot:
            async with slot.start(command, Limits(memory=2**31)) as tree:
                table.use(tree.reaper, memory=2**32)
                await tree.wait()
                assert tree.breach.limit == "memory"

    Attributes:
        processes: everybody, by pid.
        shared: the share of the memory that a close look finds, by pid; the resident memory of those not mentioned.
        failure: raised by every reading while it is set.
        scans: how many readings there were.
    """

    def __init__(self) -> None:
        self.processes: dict[int, ProcessSample] = {}
        self.shared: dict[int, int] = {}
        self.failure: OSError | None = None
        self.scans = 0

    def put(self, *processes: ProcessSample) -> None:
        """Let processes be there, in place of those with the same pids."""
        self.processes.update({process.pid: process for process in processes})

    def remove(self, *pids: int) -> None:
        """Let processes be gone."""
        for pid in pids:
            del self.processes[pid]

    def use(
        self, root: int, *, memory: int = 0, cpu_time: float = 0.0, processes: int = 1
    ) -> list[ProcessSample]:
        """Let there be processes below a root, of which the first holds and has spent all.

        Args:
            root: pid, for example ``tree.reaper``.
            memory: bytes.
            cpu_time: seconds.
            processes: how many.
        """
        self.processes.setdefault(root, ProcessSample(pid=root))
        first = max(self.processes) + 1
        made = [ProcessSample(pid=first + number, parent=root) for number in range(processes)]
        made[0] = msgspec.structs.replace(made[0], memory=memory, cpu_time=cpu_time)
        self.put(*made)
        return made

    async def scan(self) -> Mapping[int, ProcessSample]:
        """Everybody, by pid."""
        await trio.lowlevel.checkpoint()
        self.scans += 1
        self._fail()
        return dict(self.processes)

    def count(self) -> int:
        """How many there are."""
        self._fail()
        return len(self.processes)

    def buried(self, pid: int) -> float:
        """What a process has buried; 0 when it is gone."""
        self._fail()
        return self.processes[pid].buried if pid in self.processes else 0.0

    async def look(self, processes: Sequence[ProcessSample], *, shared: bool) -> Sequence[ProcessSample]:
        """Those that are still there."""
        await trio.lowlevel.checkpoint()
        self._fail()
        found = [self.processes.get(before.pid) for before in processes]
        same = [now for now, before in zip(found, processes, strict=True) if now and now.key == before.key]
        return [self._share(process) for process in same] if shared else same

    def _share(self, process: ProcessSample) -> ProcessSample:
        return msgspec.structs.replace(process, memory=self.shared.get(process.pid, process.memory))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
