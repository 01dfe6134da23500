"""Tools for tests of actors: run one alone, stand in for one, watch a tree.

They need no clock of their own; with `trio.testing.MockClock` (``autojump_threshold=0``) budgets, periods, pauses
and deadlines pass in no time.
"""

# ruff: noqa: A002 - "id" is the word of the field

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._ref import ActorRef
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.signals import TreeEvent
from supervisors.specs import Intensity

M = TypeVar("M")


@asynccontextmanager
async def open_actor(start: Callable[[], Actor[M]], *, id: str = "actor") -> AsyncGenerator[ActorRef[M]]:
    """Run one actor beside the block, without restarts.

    ::

        async with open_actor(Counter) as counter:
            await counter.tell(3)
            assert await counter.ask(Read) == 3

    A crash cancels the block and leaves it as `RestartIntensityExceeded`, with the actor's exception as the cause.
    """
    spec = ChildSpec(id, start)
    async with open_supervisor(Supervisor([spec], intensity=Intensity(0))):
        yield spec.ref


class Probe(Generic[M]):
    """Stands in for an actor: takes any message and lets the test look at it.

    Put ``probe.spec`` into a supervisor, or give ``probe.ref`` to the actor under test.
    """

    def __init__(self, id: str = "probe") -> None:
        self.spec: ChildSpec[M] = ChildSpec(id, lambda: _Forwarder(self._taken))
        self._taken, self._given = trio.open_memory_channel[M](math.inf)

    @property
    def ref(self) -> ActorRef[M]:
        """What the actor under test talks to."""
        return self.spec.ref

    async def receive(self) -> M:
        """The next message; waits for it."""
        return await self._given.receive()

    def waiting(self) -> int:
        """How many messages have come that the test has not received."""
        return self._given.statistics().current_buffer_used


class _Forwarder(Actor[M]):
    def __init__(self, taken: trio.MemorySendChannel[M]) -> None:
        self._taken = taken

    async def handle(self, message: M) -> None:
        self._taken.send_nowait(message)


class EventLog:
    """A listener that keeps what it is told: ``open_supervisor(..., listener=log)``."""

    def __init__(self) -> None:
        self.events: list[TreeEvent] = []
        self._arrived = trio.lowlevel.ParkingLot()

    def __call__(self, event: TreeEvent) -> None:
        """Keep ``event``."""
        self.events.append(event)
        self._arrived.unpark_all()

    async def until(self, wanted: Callable[[TreeEvent], bool]) -> TreeEvent:
        """The first event, from the beginning, that is ``wanted``; waits for it."""
        seen = 0
        while True:
            while seen < len(self.events):
                if wanted(self.events[seen]):
                    return self.events[seen]
                seen += 1
            await self._arrived.park()
