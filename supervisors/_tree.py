"""The door: a tree of actors that lives as long as a block of code.

However the block is left (at its end, by an exception, by cancellation from outside), the tree is stopped first, in
reverse start order and within the budgets of its actors, behind a shield. That an actor started early may rely on
being there until all started later have ended is structure, not luck.
"""

# ruff: noqa: A002 - "id" is the word of the field

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from supervisors._child import ChildSpec
from supervisors._incarnation import Incarnation
from supervisors._place import Listener, unheard
from supervisors._supervisor import Supervisor
from supervisors.signals import Crashed, Node, Reason, TreeEvent
from supervisors.specs import Restart


class Root:
    """A running tree, as `open_supervisor` gives it."""

    def __init__(self, supervisor: Supervisor, id: str, listener: Listener) -> None:
        spec = ChildSpec(id, lambda: supervisor, restart=Restart.TEMPORARY)
        self._place = spec.place
        self._place.tell_listener = self._tell_listener
        self._life = Incarnation(spec, self)
        self._listener = listener
        self._started = trio.Event()
        self._body = trio.CancelScope()
        self._failure: BaseException | None = None

    def tree(self) -> Node:
        """The tree as it stands: every actor with its state, restarts, mailbox and last error."""
        return self._place.node()

    async def stop(self) -> None:
        """Stop the tree, last started first, and wait until it is down."""
        self._life.stop()
        await self._life.ended.wait()

    def kill(self) -> None:
        """Give no more time: whatever is being stopped, or is still to be, is cancelled, last started first."""
        self._life.kill()

    async def wait(self) -> Reason:
        """Wait until the tree is down, by `stop`, by its own auto-shutdown or by a failure; says why."""
        await self._life.ended.wait()
        return self._place.last_down().reason

    def child_up(self, _: Incarnation, /) -> None:
        """Part of the `Keeper` protocol."""
        self._started.set()

    def child_down(self, _: Incarnation, reason: Reason, /) -> None:
        """Part of the `Keeper` protocol."""
        self._place.close()
        if isinstance(reason, Crashed):
            self._fail(reason.error)

    def _tell_listener(self, event: TreeEvent) -> None:
        """A listener that raises brings the tree down: nobody would know any more what happens in it."""
        if self._failure is not None:
            return
        try:
            self._listener(event)
        except Exception as error:  # noqa: BLE001 - leaves the block, see above
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Cancel the block. The first failure is what it will raise; one more is added as a note."""
        if self._failure is None:
            self._failure = error
        else:
            self._failure.add_note(f"then the tree failed: {error!r}")
        self._body.cancel()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Root"]:
        """For `open_supervisor`."""
        error: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._life.run)
                try:
                    with self._body:
                        await self._started.wait()
                        yield self
                finally:
                    with trio.CancelScope(shield=True):
                        await self.stop()
        except BaseExceptionGroup as group:
            (error,) = group.exceptions  # what the block raised; actors raise nothing here
        self._raise(error)

    def _raise(self, error: BaseException | None) -> None:
        """Raise what the tree failed with, else what the block raised."""
        if self._failure is None:
            if error is not None:
                raise error
            return
        if error is not None and not isinstance(error, trio.Cancelled):
            self._failure.add_note(f"the block raised too: {error!r}")
        raise self._failure


def open_supervisor(
    supervisor: Supervisor, *, id: str = "root", listener: Listener = unheard
) -> AbstractAsyncContextManager[Root]:
    """Run a supervision tree beside a block of code.

    ::

        async with open_supervisor(Supervisor([store, server])) as root:
            ...

    The block begins when all children are up and is left when all are down. If the tree fails meanwhile, the block
    is cancelled and the failure raised in its place; what the block raised then is added as a note.

    Args:
        supervisor: the root, not used elsewhere.
        id: the root's id, first part of every path.
        listener: told of every event, in order. It must be quick; if it raises, the tree is stopped and its error
            leaves the block.

    Raises:
        StartFailed: a child did not come up; the cause is chained.
        RestartIntensityExceeded: the root gave up; the last crash is chained.
    """
    return Root(supervisor, id, listener).running()
