"""Seeing others end."""

import trio
from trio.testing import wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.signals import Crashed, Down, Finished, Reason, Stopped
from supervisors.specs import Restart


class Player(Actor[str]):
    async def handle(self, message: str) -> None:
        if message == "crash":
            raise ValueError("crash")
        self.finish()


async def test_a_monitor_sees_each_end_and_then_the_last() -> None:
    spec = ChildSpec("a", Player, restart=Restart.TRANSIENT)
    async with open_supervisor(Supervisor([spec])):
        with spec.ref.monitor() as downs:
            for message in ("crash", "crash", "finish"):
                await spec.ref.tell(message)
            seen = [down async for down in downs]
    assert [type(down.reason) for down in seen] == [Crashed, Crashed, Finished]
    assert {down.id for down in seen} == {"a"}


async def test_waiting_for_the_end_ignores_restarts() -> None:
    spec = ChildSpec("a", Player)
    reasons: list[Reason] = []

    async def wait() -> None:
        reasons.append((await spec.ref.wait_stopped()).reason)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        async with open_supervisor(Supervisor([spec])):
            await spec.ref.tell("crash")
            await wait_all_tasks_blocked()
            assert reasons == []
    assert reasons == [Stopped()]


async def test_who_comes_late_learns_the_last_end() -> None:
    spec = ChildSpec("a", Player, restart=Restart.TEMPORARY)
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.tell("finish")
        first = await spec.ref.wait_stopped()
        with spec.ref.monitor() as downs:
            assert [down async for down in downs] == [first] == [Down("a", Finished())]


async def test_one_that_never_started_was_stopped() -> None:
    """Its tree failed before its turn came."""

    class Broken(Player):
        async def started(self) -> None:
            raise ValueError("broken")

    spec = ChildSpec("b", Player)
    try:
        async with open_supervisor(Supervisor([ChildSpec("a", Broken), spec])):
            raise AssertionError("must not begin")
    except Exception:  # noqa: BLE001, S110 - which one is the matter of other tests
        pass
    assert await spec.ref.wait_stopped() == Down("b", Stopped())


async def test_a_monitor_left_early_is_forgotten() -> None:
    """Nothing piles up for those who do not look any more."""
    spec = ChildSpec("a", Player)
    async with open_supervisor(Supervisor([spec])):
        with spec.ref.monitor():
            pass
        await spec.ref.tell("crash")
        await wait_all_tasks_blocked()
        await spec.ref.tell("crash")
