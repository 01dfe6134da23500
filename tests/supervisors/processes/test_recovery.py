"""Left-overs of a machine-wide kill: found, ended, and nobody else touched."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio
from process_table import CALM, Family, children, name_of, until, zygote_of
from trio.testing import MockClock

from supervisors._process_table import ProcessSample
from supervisors.recovery import (
    LinuxMachine,
    Mark,
    ProcessIdentity,
    alive,
    find_marked,
    identity,
    reap_left_overs,
)

HERE = Path(__file__).parent
BOOT = "this boot"
MARK = Mark("JOB", "7")


class FakeMachine:
    """Processes that are there until they are killed; some do not mind a polite word, some cannot be killed."""

    def __init__(self, *processes: ProcessSample, marked: tuple[int, ...] = (), us: int = 50) -> None:
        self.pid = us
        self.boot_id = BOOT
        self.processes = {process.pid: process for process in (ProcessSample(pid=us), *processes)}
        self.marked = set(marked)
        self.deaf: set[int] = set()
        self.foreign: set[int] = set()
        self.immortal: set[int] = set()
        self.sent: list[tuple[int, signal.Signals]] = []
        self.surveys = 0

    async def survey(self, mark):
        await trio.lowlevel.checkpoint()
        self.surveys += 1
        return dict(self.processes), self.marked & self.processes.keys() if mark == MARK else set()

    async def chase(self, mark):
        await trio.lowlevel.checkpoint()
        return []

    def alive(self, key):
        process = self.processes.get(key[0])
        return process is not None and process.key == key

    def signal(self, key, number):
        if not self.alive(key):
            return False
        pid = key[0]
        if pid in self.foreign:
            raise PermissionError
        self.sent.append((pid, number))
        heeds = number == signal.SIGKILL or (number == signal.SIGTERM and pid not in self.deaf)
        if heeds and pid not in self.immortal:
            self.end(pid)
        return True

    def end(self, pid):
        del self.processes[pid]
        for child in list(self.processes.values()):
            if child.parent == pid:
                self.processes[child.pid] = msgspec.structs.replace(child, parent=1)

    @property
    def touched(self) -> set[int]:
        return {pid for pid, _ in self.sent}


def named(pid: int, start_time: int = 0, boot: str = BOOT) -> ProcessIdentity:
    return ProcessIdentity(pid, start_time, boot)


def process(pid: int, parent: int = 1, start_time: int = 0) -> ProcessSample:
    return ProcessSample(pid=pid, parent=parent, start_time=start_time)


async def test_the_named_the_marked_and_all_below_them(autojump_clock: MockClock):
    """Also below one that has itself no mark."""
    machine = FakeMachine(
        process(10), process(11, 10), process(12, 11), process(20), process(21, 20), process(30), marked=(20,)
    )
    reaped = await reap_left_overs([named(10)], MARK, 5.0, machine=machine)
    assert {one.pid for one in reaped} == {10, 11, 12, 20, 21} == machine.touched
    assert trio.current_time() < 1.0, "nobody waits for a grace that nobody needs"


async def test_a_pid_that_was_given_away_is_not_touched(autojump_clock: MockClock):
    machine = FakeMachine(process(10, start_time=900), process(11, 10, start_time=901))
    assert await reap_left_overs([named(10, start_time=100)], machine=machine) == ()
    assert machine.sent == []


async def test_a_process_of_another_boot_is_not_touched(autojump_clock: MockClock):
    """The same pid and the same start time mean nothing then."""
    machine = FakeMachine(process(10))
    assert await reap_left_overs([named(10, boot="an earlier boot")], machine=machine) == ()
    assert machine.sent == []


async def test_a_pid_that_is_given_away_meanwhile_is_not_touched(autojump_clock: MockClock):
    class Thief(FakeMachine):
        def end(self, pid):
            super().end(pid)
            self.processes[pid] = process(pid, start_time=900)

    thief = Thief(process(10), process(11, 10))
    thief.deaf = {11}
    reaped = await reap_left_overs([named(10)], machine=thief)
    assert [(one.pid, one.start_time) for one in reaped] == [(10, 0), (11, 0)]
    assert thief.processes[10].start_time == thief.processes[11].start_time == 900
    assert thief.sent.count((10, signal.SIGKILL)) == 0


async def test_polite_first(autojump_clock: MockClock):
    machine = FakeMachine(process(10), process(11, 10), process(12, 10))
    machine.deaf = {11}
    await reap_left_overs([named(10)], grace=5.0, machine=machine)
    assert machine.sent == [
        (10, signal.SIGTERM),
        (11, signal.SIGTERM),
        (12, signal.SIGTERM),
        (11, signal.SIGCONT),
        (11, signal.SIGKILL),
    ]
    assert 5.0 <= trio.current_time() < 6.0


async def test_without_grace_there_are_no_words(autojump_clock: MockClock):
    machine = FakeMachine(process(10))
    await reap_left_overs([named(10)], grace=0.0, machine=machine)
    assert machine.sent == [(10, signal.SIGKILL)]


async def test_what_is_born_meanwhile_is_found(autojump_clock: MockClock):
    """A child of one that dies, and a child of nobody any more that carries the mark."""

    class Fertile(FakeMachine):
        def end(self, pid):
            if pid < 20:
                self.processes[pid + 10] = process(pid + 10)
                self.marked.add(pid + 10)
            super().end(pid)

    machine = Fertile(process(10), marked=(10,))
    reaped = await reap_left_overs((), MARK, 5.0, machine=machine)
    assert [one.pid for one in reaped] == [10, 20]


async def test_we_are_spared_and_whom_we_descend_from_and_what_we_have_started(autojump_clock: MockClock):
    """A mark is inherited: who recovers inside a marked command carries it himself."""
    family = (process(40), process(45, 40), process(50, 45), process(60, 50), process(61, 60))
    machine = FakeMachine(*family, process(46, 45), marked=(45, 46, 50, 60, 61))
    reaped = await reap_left_overs([named(40), named(50)], MARK, machine=machine)
    assert {one.pid for one in reaped} == {46} == machine.touched


async def test_what_we_have_started_can_be_named(autojump_clock: MockClock):
    machine = FakeMachine(process(60, 50), process(61, 60))
    assert {one.pid for one in await reap_left_overs([named(60)], machine=machine)} == {60, 61}


async def test_who_is_not_ours_to_signal_is_left_alone(autojump_clock: MockClock):
    machine = FakeMachine(process(10), process(11, 10))
    machine.foreign = {10}
    assert [one.pid for one in await reap_left_overs([named(10)], machine=machine)] == [11]
    assert trio.current_time() < 1.0


async def test_who_cannot_be_killed_is_not_waited_for_without_end(autojump_clock: MockClock):
    machine = FakeMachine(process(10), process(11, 10))
    machine.immortal = {10}
    assert [one.pid for one in await reap_left_overs([named(10)], machine=machine)] == [11]
    assert trio.current_time() < 60.0


# Real ones


def newest_pid() -> int:
    return int(Path("/proc/loadavg").read_text().split()[-1])


@asynccontextmanager
async def massacre(family: Family, tmp_path: Path, mark: Mark) -> AsyncIterator[None]:
    """One of each kind in a worker's slot, after coordinator, worker, zygote and reaper were killed at once."""
    command = [sys.executable, str(HERE / "coordinator.py"), str(tmp_path / "lock"), "waited for"]
    script = f"{family.everyone()}\necho up; exec sleep {family.tag}"
    environment = os.environ | {"PYTHONPATH": str(HERE), "SCRIPT": script, mark.name: mark.value}
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    async with process.stdout:
        worker = json.loads(await process.stdout.receive_some())["worker"]
        await until(lambda: len(family.sleepers()) == len(CALM) and family.is_up("stopped"))
        zygote = zygote_of(worker)
        reapers = [child for child in children(zygote) if name_of(child) == "reaper"]
        ours = [process.pid, worker, zygote, *reapers]
        for number in (signal.SIGSTOP, signal.SIGKILL):  # who is stopped cannot avenge the others
            for pid in ours:
                os.kill(pid, number)
        await process.wait()
        await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in ours[1:]))  # noqa: PTH110 - names are enough
        try:
            yield
        finally:
            for member in family.alive():
                os.kill(member.pid, signal.SIGKILL)


async def test_after_a_massacre_everything_marked_or_named_is_ended(
    family: Family, other_family: Family, tmp_path: Path
):
    """One has emptied its environment and lost its parents: it is ended because its identity was written down."""
    mark = Mark("SUPERVISORS_TEST_JOB", family.tag)
    stranger = await trio.lowlevel.open_process(["sleep", other_family.tag])
    async with massacre(family, tmp_path, mark):
        left = {member.pid for member in family.alive()}
        assert len(left) == len(CALM) + 1, "all of them"
        marked = {one.pid for one in find_marked(mark.name, mark.value)}
        (nameless,) = left - marked
        named = identity(nameless)
        assert alive(named)

        reaped = await reap_left_overs((), mark, 0.2)
        assert {one.pid for one in reaped} == left - {nameless}
        assert [member.pid for member in family.alive()] == [nameless]

        assert await reap_left_overs([named], mark, 5.0) == (named,)
        assert not family.alive()
        assert not alive(named)
    assert other_family.alive(), "a stranger"
    stranger.kill()
    await stranger.wait()


async def test_after_a_massacre_a_storm_is_ended(family: Family, tmp_path: Path):
    mark = Mark("SUPERVISORS_TEST_JOB", family.tag)
    script = f"{family.kind('setsid storm')}\nsleep {family.tag}"
    leader = await trio.lowlevel.open_process(
        ["sh", "-c", f"({script}) &"], env=os.environ | {mark.name: mark.value}
    )
    await leader.wait()
    await family.until_up("setsid storm")
    await until(lambda: newest_pid() > leader.pid + 100)  # it rages
    assert await reap_left_overs((), mark, 0.0)
    assert not family.alive()
    assert find_marked(mark.name, mark.value) == ()


async def test_who_is_spared_is_left_alone(family: Family, other_family: Family):
    """Also what it started, wherever that hangs now; what is spared in another life is nobody's business here."""
    mark = Mark("SUPERVISORS_TEST_JOB", family.tag, spared="SUPERVISORS_TEST_LEFT")
    environment = os.environ | {mark.name: mark.value}
    spared = [environment | {mark.spared: mark.value}, environment | {mark.spared: "another"}]
    for started, env in zip((other_family, family), spared, strict=True):
        script = f"(setsid sh -c '(sleep {started.tag} &)' &); sleep {started.tag} &"
        leader = await trio.lowlevel.open_process(["sh", "-c", script], env=env)
        await leader.wait()
        await until(lambda: len(started.sleepers()) == 2)  # noqa: B023 - called here and now
    reaped = await reap_left_overs((), mark, 0.0)
    assert len(reaped) == 2
    assert not family.alive()
    assert len(other_family.sleepers()) == 2
    for pid in other_family.sleepers():
        os.kill(pid, signal.SIGKILL)


async def test_an_identity_outlives_its_process(family: Family):
    process = await trio.lowlevel.open_process(["sleep", family.tag])
    one = identity(process.pid)
    assert one == identity(process.pid)
    assert alive(one)
    assert not alive(msgspec.structs.replace(one, start_time=one.start_time + 1))
    assert not alive(msgspec.structs.replace(one, boot_id="another"))
    process.kill()
    await process.wait()
    assert not alive(one)
    with pytest.raises(ProcessLookupError):
        identity(process.pid)
    assert await reap_left_overs([one]) == ()


async def test_a_signal_is_for_one_process_and_not_for_its_number(family: Family):
    process = await trio.lowlevel.open_process(["sleep", family.tag])
    pid, start_time = identity(process.pid).key
    machine = LinuxMachine()
    assert not machine.signal((pid, start_time - 1), signal.SIGKILL)
    assert process.poll() is None
    assert machine.signal((pid, start_time), signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    assert not machine.signal((pid, start_time), signal.SIGKILL)


async def test_a_dead_process_that_nobody_waited_for_is_dead(family: Family):
    process = await trio.lowlevel.open_process(["true"])
    one = identity(process.pid)
    await until(lambda: not alive(one))
    await process.wait()


async def test_a_mark_is_a_whole_variable(family: Family):
    """Not a part of one, nor an argument."""
    name = "SUPERVISORS_TEST_JOB"
    process = await trio.lowlevel.open_process(
        ["sleep", family.tag], env={name: "seven", "PATH": os.environ["PATH"]}
    )
    await family.until_up("plain")
    found = {
        value: process.pid in {one.pid for one in find_marked(name, value)} for value in ("seven", "seve", "")
    }
    assert found == {"seven": True, "seve": False, "": False}
    assert process.pid not in {one.pid for one in find_marked(name[1:], "seven")}
    process.kill()
    await process.wait()
