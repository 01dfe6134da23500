"""A pool whose workers live in this process: everything above and below the process boundary is the real thing.

Rules:

- Coordinator and worker speak through the same sockets and codecs as in production, so that what cannot travel fails
  here too, and what a job raises arrives as data.
- Commands of jobs are scripted and use what the test says; see `Script` and `FakeProcessTable`.
- A worker that is lost has its jobs cancelled: unlike in a real one, their clean-up code does run, and what they did
  to this process stays. Nothing here stands up to ``os._exit`` or to a job that blocks the thread.
- No heartbeats are sent unless asked for: a virtual clock would count them for ever.
"""

import math
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Unpack, cast

import trio

from supervisors._channel import Channel
from supervisors._fake_process_table import FakeProcessTable
from supervisors._fake_slots import FakeZygote, Play, nobodies, not_found
from supervisors._host import Host
from supervisors._jobs import Worker
from supervisors._pool import WorkerPool, supervised
from supervisors._program import Answer, Job, Message, Result, WorkerProgram
from supervisors._sampler import Sampler
from supervisors._slots import Reapers
from supervisors._spawn import SpawnedWorker
from supervisors.pools import PoolOptions
from supervisors.wire import Downward, Upward
from supervisors.worker_events import PoolEvent

if TYPE_CHECKING:
    from subprocess import Popen

    from supervisors._proctree import Command


class TaskWorker(Worker):
    """A worker whose end is that of a task and not of a process."""

    async def _obey_all(self, nursery: trio.Nursery) -> None:
        with suppress(trio.EndOfChannel):
            while True:
                self._obey(await self._channel.receive(), nursery)


class TaskProcess:
    """The process of a `TaskWorker`, as far as a pool looks at it: what ``Popen`` is to a real one.

    Attributes:
        pid: nobody's.
        returncode: ``None`` while it runs.
    """

    def __init__(
        self,
        pid: int,
        program: WorkerProgram[Any, Any, Any, Any],
        zygote: FakeZygote,
        table: FakeProcessTable,
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._zygote = zygote
        self._reapers = Reapers(zygote, Sampler(table))
        self._scope = trio.CancelScope()
        self._channel, self._its_channel = socket.socketpair()
        self._pulse, self._its_pulse = socket.socketpair()
        self._leash, self._its_leash = os.pipe()
        line = Channel[Downward, Upward](self._its_channel, Downward)
        self._worker = TaskWorker(program, line, self._reapers)

    def spawned(self, program: str) -> SpawnedWorker:
        """It, as if `spawn_worker` had started it."""
        process = cast("Popen[bytes]", self)
        return SpawnedWorker(program, process, self._channel, self._pulse, self._leash)

    async def run(self) -> None:
        """Live until told to stop, or killed; cancellation from outside means nothing, as to a real process."""
        with trio.CancelScope(shield=True):
            with self._scope:
                await self._worker.serve(self._its_pulse)
            await self._reapers.close()
        if self.returncode is None:
            self.returncode = 0
        self._its_channel.close()
        self._its_pulse.close()
        os.close(self._its_leash)

    def poll(self) -> int | None:
        """As ``Popen`` has it."""
        return self.returncode

    def wait(self) -> int | None:
        """As ``Popen`` has it, once it has ended."""
        return self.returncode

    def kill(self) -> None:
        """End it: it says nothing any more, its commands die, its jobs are cancelled."""
        if self.returncode is None:
            self.returncode = -signal.SIGKILL
            self._its_channel.shutdown(socket.SHUT_RDWR)
            self._zygote.kill_reapers()
            self._scope.cancel()


class FakePool(WorkerPool[Job, Message, Answer, Result]):
    """A `WorkerPool` that starts no processes; see `open_fake_pool`.

    Attributes:
        commands: what its jobs wanted to start, in order; failed starts too.
        table: what their trees use, as far as limits care.
    """

    def __init__(
        self,
        program: WorkerProgram[Job, Message, Answer, Result],
        play: Play = not_found,
        *,
        listener: Callable[[PoolEvent], None] | None = None,
        **options: Unpack[PoolOptions],
    ) -> None:
        options.setdefault("heartbeat_interval", math.inf)
        super().__init__("of this process", program.protocol, listener=listener, **options)
        self.commands: list[Command] = []
        self.table = FakeProcessTable()
        self._fake_program = program
        self._play = play
        self._pids: Iterator[int] = nobodies()
        self._processes: list[TaskProcess] = []

    def lose_worker(self, number: int | None = None) -> None:
        """Lose a worker as if it had been killed with SIGKILL: its jobs end with `HostLost`.

        Args:
            number: of the worker; ``None``: the one that has been there longest.

        Raises:
            LookupError: it is not there.
        """
        present = [worker.number for worker in self.workers]
        if not present or number not in (None, *present):
            raise LookupError("there is no such worker")
        self._processes[(number or present[0]) - 1].kill()

    def _grow(self, nursery: trio.Nursery) -> Host:
        zygote = FakeZygote(nursery, self._pids, self._play, self.commands)
        process = TaskProcess(next(self._pids), self._fake_program, zygote, self.table)
        nursery.start_soon(process.run)
        self._processes.append(process)
        self._adopted = process.spawned(self._program)
        return super()._grow(nursery)


@asynccontextmanager
async def open_fake_pool(
    program: WorkerProgram[Job, Message, Answer, Result],
    play: Play = not_found,
    *,
    listener: Callable[[PoolEvent], None] | None = None,
    **options: Unpack[PoolOptions],
) -> AsyncGenerator[FakePool[Job, Message, Answer, Result]]:
    """Have a pool for the time of the block that serves its jobs in this process.

    ::

        async with open_fake_pool(PROGRAM, lambda command: Script(code=1)) as pool:
            result = await pool.run(Build("app"))

    Args:
        program: what the workers run.
        play: says what becomes of the commands that jobs start; without it none of them exists.
        listener: told what happens to workers.
        options: those of `open_pool`.
    """
    pool = FakePool(program, play, listener=listener, **options)
    async with supervised(pool):
        yield pool
