"""What an earlier process of a run may have left alive: waited for, then ended, before anything is done again.

Workers whose coordinator is gone end their process trees by themselves and hold a lock until they have. What is left
after that lost everybody who could have ended it: it is known by what the journal says was spawned, and by its mark.
What a step left running for good is nobody's left-over, and carries a mark that says so.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from prodigy.actors.agent import AGENT_SHUTDOWN
from prodigy.errors import RunError
from prodigy.ids import JobId
from prodigy.job.state import Detached, JobState, Spawned
from prodigy.steps.detached import LEFT, MARK
from prodigy.store.locks import held
from supervisors import Mark, ProcessIdentity, reap_left_overs

_POLL = 0.02
_PATIENCE = 1.0
"""Seconds before somebody is told what is waited for."""


def left_behind(state: JobState) -> tuple[ProcessIdentity, ...]:
    """The processes that may have outlived a run and should not have, by what is recorded."""
    ending = [one for one in state.detached if one.until != "forever"]
    every: list[Spawned | Detached] = [*state.spawned.values(), *ending]
    return tuple(ProcessIdentity(one.pid, one.start_time, one.boot_id) for one in every)


async def end_survivors(
    job: JobId,
    workers_lock: Path,
    spawned: Iterable[ProcessIdentity],
    grace: float,
    tell: Callable[[str], None],
) -> None:
    """Wait until the workers of an earlier process are gone, then end what outlived them.

    Args:
        job: whose processes they are.
        workers_lock: held by workers until their process trees are dead.
        spawned: processes that the journal does not say the end of.
        grace: seconds that a step's processes may take to end when they are asked to.
        tell: told of what takes long, and of who was ended.

    Raises:
        RunError: ``still-ending``.
    """
    with trio.move_on_after(grace + AGENT_SHUTDOWN) as limit:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tell_later, tell)
            while held(workers_lock):  # noqa: ASYNC110 - strangers set no events
                await trio.sleep(_POLL)
            nursery.cancel_scope.cancel()
    if limit.cancelled_caught:
        raise RunError(
            "still-ending",
            "Processes of the run's earlier life have not ended yet",
            where=str(workers_lock),
            hint="try again in a moment",
        )
    ended = await reap_left_overs(spawned, Mark(MARK, job, spared=LEFT), grace)
    if ended:
        pids = ", ".join(str(process.pid) for process in ended)
        tell(f"ended what was left of the run: pid {pids}")


async def _tell_later(tell: Callable[[str], None]) -> None:
    await trio.sleep(_PATIENCE)
    tell("waiting for the processes of the run's earlier life to end")
