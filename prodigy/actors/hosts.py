"""The hosts actor: keeps the pool of worker processes and lends it to agents (``actors.running``)."""

from collections.abc import Callable

import msgspec
import trio

from prodigy.crash_points import crash_point
from prodigy.steps.protocol import AgentReport, AgentResult, AgentTask, Recorded
from supervisors import Actor, ActorRef, Mailbox, Reply, WorkerPool

Pool = WorkerPool[AgentTask, AgentReport, Recorded, AgentResult]


class Borrow(msgspec.Struct, frozen=True):
    """Use the pool."""

    reply: Reply[Pool]


class Hurry(msgspec.Struct, frozen=True):
    """Whatever is being stopped politely is killed now."""


Message = Borrow | Hurry
HostsRef = ActorRef[Message]


class Hosts(Actor[Message]):
    """Runs the pool for as long as it lives.

    Args:
        make_pool: makes a pool that is not running yet.
    """

    def __init__(self, make_pool: Callable[[], Pool]) -> None:
        self._make_pool = make_pool

    async def run(self, mailbox: Mailbox[Message]) -> None:
        """Serve the pool until asked to stop; then its workers end their trees and exit."""
        async with trio.open_nursery() as nursery:
            pool = self._make_pool()
            with crash_point("worker.spawn"):
                await nursery.start(pool.supervise)
            async for message in mailbox:
                match message:
                    case Borrow(reply):
                        reply.send(pool)
                    case Hurry():
                        pool.hurry()
            nursery.cancel_scope.cancel()
