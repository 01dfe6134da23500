"""A ref: what others hold of an actor. Valid before its first start and over all its restarts."""

import math
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import trio

from supervisors._place import Place
from supervisors._reply import Question, Reply
from supervisors.errors import AskTimeout
from supervisors.signals import Down, Path

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Monitor:
    """The ends of one actor, as they happen; a context manager to be read with ``async for``.

    Each time an incarnation ends there is one `Down`. After the last, when the actor is down for good, the loop
    ends. An actor that is down for good already shows its last `Down`.
    """

    def __init__(self, place: Place[Any]) -> None:
        self._place = place

    def __enter__(self) -> Self:
        self._send, self._receive = self._place.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._place.unwatch(self._send)
        self._receive.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Down:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


class ActorRef(Generic[M_contra]):
    """Talks to the actor at one place of the tree.

    A ref to an actor that takes ``A | B`` serves where a ref for ``A`` is wanted (it is contravariant); a message
    of another type is a type error. While the actor is between two incarnations, or was not started yet, messages
    wait in its mailbox. When it is down for good they raise `ActorStopped`.
    """

    __slots__ = ("_place",)

    def __init__(self, place: Place[M_contra]) -> None:
        self._place = place

    def __repr__(self) -> str:
        return f"<ActorRef {'/'.join(self._place.path)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActorRef):
            return NotImplemented
        return other._place is self._place  # pyright: ignore[reportUnknownMemberType] - of which messages is all the same

    def __hash__(self) -> int:
        return hash(self._place)

    @property
    def id(self) -> str:
        """The actor's id among its siblings."""
        return self._place.id

    @property
    def path(self) -> Path:
        """Ids from the root down to the actor; only its own before it has joined a tree."""
        return self._place.path

    async def tell(self, message: M_contra) -> None:
        """Put ``message`` into the actor's mailbox.

        Raises:
            MailboxFull: there is no room and the mailbox refuses (under ``Overflow.WAIT`` this waits).
            ActorStopped: the actor is down for good.
        """
        await self._place.mailbox.put(message)

    def tell_nowait(self, message: M_contra) -> None:
        """As `tell`, but a full mailbox always raises `MailboxFull`."""
        self._place.mailbox.put_nowait(message)

    async def ask(self, make: Callable[[Reply[R]], M_contra], *, timeout: float | None = 5.0) -> R:
        """Send the message that ``make`` builds around a reply, and wait for the answer.

        With the reply as last field of the message, ``make`` is the message's class, or a `functools.partial`
        of it: ``await counter.ask(Read)``, ``await store.ask(partial(Get, "key"))``.

        Args:
            make: builds the message.
            timeout: seconds for all of it, waiting for room in the mailbox included; ``None`` waits for ever.

        Raises:
            AskTimeout: no answer in time; an answer that comes later is dropped.
            ActorDied: the actor crashed or was killed before it answered.
            ActorStopped: the actor finished or was stopped before it answered.
            MailboxFull: as `tell`.
        """
        question: Question[R] = Question()
        message = make(question.reply)
        with trio.move_on_after(math.inf if timeout is None else timeout):
            await self._place.mailbox.put(message)
            await self._place.answer_to(question, message)
        if timeout is not None and not question.is_settled():
            raise AskTimeout(self.id, timeout)
        return question.result()

    def stop(self) -> None:
        """Ask the actor to stop by itself; does nothing to one that is not running.

        It has its shutdown budget for that. Its supervisor then sees a normal end: a permanent actor is started
        again.
        """
        if self._place.stop is not None:
            self._place.stop()

    def monitor(self) -> Monitor:
        """See each end of the actor: ``with ref.monitor() as downs: async for down in downs: ...``."""
        return Monitor(self._place)

    async def wait_stopped(self) -> Down:
        """Wait until the actor is down for good; restarts do not count."""
        with self.monitor() as downs:
            async for _ in downs:
                pass
        return self._place.last_down()
