"""Process trees: how commands start, speak and end."""

import errno
import fcntl
import os
import resource
import signal
import struct
import termios

import pytest
import trio
from process_table import Family, children, read, until

from supervisors._proctree import Command, ProcessTree
from supervisors._slots import SlotPool, open_slots
from supervisors.process_errors import SlotLost, SpawnFailed

RESERVED = 1 << 31 | 1 << 32
"""Signals 32 and 33 belong to the C library; nobody can change what whoever started us did to them."""


def shell(script: str, **options: object) -> Command:
    return Command(argv=("sh", "-c", script), **{"cwd": "/", "env": dict(os.environ)} | options)


async def read_all(stream: trio.lowlevel.FdStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def output_of(slots: SlotPool, command: Command) -> bytes:
    async with slots.lease() as slot, slot.start(command) as tree:
        output = await read_all(tree.stdout)
        assert (await tree.wait()).code == 0
        return output


async def until_says(tree: ProcessTree, word: bytes) -> None:
    said = b""
    while word not in said:
        chunk = await tree.stdout.receive_some()
        assert chunk, f"ended after {said!r}"
        said += chunk


async def test_a_command_speaks_and_ends():
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell("echo out; echo err >&2; cat; exit 7")) as tree:
            assert await read_all(tree.stdout) == b"out\n"
            assert await read_all(tree.stderr) == b"err\n"
            end = await tree.wait()
        assert (end.code, end.signal, end.left_over) == (7, None, 0)
        assert end.max_rss > 100_000


async def test_a_command_reads_what_it_is_given():
    """More than a pipe holds, without anybody feeding it."""
    content = bytes(range(256)) * 2_000
    command = Command(argv=("cat",), cwd="/", env={"PATH": os.environ["PATH"]}, stdin=content)
    async with open_slots() as slots:
        assert await output_of(slots, command) == content


async def test_a_slot_runs_one_command_after_the_other_in_the_same_reaper():
    async with open_slots() as slots:
        reapers = set()
        for code in range(5):
            async with slots.lease() as slot, slot.start(shell(f"exit {code}")) as tree:
                assert (await tree.wait()).code == code
                reapers.add(tree.reaper)
        assert len(reapers) == 1


async def test_a_tree_is_known_by_pid_and_start_time():
    async with open_slots() as slots, slots.lease() as slot, slot.start(shell("sleep 100")) as tree:
        stat = read(f"/proc/{tree.pid}/stat").rpartition(b")")[2].split()
        assert tree.start_time == int(stat[19])
        assert int(stat[2]) == int(stat[3]) == tree.pid, "leader of its own group and session"


async def test_a_signal_is_told_as_one():
    async with open_slots() as slots, slots.lease() as slot, slot.start(shell("kill -USR1 $$")) as tree:
        end = await tree.wait()
    assert (end.code, end.signal) == (None, signal.SIGUSR1)


async def test_commands_inherit_nothing_of_ours():
    """No descriptor, no ignored or blocked signal, no variable, no lowered limit."""
    bare = {"cwd": "/", "env": {"A": "ä", "PATH": os.environ["PATH"]}}
    async with open_slots() as slots:
        signals = await output_of(
            slots, Command(argv=("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), **bare)
        )
        masks = [int(line.split()[1], 16) & ~RESERVED for line in signals.splitlines()]
        assert masks == [0, 0]
        links = await output_of(slots, shell("for fd in /proc/$$/fd/*; do readlink $fd; done; true"))
        assert [link.split(b":")[0] for link in links.split()] == [b"/dev/null", b"pipe", b"pipe"]
        variables = await output_of(slots, Command(argv=("env",), **bare))
        assert dict(line.split("=") for line in variables.decode().splitlines()) == bare["env"]
        limit = await output_of(slots, shell("ulimit -Sn"))
        assert int(limit) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_a_limit_of_open_files_is_soft_and_hard():
    async with open_slots() as slots:
        command = shell("ulimit -Sn; ulimit -Hn", open_files=77)
        assert await output_of(slots, command) == b"77\n77\n"
        assert await output_of(slots, shell("ulimit -Sn")) != b"77\n", "the next command has the usual one"


async def test_arguments_are_bytes_in_the_end():
    """Names of files need not be UTF-8."""
    name = os.fsdecode(b"caf\xe9 \xf0\x9f\x90\x8d")
    command = Command(argv=("printf", "%s", name), cwd="/", env={"PATH": os.environ["PATH"]})
    async with open_slots() as slots:
        assert await output_of(slots, command) == b"caf\xe9 \xf0\x9f\x90\x8d"


async def test_a_long_environment_arrives_whole():
    values = {f"V{number}": "v" * 100_000 for number in range(8)}
    async with open_slots() as slots:
        output = await output_of(slots, shell("env | wc -c", env={"PATH": os.environ["PATH"], **values}))
    assert int(output) > 800_000


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (errno.ENOENT, {"argv": ("no-such-program",)}),
        (errno.ENOENT, {"argv": ("/no/such/program",)}),
        (errno.ENOENT, {"cwd": "/no/such/folder"}),
        (errno.EACCES, {"argv": ("/etc/passwd",)}),
        (errno.EINVAL, {"argv": ("echo", "a\0b")}),
        (errno.E2BIG, {"argv": ("echo", "x" * 200_000)}),
    ],
)
async def test_a_failed_start_is_an_answer_and_the_slot_goes_on(number: int, change: dict[str, object]):
    command = Command(**{"argv": ("true",), "cwd": "/", "env": {"PATH": os.environ["PATH"]}} | change)
    async with open_slots() as slots, slots.lease() as slot:
        with pytest.raises(SpawnFailed) as caught:
            async with slot.start(command):
                pytest.fail("it started")
        assert caught.value.errno == number
        async with slot.start(shell("exit 3")) as tree:
            assert (await tree.wait()).code == 3


async def test_a_background_child_that_holds_the_output_does_not_hold_the_step(family: Family):
    """The leader's exit ends the tree, and with it the pipes."""
    async with (
        open_slots() as slots,
        slots.lease() as slot,
        slot.start(shell(f"sleep {family.tag} & echo done")) as tree,
    ):
        assert await read_all(tree.stdout) == b"done\n"
        assert (await tree.wait()).left_over == 1
        assert not family.alive()


async def test_not_reading_is_back_pressure():
    """The pipe fills, the command waits, nothing is collected on our side, and nothing is lost."""
    size = 3_000_000
    async with (
        open_slots() as slots,
        slots.lease() as slot,
        slot.start(shell(f"head -c {size} /dev/zero; echo end >&2")) as tree,
    ):
        await until(lambda: waiting_in(tree) == fcntl.fcntl(tree.stdout.fileno(), fcntl.F_GETPIPE_SZ))
        with trio.move_on_after(0) as scope:
            await tree.stderr.receive_some()
        assert scope.cancelled_caught, "the command is still writing"
        assert len(await read_all(tree.stdout)) == size
        assert (await tree.wait()).code == 0


def waiting_in(tree: ProcessTree) -> int:
    return struct.unpack("i", fcntl.ioctl(tree.stdout.fileno(), termios.FIONREAD, b"\0\0\0\0"))[0]


async def test_many_may_wait_and_each_is_told():
    """A waiter that is cancelled leaves the exit to the others."""
    async with open_slots() as slots, slots.lease() as slot:
        exits = []
        async with slot.start(shell("exec sleep 600")) as tree:

            async def wait() -> None:
                exits.append(await tree.wait())

            with trio.move_on_after(0.01):
                await tree.wait()
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                await tree.kill()
        assert [end.signal for end in exits] == [signal.SIGKILL] * 3
        assert (await tree.wait()) == exits[0], "also afterwards"


async def test_a_polite_stop_lets_a_command_clean_up():
    script = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.02; done"
    async with open_slots() as slots, slots.lease() as slot, slot.start(shell(script)) as tree:
        await until_says(tree, b"up")
        end = await tree.stop(grace=60)
        assert end.code == 4
        assert b"bye" in await read_all(tree.stdout)


async def test_the_grace_is_for_the_whole_tree():
    """A leader that dies of the first signal does not take the time of those who clean up."""
    child = "trap 'sleep 0.3; echo cleaned; exit' TERM; echo up; while :; do sleep 0.02; done"
    async with open_slots() as slots, slots.lease() as slot, slot.start(shell(f"({child}) & wait")) as tree:
        await until_says(tree, b"up")
        end = await tree.stop(grace=60)
        assert (end.signal, end.left_over) == (signal.SIGTERM, 0)
        assert b"cleaned" in await read_all(tree.stdout)


async def test_every_process_gets_one_request_to_end():
    """Members of the leader's group are not signalled twice."""
    counter = "trap 'echo term' TERM; echo up; for n in $(seq 20); do sleep 0.02; done"
    async with (
        open_slots() as slots,
        slots.lease() as slot,
        slot.start(shell(f"({counter}) & {counter}; wait")) as tree,
    ):
        await until_says(tree, b"up\nup\n")
        await tree.stop(grace=60)
        assert await read_all(tree.stdout) == b"term\nterm\n"


async def test_hurry_ends_a_grace(family: Family):
    async with (
        open_slots() as slots,
        slots.lease() as slot,
        slot.start(shell(f"trap '' TERM; sleep {family.tag}; sleep {family.tag}")) as tree,
    ):
        await family.until_up("plain")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tree.stop, 10_000.0)
            await trio.testing.wait_all_tasks_blocked()
            slots.grace.hurry()
        assert (await tree.wait()).signal == signal.SIGKILL


async def test_leaving_early_is_polite_when_the_grace_says_so():
    script = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.02; done"
    async with open_slots() as slots, slots.lease() as slot:
        slots.grace.seconds = 60
        async with slot.start(shell(script)) as tree:
            await until_says(tree, b"up")
        assert (await tree.wait()).code == 4


async def test_the_orphans_of_a_running_command_do_not_stay_zombies():
    async with open_slots() as slots, slots.lease() as slot:
        script = "for n in $(seq 60); do (setsid true &); done; echo done; exec sleep 100"
        async with slot.start(shell(script)) as tree:
            await until_says(tree, b"done")
            await until(lambda: children(slot._line.pid) == [tree.pid])


async def test_what_a_tree_used_includes_its_children():
    burn = "n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done"
    async with open_slots() as slots, slots.lease() as slot:
        async with slot.start(shell(f"sh -c '{burn}'; exit 0")) as tree:
            end = await tree.wait()
        async with slot.start(shell("exit 0")) as tree:
            assert (await tree.wait()).user_cpu < end.user_cpu, "and not those of the command before"


async def test_the_death_of_a_reaper_is_told_also_when_others_were_forked_with_it():
    """Reapers forked in one batch must not hold each other's sockets open: that would hide a sibling's death."""
    ended: dict[int, BaseException] = {}
    running: list[ProcessTree] = []

    async def run(slots: SlotPool) -> None:
        async with slots.lease() as slot, slot.start(shell("sleep 600")) as tree:
            running.append(tree)
            try:
                await tree.wait()
            except SlotLost as lost:
                ended[tree.reaper] = lost

    async with open_slots() as slots, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(run, slots)
        with trio.fail_after(120):
            while len(running) < 4:
                await trio.sleep(0.01)
            for reaper in sorted((tree.reaper for tree in running), reverse=True):
                os.kill(reaper, signal.SIGKILL)
                while reaper not in ended:
                    await trio.sleep(0.01)
