"""The hosts actor: keeps the pool of worker processes and lends it to agents.

``run_agent`` is how everything runs: it sends a task to a host, passes the agent's events to the recorder, and
returns its result. A host that is lost raises ``HostLost``; by then nothing of its process trees is alive.
"""

from collections.abc import Callable

import msgspec
import trio

from prodigy.actors.recorder import Note, RecorderRef, record
from prodigy.crash_points import crash_point
from prodigy.events import Failure, StepCompleted, StepFailed, StepIntended
from prodigy.steps.protocol import AgentReport, AgentResult, AgentTask, Recorded
from supervisors import Actor, ActorRef, HostLost, JobFailed, Mailbox, PoolBroken, Reply, WorkerPool

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


async def run_agent(hosts: HostsRef, task: AgentTask, recorder: RecorderRef) -> AgentResult:
    """Run an agent to its end; an agent that broke over a bug of ours ends with error class ``internal``.

    Raises:
        HostLost: its worker or its process slot died, or none could be started; its process trees are dead.
    """
    pool = await hosts.ask(Borrow, timeout=None)

    async def on_message(report: AgentReport) -> Recorded | None:
        event = report.event
        if isinstance(event, StepIntended | StepCompleted | StepFailed):
            return Recorded(await record(recorder, event))
        await recorder.tell(Note(event))
        return None

    try:
        result = await pool.run(task, on_message, name=task.agent_id or task.phase)
    except JobFailed as failed:
        error = Failure(error_class="internal", message=f"The agent broke: {failed}")
        return AgentResult(head=task.head, duration_ms=0, error=error)
    except (PoolBroken, OSError) as problem:
        raise HostLost(0, str(problem)) from problem
    if result.error is not None and result.error.error_class == "host-lost":
        raise HostLost(0, result.error.message)
    return result
