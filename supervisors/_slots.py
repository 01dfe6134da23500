"""Slots: each a place where one command at a time may run, owned by a reaper of its own that later commands reuse.

::

    async with slots.lease() as slot:
        async with slot.start(Command(argv=("make",), cwd=folder, env=environment)) as tree:
            data = await tree.stdout.receive_some()
            exit = await tree.wait()
"""

import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import msgspec
import trio

from supervisors._lasting import Lasting
from supervisors._output import OutputStream
from supervisors._process_table import ProcessTable
from supervisors._procfs import ProcFs
from supervisors._proctree import Command, Grace, ProcessTree, launch
from supervisors._sampler import TICK, Sampler
from supervisors._spawn import spawn_zygote
from supervisors._zygote import ReaperLine, Zygote
from supervisors.limits import Limits
from supervisors.process_errors import SpawnFailed


class Reapers:
    """The reapers of this process: idle ones wait for the next lease, new ones are forked when none is idle.

    Attributes:
        zygote: forks them.
        sampler: keeps the limits of what runs below them.
    """

    def __init__(self, zygote: Zygote, sampler: Sampler | None = None) -> None:
        self.zygote = zygote
        self.sampler = sampler or Sampler(ProcFs())
        self._idle: list[ReaperLine] = []

    async def serve(self) -> None:
        """Hand out the zygote's answers and keep limits, until the zygote is gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.sampler.run)
            await self.zygote.serve()
            nursery.cancel_scope.cancel()

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

    def __init__(self, line: ReaperLine, reapers: Reapers, grace: Grace) -> None:
        self._line = line
        self._zygote = reapers.zygote
        self._sampler = reapers.sampler
        self._grace = grace

    @asynccontextmanager
    async def start(self, command: Command, limits: Limits | None = None) -> AsyncGenerator[ProcessTree]:
        """Start a command; leaving the block ends its whole tree.

        Args:
            command: what to execute.
            limits: what the tree may use. When it uses more it is killed, and its ``breach`` says why. A limit of
                open files takes the place of the command's own.

        Raises:
            SpawnFailed: it could not be started; the slot is as good as before.
            SlotLost: the slot's reaper is gone; lease another.
        """
        if limits is not None and limits.open_files is not None:
            command = msgspec.structs.replace(command, open_files=limits.open_files)
        try:
            buried = self._sampler.buried(self._line.pid, limits)
            outputs, its_streams = _streams(command)
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
        with self._held_to(limits, tree, buried):
            try:
                yield tree
            finally:
                await tree.leave()

    @contextmanager
    def _held_to(self, limits: Limits | None, tree: ProcessTree, buried: float) -> Generator[None]:
        """Have the limits of a tree kept for the time of the block."""
        if limits is None:
            yield
            return
        with self._sampler.watching(tree, limits, buried) as watch:
            tree.stdout.listener = tree.stderr.listener = partial(self._sampler.hear, watch)
            yield


class SlotPool:
    """The slots that one owner, a job for example, leases from.

    Attributes:
        grace: rules how the owner's trees end when their blocks are left early; at first they are killed at once.
        lasting: keeps what is to go on when the owner has ended.
    """

    def __init__(self, reapers: Reapers, lasting: "Lasting[SlotPool]") -> None:
        self.grace = Grace()
        self.lasting = lasting
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
            yield Slot(line, self._reapers, self.grace)
        finally:
            self._reapers.give_back(line)


@asynccontextmanager
async def open_slots(*, table: ProcessTable | None = None, tick: float = TICK) -> AsyncGenerator[SlotPool]:
    """Have slots in this process, without a worker: starts a zygote and ends it, with all its trees, at the end.

    Args:
        table: where the usage of limited trees is read; the machine's own by default.
        tick: seconds between two readings.
    """
    reapers = Reapers(Zygote(spawn_zygote()), Sampler(table or ProcFs(), tick))
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reapers.serve)
        lasting: Lasting[SlotPool] = Lasting(partial(SlotPool, reapers))
        await nursery.start(lasting.serve)
        try:
            yield SlotPool(reapers, lasting)
        except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
            failure = error
        finally:
            await lasting.close()
            await reapers.close()
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


Outputs = tuple[OutputStream, OutputStream]


def _streams(command: Command) -> tuple[Outputs, tuple[int, int, int]]:
    """Our ends of a command's stdout and stderr, and its ends of all three streams; of one pipe it has two ends.

    Raises:
        OSError: the system is out of descriptors; none is left open.
    """
    opened: list[int] = []
    try:
        its_stdin = _readable(command.stdin)
        opened.append(its_stdin)
        stdout, its_stdout = os.pipe()
        opened += (stdout, its_stdout)
        stderr, its_stderr = os.pipe()
        if command.one_pipe:
            os.dup2(its_stdout, its_stderr, inheritable=False)
    except OSError:
        for descriptor in opened:
            os.close(descriptor)
        raise
    return (OutputStream(stdout), OutputStream(stderr)), (its_stdin, its_stdout, its_stderr)


def _readable(content: bytes) -> int:
    """A descriptor that ``content`` can be read from: a file in memory, so nobody has to feed a pipe."""
    if not content:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("stdin")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
