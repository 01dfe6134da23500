"""A question is settled once: by the answer, the deadline, or the end of the actor."""

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors._reply import Reply
from supervisors._supervisor import Supervisor
from supervisors._tree import open_supervisor
from supervisors.errors import (
    ActorDied,
    ActorGone,
    ActorStopped,
    AlreadyAnswered,
    AskTimeout,
    MailboxFull,
    SupervisionError,
)
from supervisors.signals import Crashed, Finished, Killed, Stopped
from supervisors.specs import Intensity, Overflow, Restart
from supervisors.testing import open_actor


class Echo(msgspec.Struct):
    text: str
    reply: Reply[str]


class Keep(msgspec.Struct):
    reply: Reply[str]


class Do(msgspec.Struct):
    action: Callable[["Desk"], None]


class Block(msgspec.Struct):
    action: Callable[["Desk"], None]
    after: trio.Event
    reply: Reply[str]


Message = Echo | Keep | Do | Block


class Desk(Actor[Message]):
    """Answers at once, keeps questions for later, or stays busy with one."""

    def __init__(self) -> None:
        self.kept: list[Reply[str]] = []

    async def handle(self, message: Message) -> None:
        match message:
            case Echo(text, reply):
                reply.send(text)
            case Keep(reply):
                self.kept.append(reply)
            case Do(action):
                action(self)
            case Block(action, after):
                await after.wait()
                action(self)


def crash(_: Desk) -> None:
    raise ValueError("crash")


ENDS: dict[str, Callable[["Desk"], None]] = {
    "crash": crash,
    "kill": lambda _: None,
    "stop": lambda desk: desk.ref.stop(),
    "finish": lambda desk: desk.finish(),
}


def answer_kept(desk: Desk) -> None:
    desk.kept.pop().send("later")


async def test_the_answer_comes_back() -> None:
    async with open_actor(Desk) as desk:
        assert await desk.ask(partial(Echo, "hello")) == "hello"


async def test_an_answer_may_come_later(autojump_clock: MockClock) -> None:
    """The actor goes on meanwhile; here it is another message that brings the answer."""
    async with open_actor(Desk) as desk, trio.open_nursery() as nursery:

        async def ask() -> None:
            assert await desk.ask(Keep) == "later"

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert await desk.ask(partial(Echo, "between")) == "between"
        await desk.tell(Do(answer_kept))


async def test_an_error_may_be_the_answer() -> None:
    """It is raised in the asker's task and does the actor no harm."""
    async with open_actor(Desk) as desk, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(KeyError, match="no such thing"):
                await desk.ask(Keep)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await desk.tell(Do(lambda desk: desk.kept.pop().fail(KeyError("no such thing"))))
        assert await desk.ask(partial(Echo, "well")) == "well"


async def test_the_deadline_names_the_actor(autojump_clock: MockClock) -> None:
    """It is a TimeoutError too."""
    async with open_actor(Desk, id="desk") as desk:
        with pytest.raises(AskTimeout, match=r"'desk' did not answer within 2\.5 s") as caught:
            await desk.ask(Keep, timeout=2.5)
        assert isinstance(caught.value, TimeoutError)
        assert trio.current_time() == pytest.approx(2.5)


async def test_no_deadline_waits_for_ever(autojump_clock: MockClock) -> None:
    async with open_actor(Desk) as desk:
        with trio.move_on_after(1_000_000) as scope:
            await desk.ask(Keep, timeout=None)
        assert scope.cancelled_caught


async def test_the_deadline_includes_the_wait_for_room(autojump_clock: MockClock) -> None:
    spec = ChildSpec("desk", Desk, capacity=1, shutdown=0)
    async with open_supervisor(Supervisor([spec])), trio.open_nursery() as nursery:
        nursery.start_soon(partial(spec.ref.ask, partial(Block, crash, trio.Event()), timeout=None))
        await wait_all_tasks_blocked()
        await spec.ref.tell(Do(crash))
        with pytest.raises(AskTimeout):
            await spec.ref.ask(partial(Echo, "no room"))
        nursery.cancel_scope.cancel()


async def test_an_answer_that_comes_too_late_is_dropped(autojump_clock: MockClock) -> None:
    """The one who answers cannot know, so it is no error; a second answer still is."""
    async with open_actor(Desk) as desk:
        with pytest.raises(AskTimeout):
            await desk.ask(Keep, timeout=1)
        await desk.tell(Do(answer_kept))
        assert await desk.ask(partial(Echo, "alive")) == "alive"


async def test_a_second_answer_is_a_mistake() -> None:
    """Whether the asker still waits or not."""

    def answer_twice(desk: Desk) -> None:
        reply = desk.kept.pop()
        reply.send("first")
        with pytest.raises(AlreadyAnswered):
            reply.send("second")
        with pytest.raises(AlreadyAnswered):
            reply.fail(ValueError())

    async with open_actor(Desk) as desk, trio.open_nursery() as nursery:

        async def ask() -> None:
            assert await desk.ask(Keep) == "first"

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await desk.tell(Do(answer_twice))


@pytest.mark.parametrize("how", ["crash", "kill", "stop", "finish"])
async def test_every_asker_hears_of_the_end(how: str, autojump_clock: MockClock) -> None:
    """In hand, kept for later, or still queued: each gets ActorDied or ActorStopped with the reason."""
    spec = ChildSpec("desk", Desk, restart=Restart.TEMPORARY, shutdown=3.0)
    errors: list[tuple[str, ActorGone]] = []

    async def ask(name: str, make: Callable[[Reply[str]], Message]) -> None:
        with pytest.raises(ActorGone) as caught:
            await spec.ref.ask(make, timeout=None)
        errors.append((name, caught.value))

    async with open_supervisor(Supervisor([spec])), trio.open_nursery() as nursery:
        nursery.start_soon(ask, "kept", Keep)
        await wait_all_tasks_blocked()
        go = trio.Event()
        nursery.start_soon(ask, "in hand", partial(Block, ENDS[how], go))
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, "queued", partial(Echo, "never"))
        await wait_all_tasks_blocked()
        spec.ref.stop() if how == "kill" else go.set()
    expected = {"crash": Crashed, "kill": Killed, "stop": Stopped, "finish": Finished}[how]
    kind = ActorDied if how in {"crash", "kill"} else ActorStopped
    assert {name for name, _ in errors} == {"kept", "in hand", "queued"}
    assert {type(error) for _, error in errors} == {kind}
    assert {type(error.reason) for _, error in errors} == {expected}
    assert all(error.id == "desk" for _, error in errors)


async def test_the_message_in_hand_is_not_delivered_again_and_queued_ones_are() -> None:
    """The mailbox belongs to the place: what was told before the crash reaches the next incarnation, once."""
    seen: list[str] = []

    class Noting(Actor[str]):
        async def handle(self, message: str) -> None:
            seen.append(message)
            if message == "bad":
                raise ValueError(message)

    spec = ChildSpec("noting", Noting)
    for message in ["bad", "good", "better"]:
        spec.ref.tell_nowait(message)
    async with open_supervisor(Supervisor([spec])):
        await wait_all_tasks_blocked()
    assert seen == ["bad", "good", "better"]


async def test_queued_questions_are_dropped_at_the_crash() -> None:
    """Their askers were told; handling them would only surprise. Plain messages around them stay."""
    seen: list[str] = []

    class Noting(Actor[str | Echo]):
        async def handle(self, message: str | Echo) -> None:
            seen.append(message if isinstance(message, str) else message.text)
            if message == "bad":
                await trio.lowlevel.checkpoint()
                raise ValueError

    spec = ChildSpec("noting", Noting)

    async def ask() -> None:
        with pytest.raises(ActorDied):
            await spec.ref.ask(partial(Echo, "asked"))

    for message in ["bad", "one"]:
        spec.ref.tell_nowait(message)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        spec.ref.tell_nowait("two")
        async with open_supervisor(Supervisor([spec])):
            await wait_all_tasks_blocked()
    assert seen == ["bad", "one", "two"]


async def test_a_question_between_two_incarnations_waits_for_the_next(autojump_clock: MockClock) -> None:
    """Only who had asked the dead one is told of its death."""

    class Slow(Desk):
        async def started(self) -> None:
            await trio.sleep(2)

    spec = ChildSpec("desk", Slow)
    async with open_supervisor(Supervisor([spec])):
        await spec.ref.tell(Do(crash))
        await trio.sleep(1)
        assert await spec.ref.ask(partial(Echo, "patience")) == "patience"


async def test_a_full_refusing_mailbox_refuses_questions_too() -> None:
    spec = ChildSpec("desk", Desk, capacity=1, overflow=Overflow.REFUSE)
    spec.ref.tell_nowait(Do(lambda _: None))
    with pytest.raises(MailboxFull):
        await spec.ref.ask(Keep)


async def test_a_kept_reply_of_a_dead_actor_is_harmless() -> None:
    """Some task of a former incarnation may still answer; nobody waits and nothing breaks."""
    kept: list[Reply[str]] = []
    spec = ChildSpec("desk", Desk, restart=Restart.TEMPORARY)
    async with open_supervisor(Supervisor([spec], intensity=Intensity(0))), trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(ActorDied):
                await spec.ref.ask(Keep)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await spec.ref.tell(Do(lambda desk: kept.extend(desk.kept)))
        await spec.ref.tell(Do(crash))
    kept[0].send("too late")


async def test_one_root_for_all_errors() -> None:
    for error in (ActorDied, ActorStopped, AskTimeout, MailboxFull, AlreadyAnswered):
        assert issubclass(error, SupervisionError)
