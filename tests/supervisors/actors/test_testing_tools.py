"""The tools for tests of actors, tested."""

import pytest
import trio

from supervisors._actor import Actor
from supervisors._ref import ActorRef
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import RestartIntensityExceeded
from supervisors.signals import ChildDown, ChildStarted
from supervisors.testing import EventLog, Probe, open_actor


class Doubler(Actor[int]):
    def __init__(self, receiver: ActorRef[int]) -> None:
        self.receiver = receiver

    async def handle(self, message: int) -> None:
        await self.receiver.tell(2 * message)


async def test_a_probe_shows_what_it_was_told() -> None:
    probe = Probe[int]()
    async with open_supervisor(Supervisor([probe.spec])), open_actor(lambda: Doubler(probe.ref)) as doubler:
        await doubler.tell(1)
        await doubler.tell(2)
        assert [await probe.receive(), await probe.receive()] == [2, 4]
        assert probe.waiting() == 0


async def test_a_crash_of_a_lone_actor_leaves_the_block() -> None:
    class Broken(Actor[int]):
        async def handle(self, message: int) -> None:
            raise ZeroDivisionError

    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_actor(Broken) as broken:
            await broken.tell(1)
            await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_an_event_log_waits_for_what_is_wanted() -> None:
    """Also for what it has heard already."""
    log, probe = EventLog(), Probe[int]("p")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.until, lambda event: isinstance(event, ChildDown))
        async with open_supervisor(Supervisor([probe.spec]), listener=log):
            assert await log.until(lambda _: True) == ChildStarted(("root", "p"))
