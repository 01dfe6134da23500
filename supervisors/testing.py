"""Tools for tests: of actors, of code that runs commands, of code that runs jobs; without a process or a second.

===================  =======================  ==========================================================
of                   instead of               use
===================  =======================  ==========================================================
one actor            `open_supervisor`        `open_actor`
whom an actor tells  another actor            `Probe`
what a tree does     a listener               `EventLog`
commands             `open_slots`             `open_fake_slots`, each command played by a `Script`
jobs                 `open_pool`              `open_fake_pool`; workers are lost by request
what trees use       the process table        `FakeProcessTable`, e.g. ``open_slots(table=...)``
time                 trio's clock             `autojump_clock`, e.g. ``trio.run(test, clock=autojump_clock())``
===================  =======================  ==========================================================

All of them work on trio's clock. With a virtual one budgets, periods, pauses, graces and deadlines pass in no time; it
is for fakes only, since it takes a real process or a thread for idle. The fakes replace what is below the boundary of
a process and nothing else, and pass the tests of the real ones.
"""

# ruff: noqa: A002 - "id" is the word of the field

import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio
from trio.testing import MockClock

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._fake_pool import FakePool, open_fake_pool
from supervisors._fake_process_table import FakeProcessTable
from supervisors._fake_slots import FakeSlots, OnTerm, Play, Script, open_fake_slots
from supervisors._process_table import ProcessSample, ProcessTable
from supervisors._ref import ActorRef
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.signals import TreeEvent
from supervisors.specs import Intensity

__all__ = [
    "EventLog",
    "FakePool",
    "FakeProcessTable",
    "FakeSlots",
    "OnTerm",
    "Play",
    "Probe",
    "ProcessSample",
    "ProcessTable",
    "Script",
    "autojump_clock",
    "open_actor",
    "open_fake_pool",
    "open_fake_slots",
]

M = TypeVar("M")


def autojump_clock() -> MockClock:
    """A virtual clock that jumps to the next deadline whenever every task waits."""
    return MockClock(autojump_threshold=0)


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
