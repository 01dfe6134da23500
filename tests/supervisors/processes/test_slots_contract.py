"""What real slots and fake ones promise alike: every test here runs with both."""

import errno
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import pytest
import trio
from process_table import until

from supervisors import Command, Exit, Limits, ProcessTree, SlotLost, SlotPool, SpawnFailed, open_slots
from supervisors.testing import FakeSlots, OnTerm, Script, open_fake_slots

LONG = 300_000
"""Bytes, more than a pipe holds."""


class Act(NamedTuple):
    """One behaviour, as a shell has it and as a script says it."""

    shell: str
    script: Script


FOR_EVER = "while :; do sleep 0.01; done"
ACTS = {
    "speak": Act("echo out; echo err >&2; exit 7", Script(stdout=b"out\n", stderr=b"err\n", code=7)),
    "succeed": Act("exit 0", Script()),
    "hang": Act(f"echo up; {FOR_EVER}", Script(stdout=b"up\n", lasts=math.inf)),
    "be deaf": Act(
        f"trap '' TERM; echo up; {FOR_EVER}",
        Script(stdout=b"up\n", lasts=math.inf, on_term=OnTerm.IGNORE),
    ),
    "clean up": Act(
        f"trap 'echo bye; exit 4' TERM; echo up; {FOR_EVER}",
        Script(stdout=b"up\n", lasts=math.inf, on_term=OnTerm.FINISH, farewell=b"bye\n", code=4),
    ),
    "speak at length": Act(f"head -c {LONG} /dev/zero", Script(stdout=b"\0" * LONG)),
    "leave one behind": Act("sleep 600 & exit 0", Script(left_over=1)),
}
CASTING = {act.shell: act.script for act in ACTS.values()}
Stage = Callable[[], AbstractAsyncContextManager[SlotPool]]


def play(command: Command) -> Script:
    return CASTING[command.argv[-1]] if command.argv[0] == "sh" else Script(errno=errno.ENOENT)


@pytest.fixture(params=["real", "fake"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return open_slots if request.param == "real" else lambda: open_fake_slots(play)


def command(name: str) -> Command:
    return Command(argv=("sh", "-c", ACTS[name].shell), cwd="/", env=dict(os.environ))


@asynccontextmanager
async def tree_of(stage: Stage, name: str) -> AsyncIterator[ProcessTree]:
    """One tree; a command that says that it is up has said so."""
    async with stage() as slots, slots.lease() as slot, slot.start(command(name)) as tree:
        if ACTS[name].script.stdout == b"up\n":
            assert await tree.stdout.receive_some(3) == b"up\n"
        yield tree


async def read_all(stream: trio.lowlevel.FdStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


def kill_reaper(slots: SlotPool, tree: ProcessTree) -> None:
    if isinstance(slots, FakeSlots):
        slots.kill_reapers()
    else:
        os.kill(tree.reaper, signal.SIGKILL)


async def test_a_command_speaks_and_ends(stage: Stage) -> None:
    async with tree_of(stage, "speak") as tree:
        assert await read_all(tree.stdout) == b"out\n"
        assert await read_all(tree.stderr) == b"err\n"
        end = await tree.wait()
        assert (end.code, end.signal, end.left_over) == (7, None, 0)


async def test_what_was_said_can_be_read_after_the_end(stage: Stage) -> None:
    async with tree_of(stage, "speak") as tree:
        await tree.wait()
        assert await read_all(tree.stdout) == b"out\n"


async def test_what_is_left_behind_is_counted(stage: Stage) -> None:
    async with tree_of(stage, "leave one behind") as tree:
        assert (await tree.wait()).left_over == 1


async def test_not_reading_is_back_pressure(stage: Stage) -> None:
    """It does not end before somebody reads, and nothing is lost."""
    async with tree_of(stage, "speak at length") as tree:
        with trio.move_on_after(0.05) as scope:
            await tree.wait()
        assert scope.cancelled_caught
        assert len(await read_all(tree.stdout)) == LONG
        assert (await tree.wait()).code == 0


@pytest.mark.parametrize(
    ("name", "grace", "code", "number"),
    [
        ("hang", 60.0, None, signal.SIGTERM),
        ("hang", 0.0, None, signal.SIGKILL),
        ("be deaf", 0.05, None, signal.SIGKILL),
        ("clean up", 60.0, 4, None),
        ("clean up", 0.0, None, signal.SIGKILL),
    ],
)
async def test_ways_to_stop(
    name: str, grace: float, code: int | None, number: int | None, stage: Stage
) -> None:
    async with tree_of(stage, name) as tree:
        end = await tree.stop(grace)
        assert (end.code, end.signal) == (code, number)
        assert await read_all(tree.stdout) == (b"bye\n" if code == 4 else b"")
        assert await tree.stop(grace) == await tree.kill() == end, "once it has ended they change nothing"


async def test_many_may_wait_and_each_is_told(stage: Stage) -> None:
    """A waiter that is cancelled leaves the exit to the others."""
    exits: list[Exit] = []

    async def wait(tree: ProcessTree) -> None:
        exits.append(await tree.wait())

    async with tree_of(stage, "hang") as tree:
        with trio.move_on_after(0.01):
            await tree.wait()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait, tree)
            await trio.testing.wait_all_tasks_blocked()
            await tree.kill()
    assert [end.signal for end in exits] == [signal.SIGKILL] * 3


@pytest.mark.parametrize(("grace", "code"), [(60.0, 4), (0.0, None)])
async def test_leaving_the_block_ends_the_tree_as_the_grace_says(
    grace: float, code: int | None, stage: Stage
) -> None:
    async with stage() as slots, slots.lease() as slot:
        slots.grace.seconds = grace
        async with slot.start(command("clean up")) as tree:
            assert await tree.stdout.receive_some(3) == b"up\n"
        assert (await tree.wait()).code == code


async def test_cancellation_has_its_grace_too(stage: Stage) -> None:
    """However far outside it comes from."""
    with trio.CancelScope() as scope:
        async with stage() as slots, slots.lease() as slot:
            slots.grace.seconds = 60.0
            async with slot.start(command("clean up")) as tree:
                assert await tree.stdout.receive_some(3) == b"up\n"
                scope.cancel()
    assert (await tree.wait()).code == 4


async def test_hurry_ends_a_grace(stage: Stage) -> None:
    async with stage() as slots, slots.lease() as slot, slot.start(command("be deaf")) as tree:
        assert await tree.stdout.receive_some(3) == b"up\n"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tree.stop, 10_000.0)
            await trio.testing.wait_all_tasks_blocked()
            slots.grace.hurry()
        assert (await tree.wait()).signal == signal.SIGKILL


@pytest.mark.parametrize(
    ("name", "limits", "limit"),
    [
        ("hang", Limits(wall=0.05), "wall"),
        ("be deaf", Limits(idle=0.05), "idle"),
        ("speak at length", Limits(output=1000), "output"),
        ("speak", Limits(wall=600, idle=600, output=1000), None),
    ],
)
async def test_limits_are_kept(name: str, limits: Limits, limit: str | None, stage: Stage) -> None:
    async with stage() as slots, slots.lease() as slot, slot.start(command(name), limits) as tree:
        await read_all(tree.stdout)
        end = await tree.wait()
        assert (tree.breach and tree.breach.limit) == limit
        assert (end.code == 7) == (limit is None)


async def test_a_failed_start_is_an_answer_and_the_slot_goes_on(stage: Stage) -> None:
    absent = Command(argv=("no-such-program",), cwd="/", env=dict(os.environ))
    async with stage() as slots, slots.lease() as slot:
        with pytest.raises(SpawnFailed, match="no-such-program") as caught:
            async with slot.start(absent):
                pytest.fail("it started")
        assert caught.value.errno == errno.ENOENT
        async with slot.start(command("speak")) as tree:
            assert (await tree.wait()).code == 7


async def test_a_slot_runs_one_command_after_the_other_in_the_same_reaper(stage: Stage) -> None:
    trees: list[ProcessTree] = []
    async with stage() as slots:
        for _ in range(3):
            async with slots.lease() as slot, slot.start(command("succeed")) as tree:
                await tree.wait()
                trees.append(tree)
    assert len({tree.reaper for tree in trees}) == 1
    assert len({tree.pid for tree in trees} | {trees[0].reaper}) == 4


async def test_leases_side_by_side_have_reapers_of_their_own(stage: Stage) -> None:
    async with (
        stage() as slots,
        slots.lease() as one,
        slots.lease() as two,
        one.start(command("hang")) as first,
        two.start(command("hang")) as second,
    ):
        assert first.reaper != second.reaper
        await first.kill()
        with trio.move_on_after(0.05) as scope:
            await second.wait()
        assert scope.cancelled_caught, "the end of one tree leaves the others alone"


async def test_a_killed_reaper_is_a_lost_slot(stage: Stage) -> None:
    """How the tree ended is not known, whoever asks; the next lease is as good as ever."""
    async with stage() as slots:
        async with slots.lease() as slot:
            async with slot.start(command("hang")) as tree:
                assert await tree.stdout.receive_some(3) == b"up\n"
                kill_reaper(slots, tree)
                for ask in (tree.wait, tree.kill):
                    with pytest.raises(SlotLost, match="reaper was killed"):
                        await ask()
                assert await read_all(tree.stdout) == b""
            with pytest.raises(SlotLost):
                async with slot.start(command("speak")):
                    pytest.fail("it started")
        async with slots.lease() as slot, slot.start(command("speak")) as tree:
            assert (await tree.wait()).code == 7


async def test_what_the_block_raises_leaves_it_unwrapped(stage: Stage) -> None:
    with pytest.raises(LookupError):
        async with tree_of(stage, "hang"):
            raise LookupError


async def test_no_descriptor_is_left_open(stage: Stage) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count is enough

    before = opened()
    async with tree_of(stage, "be deaf"):
        assert opened() > before
    await until(lambda: opened() == before)
