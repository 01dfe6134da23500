"""A mailbox: a bounded queue that outlives the incarnations of the actor that reads it.

Rules:

1. Messages from one sender arrive in the order sent. Senders that wait for room get it in the order they came.
2. A message is taken in one step with the end of the wait for it: a cancelled reader has lost nothing.
3. `end` closes the mailbox for the present reader only: it is told so after the message in hand, or, when it
   drains, after the messages that were queued at that moment. What is left waits for the next reader.
4. `close` is for good: what is queued is dropped and every sender is told, those who wait for room too.

Thin on purpose: a message costs one schedule point on each side, as in trio's memory channels.
"""

from collections import deque
from collections.abc import Collection
from typing import Generic, Self, TypeVar

import trio

from supervisors.errors import ActorStopped, MailboxFull
from supervisors.signals import Reason
from supervisors.specs import Overflow

M = TypeVar("M")


class Mailbox(Generic[M]):
    """Where an actor's messages wait; the actor reads it with ``async for``.

    Args:
        owner: the actor's id, for errors.
        capacity: how many messages may wait.
        overflow: what happens to one message more.
    """

    __slots__ = (
        "_granted",
        "_left",
        "_owner",
        "_queue",
        "_readers",
        "_writers",
        "capacity",
        "gone",
        "overflow",
    )

    def __init__(self, owner: str, capacity: int, overflow: Overflow) -> None:
        if capacity < 1:
            raise ValueError("a mailbox has room for at least 1 message")
        self.capacity = capacity
        self.overflow = overflow
        self._owner = owner
        self._queue: deque[M] = deque()
        self._readers = trio.lowlevel.ParkingLot()
        self._writers = trio.lowlevel.ParkingLot()
        self._granted = 0  # places kept free for writers that were woken and have not run yet
        self._left: int | None = None  # how many messages the present reader may still take; None = no end
        self.gone: Reason | None = None  # why it is closed

    def __len__(self) -> int:
        return len(self._queue)

    # The actor's side

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M:
        """The next message; the end when the actor is to stop."""
        if self._left is not None or self._queue:
            await trio.lowlevel.checkpoint()
        while self._left is None and not self._queue:
            await self._readers.park()
        if self._left == 0 or not self._queue:
            raise StopAsyncIteration
        return self._take()

    def take_waiting(self) -> list[M]:
        """All messages that wait now and that the present reader may still take, without a wait: for batches."""
        taken: list[M] = []
        while self._queue and self._left != 0:
            taken.append(self._take())
        return taken

    def _take(self) -> M:
        message = self._queue.popleft()
        if self._left:
            self._left -= 1
        if self._writers:
            self._grant_room()
        return message

    # The senders' side

    async def put(self, message: M) -> None:
        """Add ``message``; when full, wait for room or raise `MailboxFull`. `ActorStopped` when closed."""
        await trio.lowlevel.checkpoint()
        if self.overflow is Overflow.WAIT and self._is_full() and self.gone is None:
            await self._await_room()
            self._deliver(message)
        else:
            self.put_nowait(message)

    def put_nowait(self, message: M) -> None:
        """Add ``message`` or raise `MailboxFull` or `ActorStopped`."""
        self._check_open()
        if self._is_full():
            raise MailboxFull(self._owner, self.capacity)
        self._deliver(message)

    def _check_open(self) -> None:
        if self.gone is not None:
            raise ActorStopped(self._owner, self.gone)

    def _is_full(self) -> bool:
        return len(self._queue) + self._granted >= self.capacity

    def _deliver(self, message: M) -> None:
        self._queue.append(message)
        if self._readers:
            self._readers.unpark()

    async def _await_room(self) -> None:
        await self._writers.park()
        self._granted -= 1
        self._check_open()

    def _grant_room(self) -> None:
        while self._writers and not self._is_full():
            self._granted += 1
            self._writers.unpark()

    # The runtime's side

    def begin(self) -> None:
        """A new reader begins; it sees what earlier ones left. A closed mailbox opens again, empty."""
        self._left = None
        self.gone = None

    def end(self, *, drain: bool) -> None:
        """Tell the present reader to stop: at once, or after what is queued now."""
        self._left = len(self._queue) if drain else 0
        self._readers.unpark_all()

    def drop(self, messages: Collection[M]) -> None:
        """Take these very messages out of the queue, wherever they stand."""
        dropped = {id(message) for message in messages}
        self._queue = deque(message for message in self._queue if id(message) not in dropped)
        self._grant_room()

    def close(self, reason: Reason) -> None:
        """The actor ended for good, for ``reason``: drop what is queued, turn senders away."""
        self.gone = reason
        self._queue.clear()
        self._granted += len(self._writers)
        self._writers.unpark_all()
