"""Slots whose commands are scripted: no process is started, and everything above the reaper is the real thing.

Rules:

- The fake stands where the reaper stands: it speaks the reaper's protocol over a socket, and writes what its scripts
  say into the pipes that a command would get. So slots, trees, graces, exits and back-pressure are those of production.
- Time is trio's: under a `trio.testing.MockClock` an hour of work, or of grace, passes in no time.
- What trees use is what the test says: `FakeProcessTable`.
- Pids are larger than any kernel's, so that code under test that signals one harms nobody.
"""

import errno
import itertools
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from enum import Enum
from functools import partial
from typing import TypeAlias

import msgspec
import trio

from supervisors._control import ControlSocket
from supervisors._fake_process_table import FakeProcessTable
from supervisors._lasting import Lasting
from supervisors._proctree import Command
from supervisors._reaper import Control, Message
from supervisors._sampler import Sampler
from supervisors._slots import Reapers, SlotPool
from supervisors._zygote import ReaperLine, Zygote

LARGEST_PID = 2**22
"""No kernel gives a process a larger number."""


class OnTerm(Enum):
    """What a scripted command does when it is asked to end."""

    DIE = "die"
    """Die of the signal, as commands do that know nothing of it."""
    FINISH = "finish"
    """Say its farewell and exit with its code."""
    IGNORE = "ignore"
    """Go on until it is killed."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one command.

    Attributes:
        stdout: what it writes; it waits while nobody reads, as every command does.
        stderr: the same.
        lasts: seconds that it goes on after that; ``math.inf``: until it is stopped.
        code: its exit code in the end.
        on_term: what it does when it is asked to end.
        farewell: what it still writes to stdout then, under ``OnTerm.FINISH``.
        left_over: how many processes it leaves behind, as `Exit.left_over` tells.
        errno: why it cannot be started at all, as in ``errno``; 0: it can.
    """

    stdout: bytes = b""
    stderr: bytes = b""
    lasts: float = 0.0
    code: int = 0
    on_term: OnTerm = OnTerm.DIE
    farewell: bytes = b""
    left_over: int = 0
    errno: int = 0


def nobodies() -> Iterator[int]:
    """Pids that no process has."""
    return itertools.count(LARGEST_PID + 1)


Play: TypeAlias = Callable[[Command], Script]
"""Casts a command: says what becomes of it."""


def not_found(_: Command) -> Script:
    """The cast of a test that expects no commands: none of them exists."""
    return Script(errno=errno.ENOENT)


class Performance:
    """One command that runs by its script."""

    def __init__(self, script: Script, stdout: int, stderr: int) -> None:
        self._script = script
        self._stdout = trio.lowlevel.FdStream(stdout)
        self._stderr = trio.lowlevel.FdStream(stderr)
        self._work = trio.CancelScope()
        self._life = trio.CancelScope()

    async def play(self) -> int:
        """Live; gives the exit code, negative for the signal that ended it, when both pipes are closed."""
        async with self._stdout, self._stderr:
            with self._life:
                return await self._live()
        return -signal.SIGKILL

    def stop(self, grace: float) -> None:
        """Ask it to end within so many seconds."""
        if self._script.on_term is not OnTerm.IGNORE:
            self._work.cancel()
        self._life.deadline = min(self._life.deadline, trio.current_time() + grace)

    def kill(self) -> None:
        """End it on the spot."""
        self._life.cancel()

    async def _live(self) -> int:
        script = self._script
        with self._work:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stdout.send_all, script.stdout)
                nursery.start_soon(self._stderr.send_all, script.stderr)
            await trio.sleep(script.lasts)
            return script.code
        if script.on_term is OnTerm.DIE:
            return -signal.SIGTERM
        await self._stdout.send_all(script.farewell)
        return script.code


class FakeReaper:
    """Runs one scripted command at a time for the other end of a socket; no cancellation but its own ends it.

    Args:
        pids: numbers that nobody has, for its leaders.
        sock: its end of the conversation.
        play: casts the commands.
        commands: every one that was asked for is added.
    """

    def __init__(self, pids: Iterator[int], sock: socket.socket, play: Play, commands: list[Command]) -> None:
        self.ended = trio.Event()
        self._pids = pids
        self._control = Control(sock)
        self._play = play
        self._commands = commands
        self._running: Performance | None = None
        self._scope = trio.CancelScope(shield=True)

    async def run(self) -> None:
        """Serve until hung up on, or killed; then nothing of its command is left."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                while (messages := await self._hear()) is not None:
                    for message in messages:
                        self._obey(message, nursery)
                nursery.cancel_scope.cancel()
        self._control.sock.close()
        for descriptor in self._control.descriptors:
            os.close(descriptor)
        self.ended.set()

    def die(self) -> None:
        """Be killed, and the command too."""
        self._scope.cancel()

    async def _hear(self) -> list[Message] | None:
        await trio.lowlevel.wait_readable(self._control.sock)
        return self._control.receive()

    def _obey(self, message: Message, nursery: trio.Nursery) -> None:
        match message["op"]:
            case "start":
                self._start(message, nursery)
            case "stop" if self._running is not None:
                self._running.stop(message["grace"])
            case "kill" if self._running is not None:
                self._running.kill()
            case _:
                pass

    def _start(self, message: Message, nursery: trio.Nursery) -> None:
        stdin, stdout, stderr = (self._control.descriptors.popleft() for _ in range(3))
        with os.fdopen(stdin, "rb") as file:
            command = _command(message, file.read())
        self._commands.append(command)
        script = self._play(command)
        if script.errno:
            os.close(stdout)
            os.close(stderr)
            text = f"{os.strerror(script.errno)}: {command.argv[0]!r}"
            self._control.send({"type": "failed", "errno": script.errno, "message": text})
        else:
            self._running = Performance(script, stdout, stderr)
            self._control.send({"type": "started", "pid": next(self._pids), "start_time": 0})
            nursery.start_soon(self._perform, self._running, script)

    async def _perform(self, performance: Performance, script: Script) -> None:
        code = await performance.play()
        self._running = None
        self._control.send(
            {
                "type": "exited",
                "code": code if code >= 0 else None,
                "signal": -code if code < 0 else None,
                "user_cpu": 0.0,
                "system_cpu": 0.0,
                "max_rss": 0,
                "left_over": script.left_over,
            }
        )


def _command(message: Message, stdin: bytes) -> Command:
    """The command that a request speaks of."""
    return Command(
        argv=tuple(message["argv"]),
        cwd=message["cwd"],
        env=message["env"],
        stdin=stdin,
        open_files=message["open_files"],
    )


class FakeZygote(Zygote):
    """Makes fake reapers, which run in a nursery.

    Args:
        nursery: outlives whoever runs commands.
        pids: numbers that nobody has.
        play: casts the commands.
        commands: every one that was asked for is added.
    """

    def __init__(
        self, nursery: trio.Nursery, pids: Iterator[int], play: Play, commands: list[Command]
    ) -> None:
        self._nursery = nursery
        self._play = play
        self._commands = commands
        self._pids = pids
        self._reapers: dict[int, FakeReaper] = {}

    async def serve(self) -> None:
        """Be there."""
        await trio.sleep_forever()

    async def fork(self) -> ReaperLine:
        """Have a new reaper."""
        await trio.lowlevel.checkpoint()
        ours, its = socket.socketpair()
        pid = next(self._pids)
        self._reapers[pid] = reaper = FakeReaper(self._pids, its, self._play, self._commands)
        self._nursery.start_soon(reaper.run)
        return ReaperLine(pid, ControlSocket(ours))

    async def discard(self, line: ReaperLine) -> bool:
        """End a reaper and wait until it has."""
        line.control.close()
        reaper = self._reapers.pop(line.pid, None)
        if reaper is not None:
            reaper.die()
            await reaper.ended.wait()
        return True

    async def close(self) -> None:
        """End all."""
        self.kill_reapers()
        with trio.CancelScope(shield=True):
            for reaper in self._reapers.values():
                await reaper.ended.wait()

    def kill_reapers(self) -> None:
        """Kill every reaper there is."""
        for reaper in self._reapers.values():
            reaper.die()


class FakeSlots(SlotPool):
    """A `SlotPool` that starts no processes; see `open_fake_slots`.

    Attributes:
        commands: what was to be started, in order; failed starts too.
        table: what the trees use, as far as limits care: ``slots.table.use(tree.reaper, memory=2**32)``.
    """

    def __init__(self, zygote: FakeZygote, commands: list[Command], table: FakeProcessTable) -> None:
        reapers = Reapers(zygote, Sampler(table))
        super().__init__(reapers, Lasting(partial(SlotPool, reapers)))
        self.commands = commands
        self.table = table
        self._zygote = zygote

    def kill_reapers(self) -> None:
        """Kill every reaper there is: whoever has a tree, or starts one in a slot leased before, gets `SlotLost`."""
        self._zygote.kill_reapers()

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        """For `open_fake_slots`: be there for the time of the block."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._reapers.serve)
            await nursery.start(self.lasting.serve)
            try:
                yield
            finally:
                await self.lasting.close()
                await self._reapers.close()
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_fake_slots(play: Play) -> AsyncGenerator[FakeSlots]:
    """Have slots for the time of the block, in which commands do what ``play`` says.

    ::

        async with open_fake_slots(lambda command: Script(stdout=b"hello", code=7)) as slots:
            async with slots.lease() as slot, slot.start(command) as tree:
                assert (await tree.wait()).code == 7
            assert slots.commands == [command]
    """
    commands: list[Command] = []
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        slots = FakeSlots(FakeZygote(nursery, nobodies(), play, commands), commands, FakeProcessTable())
        async with slots.served():
            try:
                yield slots
            except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
                failure = error
    if failure is not None:
        raise failure
