"""Messages, answers, refs and specs: what a type checker must accept, and the lines that it must not.

A marked line is an error for each checker whose rule the mark names (mypy's have dashes, pyright's begin with
``report``), and nothing else here is one.
"""

from functools import partial
from typing import assert_type

import msgspec

from supervisors import (
    Actor,
    ActorRef,
    ChildDown,
    ChildSpec,
    Crashed,
    Down,
    DynamicSupervisorSpec,
    Mailbox,
    Node,
    Reason,
    Reply,
    Restart,
    Strategy,
    Supervisor,
    TreeEvent,
    open_supervisor,
)
from supervisors.testing import EventLog, Probe, open_actor


def use(*_: object) -> None:
    """Keep checkers from calling a value unused; nothing here is ever run."""


class Add(msgspec.Struct):
    """Told."""

    amount: int


class Read(msgspec.Struct):
    """Asked."""

    reply: Reply[int]


class Share(msgspec.Struct):
    """Asked, with something else in the question."""

    parts: int
    reply: Reply[float]


Message = Add | Read | Share


class Counter(Actor[Message]):
    """Handles all three."""

    async def handle(self, message: Message) -> None:
        match message:
            case Add(amount):
                assert_type(amount, int)
            case Read(reply):
                reply.send(1)
                reply.send("one")  # error: arg-type reportArgumentType
            case Share(parts, share):
                share.send(1 / parts)
                share.fail("no")  # error: arg-type reportArgumentType

    async def stopped(self, reason: Reason) -> None:
        await self.ref.tell(Add(1))
        await self.ref.tell(1)  # error: arg-type reportArgumentType


class Narrow(Actor[Message]):
    """Does not handle what it says it takes."""

    async def handle(self, message: Add) -> None:  # error: override reportIncompatibleMethodOverride
        use(message.amount)


class Batching(Actor[int]):
    """Reads its mailbox itself."""

    async def run(self, mailbox: Mailbox[int]) -> None:
        async for message in mailbox:
            assert_type(message, int)
            assert_type(mailbox.take_waiting(), list[int])


class Forwarder(Actor[str]):
    """Needs somebody who takes `Add`, whatever else he takes."""

    def __init__(self, receiver: ActorRef[Add]) -> None:
        self.receiver = receiver

    async def handle(self, message: str) -> None:
        await self.receiver.tell(Add(len(message)))
        await self.receiver.tell(message)  # error: arg-type reportArgumentType


counter = ChildSpec("counter", Counter)
batching = ChildSpec("batching", Batching)
adds = DynamicSupervisorSpec("adds")


async def telling() -> None:
    """Only what the actor takes."""
    await counter.ref.tell(Add(1))
    await counter.ref.tell("add")  # error: arg-type reportArgumentType
    counter.ref.tell_nowait(Add(1))
    counter.ref.tell_nowait(1)  # error: arg-type reportArgumentType
    await batching.ref.tell(1)
    await batching.ref.tell(Add(1))  # error: arg-type reportArgumentType
    counter.ref.tell(Add(1))  # error: unused-coroutine reportUnusedCoroutine


async def asking() -> None:
    """The answer has the type of the reply."""
    assert_type(await counter.ref.ask(Read), int)
    share: float = await counter.ref.ask(partial(Share, 3), timeout=None)
    text: str = await counter.ref.ask(Read)  # error: arg-type reportAssignmentType
    await counter.ref.ask(Add)  # error: arg-type reportArgumentType
    await counter.ref.ask(partial(Share, "three"))  # error: arg-type reportArgumentType
    await batching.ref.ask(Read)  # error: arg-type reportArgumentType
    use(text, share)


def wiring() -> None:
    """A ref to one who takes more serves where one who takes less is wanted, and not the other way."""
    ChildSpec("forwarder", lambda: Forwarder(counter.ref))
    ChildSpec("forwarder", lambda: Forwarder(batching.ref))  # error: arg-type reportArgumentType
    narrow: ActorRef[Add] = counter.ref
    wide: ActorRef[Add | str] = counter.ref  # error: assignment reportAssignmentType
    use(narrow, wide)


async def supervising() -> None:
    """Specs, not actors; settings by their types."""
    supervisor = Supervisor([counter, batching, adds], strategy=Strategy.REST_FOR_ONE)
    Supervisor([Counter])  # error: list-item reportArgumentType
    Supervisor([counter], strategy="one_for_one")  # error: arg-type reportArgumentType
    ChildSpec("counter", Counter, restart="permanent")  # error: arg-type reportArgumentType
    ChildSpec("counter", Counter, Restart.PERMANENT)  # error: call-arg reportCallIssue
    ChildSpec("counter", Counter())  # error: arg-type reportArgumentType
    async with open_supervisor(supervisor) as root:
        assert_type(root.tree(), Node)
        assert_type(await root.wait(), Reason)
        ref = await adds.ref.start_child(counter)
        await ref.tell(Add(1))
        await ref.tell(1)  # error: arg-type reportArgumentType
        await counter.ref.children()  # error: attr-defined reportAttributeAccessIssue
        with ref.monitor() as downs:
            async for down in downs:
                assert_type(down, Down)
                assert_type(down.reason, Reason)


def listening(event: TreeEvent) -> None:
    """What an event holds depends on what it is."""
    use(event.reason)  # error: union-attr reportAttributeAccessIssue
    match event:
        case ChildDown(path, Crashed(error)):
            assert_type(error, BaseException)
            assert_type(path, tuple[str, ...])
        case _:
            use(event.path)


async def testing() -> None:
    """The tools are as typed as what they stand in for."""
    probe = Probe[Add]()
    async with open_supervisor(Supervisor([probe.spec]), listener=EventLog()):
        Forwarder(probe.ref)
        assert_type(await probe.receive(), Add)
    async with open_actor(Counter) as ref:
        await ref.tell(Add(1))
        await ref.tell("add")  # error: arg-type reportArgumentType
