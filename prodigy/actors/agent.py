"""One attempt at one item, as the coordinator sees it: lease, run, record, hand to the merger.

The agent itself runs in a worker (``steps.agent``); this actor is its small task on this side. A failed attempt is
recorded, never raised: only a bug raises.
"""

import trio
from msgspec import structs

from prodigy import events, ids
from prodigy.actors.hosts import run_agent
from prodigy.actors.merger import merge_agent
from prodigy.actors.recorder import Ledger, record
from prodigy.actors.services import Services
from prodigy.actors.slots import Condition, Leased
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import lease, release, rescue
from prodigy.errors import ProdigyError
from prodigy.events import Failure
from prodigy.job.signature import error_signature
from prodigy.job.state import ItemState
from prodigy.job.window import Start
from prodigy.steps.protocol import AgentResult
from supervisors import HostLost


class AgentHandle(Task):
    """Runs one attempt.

    Args:
        start: which item, which attempt, from where.
        ledger: the run as recorded.
        tasks: makes what is sent to the worker.
        services: what it uses.
    """

    def __init__(
        self,
        start: Start,
        ledger: Ledger,
        tasks: TaskFactory,
        services: Services,
    ) -> None:
        self._start = start
        self._ledger = ledger
        self._tasks = tasks
        self._services = services

    @property
    def _item(self) -> ItemState:
        return self._ledger.state.items[self._start.item_id]

    @property
    def _agent_id(self) -> ids.AgentId:
        return ids.agent_id(self._item.index, self._start.attempt)

    async def work(self) -> None:
        """Lease a worktree, run the agent in it, merge what it made."""
        self._began = trio.current_time()
        base = self._base()
        branch = ids.agent_branch(self._tasks.job_id, self._agent_id)
        try:
            leased = await lease(self._services.workspaces, self._item.item_id, self._agent_id, branch, base)
        except ProdigyError as error:
            await self._failed(Failure(error_class="worktree-error", message=error.message), base, None)
            return
        await record(
            self._services.recorder,
            events.AgentStarted(
                item_id=self._item.item_id,
                agent_id=self._agent_id,
                attempt=self._start.attempt,
                worktree=leased.path,
                slot=leased.slot,
                base_commit=base,
                branch=branch,
            ),
        )
        await self._run(leased, base, branch)

    def _base(self) -> str:
        state = self._ledger.state
        phase = state.phases["map"]
        tip = state.tip if self._start.from_tip else None
        base = tip or phase.base_commit
        assert base is not None
        return base

    async def _run(self, leased: Leased, base: str, branch: str) -> None:
        task = self._tasks.agent(self._item, self._agent_id, self._start.attempt, leased, base, branch)
        try:
            result = await run_agent(self._services.hosts, task, self._services.recorder)
        except HostLost as lost:
            await self._failed(Failure(error_class="host-lost", message=lost.reason), base, leased)
            return
        if result.error is not None:
            await self._failed(result.error, base, leased)
        else:
            await self._completed(result, leased)

    async def _completed(self, result: AgentResult, leased: Leased) -> None:
        await record(
            self._services.recorder,
            events.AgentCompleted(
                item_id=self._item.item_id,
                agent_id=self._agent_id,
                attempt=self._start.attempt,
                duration_ms=result.duration_ms,
                head=result.head,
                commits=result.commits,
                files_changed=result.files_changed,
                output=result.output,
                variables=result.variables,
            ),
        )
        await release(self._services.workspaces, leased, Condition.GOOD)
        if result.commits:
            await merge_agent(self._services.merger, self._item.item_id, self._agent_id, result.head)

    async def _failed(self, failure: Failure, base: str, leased: Leased | None) -> None:
        """Keep what the attempt made, record the failure, give the worktree back."""
        ref, condition = None, Condition.DOUBTFUL
        if leased is not None:
            try:
                ref = await rescue(
                    self._services.workspaces, leased, self._start.attempt, base, failure.message
                )
            except ProdigyError as error:
                condition = Condition.KEEP
                kept = f"{failure.message} (its work could not be rescued and stays in {leased.path}: {error.message})"
                failure = structs.replace(failure, message=kept)
        await record(
            self._services.recorder,
            events.AgentFailed(
                item_id=self._item.item_id,
                agent_id=self._agent_id,
                attempt=self._start.attempt,
                duration_ms=round((trio.current_time() - self._began) * 1000),
                error=failure,
                signature=error_signature(failure.error_class, failure.step, failure.message),
                rescue_ref=ref,
                base_commit=base,
            ),
        )
        if leased is not None:
            await release(self._services.workspaces, leased, condition)
