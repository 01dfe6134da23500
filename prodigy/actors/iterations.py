"""The steps of a plain workflow, run more than once in one session worktree."""

import trio

from prodigy import events
from prodigy.actors.phase import StepsActor
from prodigy.actors.workspaces import restore_session
from prodigy.events import Failure
from prodigy.git.evidence import history
from prodigy.job.iterations import next_iteration, prefix_of, why_failed


class IterationsActor(StepsActor):
    """Once per value of the command line, and again as long as that is asked for and something changes.

    What a failed iteration left uncommitted is rescued before the next one begins; its commits stay.
    """

    async def body(self) -> Failure | None:
        """Run one iteration after the other; where the journal says so, go on within one."""
        await self._begin()
        begun = self._ledger.state.iterations
        while (number := next_iteration(self._plan, begun)) is not None:
            if not begun or begun[-1].ended:
                await self._start(number)
            await self._iterate(number)
        return why_failed(self._plan, begun)

    async def _start(self, number: int) -> None:
        begun, head = self._ledger.state.iterations, self._head()
        if begun and begun[-1].error is not None:
            reason = f"iteration {begun[-1].number} failed"
            await restore_session(self._services.workspaces, head, reason)
        started = events.IterationStarted(n=number, base_commit=head, arg=self._plan.argument(number))
        await self._record(started)

    def _start_commit(self) -> str:
        return self._ledger.state.iterations[-1].base_commit

    async def _iterate(self, number: int) -> None:
        began = trio.current_time()
        error = await self._run_list(prefix_of(number))
        duration, head = round((trio.current_time() - began) * 1000), self._head()
        made = await history(self._git, self._ledger.state.iterations[-1].base_commit, head)
        completed = events.IterationCompleted(
            n=number,
            duration_ms=duration,
            head=head,
            commits=len(made.commits),
            arg=self._plan.argument(number),
            error=error,
        )
        await self._record(completed)
