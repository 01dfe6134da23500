"""Children that come and go by request."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._backoff import Backoff
from supervisors._child import ChildSpec
from supervisors._supervisor import DynamicSupervisor, DynamicSupervisorSpec, Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import (
    ActorDied,
    ActorStopped,
    DuplicateChild,
    RestartIntensityExceeded,
    StartFailed,
    UnknownChild,
)
from supervisors.signals import Killed, Reason, State, Stopped
from supervisors.specs import AutoShutdown, Intensity, Restart


class Agent(Actor[str]):
    async def handle(self, message: str) -> None:
        match message:
            case "crash":
                raise ValueError("crash")
            case "finish":
                self.finish()


def agent(id: str, restart: Restart = Restart.PERMANENT, **options: object) -> ChildSpec[str]:
    return ChildSpec(id, Agent, restart=restart, **options)  # type: ignore[arg-type]


async def test_start_and_stop_by_request() -> None:
    """A child is up when its start returns, and down when its stop does."""
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])) as root:
        first = await agents.ref.start_child(agent("1"))
        await agents.ref.start_child(agent("2"))
        await first.tell("hello")
        nodes = await agents.ref.children()
        assert [(node.id, node.kind, node.state) for node in nodes] == [
            ("1", "Agent", State.RUNNING),
            ("2", "Agent", State.RUNNING),
        ]
        await agents.ref.stop_child("1")
        assert (await first.wait_stopped()).reason == Stopped()
        assert [node.id for node in root.tree().children[0].children] == ["2"]


async def test_a_start_returns_when_the_child_is_up(autojump_clock: MockClock) -> None:
    """Slow starts run side by side."""

    class Slow(Agent):
        async def started(self) -> None:
            await trio.sleep(10)

    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        async with trio.open_nursery() as nursery:
            for id in "abc":
                nursery.start_soon(agents.ref.start_child, ChildSpec(id, Slow))
        assert trio.current_time() == pytest.approx(10)
        assert [node.state for node in await agents.ref.children()] == [State.RUNNING] * 3


async def test_a_child_is_found_by_its_id_as_long_as_it_is_there() -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        started = await agents.ref.start_child(ChildSpec("a", Agent))
        assert await agents.ref.find_child("b") is None
        found = await agents.ref.find_child("a")
        assert found == started
        await agents.ref.stop_child("a")
        assert (await started.wait_stopped()).reason == Stopped()
        assert await agents.ref.find_child("a") is None


async def test_a_failed_start_is_the_asker_s_to_see() -> None:
    """It is not retried nor counted; the same spec may be tried again."""
    attempts: list[int] = []

    class Flaky(Agent):
        async def started(self) -> None:
            attempts.append(1)
            if len(attempts) < 3:
                raise OSError("not yet")

    agents = DynamicSupervisorSpec("agents", lambda: DynamicSupervisor(intensity=Intensity(0)))
    flaky = ChildSpec("flaky", Flaky)
    async with open_supervisor(Supervisor([agents], intensity=Intensity(0))):
        for _ in range(2):
            with pytest.raises(StartFailed, match="'flaky'") as caught:
                await agents.ref.start_child(flaky)
            assert isinstance(caught.value.__cause__, OSError)
            assert await agents.ref.children() == ()
        ref = await agents.ref.start_child(flaky)
        await ref.tell("hello")


async def test_ids_are_unique_as_long_as_they_are_in_use() -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        await agents.ref.start_child(agent("1"))
        with pytest.raises(DuplicateChild):
            await agents.ref.start_child(agent("1"))
        await agents.ref.stop_child("1")
        await agents.ref.start_child(agent("1"))


async def test_stopping_nobody_is_an_error() -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        with pytest.raises(UnknownChild, match="no child '7'"):
            await agents.ref.stop_child("7")


async def test_a_spec_that_runs_elsewhere_is_refused() -> None:
    """The asker hears it; the supervisor goes on, and the id is free."""
    agents, others = DynamicSupervisorSpec("agents"), DynamicSupervisorSpec("others")
    spec = agent("1")
    async with open_supervisor(Supervisor([agents, others])):
        await agents.ref.start_child(spec)
        with pytest.raises(RuntimeError, match="runs already, as root/agents/1"):
            await others.ref.start_child(spec)
        await others.ref.start_child(agent("1"))


@pytest.mark.parametrize(
    ("restart", "end", "known"),
    [
        (Restart.PERMANENT, "crash", True),
        (Restart.TRANSIENT, "crash", True),
        (Restart.TRANSIENT, "finish", False),
        (Restart.TEMPORARY, "crash", False),
    ],
)
async def test_who_is_down_for_good_is_forgotten(restart: Restart, end: str, known: bool) -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        ref = await agents.ref.start_child(agent("1", restart))
        await ref.tell(end)
        await wait_all_tasks_blocked()
        assert [node.restarts for node in await agents.ref.children()] == ([1] if known else [])


async def test_all_are_stopped_at_once(autojump_clock: MockClock) -> None:
    """A hundred that take a second each take one second."""

    class Slow(Agent):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep(1)

    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        refs = [await agents.ref.start_child(ChildSpec(str(number), Slow)) for number in range(100)]
        begin = trio.current_time()
    assert trio.current_time() - begin == pytest.approx(1)
    assert {(await ref.wait_stopped()).reason for ref in refs} == {Stopped()}


async def test_a_stop_while_starting(autojump_clock: MockClock) -> None:
    """The one who asked for the start hears that it failed; the one who asked for the stop is content."""

    class Endless(Agent):
        async def started(self) -> None:
            await trio.sleep_forever()

    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])), trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(StartFailed):
                await agents.ref.start_child(ChildSpec("1", Endless, shutdown=2))

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        nursery.start_soon(agents.ref.stop_child, "1")
        await agents.ref.stop_child("1")
        assert trio.current_time() == pytest.approx(2)


async def test_stopping_a_child_that_waits_for_its_restart(autojump_clock: MockClock) -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        ref = await agents.ref.start_child(agent("1", backoff=Backoff(1000, maximum=1000)))
        await ref.tell("crash")
        await wait_all_tasks_blocked()
        await agents.ref.stop_child("1")
        with pytest.raises(ActorStopped):
            await ref.tell("hello")
    assert trio.current_time() < 1


async def test_a_new_incarnation_begins_without_children() -> None:
    """As in OTP: whoever started them must start them again, and refs to them say that they are gone."""
    agents = DynamicSupervisorSpec("agents", lambda: DynamicSupervisor(intensity=Intensity(0)))
    async with open_supervisor(Supervisor([agents])):
        one = await agents.ref.start_child(agent("1"))
        two = await agents.ref.start_child(agent("2"))
        await one.tell("crash")
        await two.wait_stopped()
        assert await agents.ref.children() == ()
        with pytest.raises(ActorStopped):
            await two.tell("hello")
        await agents.ref.start_child(agent("1"))


async def test_children_do_not_wait_for_a_supervisor_that_will_not_know_them(
    autojump_clock: MockClock,
) -> None:
    """Between two incarnations of it they are gone already, while messages to itself wait."""
    agents = DynamicSupervisorSpec(
        "agents", lambda: DynamicSupervisor(intensity=Intensity(0)), backoff=Backoff(100, maximum=100)
    )
    async with open_supervisor(Supervisor([agents])):
        one = await agents.ref.start_child(agent("1"))
        await one.tell("crash")
        await wait_all_tasks_blocked()
        with pytest.raises(ActorStopped):
            await one.tell("hello")
        await agents.ref.start_child(agent("1"))
        assert trio.current_time() >= 100


async def test_who_waits_for_a_start_hears_of_the_supervisor_s_death() -> None:
    class Endless(Agent):
        async def started(self) -> None:
            await trio.sleep_forever()

    agents = DynamicSupervisorSpec("agents", lambda: DynamicSupervisor(intensity=Intensity(0)))
    async with open_supervisor(Supervisor([agents])), trio.open_nursery() as nursery:
        crasher = await agents.ref.start_child(agent("crasher"))

        async def start() -> None:
            with pytest.raises((ActorDied, StartFailed)):
                await agents.ref.start_child(ChildSpec("endless", Endless, shutdown=0))

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        await crasher.tell("crash")


async def test_intensity_is_shared_over_all_children() -> None:
    agents = DynamicSupervisorSpec("agents", lambda: DynamicSupervisor(intensity=Intensity(2, 60)))
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(Supervisor([agents], intensity=Intensity(0))):
            for id in "abc":
                ref = await agents.ref.start_child(agent(id))
                await ref.tell("crash")
                await wait_all_tasks_blocked()
    assert isinstance(caught.value.__cause__, RestartIntensityExceeded)
    assert caught.value.__cause__.child == "c"


async def test_it_may_end_with_its_last_significant_child() -> None:
    agents = DynamicSupervisorSpec(
        "agents",
        lambda: DynamicSupervisor(auto_shutdown=AutoShutdown.ALL_SIGNIFICANT),
        restart=Restart.TRANSIENT,
    )
    async with open_supervisor(Supervisor([agents])):
        refs = [await agents.ref.start_child(agent(id, Restart.TEMPORARY, significant=True)) for id in "ab"]
        await refs[0].tell("crash")
        await refs[0].wait_stopped()
        assert len(await agents.ref.children()) == 1
        await refs[1].tell("finish")
        await agents.ref.wait_stopped()


async def test_insignificant_agreement_is_the_asker_s_mistake() -> None:
    agents = DynamicSupervisorSpec("agents")
    async with open_supervisor(Supervisor([agents])):
        with pytest.raises(ValueError, match="never shuts down"):
            await agents.ref.start_child(agent("1", Restart.TEMPORARY, significant=True))
        await agents.ref.start_child(agent("1"))


async def test_killed_all_are_killed(autojump_clock: MockClock) -> None:
    """When its own budget runs out, those of its children are void."""

    class Slow(Agent):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep_forever()

    agents = DynamicSupervisorSpec("agents", shutdown=2)
    async with open_supervisor(Supervisor([agents])):
        refs = [await agents.ref.start_child(ChildSpec(id, Slow, shutdown=60)) for id in "abc"]
        begin = trio.current_time()
    assert trio.current_time() - begin == pytest.approx(2)
    assert [(await ref.wait_stopped()).reason for ref in refs] == [Killed()] * 3
