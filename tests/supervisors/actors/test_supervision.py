"""Supervisors at work: what the policy decides really happens to actors."""

import itertools
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._backoff import Backoff
from supervisors._child import ChildSpec
from supervisors._supervisor import DynamicSupervisorSpec, Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import ActorStopped, DuplicateChild, RestartIntensityExceeded, StartFailed
from supervisors.signals import (
    ChildDown,
    ChildRestarted,
    ChildStarted,
    Crashed,
    Escalated,
    Finished,
    Killed,
    Reason,
    State,
    Stopped,
)
from supervisors.specs import AutoShutdown, Intensity, Restart, Strategy
from supervisors.testing import EventLog


class Player(Actor[str]):
    """Tells the story of all players in one list, and ends in the way it is told to."""

    def __init__(self, id: str, story: list[str]) -> None:
        self.id = id
        self.story = story

    async def started(self) -> None:
        self.story.append(f"+{self.id}")

    async def handle(self, message: str) -> None:
        match message:
            case "crash":
                raise ValueError(f"{self.id} crashed")
            case "finish":
                self.finish()
            case "overrun":
                self.ref.stop()
                await trio.sleep_forever()
            case "interrupt":
                raise KeyboardInterrupt

    async def stopped(self, reason: Reason) -> None:
        self.story.append(f"-{self.id}")


class Stage:
    """Makes specs of players that share one story."""

    def __init__(self) -> None:
        self.story: list[str] = []

    def spec(self, id: str, **options: Any) -> ChildSpec[str]:
        return ChildSpec(id, lambda: Player(id, self.story), **options)

    def family(self, ids: str, **options: Any) -> list[ChildSpec[str]]:
        return [self.spec(id, **options) for id in ids]

    async def told(self) -> str:
        await wait_all_tasks_blocked()
        text = " ".join(self.story)
        self.story.clear()
        return text


ENDS = {"crash": Crashed, "finish": Finished, "overrun": Killed}


@pytest.mark.parametrize(
    ("restart", "end", "again"),
    [
        (Restart.PERMANENT, "crash", True),
        (Restart.PERMANENT, "finish", True),
        (Restart.PERMANENT, "overrun", True),
        (Restart.TRANSIENT, "crash", True),
        (Restart.TRANSIENT, "finish", False),
        (Restart.TRANSIENT, "overrun", True),
        (Restart.TEMPORARY, "crash", False),
        (Restart.TEMPORARY, "finish", False),
        (Restart.TEMPORARY, "overrun", False),
    ],
)
async def test_restart_types_and_reasons(
    restart: Restart, end: str, again: bool, autojump_clock: MockClock
) -> None:
    """Permanent comes back always, transient after a crash or a kill, temporary never."""
    stage, log = Stage(), EventLog()
    spec = stage.spec("a", restart=restart, shutdown=1)
    async with open_supervisor(Supervisor([spec]), listener=log):
        await spec.ref.tell(end)
        down = await log.until(lambda event: isinstance(event, ChildDown))
        assert isinstance(down, ChildDown)
        assert type(down.reason) is ENDS[end]
        if again:
            await log.until(lambda event: event == ChildRestarted(("root", "a"), 1))
            await spec.ref.tell("hello")
        else:
            assert (await spec.ref.wait_stopped()).reason == down.reason
            with pytest.raises(ActorStopped):
                await spec.ref.tell("hello")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "-b +b"),
        (Strategy.ONE_FOR_ALL, "-b -d -c -a +a +b +c +d"),
        (Strategy.REST_FOR_ONE, "-b -d -c +b +c +d"),
    ],
)
async def test_strategies(strategy: Strategy, expected: str) -> None:
    """Stops in reverse, starts in order, each only when the one before is done."""
    stage = Stage()
    specs = stage.family("abcd")
    async with open_supervisor(Supervisor(specs, strategy=strategy)):
        assert await stage.told() == "+a +b +c +d"
        await specs[1].ref.tell("crash")
        assert await stage.told() == expected
    assert await stage.told() == "-d -c -b -a"


async def test_each_start_waits_for_the_one_before(autojump_clock: MockClock) -> None:
    """`started` may take its time: the next child finds the one before it up."""
    story: list[str] = []

    class Slow(Player):
        async def started(self) -> None:
            await trio.sleep(10)
            await super().started()

    slow = ChildSpec("slow", lambda: Slow("slow", story))
    quick = ChildSpec("quick", lambda: Player("quick", story))
    async with open_supervisor(Supervisor([slow, quick])):
        assert story == ["+slow", "+quick"]


async def test_a_start_may_ask_an_earlier_sibling() -> None:
    """Also during a restart of both: the start that waits for a dead sibling is begun anew after it."""
    story: list[str] = []

    class Second(Player):
        async def started(self) -> None:
            with trio.fail_after(120):
                await first.ref.tell("hello")
            await super().started()

    first = ChildSpec("first", lambda: Player("first", story), capacity=1)
    second = ChildSpec("second", lambda: Second("second", story))
    async with open_supervisor(Supervisor([first, second], strategy=Strategy.ONE_FOR_ALL)):
        await first.ref.tell("crash")
        await wait_all_tasks_blocked()
    assert story == ["+first", "+second", "-first", "-second", "+first", "+second", "-second", "-first"]


async def test_a_failed_first_start_unwinds() -> None:
    """Those already up are stopped in reverse; the error of the start is the cause."""
    stage = Stage()

    def broken() -> Actor[str]:
        raise OSError("no such device")

    a, b, d = stage.family("abd")
    with pytest.raises(StartFailed, match="child 'c' failed to start") as caught:
        async with open_supervisor(Supervisor([a, b, ChildSpec("c", broken), d])):
            raise AssertionError("must not begin")
    assert isinstance(caught.value.__cause__, OSError)
    assert await stage.told() == "+a +b -b -a"
    with pytest.raises(ActorStopped):
        a.ref.tell_nowait("hello")


async def test_a_failed_start_below_fails_the_start_above() -> None:
    """The chain of causes leads down to the error."""

    class Broken(Actor[str]):
        async def started(self) -> None:
            raise OSError("no such device")

    stage = Stage()
    inner = ChildSpec("inner", lambda: Supervisor([stage.spec("b"), ChildSpec("c", Broken)]))
    with pytest.raises(StartFailed, match="'inner'") as caught:
        async with open_supervisor(Supervisor([stage.spec("a"), inner])):
            raise AssertionError("must not begin")
    assert isinstance(caught.value.__cause__, StartFailed)
    assert isinstance(caught.value.__cause__.__cause__, OSError)
    assert await stage.told() == "+a +b -b -a"


async def test_a_failed_restart_is_retried_and_counted() -> None:
    """Three restarts are allowed: two that fail and one that succeeds."""
    attempts = itertools.count()

    class Flaky(Player):
        async def started(self) -> None:
            if next(attempts) in {1, 2}:
                raise OSError("not yet")
            await super().started()

    log = EventLog()
    spec = ChildSpec("flaky", lambda: Flaky("flaky", []))
    async with open_supervisor(Supervisor([spec]), listener=log):
        await spec.ref.tell("crash")
        await log.until(lambda event: event == ChildRestarted(("root", "flaky"), 3))


async def test_too_many_restarts_cancel_the_block() -> None:
    """The error says who and how often; the last crash is its cause; the others were stopped in reverse."""
    stage, log = Stage(), EventLog()
    a, b, c = stage.family("abc")
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(Supervisor([a, b, c], intensity=Intensity(2, 10)), listener=log):
            for _ in range(3):
                await b.ref.tell("crash")
            await trio.sleep_forever()
    assert str(caught.value) == ("supervisor 'root' gave up on child 'b': more than 2 restarts within 10 s")
    assert str(caught.value.__cause__) == "b crashed"
    assert await stage.told() == "+a +b +c -b +b -b +b -b -c -a"
    assert sum(isinstance(event, Escalated) for event in log.events) == 1


async def test_restarts_spread_over_time_are_forgiven(autojump_clock: MockClock) -> None:
    """Never more than three within five seconds: no escalation, however many in all."""
    stage = Stage()
    spec = stage.spec("a")
    async with open_supervisor(Supervisor([spec])) as root:
        for _ in range(20):
            await spec.ref.tell("crash")
            await trio.sleep(1.7)
        assert root.tree().children[0].restarts == 20


async def test_escalation_through_two_levels() -> None:
    """Each level tries its own restarts: 1 below, so every second crash is one restart of the middle, and so on up."""
    stage, log = Stage(), EventLog()
    leaf = stage.spec("leaf")
    once = Intensity(1, 60)
    inner = ChildSpec("inner", lambda: Supervisor([leaf], intensity=once))
    middle = ChildSpec("middle", lambda: Supervisor([inner], intensity=once))
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(Supervisor([middle], intensity=once), listener=log):
            for _ in range(8):
                await leaf.ref.tell("crash")
                await wait_all_tasks_blocked()
            raise AssertionError("must be cancelled by the eighth crash")
    paths = [event.path for event in log.events if isinstance(event, Escalated)]
    root, below, bottom = ("root",), ("root", "middle"), ("root", "middle", "inner")
    assert paths == [bottom, bottom, below, bottom, bottom, below, root]
    error: BaseException | None = caught.value
    for child in ("middle", "inner", "leaf"):
        assert isinstance(error, RestartIntensityExceeded)
        assert error.child == child
        error = error.__cause__
    assert isinstance(error, ValueError)


async def test_a_restarted_supervisor_starts_its_children_anew() -> None:
    """Refs to them stay valid, and messages sent meanwhile wait."""
    stage = Stage()
    leaf, other = stage.family("ab")
    inner = ChildSpec("inner", lambda: Supervisor([leaf, other], intensity=Intensity(0)))
    async with open_supervisor(Supervisor([inner])) as root:
        leaf.ref.tell_nowait("crash")
        leaf.ref.tell_nowait("hello")
        assert await stage.told() == "+a +b -a -b +a +b"
        assert root.tree().children[0].restarts == 1
        assert [child.restarts for child in root.tree().children[0].children] == [1, 1]
        assert [child.mailbox for child in root.tree().children[0].children] == [0, 0]


async def test_children_that_a_new_supervisor_does_not_have_are_gone() -> None:
    """A factory may make new specs each time; refs to the old ones say so instead of waiting for ever."""
    specs: list[ChildSpec[str]] = []

    def build() -> Supervisor:
        specs.append(ChildSpec("a", lambda: Player("a", [])))
        return Supervisor([specs[-1]], intensity=Intensity(0))

    async with open_supervisor(Supervisor([ChildSpec("inner", build)])):
        await specs[0].ref.tell("crash")
        await wait_all_tasks_blocked()
        with pytest.raises(ActorStopped):
            await specs[0].ref.tell("hello")
        await specs[1].ref.tell("hello")


async def test_backoff_pauses_between_restarts(autojump_clock: MockClock) -> None:
    """The tree shows the pause; messages wait; nobody else is kept waiting."""
    stage = Stage()
    spec = stage.spec("a", backoff=Backoff(10, factor=2, maximum=100))
    other = stage.spec("b")
    async with open_supervisor(Supervisor([spec, other], intensity=Intensity(9, 1000))) as root:
        await spec.ref.tell("crash")
        await trio.sleep(9)
        assert root.tree().children[0].state is State.RESTARTING
        await other.ref.tell("crash")
        assert await stage.told() == "+a +b -a -b +b"
        await trio.sleep(2)
        assert await stage.told() == "+a"
        await spec.ref.tell("crash")
        await trio.sleep(19)
        assert await stage.told() == "-a"
        await trio.sleep(2)
        assert await stage.told() == "+a"


async def test_a_supervisor_that_ends_while_a_child_waits_starts_again(autojump_clock: MockClock) -> None:
    """The pause belongs to the life that gave it; the next one starts the child at once."""
    stage = Stage()
    spec = stage.spec("a", backoff=Backoff(10, maximum=10))
    inner = ChildSpec("inner", lambda: Supervisor([spec]))
    async with open_supervisor(Supervisor([inner])):
        await spec.ref.tell("crash")
        await trio.sleep(1)
        inner.ref.stop()
        await wait_all_tasks_blocked()
        assert stage.story == ["+a", "-a", "+a"]
        assert spec.place.state is State.RUNNING
    assert stage.story[-1] == "-a"


async def test_a_stop_does_not_wait_for_a_pause(autojump_clock: MockClock) -> None:
    spec = Stage().spec("a", backoff=Backoff(1000, maximum=1000))
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.tell("crash")
        await wait_all_tasks_blocked()
    assert trio.current_time() < 1


async def test_auto_shutdown_ends_the_tree_when_the_work_is_done() -> None:
    """A run-to-completion tree: services live as long as the last significant child."""
    stage = Stage()
    service = stage.spec("service")
    jobs = stage.family("ab", restart=Restart.TRANSIENT, significant=True)
    supervisor = Supervisor([service, *jobs], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)
    async with open_supervisor(supervisor) as root:
        for job in jobs:
            await job.ref.tell("finish")
        assert await root.wait() == Finished()
    assert await stage.told() == "+service +a +b -a -b -service"


async def test_a_supervisor_that_finished_is_a_normal_end_to_its_own() -> None:
    """A transient one is not started again."""
    stage = Stage()
    job = stage.spec("job", restart=Restart.TRANSIENT, significant=True)
    phase = ChildSpec(
        "phase",
        lambda: Supervisor([job], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT),
        restart=Restart.TRANSIENT,
    )
    async with open_supervisor(Supervisor([phase])):
        await job.ref.tell("finish")
        assert (await phase.ref.wait_stopped()).reason == Finished()
        assert (await job.ref.wait_stopped()).reason == Finished()


async def test_significance_needs_an_agreement() -> None:
    """As in OTP: not for permanent children, not without auto-shutdown."""
    with pytest.raises(ValueError, match="permanent"):
        ChildSpec("a", lambda: Player("a", []), significant=True)
    with pytest.raises(ValueError, match="never shuts down"):
        Supervisor([Stage().spec("a", restart=Restart.TRANSIENT, significant=True)])


async def test_ids_are_unique_among_siblings() -> None:
    with pytest.raises(DuplicateChild, match="'a' exists already"):
        Supervisor(Stage().family("aa"))


async def test_one_spec_cannot_run_twice() -> None:
    """A place is in one tree; the second supervisor fails to start and harms nobody."""
    spec = Stage().spec("a")
    async with open_supervisor(Supervisor([spec])):
        with pytest.raises(RuntimeError, match="runs already, as root/a"):
            async with open_supervisor(Supervisor([spec])):
                raise AssertionError("must not begin")
        await spec.ref.tell("hello")


async def test_a_spec_may_be_used_again_afterwards() -> None:
    stage = Stage()
    spec = stage.spec("a")
    for _ in range(2):
        async with open_supervisor(Supervisor([spec])):
            await spec.ref.tell("hello")
    assert await stage.told() == "+a -a +a -a"


async def test_a_killed_supervisor_kills_in_reverse(autojump_clock: MockClock) -> None:
    """Its budget is used up by one child; none of the others gets more time, the order stays."""
    ends: list[str] = []

    class Lasting(Actor[str]):
        def __init__(self, id: str) -> None:
            self.id = id

        async def stopped(self, reason: Reason) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ends.append(self.id)

    specs = [ChildSpec(id, lambda id=id: Lasting(id), shutdown=60) for id in "abc"]  # type: ignore[misc]
    inner = ChildSpec("inner", lambda: Supervisor(specs), shutdown=3)
    outer = Stage().spec("outer")
    async with open_supervisor(Supervisor([outer, inner])):
        pass
    assert trio.current_time() == pytest.approx(3)
    assert ends == ["c"]  # the others were cancelled before their clean-up began
    assert [(await spec.ref.wait_stopped()).reason for spec in specs] == [Killed()] * 3
    assert (await outer.ref.wait_stopped()).reason == Stopped()


async def test_ctrl_c_in_an_actor_restarts_nothing() -> None:
    """The tree is stopped in order, through all levels, and the KeyboardInterrupt leaves the block."""
    stage, log = Stage(), EventLog()
    a, b, c = stage.family("abc")
    inner = ChildSpec("inner", lambda: Supervisor([b, c]))
    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(Supervisor([a, inner]), listener=log):
            await b.ref.tell("interrupt")
            await trio.sleep_forever()
    assert await stage.told() == "+a +b +c -b -c -a"
    assert not [event for event in log.events if isinstance(event, ChildRestarted)]


async def test_a_supervisor_may_have_a_life_of_its_own() -> None:
    """What it sets up is there before its children and cleaned up after them."""
    stage = Stage()

    class Host(Supervisor):
        async def started(self) -> None:
            stage.story.append("+host")

        async def stopped(self, reason: Reason) -> None:
            stage.story.append("-host")

    async with open_supervisor(Host([stage.spec("a")])):
        pass
    assert await stage.told() == "+host +a -a -host"


async def test_an_empty_supervisor_is_a_fine_child() -> None:
    log = EventLog()
    async with open_supervisor(
        Supervisor([ChildSpec("none", Supervisor), DynamicSupervisorSpec("d")]), listener=log
    ):
        assert log.events == [ChildStarted(("root", "none")), ChildStarted(("root", "d"))]
