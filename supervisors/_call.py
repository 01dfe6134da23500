"""A job in flight, as the coordinator sees it: what it says, who listens, how it ends.

Rules:

- Messages are dealt with one after the other, in their order, so that a listener that is slow slows its own job and
  no other. A message that asks is answered beside the later ones: its turn decides when it begins, not when it ends.
- Nothing that arrived before the outcome is dropped, cancelled or not; asks still open when the job ends are.
- A listener that raises cancels the job; what it raised is raised from ``run``.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import trio

from supervisors._codec import Codec
from supervisors.process_errors import FrameError, HostLost, JobFailed, PoolBroken
from supervisors.wire import (
    Answered,
    Asked,
    CancelJob,
    Credit,
    Downward,
    JobCancelled,
    JobFinished,
    JobRaised,
    Told,
)

WINDOW = 256 * 1024
"""Bytes of messages that a job may be ahead of its listener; a larger one may come when it is less than half of that."""

Listener = Callable[[Any], Awaitable[Any]]
Outcome = JobFinished | JobRaised | JobCancelled | HostLost


class Call:
    """One job in flight.

    Args:
        number: of the job.
        name: for people.
        post: sends a frame to the job's worker.
        message: codec of what the job says.
        answer: codec of what it is answered.
        listener: gets its messages; ``None`` drops them, and makes asking an error.

    Attributes:
        settled: the worker has reported the outcome, or is lost.
        ended: and every message has been dealt with.
    """

    def __init__(
        self,
        number: int,
        name: str,
        post: Callable[[Downward], None],
        message: Codec[Any],
        answer: Codec[Any],
        listener: Listener | None,
    ) -> None:
        self.number = number
        self.name = name
        self.settled = trio.Event()
        self.ended = trio.Event()
        self._post = post
        self._message = message
        self._answer = answer
        self._listener = listener
        self._outcome: Outcome | None = None
        self._failure: Exception | None = None
        self._arrived, self._inbox = trio.open_memory_channel[Told | Asked](
            float("inf")
        )  # bounded by the window
        self._scope = trio.CancelScope(shield=True)
        self._asks: trio.Nursery | None = None
        self._beginning = 0
        self._idle = True
        self._behind = 0
        self._owed = 0

    def hear(self, frame: Told | Asked) -> None:
        """Take a message that has arrived.

        Raises:
            FrameError: the job is further ahead than it may be.
        """
        size = len(memoryview(frame.content))
        if self._behind >= WINDOW // 2 and self._behind + size > WINDOW:
            raise FrameError(f"job {self.number} floods: {self._behind + size} bytes ahead of its listener")
        self._behind += size
        if isinstance(frame, Asked) and self._idle and self._asks is not None:
            self._begin(frame, self._asks)
        else:
            self._idle = False
            self._arrived.send_nowait(frame)

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome; nothing is heard after it."""
        if self._outcome is None:
            self._outcome = outcome
            self._arrived.close()
            self.settled.set()

    def cancel(self, grace: float) -> None:
        """Ask the worker to cancel the job, or to hurry if it has been asked before."""
        if self._outcome is None:
            self._post(CancelJob(self.number, grace))

    def abandon(self) -> None:
        """Cancel a listener that does not come to an end."""
        self._scope.cancel()

    async def converse(self) -> None:
        """Deal with messages until the job has ended; shielded, since the job has not ended before."""
        try:
            with self._scope:
                async with trio.open_nursery() as self._asks:
                    await self._hear_all(self._asks)
                    self._asks.cancel_scope.cancel()
        finally:
            self.ended.set()

    def finished(self) -> bool:
        """Whether there is something better to say than that it was cancelled."""
        return self._failure is not None or isinstance(self._outcome, JobFinished | JobRaised)

    def result(self) -> msgspec.Raw:
        """What the job returned, once ended.

        Raises:
            JobFailed: it raised.
            HostLost: its worker is gone.
            PoolBroken: it was cancelled by the closing of the pool.
            Exception: what the listener raised.
        """
        if self._failure is not None:
            raise self._failure
        match self._outcome:
            case JobFinished(content=content):
                return content
            case JobRaised(error=error):
                raise JobFailed(error)
            case HostLost() as lost:
                raise lost
            case JobCancelled() | None:
                raise PoolBroken("the pool was closed")

    async def _hear_all(self, asks: trio.Nursery) -> None:
        async for frame in self._inbox:
            await self._all_begun()
            if isinstance(frame, Asked):
                self._begin(frame, asks)
            else:
                await self._listen(frame)
            self._idle = not self._inbox.statistics().current_buffer_used
        await self._all_begun()

    async def _all_begun(self) -> None:
        """What was asked before begins before, also before the end."""
        while self._beginning:
            await trio.lowlevel.checkpoint()

    def _begin(self, frame: Asked, asks: trio.Nursery) -> None:
        self._beginning += 1
        asks.start_soon(self._reply, frame)

    async def _reply(self, frame: Asked) -> None:
        self._beginning -= 1
        answer = await self._listen(frame)
        if self._failure is None and self._outcome is None:
            self._post(Answered(self.number, frame.ask, answer))

    async def _listen(self, frame: Told | Asked) -> msgspec.Raw:
        content = msgspec.Raw()
        try:
            if self._failure is None:
                content = await self._call_listener(frame)
        except Exception as error:  # noqa: BLE001 - raised from ``run``
            self._failure = self._failure or error
            self.cancel(0.0)
        self._dealt_with(len(memoryview(frame.content)))
        return content

    async def _call_listener(self, frame: Told | Asked) -> msgspec.Raw:
        message = self._message.decode(frame.content)
        if self._listener is not None:
            return self._answer.encode(await self._listener(message))
        if isinstance(frame, Asked):
            raise TypeError(f"job {self.number} asks, and run() was given no listener to answer")
        return msgspec.Raw()

    def _dealt_with(self, size: int) -> None:
        self._behind -= size
        self._owed += size
        if self._owed >= WINDOW // 2 and self._outcome is None:
            self._post(Credit(self.number, self._owed))
            self._owed = 0
