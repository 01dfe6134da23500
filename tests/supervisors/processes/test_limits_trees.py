"""Limits and real process trees: who uses too much is killed for it, whole and alone."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from process_table import Family, children, until
from programs import PROTOCOL, Message, Shell

from supervisors._fake_process_table import FakeProcessTable
from supervisors._pool import open_pool
from supervisors._proctree import Command, Exit, ProcessTree
from supervisors._slots import SlotPool, open_slots
from supervisors.limits import Breach, Limits

HERE = str(Path(__file__).parent)
TICK = 0.05
MIB = 1024 * 1024


def shell(script: str, **options: object) -> Command:
    return Command(argv=("sh", "-c", script), **{"cwd": "/", "env": dict(os.environ)} | options)


def python(script: str, *arguments: str) -> Command:
    return Command(argv=(sys.executable, "-I", "-S", "-c", script, *arguments), cwd="/", env={})


@asynccontextmanager
async def bystander(slots: SlotPool, family: Family) -> AsyncIterator[ProcessTree]:
    """Another tree, with limits of its own that it keeps; nothing may have happened to it in the end."""
    script = f"{family.everyone()}\nsleep 600"
    limits = Limits(memory=2**40, cpu_time=1e6, wall=1e6, idle=1e6, processes=10**6, output=2**40)
    async with slots.lease() as slot, slot.start(shell(script), limits) as tree:
        await family.until_everyone_is_up()
        before = sorted(family.sleepers())
        yield tree
        assert sorted(family.sleepers()) == before
        assert tree.breach is None


async def run(slots: SlotPool, command: Command, limits: Limits) -> tuple[Exit, Breach | None]:
    """Run a command, reading all that it says, to its end."""
    async with slots.lease() as slot, slot.start(command, limits) as tree, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, tree.stderr)
        await read_all(tree.stdout)
        return await tree.wait(), tree.breach


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


HOG = f"""
import os, sys, time
os.fork()
held = bytearray(os.urandom(4096)) * {100 * MIB // 4096}
print("up", flush=True)
time.sleep(600)
"""
"""Two processes that hold 100 MiB each: neither too much, both together."""

BOMB = """
import os, time
for _ in range(5):
    os.fork()
time.sleep(600)
"""
"""32 processes, and then no more."""

BURNER = """
import os, time
end = time.monotonic() + 120
while time.monotonic() < end:
    if os.fork() == 0:
        begin = time.process_time()
        while time.process_time() < begin + 0.02:
            pass
        os._exit(0)
    os.wait()
"""
"""Spends nothing itself; its many children live shorter than a tick."""

DEAF_BURNER = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(600):
    if os.fork() == 0:
        begin = time.process_time()
        while time.process_time() < begin + 0.2:
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
"""
"""Refuses to hear of its children's end, so the kernel forgets what they have spent."""


async def test_a_tree_that_holds_too_much_memory(family: Family):
    async with open_slots(tick=TICK) as slots, bystander(slots, family):
        end, breach = await run(slots, python(HOG), Limits(memory=150 * MIB))
    assert end.signal == signal.SIGKILL
    assert breach is not None
    assert (breach.limit, breach.max) == ("memory", 150 * MIB)
    assert 150 * MIB < breach.used < 260 * MIB
    assert str(breach).startswith("memory 1") or str(breach).startswith("memory 2")
    assert str(breach).endswith(" MiB > 150 MiB")


async def test_a_tree_of_too_many_processes(family: Family):
    async with open_slots(tick=TICK) as slots, bystander(slots, family):
        end, breach = await run(slots, python(BOMB), Limits(processes=20))
    assert end.signal == signal.SIGKILL
    assert breach is not None
    assert breach.limit == "processes"
    assert 20 < breach.used <= 32
    assert str(breach) == f"processes {breach.used:g} > 20"


async def test_a_storm_under_a_limit_is_over(family: Family, other_family: Family):
    """One that detaches in every generation, too."""
    script = f"{family.kind('setsid storm')}\nsleep 600"
    async with open_slots(tick=TICK) as slots, bystander(slots, other_family):
        _, breach = await run(slots, shell(script), Limits(processes=2))
        assert not family.alive()
    assert breach is not None
    assert breach.limit == "processes"


@pytest.mark.parametrize("script", [BURNER, DEAF_BURNER])
async def test_a_tree_that_spends_too_much_time(script: str, family: Family):
    """Those that have ended count, whether their parent waited for them or not."""
    async with open_slots(tick=TICK) as slots, bystander(slots, family):
        end, breach = await run(slots, python(script), Limits(cpu_time=0.5))
    assert end.signal == signal.SIGKILL
    assert breach is not None
    assert breach.limit == "cpu_time"
    assert breach.used > 0.5


async def test_what_the_command_before_has_spent_does_not_count():
    """In the same slot, below the same reaper."""
    async with open_slots(tick=TICK) as slots, slots.lease() as slot:
        async with slot.start(python("import time\nwhile time.process_time() < 1: pass")) as tree:
            end = await tree.wait()
            assert end.user_cpu + end.system_cpu > 0.5
        async with slot.start(shell("sleep 0.3"), Limits(cpu_time=0.5)) as tree:
            assert (await tree.wait()).code == 0
            assert tree.breach is None


async def test_a_silent_one(family: Family):
    async with open_slots() as slots, bystander(slots, family):
        end, breach = await run(slots, shell("echo first; exec sleep 600"), Limits(idle=0.1))
    assert end.signal == signal.SIGKILL
    assert breach is not None
    assert (breach.limit, breach.max) == ("idle", 0.1)
    assert breach.used >= 0.1


async def test_one_that_speaks_on_either_stream_is_not_silent():
    script = "for n in 1 2 3 4 5 6 7 8; do sleep 0.3; echo out; sleep 0.3; echo err >&2; done"
    async with open_slots() as slots:
        end, breach = await run(slots, shell(script), Limits(idle=4.0))
    assert (end.code, breach) == (0, None)


async def test_one_that_nobody_reads_is_not_silent():
    """It has spoken; the pipe is full; the silence is ours."""
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("head -c 1000000 /dev/zero"), Limits(idle=3.0)) as tree:
            await until(tree.unread)
            await trio.sleep(4)
            assert len(await read_all(tree.stdout)) == 1_000_000
            assert (await tree.wait()).code == 0
        assert tree.breach is None


async def test_one_that_has_ended_is_not_silent():
    """Its end waits to be heard, and that may take its time."""
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("exit 3"), Limits(idle=3.0, wall=3.0)) as tree:
            await until(lambda: not children(tree.reaper))
            await trio.sleep(4)
            assert (await tree.wait()).code == 3
        assert tree.breach is None


async def test_a_chatty_one(family: Family):
    async with open_slots() as slots, bystander(slots, family):
        end, breach = await run(slots, shell("yes & yes >&2"), Limits(output=100_000))
    assert end.signal in (signal.SIGKILL, signal.SIGPIPE)
    assert breach is not None
    assert (breach.limit, breach.max) == ("output", 100_000)
    assert breach.used > 100_000


async def test_what_was_written_counts_also_when_it_is_read_later():
    """So the verdict on a command that says too much does not depend on who was faster."""
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("printf 12345678901"), Limits(output=10)) as tree:
            assert (await tree.wait()).code == 0
            assert tree.breach is None
            assert await read_all(tree.stdout) == b"12345678901"
        assert tree.breach == Breach("output", 11, 10)


async def test_exactly_what_is_allowed_is_allowed():
    async with open_slots() as slots:
        end, breach = await run(slots, shell("printf 12345; printf 67890 >&2"), Limits(output=10))
    assert (end.code, breach) == (0, None)


async def test_one_that_takes_too_long(family: Family):
    script = f"trap '' TERM; {family.everyone()}\nwhile :; do echo tick; sleep 0.05; done"
    async with open_slots() as slots:
        end, breach = await run(slots, shell(script), Limits(wall=0.5))
        assert not family.alive()
    assert end.signal == signal.SIGKILL
    assert breach is not None
    assert (breach.limit, breach.max) == ("wall", 0.5)


async def test_a_polite_stop_is_not_cut_short_by_time():
    script = "trap 'sleep 6; exit 4' TERM; echo up; while :; do sleep 0.02; done"
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell(script), Limits(wall=5.0)) as tree:
            await tree.stdout.receive_some()
            assert (await tree.stop(60)).code == 4
        assert tree.breach is None


async def test_the_limit_of_open_files_is_the_kernels_to_keep():
    """It takes the place of the command's own, and costs nobody his life."""
    async with open_slots() as slots, slots.lease() as slot:
        command = shell("ulimit -n", open_files=99)
        async with slot.start(command, Limits(open_files=77)) as tree:
            assert await read_all(tree.stdout) == b"77\n"
        async with slot.start(command, Limits(wall=1e6)) as tree:
            assert await read_all(tree.stdout) == b"99\n"
        assert tree.breach is None


async def test_a_slot_is_as_good_as_before():
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("sleep 600"), Limits(wall=0.01)) as tree:
            await tree.wait()
        assert tree.breach is not None
        async with slot.start(shell("exit 3")) as again:
            assert again.reaper == tree.reaper
            assert (await again.wait()).code == 3
        assert again.breach is None


async def test_a_reaper_that_does_not_answer_is_no_escape(family: Family, monkeypatch: pytest.MonkeyPatch):
    """The tree dies with it, also while nobody waits for it."""
    monkeypatch.setattr("supervisors._proctree.KILL_LIMIT", 0.2)
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell(f"{family.kind('setsid')}\nsleep 600"), Limits(wall=6.0)) as tree:
            await family.until_up("setsid")
            os.kill(tree.reaper, signal.SIGSTOP)
            await family.until_gone()
        assert tree.breach is not None


async def test_a_worker_keeps_the_limits_of_its_jobs(family: Family):
    heard: list[Message] = []

    async def on_message(message: Message) -> None:
        heard.append(message)

    async with open_pool("programs:PROGRAM", PROTOCOL, env=os.environ | {"PYTHONPATH": HERE}) as pool:
        job = Shell(f"{family.everyone()}\nsleep 600", Limits(processes=3))
        result = await pool.run(job, on_message)
        assert not family.alive()
    assert result.text.startswith("None 9 processes ")
    assert result.text.endswith(" > 3")


async def test_usage_can_be_pretended():
    """For tests of what an application does about a breach."""
    table = FakeProcessTable()
    async with (
        open_slots(table=table, tick=TICK) as slots,
        slots.lease() as slot,
        slot.start(shell("exec sleep 600"), Limits(memory=2 * 1024 * MIB)) as tree,
    ):
        table.use(tree.reaper, memory=2150 * MIB)
        assert (await tree.wait()).signal == signal.SIGKILL
    assert str(tree.breach) == "memory 2.1 GiB > 2 GiB"


def test_limits_and_breaches_travel():
    limits = Limits(memory=1, idle=2.5)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(limits), type=Limits) == limits
    with pytest.raises(msgspec.ValidationError, match="memory"):
        msgspec.json.decode(b'{"memory":0}', type=Limits)
    breach = Breach("wall", 2.5, 2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(breach), type=Breach) == breach
