"""The sampler, with fake trees and a fake process table, on a virtual clock."""

import errno
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._fake_process_table import FakeProcessTable
from supervisors._process_table import ProcessSample
from supervisors._sampler import Sampler
from supervisors.limits import Breach, Limits

pytestmark = pytest.mark.usefixtures("autojump_clock")


class FakeTree:
    """A tree that dies as soon as it is told to."""

    def __init__(self, reaper: int = 100) -> None:
        self.reaper = reaper
        self.breach: Breach | None = None
        self.dead = trio.Event()
        self.died = math.inf
        self.is_ending = False
        self.has_unread = False

    def ending(self) -> bool:
        return self.is_ending

    def unread(self) -> bool:
        return self.has_unread

    def condemn(self, breach: Breach) -> None:
        self.breach = self.breach or breach

    async def execute(self) -> None:
        self.died = trio.current_time()
        self.dead.set()


@asynccontextmanager
async def open_sampler(table: FakeProcessTable, tick: float = 1.0) -> AsyncIterator[Sampler]:
    sampler = Sampler(table, tick)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sampler.run)
        await wait_all_tasks_blocked()
        yield sampler
        nursery.cancel_scope.cancel()


async def test_nothing_is_read_while_nothing_needs_it(autojump_clock: MockClock):
    """Neither before, nor for limits that need no reading, nor after."""
    table = FakeProcessTable()
    async with open_sampler(table) as sampler:
        with sampler.watching(FakeTree(), Limits(wall=1e6, idle=1e6, output=1, open_files=1), 0.0):
            await trio.sleep(100)
        with sampler.watching(FakeTree(), Limits(memory=1), 0.0):
            pass
        await trio.sleep(100)
        assert table.scans == 0
        with sampler.watching(FakeTree(), Limits(memory=1), 0.0):
            await trio.sleep(10.5)
        assert table.scans == 10
        await trio.sleep(100)
        assert table.scans == 10


async def test_a_machine_with_few_processes_is_not_scanned_for_their_number(autojump_clock: MockClock):
    table, tree, other = FakeProcessTable(), FakeTree(100), FakeTree(200)
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(processes=3), 0.0):
            table.use(100, processes=2)
            await trio.sleep(10.5)
            assert (table.count(), table.scans) == (3, 0)
            with sampler.watching(other, Limits(memory=1), 0.0):
                await trio.sleep(2)
            assert table.scans == 2
            table.use(200, processes=3)
            await trio.sleep(2)
            assert table.scans == 4
            assert tree.breach is None
            table.use(100, processes=2)
            await tree.dead.wait()
    assert tree.breach == Breach("processes", 4, 3)


async def test_one_scan_a_tick_serves_all_trees(autojump_clock: MockClock):
    table = FakeProcessTable()
    one, two, three = FakeTree(100), FakeTree(200), FakeTree(300)
    for root in (100, 200, 300):
        table.use(root, memory=root, cpu_time=root)
    async with open_sampler(table) as sampler:
        with (
            sampler.watching(one, Limits(memory=150), 0.0),
            sampler.watching(two, Limits(memory=150), 0.0),
            sampler.watching(three, Limits(cpu_time=299.5), 0.0),
        ):
            await two.dead.wait()
            await three.dead.wait()
            assert table.scans == 1
            await trio.sleep(10)
    assert one.breach is None
    assert str(two.breach) == "memory 200 B > 150 B"
    assert three.breach == Breach("cpu_time", 300.0, 299.5)
    assert two.died == three.died == 1.0


async def test_shared_pages_acquit(autojump_clock: MockClock):
    """The resident pages of all together say too much; the close look says enough."""
    table, tree = FakeProcessTable(), FakeTree()
    (first,) = table.use(100, memory=90)
    (second,) = table.use(100, memory=90)
    table.shared = {first.pid: 45, second.pid: 45}
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(memory=100), 0.0):
            await trio.sleep(5.5)
            assert tree.breach is None
            table.shared[second.pid] = 56
            await tree.dead.wait()
    assert tree.breach == Breach("memory", 101, 100)


class Fleeting(FakeProcessTable):
    """Whose processes have ended by the time somebody looks closely."""

    async def look(self, processes, *, shared):
        for process in processes:
            if process.parent == 100:
                self.processes.pop(process.pid, None)
        return await super().look(processes, shared=shared)


async def test_who_came_and_went_during_the_scan_did_not_exist_at_once(autojump_clock: MockClock):
    table, tree = Fleeting(), FakeTree()
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(processes=3, memory=10), 0.0):
            for _ in range(5):
                table.use(100, processes=4, memory=11)
                await trio.sleep(1)
    assert tree.breach is None


async def test_what_ended_before_this_tree_is_not_its_own(autojump_clock: MockClock):
    """A slot runs one command after the other below the same reaper."""
    table, tree = FakeProcessTable(), FakeTree()
    table.put(ProcessSample(pid=100, buried=50.0))
    table.use(100)
    limits = Limits(cpu_time=10.0)
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, limits, sampler.buried(100, limits)):
            table.put(ProcessSample(pid=100, buried=59.0))
            await trio.sleep(5.5)
            assert tree.breach is None
            table.put(ProcessSample(pid=100, buried=61.0))
            await tree.dead.wait()
    assert tree.breach == Breach("cpu_time", 11.0, 10.0)


async def test_a_tree_of_which_nobody_is_left_is_not_judged(autojump_clock: MockClock):
    table, tree = FakeProcessTable(), FakeTree()
    table.put(ProcessSample(pid=100, buried=50.0))
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(cpu_time=10.0), 0.0):
            await trio.sleep(5)
    assert tree.breach is None


async def test_a_killed_reaper_is_not_judged(autojump_clock: MockClock):
    """Its processes are known, it is gone: the zygote sees to them."""
    table, tree = FakeProcessTable(), FakeTree()
    (process,) = table.use(100, memory=5)
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(memory=10), 0.0):
            await trio.sleep(1.5)
            table.remove(100)
            table.put(msgspec.structs.replace(process, memory=99, parent=1))
            await trio.sleep(5)
    assert tree.breach is None


async def test_a_system_out_of_descriptors_is_read_again_later(autojump_clock: MockClock):
    table, tree = FakeProcessTable(), FakeTree()
    table.use(100, memory=11)
    table.failure = OSError(errno.EMFILE, "too many")
    async with open_sampler(table) as sampler:
        with sampler.watching(tree, Limits(memory=10), 0.0):
            await trio.sleep(3.5)
            assert tree.breach is None
            table.failure = None
            await tree.dead.wait()
    assert tree.died == 4.0


async def test_wall_time_is_kept_to_the_moment(autojump_clock: MockClock):
    trees = {wall: FakeTree(int(wall * 10)) for wall in (7.5, 2.5, 5.0)}
    async with open_sampler(FakeProcessTable()) as sampler:
        contexts = [sampler.watching(tree, Limits(wall=wall), 0.0) for wall, tree in trees.items()]
        with contexts[0], contexts[1], contexts[2]:
            await trio.sleep(20)
    assert {wall: tree.died for wall, tree in trees.items()} == {7.5: 7.5, 2.5: 2.5, 5.0: 5.0}
    assert trees[5.0].breach == Breach("wall", 5.0, 5.0)


async def test_output_puts_the_end_of_idleness_off(autojump_clock: MockClock):
    tree = FakeTree()
    async with open_sampler(FakeProcessTable()) as sampler:
        with sampler.watching(tree, Limits(idle=10.0), 0.0) as watch:
            for _ in range(5):
                await trio.sleep(9)
                sampler.hear(watch, 1)
            await tree.dead.wait()
    assert tree.died == 55.0
    assert tree.breach == Breach("idle", 10.0, 10.0)


async def test_who_is_not_read_is_not_idle(autojump_clock: MockClock):
    """Back-pressure is our silence and not his."""
    tree = FakeTree()
    tree.has_unread = True
    async with open_sampler(FakeProcessTable()) as sampler:
        with sampler.watching(tree, Limits(idle=10.0), 0.0):
            await trio.sleep(95)
            assert tree.breach is None
            tree.has_unread = False
            await tree.dead.wait()
    assert tree.died == 100.0


async def test_back_pressure_is_no_excuse_for_wall_time(autojump_clock: MockClock):
    tree = FakeTree()
    tree.has_unread = True
    async with open_sampler(FakeProcessTable()) as sampler:
        with sampler.watching(tree, Limits(idle=10.0, wall=25.0), 0.0):
            await tree.dead.wait()
    assert tree.breach == Breach("wall", 25.0, 25.0)


@pytest.mark.parametrize("limits", [Limits(wall=5.0), Limits(idle=5.0)])
async def test_who_is_ending_is_left_to_it(limits: Limits, autojump_clock: MockClock):
    tree = FakeTree()
    tree.is_ending = True
    async with open_sampler(FakeProcessTable()) as sampler:
        with sampler.watching(tree, limits, 0.0):
            await trio.sleep(50)
    assert tree.breach is None


async def test_the_first_breach_stands(autojump_clock: MockClock):
    tree = FakeTree()
    async with open_sampler(FakeProcessTable()) as sampler:
        with sampler.watching(tree, Limits(output=10, wall=5.0), 0.0) as watch:
            sampler.hear(watch, 10)
            assert tree.breach is None
            sampler.hear(watch, 1)
            await trio.sleep(10)
            sampler.hear(watch, 1)
    assert tree.breach == Breach("output", 11, 10)
    assert tree.died == 0.0
