"""The coordinator's side of one worker: hears it, feels its pulse, and makes sure that it ends as a whole.

Rules:

- Reading never waits for a listener, so one slow job holds up nobody else's frames.
- The pulse has a socket of its own: a worker is hung when its loop does not turn, not when it has much to say.
- A lost worker is killed, whatever the reason; its jobs are handed back only after its leash has ended, which proves
  that all its process trees are dead.
"""

import os
import signal
import socket

import trio

from supervisors._call import Call
from supervisors._channel import Channel
from supervisors._exits import wait_exit
from supervisors._spawn import SpawnedWorker
from supervisors.pools import PoolSettings
from supervisors.process_errors import FrameError, HostLost
from supervisors.wire import (
    Asked,
    Downward,
    JobCancelled,
    JobFinished,
    JobRaised,
    Keeping,
    Ready,
    StartJob,
    StopWorker,
    Told,
    Upward,
    WorkerFailed,
)
from supervisors.worker_events import WorkerInfo

BURIAL_LIMIT = 10.0
"""Seconds that a killed worker's process trees have to be gone; only the kernel can delay them longer."""
LAST_BREATH = 1.0
"""Seconds between the end of a worker's channel and its exit, which says more about the cause."""


class Host:
    """One worker process and the jobs it has.

    Attributes:
        number: in the pool.
        calls: jobs in flight, by number.
        accepting: whether it gets new jobs.
        served: how many jobs it has been given.
        keeping: how many things go on in it that no job waits for.
    """

    def __init__(self, number: int, spawned: SpawnedWorker, settings: PoolSettings) -> None:
        self.number = number
        self.calls: dict[int, Call] = {}
        self.accepting = True
        self.served = 0
        self.keeping = 0
        self.gone = trio.Event()
        self._process = spawned.process
        self._leash = spawned.leash
        self._pulse = spawned.pulse
        self._pulse.setblocking(False)
        self._channel = Channel[Upward, Downward](spawned.channel, Upward)
        self._settings = settings
        self._ready = trio.Event()
        self._ending = trio.Event()
        self._reason = ""
        self._stopping = False
        self._retired = False

    @property
    def pid(self) -> int:
        """Of the worker process."""
        return self._process.pid

    def info(self) -> WorkerInfo:
        """What it is doing now."""
        return WorkerInfo(self.number, self.pid, self._ready.is_set(), self.job_names())

    def job_names(self) -> tuple[str, ...]:
        """Names of the jobs in flight."""
        return tuple(call.name for call in self.calls.values())

    def post(self, frame: Downward) -> None:
        """Send a frame."""
        self._channel.post(frame)

    def begin(self, call: Call, start: StartJob) -> None:
        """Give it a job.

        Raises:
            FrameTooLarge: the job is over the limit of a frame; nothing was sent.
        """
        self.post(start)
        self.calls[call.number] = call
        self.served += 1

    def retire(self) -> None:
        """Give it no more jobs; it ends with the last one it has, and with the last thing that it keeps."""
        self.accepting = False
        self._retired = True
        self._stop_when_retired()

    def stop(self, grace: float) -> None:
        """Ask it to cancel its jobs and to exit; again to hurry it."""
        self.accepting = False
        self._stopping = True
        self.post(StopWorker(grace))
        if not self.calls and not self._ready.is_set():
            self._process.kill()  # still importing: it has nothing to be polite about

    def lose(self, reason: str) -> None:
        """Give it up."""
        if not self._ending.is_set():
            self._reason = reason
            self.accepting = False
            self._ending.set()

    async def watch(self) -> str | None:
        """Serve until it ends; why it was lost, ``None`` if it ended as it was asked to."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._channel.write)
            nursery.start_soon(self._hear_all)
            nursery.start_soon(self._feel_pulse)
            await self._ending.wait()
            nursery.cancel_scope.cancel()
        code = await self._exit_code()
        if self._stopping and not self.calls and code in (0, -signal.SIGKILL):
            return None
        return self._reason or describe_exit(code)

    async def bury(self) -> bool:
        """Wait until the worker and all its process trees are gone; whether that is known for sure."""
        with trio.move_on_after(BURIAL_LIMIT) as limit:
            self._process.kill()
            await wait_exit(self._process)
            await trio.lowlevel.wait_readable(self._leash)
        self._channel.close()
        self._pulse.close()
        os.close(self._leash)
        self.gone.set()
        return not limit.cancelled_caught

    def hand_back(self, reason: str) -> None:
        """End the jobs that it took along."""
        for call in self.calls.values():
            call.settle(HostLost(self.number, reason))
        self.calls.clear()

    async def _exit_code(self) -> int | None:
        """The exit code of a worker that ends by itself, and soon."""
        if not self._reason:
            with trio.move_on_after(LAST_BREATH):
                return await wait_exit(self._process)
        return None

    async def _hear_all(self) -> None:
        try:
            while True:
                self._hear(await self._channel.receive())
        except trio.EndOfChannel:
            self.lose("")
        except FrameError as error:
            self.lose(str(error))

    def _hear(self, frame: Upward) -> None:
        match frame:
            case Told() | Asked():
                self._call(frame.job).hear(frame)
            case JobFinished() | JobRaised() | JobCancelled():
                self._call(frame.job).settle(frame)
                del self.calls[frame.job]
                self._stop_when_retired()
            case Ready():
                self._ready.set()
            case Keeping(count=count):
                self.keeping = count
                self._stop_when_retired()
            case WorkerFailed(error=error):
                self.lose(f"{error.type}: {error.message}")

    def _stop_when_retired(self) -> None:
        if self._retired and not self.calls and not self.keeping:
            self.stop(0.0)

    def _call(self, number: int) -> Call:
        if (call := self.calls.get(number)) is None:
            raise FrameError(f"the worker speaks of job {number}, which it does not have")
        return call

    async def _feel_pulse(self) -> None:
        settings = self._settings
        with trio.move_on_after(settings.start_limit):
            await self._ready.wait()
        if not self._ready.is_set():
            self.lose(f"not ready after {settings.start_limit:g} s")
        patience = max(1, round(settings.heartbeat_limit / settings.heartbeat_interval))
        alive = True
        while alive:
            alive = await beat(self._pulse, settings.heartbeat_interval, patience)
            await trio.sleep(settings.heartbeat_interval if alive else 0.0)
        self.lose(f"no heartbeat for {settings.heartbeat_limit:g} s")


async def beat(pulse: socket.socket, interval: float, patience: int) -> bool:
    """Whether the other side answers a byte within so many intervals.

    Short waits, not one long: when we were stopped ourselves and go on, one interval has passed and not all.
    """
    try:
        pulse.send(b"\0")
        for _ in range(patience):
            with trio.move_on_after(interval):
                await trio.lowlevel.wait_readable(pulse)
            try:
                if pulse.recv(64):
                    return True
                await trio.sleep_forever()  # closed: the channel's end says it better
            except BlockingIOError:
                continue
    except OSError:
        await trio.sleep_forever()  # as above
    return False


def describe_exit(code: int | None) -> str:
    """An exit code as a phrase."""
    if code is None:
        return "closed its channel and did not exit"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exited with code {code}"
