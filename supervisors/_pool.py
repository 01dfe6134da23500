"""A pool of worker processes that runs jobs, replaces the workers it loses, and leaves nothing behind.

Rules:

- When ``run`` returns or raises, nothing of its job is alive: no task, no process tree. A job that does not end after
  its cancellation costs its worker.
- The caller bounds how many jobs run at a time; the pool never queues.
- The pool ends as a whole: its workers are stopped, then killed, and reaped by their pids.
"""

import itertools
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Generic, Unpack

import trio

from supervisors._call import Call
from supervisors._codec import Codec
from supervisors._host import Host
from supervisors._program import Answer, Job, JobProtocol, Message, Result
from supervisors._spawn import SpawnedWorker, spawn_worker
from supervisors.pools import PoolOptions, PoolSettings
from supervisors.process_errors import PoolBroken
from supervisors.wire import StartJob
from supervisors.worker_events import PoolEvent, WorkerInfo, WorkerLost, WorkerStarted, WorkerStopped

CANCEL_MARGIN = 15.0
"""Seconds beyond the grace that a cancelled job has to end, before its worker is given up."""


def ignore(_event: PoolEvent) -> None:
    """Listen to nothing."""


class WorkerPool(Generic[Job, Message, Answer, Result]):
    """Worker processes for the jobs of one program.

    Args:
        program: ``"module:attribute"`` of a ``WorkerProgram``, imported in the workers only.
        protocol: the types that travel, the same that the program names.
        listener: told what happens to workers; must not raise.
        adopted: a worker of the same program that was started before the pool was made.
        options: the fields of ``PoolSettings``: ``size``, ``cancel_grace``, ``heartbeat_limit``, …

    Attributes:
        cancel_grace: seconds between SIGTERM and SIGKILL for the process trees of jobs cancelled from now on.
    """

    def __init__(
        self,
        program: str,
        protocol: JobProtocol[Job, Message, Answer, Result],
        *,
        listener: Callable[[PoolEvent], None] | None = None,
        adopted: SpawnedWorker | None = None,
        **options: Unpack[PoolOptions],
    ) -> None:
        if adopted is not None and adopted.program != program:
            raise ValueError(f"the adopted worker runs {adopted.program}, not {program}")
        self._program = program
        self._settings = settings = PoolSettings(**options)
        self.cancel_grace = settings.cancel_grace
        self._tell = listener or ignore
        self._adopted = adopted
        self._job = Codec[Job](protocol.job)
        self._message = Codec[Message](protocol.message)
        self._answer = Codec[Answer](protocol.answer)
        self._result = Codec[Result](protocol.result)
        self._worker_numbers = itertools.count(1)
        self._job_numbers = itertools.count(1)
        self._hosts: list[Host] = []
        self._cancelled: set[Call] = set()
        self._losses: deque[float] = deque(maxlen=settings.losses + 1)
        self._nursery: trio.Nursery | None = None
        self._closed = "the pool is not open"
        self._broken = trio.Event()

    @property
    def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers as they are now."""
        return tuple(host.info() for host in self._hosts)

    async def supervise(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the pool open until cancelled; then cancel what runs, with ``cancel_grace``, and end all workers.

        Raises:
            PoolBroken: workers were lost too fast; everything has ended.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._closed = ""
                self._grow(nursery)
                task_status.started()
                try:
                    await self._broken.wait()
                finally:
                    self._closed = self._closed or "the pool was closed"
                    await self._end()
        finally:
            self._nursery = None
        raise PoolBroken(self._closed)

    async def run(
        self,
        job: Job,
        on_message: Callable[[Message], Awaitable[Answer | None]] | None = None,
        *,
        name: str = "",
    ) -> Result:
        """Run a job in the least loaded worker and wait for its end.

        When cancelled it still hears what the job says until that has ended, within ``cancel_grace`` and a margin; a
        job that finishes all the same has its result returned.

        Args:
            job: what is to be done.
            on_message: gets the job's messages; what it returns answers those that ask.
            name: for introspection and events.

        Raises:
            JobFailed: the job raised.
            HostLost: its worker is gone, and all its process trees.
            PoolBroken: the pool is broken, closed or not open.
            FrameTooLarge: the job is over the limit of a frame.
            OSError: no worker could be started.
            Exception: what ``on_message`` raised.
        """
        content = self._job.encode(job)
        host, nursery = self._least_loaded()
        number = next(self._job_numbers)
        call = Call(number, name or f"job {number}", host.post, self._message, self._answer, on_message)
        host.begin(call, StartJob(number, content))
        self._retire(host)
        nursery.start_soon(call.converse)
        try:
            await call.ended.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self._withdraw(call, host)
            if not call.finished():
                raise
        finally:
            self._shrink(host)
        return self._result.decode(call.result())

    def hurry(self) -> None:
        """Skip the grace: kill at once what is being stopped, and whatever is cancelled from now on."""
        self.cancel_grace = 0.0
        for call in self._cancelled:
            call.cancel(0.0)
        if self._closed:
            for host in self._hosts:
                host.stop(0.0)

    async def _withdraw(self, call: Call, host: Host) -> None:
        """Cancel a job and wait for its end, which comes, if need be by losing its worker."""
        self._cancelled.add(call)
        call.cancel(self.cancel_grace)
        with trio.move_on_after(self.cancel_grace + CANCEL_MARGIN):
            await call.settled.wait()
        if not call.settled.is_set():
            host.lose(f"{call.name} did not end after its cancellation")
            await call.settled.wait()
        with trio.move_on_after(CANCEL_MARGIN):
            await call.ended.wait()
        call.abandon()
        await call.ended.wait()
        self._cancelled.discard(call)

    def _least_loaded(self) -> tuple[Host, trio.Nursery]:
        if self._closed or self._nursery is None:
            raise PoolBroken(self._closed)
        hosts = [host for host in self._hosts if host.accepting]
        best = min(hosts, key=lambda host: len(host.calls), default=None)
        if best is None or (
            len(best.calls) >= self._settings.jobs_per_worker and len(hosts) < self._settings.size
        ):
            best = self._grow(self._nursery)
        return best, self._nursery

    def _grow(self, nursery: trio.Nursery) -> Host:
        settings = self._settings
        spawned = self._adopted or spawn_worker(self._program, hold_fds=settings.hold_fds, env=settings.env)
        self._adopted = None
        host = Host(next(self._worker_numbers), spawned, settings)
        self._hosts.append(host)
        nursery.start_soon(self._keep, host, nursery)
        self._tell(WorkerStarted(host.number, host.pid))
        return host

    async def _keep(self, host: Host, nursery: trio.Nursery) -> None:
        """Look after one worker until it is gone; shielded, since the pool ends its workers in its own way."""
        reason: str | None = None
        with trio.CancelScope(shield=True):
            reason = await host.watch()
            if reason is not None:
                self._lost(reason, nursery)
            if not await host.bury() and reason is not None:
                reason += "; something that it started cannot be killed"
        self._hosts.remove(host)
        if reason is None:
            self._tell(WorkerStopped(host.number, host.pid))
        else:
            self._tell(WorkerLost(host.number, host.pid, reason, host.job_names()))
            host.hand_back(reason)

    def _lost(self, reason: str, nursery: trio.Nursery) -> None:
        """Count a loss, and replace the last worker, as long as that may help."""
        losses, period = self._losses, self._settings.loss_period
        losses.append(trio.current_time())
        if self._closed:
            return
        if len(losses) == losses.maxlen and losses[-1] - losses[0] <= period:
            self._closed = f"{len(losses)} workers lost in {period:g} s, the last: {reason}"
            self._broken.set()
        elif not any(host.accepting for host in self._hosts):
            with suppress(OSError):  # out of processes or descriptors: the next job tries again
                self._grow(nursery)

    def _retire(self, host: Host) -> None:
        if self._settings.recycle_after is not None and host.served >= self._settings.recycle_after:
            host.retire()

    def _shrink(self, host: Host) -> None:
        """A job of ``host`` ended; if it was the last one and no other comes for long enough, end the worker."""
        limit = self._settings.idle_limit
        if (
            limit is not None
            and not host.calls
            and not host.keeping
            and host.accepting
            and self._nursery is not None
            and not self._closed
        ):
            self._nursery.start_soon(self._retire_if_idle, host, host.served, limit)

    async def _retire_if_idle(self, host: Host, served: int, limit: float) -> None:
        await trio.sleep(limit)
        others = any(other.accepting for other in self._hosts if other is not host)
        if others and host.accepting and host.served == served and not host.keeping:
            host.retire()

    async def _end(self) -> None:
        """Stop every worker politely, then not; the nursery waits for their burials."""
        with trio.CancelScope(shield=True):
            for host in self._hosts:
                host.stop(self.cancel_grace)
            with trio.move_on_after(self.cancel_grace + CANCEL_MARGIN):
                for host in list(self._hosts):
                    await host.gone.wait()
            for host in list(self._hosts):
                host.lose("did not stop")


@asynccontextmanager
async def open_pool(
    program: str,
    protocol: JobProtocol[Job, Message, Answer, Result],
    *,
    listener: Callable[[PoolEvent], None] | None = None,
    adopted: SpawnedWorker | None = None,
    **options: Unpack[PoolOptions],
) -> AsyncGenerator[WorkerPool[Job, Message, Answer, Result]]:
    """Have a ``WorkerPool`` for the time of the block.

    A pool that breaks does not interrupt the block: whoever runs a job learns of it.
    """
    pool = WorkerPool(program, protocol, listener=listener, adopted=adopted, **options)
    async with supervised(pool):
        yield pool


@asynccontextmanager
async def supervised(pool: WorkerPool[Job, Message, Answer, Result]) -> AsyncGenerator[None]:
    """Have the pool supervised for the time of the block; what the block raises leaves it as it is, in no group."""

    async def supervise(*, task_status: trio.TaskStatus[None]) -> None:
        with suppress(PoolBroken):
            await pool.supervise(task_status=task_status)

    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(supervise)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
