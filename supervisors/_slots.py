"""Slots: each a place where one command at a time may run, owned by a reaper of its own that later commands reuse.

::

    async with slots.lease() as slot:
        async with slot.start(Command(argv=("make",), cwd=folder, env=environment)) as tree:
            data = await tree.stdout.receive_some()
            exit = await tree.wait()
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from supervisors._proctree import Command, Grace, ProcessTree, launch
from supervisors._spawn import spawn_zygote
from supervisors._zygote import ReaperLine, Zygote
from supervisors.process_errors import SpawnFailed


class Reapers:
    """The reapers of this process: idle ones wait for the next lease, new ones are forked when none is idle."""

    def __init__(self, zygote: Zygote) -> None:
        self.zygote = zygote
        self._idle: list[ReaperLine] = []

    async def take(self) -> ReaperLine:
        """A reaper that lives and runs nothing.

        Raises:
            SpawnFailed: none is idle and no process can be made.
            SlotLost: none is idle and the zygote is gone.
        """
        while self._idle:
            line = self._idle.pop()
            if line.alive():
                return line
            line.control.close()
        return await self.zygote.fork()

    def give_back(self, line: ReaperLine) -> None:
        """Keep a reaper for the next lease, unless something became of it."""
        if line.idle:
            self._idle.append(line)
        else:
            line.control.close()

    async def close(self) -> None:
        """End every reaper, idle or not, and the zygote."""
        while self._idle:
            self._idle.pop().control.close()
        await self.zygote.close()


class Slot:
    """A leased place to run commands, one after the other."""

    def __init__(self, line: ReaperLine, zygote: Zygote, grace: Grace) -> None:
        self._line = line
        self._zygote = zygote
        self._grace = grace

    @asynccontextmanager
    async def start(self, command: Command) -> AsyncGenerator[ProcessTree]:
        """Start a command; leaving the block ends its whole tree.

        Raises:
            SpawnFailed: it could not be started; the slot is as good as before.
            SlotLost: the slot's reaper is gone; lease another.
        """
        try:
            outputs, its_streams = _streams(command.stdin)
        except OSError as error:
            raise SpawnFailed(error.errno or 0, str(error)) from error
        try:
            started = await launch(command, its_streams, self._line, self._zygote)
        except BaseException:
            for stream in outputs:
                await trio.aclose_forcefully(stream)
            raise
        finally:
            for descriptor in its_streams:
                os.close(descriptor)
        tree = ProcessTree(started, outputs, self._line, self._zygote, self._grace)
        try:
            yield tree
        finally:
            await tree.leave()


class SlotPool:
    """The slots that one owner, a job for example, leases from.

    Attributes:
        grace: rules how the owner's trees end when their blocks are left early; at first they are killed at once.
    """

    def __init__(self, reapers: Reapers) -> None:
        self.grace = Grace()
        self._reapers = reapers

    @asynccontextmanager
    async def lease(self) -> AsyncGenerator[Slot]:
        """Have a slot for the time of the block.

        Raises:
            SpawnFailed: no process can be made.
            SlotLost: the zygote is gone, which ends this process's ability to run commands.
        """
        line = await self._reapers.take()
        try:
            yield Slot(line, self._reapers.zygote, self.grace)
        finally:
            self._reapers.give_back(line)


@asynccontextmanager
async def open_slots() -> AsyncGenerator[SlotPool]:
    """Have slots in this process, without a worker: starts a zygote and ends it, with all its trees, at the end."""
    reapers = Reapers(Zygote(spawn_zygote()))
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reapers.zygote.serve)
        try:
            yield SlotPool(reapers)
        except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
            failure = error
        finally:
            await reapers.close()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


Outputs = tuple[trio.lowlevel.FdStream, trio.lowlevel.FdStream]


def _streams(stdin: bytes) -> tuple[Outputs, tuple[int, int, int]]:
    """Our ends of a command's stdout and stderr, and its ends of all three streams.

    Raises:
        OSError: the system is out of descriptors; none is left open.
    """
    opened: list[int] = []
    try:
        its_stdin = _readable(stdin)
        opened.append(its_stdin)
        stdout, its_stdout = os.pipe()
        opened += (stdout, its_stdout)
        stderr, its_stderr = os.pipe()
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    outputs = (trio.lowlevel.FdStream(stdout), trio.lowlevel.FdStream(stderr))
    return outputs, (its_stdin, its_stdout, its_stderr)


def _readable(content: bytes) -> int:
    """A descriptor that ``content`` can be read from: a file in memory, so nobody has to feed a pipe."""
    if not content:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("stdin")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
