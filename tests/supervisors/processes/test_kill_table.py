"""The kill table: every way to survive meets every way to end, and nothing survives.

``wait``, the end of a block and the end of ``open_slots`` all promise that nothing is left *when they return*, so
these tests look once and do not wait.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from process_table import KINDS, Family, children, until

from supervisors import _proctree
from supervisors._proctree import Command, ProcessTree
from supervisors._slots import Slot, SlotPool, open_slots
from supervisors.process_errors import SlotLost

kinds = pytest.mark.parametrize("kind", KINDS)


def shell(script: str) -> Command:
    return Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))


@asynccontextmanager
async def tree_of(slot: Slot, family: Family, kind: str) -> AsyncIterator[ProcessTree]:
    """A tree with one member of the family that is up, and a leader that waits to be ended."""
    async with slot.start(shell(f"{family.kind(kind)}\nwhile :; do sleep 1; done")) as tree:
        await family.until_up(kind)
        yield tree


@kinds
async def test_nothing_outlives_its_leader(kind: str, family: Family, tmp_path: Path):
    """The leader's own exit code is told, and told after the last of the others is dead."""
    flag = tmp_path / "end"
    async with open_slots() as slots, slots.lease() as slot:
        leader = f"{family.kind(kind)}\nwhile [ ! -e {flag} ]; do sleep 0.01; done; exit 7"
        async with slot.start(shell(leader)) as tree:
            await family.until_up(kind)
            flag.touch()
            end = await tree.wait()
            assert not family.alive()
            assert end.code == 7
            assert end.left_over >= 1


@kinds
async def test_nothing_outlives_a_stop(kind: str, family: Family):
    """Polite first; the deaf, the stormy and the rest are then killed."""
    async with open_slots() as slots, slots.lease() as slot, tree_of(slot, family, kind) as tree:
        end = await tree.stop(grace=0.1)
        assert not family.alive()
        assert end.signal in (signal.SIGTERM, signal.SIGKILL)


@kinds
async def test_nothing_outlives_the_block(kind: str, family: Family):
    """Cancelled in the middle, the block ends the tree under a shield."""
    async with open_slots() as slots, slots.lease() as slot:
        with trio.CancelScope() as scope:
            async with tree_of(slot, family, kind):
                scope.cancel()
                await trio.sleep_forever()
        assert not family.alive()


@kinds
async def test_nothing_outlives_a_killed_reaper(kind: str, family: Family):
    """The zygote adopts what the reaper leaves; how the tree ended is lost, and said to be so."""
    async with open_slots() as slots:
        async with slots.lease() as slot, tree_of(slot, family, kind) as tree:
            os.kill(slot._line.pid, signal.SIGKILL)
            with pytest.raises(SlotLost):
                await tree.wait()
            assert not family.alive()
        async with slots.lease() as slot, slot.start(shell("exit 3")) as tree:
            assert (await tree.wait()).code == 3, "another reaper has taken its place"


@kinds
async def test_nothing_outlives_a_killed_zygote(kind: str, family: Family):
    """The reapers hear of it from the kernel."""
    async with open_slots() as slots, slots.lease() as slot, tree_of(slot, family, kind) as tree:
        os.kill(slot._zygote.process.pid, signal.SIGKILL)
        end = await tree.wait()
        assert not family.alive()
        assert end.signal == signal.SIGKILL
        with pytest.raises(SlotLost):
            async with slots.lease(), slots.lease():
                pass


async def test_a_reaper_asked_to_end_kills_first(family: Family):
    async with open_slots() as slots, slots.lease() as slot, tree_of(slot, family, "deaf") as tree:
        os.kill(slot._line.pid, signal.SIGTERM)
        assert (await tree.wait()).signal == signal.SIGKILL
        assert not family.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
async def test_a_terminals_signals_mean_nothing_to_a_reaper(number: int):
    async with (
        open_slots() as slots,
        slots.lease() as slot,
        slot.start(shell("echo up; exec sleep 0.2")) as tree,
    ):
        await tree.stdout.receive_some()
        os.kill(slot._line.pid, number)
        os.kill(slot._zygote.process.pid, number)
        assert (await tree.wait()).code == 0


async def test_a_reaper_that_does_not_answer_is_killed_for_it(
    family: Family, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(_proctree, "KILL_LIMIT", 0.2)
    async with open_slots() as slots, slots.lease() as slot, tree_of(slot, family, "setsid") as tree:
        os.kill(slot._line.pid, signal.SIGSTOP)
        with pytest.raises(SlotLost):
            await tree.kill()
        assert not family.alive()


async def test_an_idle_reaper_that_was_killed_is_replaced():
    async with open_slots() as slots:
        async with slots.lease() as slot:
            reaper = slot._line.pid
        os.kill(reaper, signal.SIGKILL)
        await until(lambda: reaper not in children(slot._zygote.process.pid))
        async with slots.lease() as slot, slot.start(shell("exit 3")) as tree:
            assert (await tree.wait()).code == 3


async def test_the_end_of_one_tree_leaves_the_others_alone(family: Family, other_family: Family):
    async with (
        open_slots() as slots,
        slots.lease() as one,
        slots.lease() as two,
        two.start(shell(f"{other_family.everyone()}\nsleep 600")) as other_tree,
    ):
        await other_family.until_everyone_is_up()
        before = other_family.sleepers()
        async with one.start(shell(f"{family.everyone()}\nsleep 600")) as tree:
            await family.until_everyone_is_up()
            await tree.kill()
            assert not family.alive()
        assert other_family.sleepers() == before
        assert (await other_tree.kill()).left_over >= len(before)


async def test_exit_codes_survive_a_storm_of_orphans(family: Family):
    """A subreaper that waits for anybody reads other people's codes; ours waits by number."""
    codes: list[int | None] = []

    async def run(slots: SlotPool) -> None:
        async with slots.lease() as slot:
            for _ in range(5):
                orphans = "for n in 1 2 3 4 5 6; do (setsid sh -c 'exit 3' &); done"
                async with slot.start(shell(f"{orphans}; exit 7")) as tree:
                    codes.append((await tree.wait()).code)

    async with (
        open_slots() as slots,
        slots.lease() as slot,
        tree_of(slot, family, "setsid storm"),
        trio.open_nursery() as nursery,
    ):
        for _ in range(10):
            nursery.start_soon(run, slots)
    assert codes == [7] * 50


async def test_nothing_is_left_of_zygote_and_reapers_either():
    async with open_slots() as slots, slots.lease() as slot, slot.start(shell("sleep 100")):
        zygote, reaper = slot._zygote.process, slot._line.pid
    assert zygote.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(reaper, 0)
