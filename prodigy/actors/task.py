"""An actor that does one thing and ends."""

from contextlib import suppress
from typing import Never

import trio

from supervisors import Actor, Mailbox


class Task(Actor[Never]):
    """Runs ``work`` to its end, or until it is asked to stop: then ``work`` is cancelled where it stands."""

    async def work(self) -> None:
        """The one thing."""
        raise NotImplementedError

    async def run(self, mailbox: Mailbox[Never]) -> None:
        """``work`` beside an empty mailbox, whose end is the order to stop."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_ordered, mailbox, nursery.cancel_scope)
            await self.work()
            nursery.cancel_scope.cancel()

    @staticmethod
    async def _until_ordered(mailbox: Mailbox[Never], scope: trio.CancelScope) -> None:
        with suppress(StopAsyncIteration):
            await anext(mailbox)
        scope.cancel()
