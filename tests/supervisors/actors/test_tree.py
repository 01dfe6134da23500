"""The door: a tree lives as long as its block, and ends in order however the block ends."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import ActorStopped, RestartIntensityExceeded
from supervisors.signals import (
    ChildDown,
    ChildRestarted,
    ChildStarted,
    Crashed,
    Escalated,
    Finished,
    Killed,
    Node,
    Reason,
    State,
    Stopped,
    TreeEvent,
)
from supervisors.specs import Intensity, Restart
from supervisors.testing import EventLog


class Player(Actor[str]):
    def __init__(self, id: str, ends: list[str]) -> None:
        self.id = id
        self.ends = ends

    async def handle(self, message: str) -> None:
        if message == "crash":
            raise ValueError("crash")
        if message == "finish":
            self.finish()
            return
        await trio.sleep_forever()

    async def stopped(self, reason: Reason) -> None:
        await trio.sleep(0.01)
        self.ends.append(self.id)


def player(id: str, ends: list[str] | None = None, **options: object) -> ChildSpec[str]:
    return ChildSpec(id, lambda: Player(id, [] if ends is None else ends), **options)  # type: ignore[arg-type]


def deep_tree(ends: list[str], width: int, groups: int) -> Supervisor:
    """``width * groups`` players under supervisors under supervisors."""
    names = [f"{group:02}-{number:02}" for group in range(groups) for number in range(width)]
    chunks = [names[start : start + width] for start in range(0, len(names), width)]

    def inner(chunk: list[str]) -> Supervisor:
        return Supervisor([player(name, ends) for name in chunk])

    middle = [ChildSpec(chunk[0], lambda chunk=chunk: inner(chunk)) for chunk in chunks]  # type: ignore[misc]
    halves = [middle[: groups // 2], middle[groups // 2 :]]
    return Supervisor(
        [ChildSpec(str(n), lambda half=half: Supervisor(half)) for n, half in enumerate(halves)]
    )  # type: ignore[misc]


@pytest.mark.parametrize("how", ["end", "error", "cancel", "stop", "deadline while starting"])
async def test_three_hundred_end_in_reverse(how: str, autojump_clock: MockClock) -> None:
    """In nested supervisors, with clean-ups that wait, also when all is cancelled from outside at once."""
    ends: list[str] = []
    supervisor = deep_tree(ends, width=15, groups=20)
    names = [f"{group:02}-{number:02}" for group in range(20) for number in range(15)]
    with trio.CancelScope() as scope:
        try:
            if how == "deadline while starting":
                scope.cancel()
            async with open_supervisor(supervisor) as root:
                match how:
                    case "error":
                        raise ValueError("error")
                    case "cancel":
                        scope.cancel()
                        await trio.sleep_forever()
                    case "stop":
                        await root.stop()
                        assert ends == names[::-1]
        except ValueError as error:
            assert str(error) == "error"  # noqa: PT017 - only one of the cases raises
    started = [name for name in names if name in ends]
    assert ends == started[::-1]
    # How many were begun before the cancellation was noticed is the scheduler's choice; in which order is not.
    assert started == (names[: len(started)] if how == "deadline while starting" else names)
    assert scope.cancelled_caught == (how in {"cancel", "deadline while starting"})


async def test_a_recorder_started_first_hears_everything(autojump_clock: MockClock) -> None:
    """Whoever was started later may tell it something until their very end, under cancellation too."""
    heard: list[str] = []

    class Recorder(Actor[str]):
        async def handle(self, message: str) -> None:
            heard.append(message)

    recorder = ChildSpec("recorder", Recorder, drain=True)

    class Worker(Actor[str]):
        async def stopped(self, reason: Reason) -> None:
            await trio.sleep(1)
            await recorder.ref.tell("last words")

    workers = [ChildSpec(str(number), Worker) for number in range(10)]
    group = ChildSpec("workers", lambda: Supervisor(workers))
    with trio.move_on_after(5):
        async with open_supervisor(Supervisor([recorder, group])):
            await trio.sleep_forever()
    assert heard == ["last words"] * 10


async def test_the_block_s_own_error_leaves_it_as_it_is() -> None:
    """Not wrapped in a group, its context untouched."""
    with pytest.raises(KeyError) as caught:
        async with open_supervisor(Supervisor([player("a")])):
            try:
                raise ValueError("first")
            except ValueError:
                raise KeyError("second") from None
    assert isinstance(caught.value.__context__, ValueError)
    assert caught.value.__suppress_context__


async def test_a_group_raised_by_the_block_stays_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with open_supervisor(Supervisor([player("a")])):
            raise ExceptionGroup("mine", [ValueError("one"), ValueError("two")])
    assert caught.value.message == "mine"


async def test_a_failure_of_the_tree_outranks_an_error_of_the_block() -> None:
    """Which mostly follows from it; it is added as a note."""
    spec = player("a")
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(Supervisor([spec], intensity=Intensity(0))):
            await spec.ref.tell("crash")
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("aftermath")
    assert caught.value.__notes__ == ["the block raised too: KeyError('aftermath')"]


async def test_what_follows_the_block_is_not_cancelled() -> None:
    """The cancellation that a failure brings is the block's alone."""
    spec = player("a")
    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(Supervisor([spec], intensity=Intensity(0))):
            await spec.ref.tell("crash")
            await trio.sleep_forever()
    await trio.lowlevel.checkpoint()


async def test_a_crash_during_the_stop_is_only_told() -> None:
    """The tree is ending anyway: as in OTP it is reported and nothing else."""

    class Clumsy(Actor[str]):
        async def stopped(self, reason: Reason) -> None:
            raise ValueError("clumsy")

    log = EventLog()
    async with open_supervisor(Supervisor([ChildSpec("a", Clumsy), player("b")]), listener=log) as root:
        pass
    assert await root.wait() == Stopped()
    assert [str(event.reason) for event in log.events if isinstance(event, ChildDown)][
        -1
    ] == "ValueError: clumsy"


async def test_kill_gives_no_more_time(autojump_clock: MockClock) -> None:
    """The second Ctrl-C: what is being stopped is cancelled, the rest too, still in reverse."""
    log = EventLog()
    specs = [player(id, shutdown=1000) for id in "abc"]
    inner = ChildSpec("inner", lambda: Supervisor(specs[1:]))
    async with (
        open_supervisor(Supervisor([specs[0], inner]), listener=log) as root,
        trio.open_nursery() as nursery,
    ):
        for spec in specs:
            await spec.ref.tell("sleep")
        nursery.start_soon(root.stop)
        await trio.sleep(1)
        assert root.tree().state is State.STOPPING
        root.kill()
        assert await root.wait() == Killed()
    assert trio.current_time() == pytest.approx(1)
    downs = [event.path[-1] for event in log.events if isinstance(event, ChildDown)]
    assert downs == ["c", "b", "inner", "a"]


async def test_wait_says_why() -> None:
    """After an orderly stop and after the tree's own end; refs are dead then."""
    spec = player("a", restart=Restart.TRANSIENT)
    async with open_supervisor(Supervisor([spec])) as root:
        await root.stop()
        assert await root.wait() == Stopped()
        with pytest.raises(ActorStopped):
            await spec.ref.tell("hello")


async def test_the_listener_hears_the_story() -> None:
    """Starts in order with paths, crashes with their errors, restarts with their number, ends in reverse."""
    log = EventLog()
    a = player("a")
    group = ChildSpec("group", lambda: Supervisor([a]))
    async with open_supervisor(Supervisor([group]), id="app", listener=log):
        await a.ref.tell("crash")
        await log.until(lambda event: isinstance(event, ChildRestarted))
    path = ("app", "group", "a")
    crash = log.events[2]
    assert isinstance(crash, ChildDown)
    assert isinstance(crash.reason, Crashed)
    assert str(crash.reason.error) == "crash"
    assert log.events[:2] == [ChildStarted(path), ChildStarted(("app", "group"))]
    assert log.events[3:] == [
        ChildRestarted(path, 1),
        ChildDown(path, Stopped()),
        ChildDown(("app", "group"), Stopped()),
    ]


async def test_the_listener_hears_of_an_escalation() -> None:
    log = EventLog()
    a = player("a")
    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(Supervisor([a], intensity=Intensity(0)), listener=log):
            await a.ref.tell("crash")
            await trio.sleep_forever()
    [escalated] = [event for event in log.events if isinstance(event, Escalated)]
    assert (escalated.path, escalated.child, str(escalated.reason)) == (("root",), "a", "ValueError: crash")


async def test_a_listener_that_raises_brings_the_tree_down_in_order(autojump_clock: MockClock) -> None:
    """Its error leaves the block; it is asked no more."""
    calls: list[TreeEvent] = []

    def listener(event: TreeEvent) -> None:
        calls.append(event)
        if isinstance(event, ChildRestarted):
            raise OSError("disk full")

    ends: list[str] = []
    a, b = player("a", ends), player("b", ends)
    with pytest.raises(OSError, match="disk full"):
        async with open_supervisor(Supervisor([a, b]), listener=listener):
            await a.ref.tell("crash")
            await trio.sleep_forever()
    assert ends == ["a", "b", "a"]
    assert calls[-1] == ChildRestarted(("root", "a"), 1)


async def test_a_listener_that_raises_at_the_failure_of_the_tree() -> None:
    """Its error was first; what became of the tree is added as a note."""

    def listener(event: TreeEvent) -> None:
        if isinstance(event, Escalated):
            raise OSError("disk full")

    a = player("a")
    with pytest.raises(OSError, match="disk full") as caught:
        async with open_supervisor(Supervisor([a], intensity=Intensity(0)), listener=listener):
            await a.ref.tell("crash")
            await trio.sleep_forever()
    assert "RestartIntensityExceeded" in caught.value.__notes__[0]


async def test_a_listener_that_raises_while_starting() -> None:
    """The block never begins."""

    def listener(event: TreeEvent) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        async with open_supervisor(Supervisor([player("a"), player("b")]), listener=listener):
            raise AssertionError("must not begin")


async def test_the_tree_shows_how_things_stand(autojump_clock: MockClock) -> None:
    """Kinds, states, restarts, mailbox depth, the last error; temporary children are forgotten when down."""
    a, b, c = player("a"), player("b", restart=Restart.TRANSIENT), player("c", restart=Restart.TEMPORARY)
    group = ChildSpec("group", lambda: Supervisor([a, b, c]))
    async with open_supervisor(Supervisor([group])) as root:
        for message in ("crash", "sleep", "queued", "queued"):
            await a.ref.tell(message)
        await c.ref.tell("crash")
        await c.ref.wait_stopped()
        await b.ref.tell("finish")
        await b.ref.wait_stopped()
        await trio.sleep(1)
        running, error = State.RUNNING, "ValueError: crash"
        assert root.tree() == Node(
            "root", "Supervisor", running, 0, 0, None,
            (
                Node(
                    "group", "Supervisor", running, 0, 0, None,
                    (
                        Node("a", "Player", running, 1, 2, error, ()),
                        Node("b", "Player", State.STOPPED, 0, 0, None, ()),
                    ),
                ),
            ),
        )  # fmt: skip


async def test_the_tree_may_be_looked_at_after_its_end() -> None:
    async with open_supervisor(Supervisor([player("a")])) as root:
        pass
    assert root.tree().state is State.STOPPED
    assert root.tree().children[0].state is State.STOPPED


async def test_the_listener_may_stop_an_actor() -> None:
    """It is called between two steps of a supervisor, so requests from it are fine."""
    a, b = player("a"), player("b", restart=Restart.TRANSIENT)

    def listener(event: TreeEvent) -> None:
        if event == ChildRestarted(("root", "a"), 1):
            b.ref.stop()

    async with open_supervisor(Supervisor([a, b]), listener=listener):
        await a.ref.tell("crash")
        assert (await b.ref.wait_stopped()).reason == Stopped()


async def test_finished_roots_do_not_end_the_block() -> None:
    """Only failures cancel it; an orderly end of the tree is there to be waited for."""
    async with open_supervisor(Supervisor()) as root:
        await root.stop()
        await wait_all_tasks_blocked()
    assert await root.wait() in {Stopped(), Finished()}
