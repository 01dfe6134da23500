"""The actor: private state, one message at a time, a life with a beginning and an end."""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from supervisors._mailbox import Mailbox
from supervisors._place import Place
from supervisors._ref import ActorRef
from supervisors.signals import Reason

M = TypeVar("M")


class Actor(Generic[M]):
    """Handles messages of type ``M``, one after the other; subclass it and override what you need.

    ::

        class Read(msgspec.Struct):
            reply: Reply[int]

        class Counter(Actor[int | Read]):
            def __init__(self) -> None:
                self.total = 0

            async def handle(self, message: int | Read) -> None:
                match message:
                    case Read(reply):
                        reply.send(self.total)
                    case amount:
                        self.total += amount

    A supervisor makes a new object for each incarnation, so what ``__init__`` sets up is the state after a crash.
    An exception from any method is a crash. The order is `started`, `run` (which calls `handle`), `stopped`.
    """

    shutdown: ClassVar[float] = 5.0
    """Seconds from the request to stop until the actor is cancelled, where the child spec says nothing else."""

    _place: Place[M] | None = None

    async def started(self) -> None:
        """Set up; the actor counts as up, and the next sibling is started, when this returns."""

    async def handle(self, message: M) -> None:
        """Do what ``message`` says."""
        raise NotImplementedError(f"{type(self).__name__} handles no messages, but got {message!r}")

    async def run(self, mailbox: Mailbox[M]) -> None:
        """Handle messages until the mailbox ends: when the actor is to stop.

        Override it to do something beside, in a nursery of your own; its return is a normal end of the actor.
        """
        async for message in mailbox:
            await self.handle(message)

    async def stopped(self, reason: Reason) -> None:
        """Clean up, after an orderly end and after a crash, but not when killed nor after a failed start.

        Runs within what is left of the shutdown budget, after a crash within a fresh one; then it is cancelled.
        """

    @property
    def ref(self) -> ActorRef[M]:
        """This actor's own ref, from `started` on."""
        if self._place is None:
            raise RuntimeError("an actor has a ref once it was started by a supervisor")
        return ActorRef(self._place)

    def finish(self) -> None:
        """End after the message in hand, as if there were no more; the reason will be `Finished`."""
        if self._place is not None:
            self._place.mailbox.end(drain=False)

    async def live(self, place: Place[M], up: Callable[[], None]) -> None:
        """One incarnation, up to `stopped`; for the runtime. Supervisors override it."""
        self._place = place
        await self.started()
        up()
        await self.run(place.mailbox)
