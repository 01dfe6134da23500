"""One attempt at one item, as the coordinator sees it: lease, run, record, hand to the merger.

The agent itself runs in a worker (``steps.agent``); this actor is its small task on this side. A failed attempt is
recorded, never raised: only a bug raises.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import trio
from msgspec import structs

from prodigy import events, ids
from prodigy.actors.cut_off import (
    account,
    claude_log,
    finished,
    in_order,
    leaf_under_way,
    paid_at_the_end,
    placed,
)
from prodigy.actors.merger import merge_agent
from prodigy.actors.recorder import Ledger, record
from prodigy.actors.resting import NotWritable
from prodigy.actors.returning import Cut
from prodigy.actors.running import run_agent
from prodigy.actors.services import Services
from prodigy.actors.shared_state import Whose
from prodigy.actors.slots import Condition, Leased
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import go_on, lease, release, rescue, steps_ended
from prodigy.actors.worktree_setup import set_up
from prodigy.crash_points import crash_point
from prodigy.errors import ProdigyError
from prodigy.events import Failure
from prodigy.job.policy import HOST_LOSSES
from prodigy.job.results import claude_used
from prodigy.job.signature import error_signature
from prodigy.job.state import ItemState, leaves_of
from prodigy.job.window import Start
from prodigy.steps.protocol import AgentResult, AgentTask, Outcome
from prodigy.store.atomic import FILE_MODE, private_folder
from prodigy.store.journal import StorageFailed
from prodigy.workflow.model import MapPhase
from supervisors import HostLost

AGENT_SHUTDOWN = 30.0
"""Seconds beyond the grace that an agent may take to end when it is asked to."""


class AgentHandle(Task):
    """Runs one attempt.

    Args:
        start: which item, which attempt, from where.
        phase: the map phase, every value settled.
        ledger: the run as recorded.
        tasks: makes what is sent to the worker.
        services: what it uses.
    """

    def __init__(
        self,
        start: Start,
        phase: MapPhase,
        ledger: Ledger,
        tasks: TaskFactory,
        services: Services,
    ) -> None:
        self._start = start
        self._phase = phase
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
        """Make the attempt, or go on with one that was interrupted; it stays as it is once recording has ended."""
        self._began = trio.current_time()
        async with paid_at_the_end(self._account):
            with suppress(StorageFailed, NotWritable):  # the run says so
                await self._make()

    async def _make(self) -> None:
        """Lease a worktree, run the agent in it, merge what it made."""
        branch = ids.agent_branch(self._tasks.job_id, self._agent_id)
        if self._item.status == "running":
            await self._go_on(branch)
            return
        await self._services.host.room()
        base = self._base()
        try:
            leased = await lease(self._services.workspaces, self._item.item_id, self._agent_id, branch, base)
        except StorageFailed:
            raise
        except ProdigyError as error:
            failure = _of_worktree(error)
            await self._services.disk.acquit_of(failure)
            await self._failed(failure, base, None)
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

    async def _interrupted(self, lost: HostLost, branch: str) -> None:
        """What the attempt has done so far is recorded and in its worktree: another worker goes on with it."""
        interrupted = events.AgentInterrupted(
            item_id=self._item.item_id,
            agent_id=self._agent_id,
            attempt=self._start.attempt,
            reason=lost.reason,
        )
        await record(self._services.recorder, interrupted)
        await self._go_on(branch)

    # -- an attempt that was interrupted ------------------------------------------------------------------------------
    async def _go_on(self, branch: str) -> None:
        """Go on at the first leaf without an outcome, or give the attempt up where its worktree is no more."""
        item, workspaces = self._item, self._services.workspaces
        await self._account()
        base = item.base_commit
        assert base is not None, "the attempt has begun"
        if self._agent_id not in self._ledger.state.leases.values():
            await self._give_up(None, base, "its worktree was given back")
            return
        leased = await lease(workspaces, item.item_id, self._agent_id, branch, base)
        try:
            standing = await go_on(workspaces, self._cut(leased, base))
        except ProdigyError as error:
            await self._services.disk.acquit_of(_of_worktree(error))
            await self._give_up(leased, base, error.message)
            return
        if standing.forgotten:
            rewound = events.WorkRewound(
                phase="map",
                head=standing.head,
                forgotten=standing.forgotten,
                item_id=item.item_id,
                agent_id=self._agent_id,
            )
            await record(self._services.recorder, rewound)
        await self._run(leased, base, branch, standing.head)

    def _cut(self, leased: Leased, base: str) -> Cut:
        intents = self._ledger.state.intents.values()
        return Cut(
            path=leased.path,
            branch=leased.branch,
            base=base,
            outcomes=self._outcomes(),
            cut_off=tuple(one for one in intents if one.item_id == leased.item_id),
            finished=in_order(self._ledger.state, "map", self._item),
            leased=leased,
            attempt=self._start.attempt,
        )

    def _outcomes(self) -> dict[str, Outcome]:
        """The recorded leaf outcomes of the attempt, as the interpreter looks them up."""
        return {key.removeprefix("map/"): outcome for key, outcome in leaves_of(self._item).outcomes.items()}

    async def _give_up(self, leased: Leased | None, base: str, reason: str) -> None:
        """Keep what is left of the attempt; the item gets another one, which counts against nothing."""
        condition = Condition.DOUBTFUL
        if leased is not None:
            try:
                await rescue(self._services.workspaces, leased, self._start.attempt, base, reason)
            except ProdigyError:
                condition = Condition.KEEP
        retrying = events.AgentRetrying(
            item_id=self._item.item_id,
            agent_id=self._agent_id,
            next_attempt=self._start.attempt + 1,
            charged_to="resume",
        )
        await record(self._services.recorder, retrying)
        if leased is not None:
            await release(self._services.workspaces, leased, condition)

    # -- the attempt ---------------------------------------------------------------------------------------------------
    def _base(self) -> str:
        state = self._ledger.state
        phase = state.phases["map"]
        tip = state.tip if self._start.from_tip else None
        base = tip or phase.base_commit
        assert base is not None
        return base

    async def _run(self, leased: Leased, base: str, branch: str, head: str | None = None) -> None:
        await trio.to_thread.run_sync(_write_item, self._tasks.item_file(self._item.item_id), self._item.item)
        task = self._tasks.agent(
            self._phase, self._item, self._agent_id, self._start.attempt, leased, base, branch
        )
        task = structs.replace(
            task,
            base_tree=await self._tree_of(base),
            basis=leased.basis,
        )
        if head is not None:
            task = structs.replace(
                task,
                head=head,
                outcomes=self._outcomes(),
                finished=finished(self._ledger.state, "map", self._item),
            )
        try:
            failure = await set_up(self._services, self._tasks, task)
            if failure is None:
                result = await self._compared(await run_agent(self._services, task), base)
                failure = result.error
                await steps_ended(self._services.workspaces, self._whose(leased, branch))
        except HostLost as lost:
            if self._item.host_losses < HOST_LOSSES:
                await self._interrupted(lost, branch)
                return
            failure = Failure(error_class="host-lost", message=lost.reason)
        if failure is not None:
            await self._services.disk.acquit_of(failure)
            await self._broke_off(failure, task, base, leased)
        else:
            await self._completed(result, leased)

    async def _tree_of(self, base: str) -> str | None:
        with suppress(ProdigyError):  # the worker asks git, whose words say more
            return await self._services.forge.objects.tree(base)
        return None

    async def _compared(self, result: AgentResult, base: str) -> AgentResult:
        """The result with the files that its commits changed, where those are for us to tell."""
        if result.files_changed is not None:
            return result
        try:
            files = tuple(await self._services.forge.objects.files_changed(base, result.head))
        except ProdigyError as error:
            failure = Failure(error_class="worktree-error", message=error.message)
            return structs.replace(result, files_changed=(), error=result.error or failure)
        return structs.replace(result, files_changed=files)

    def _whose(self, leased: Leased, branch: str) -> Whose:
        return Whose(phase="map", path=leased.path, branch=branch, agent_id=self._agent_id)

    async def _completed(self, result: AgentResult, leased: Leased) -> None:
        used, files = claude_used(self._item), result.files_changed or ()
        await record(
            self._services.recorder,
            events.AgentCompleted(
                item_id=self._item.item_id,
                agent_id=self._agent_id,
                attempt=self._start.attempt,
                duration_ms=result.duration_ms,
                head=result.head,
                commits=result.commits,
                files_changed=files,
                output=result.output,
                variables=result.variables,
                cost_usd=used.cost_usd,
                json_log_location=used.json_log_location,
                unchanged=not files,
            ),
        )
        await release(self._services.workspaces, leased, Condition.GOOD, result.residue)
        if result.commits:
            await merge_agent(self._services.merger, self._item.item_id, self._agent_id, result.head)

    async def _broke_off(self, failure: Failure, task: AgentTask, base: str, leased: Leased) -> None:
        """As ``_failed``; an attempt that was cut off names the step it was at, and the log of the Claude it ran."""
        await self._account()
        leaf = leaf_under_way(self._ledger.state, self._item) if failure.step is None else None
        if leaf is None:
            await self._failed(failure, base, leased)
            return
        failure = await trio.to_thread.run_sync(placed, failure, leaf, Path(task.logs))
        log = await trio.to_thread.run_sync(claude_log, self._tasks, task, self._item, leaf)
        await self._failed(failure, base, leased, log)

    async def _account(self) -> None:
        """Pay for launches of the item whose end nobody told."""
        mine = self._item.item_id
        await account(
            self._ledger, self._services.recorder, self._tasks, lambda launch: launch.item_id == mine
        )

    async def _failed(
        self, failure: Failure, base: str, leased: Leased | None, claude: str | None = None
    ) -> None:
        """Keep what the attempt made, record the failure, give the worktree back.

        ``claude`` is the log of a launch that was cut off; without one it is that of the last launch that ended.
        """
        ref, condition = None, Condition.DOUBTFUL
        used = claude_used(self._item)
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
                cost_usd=used.cost_usd,
                json_log_location=claude or used.json_log_location,
            ),
        )
        if leased is not None:
            await release(self._services.workspaces, leased, condition)


def _of_worktree(error: ProdigyError) -> Failure:
    """What git, or the disk, has against a worktree."""
    return Failure(error_class="worktree-error", message=error.message, stderr_tail=error.note or "")


def _write_item(path: Path, item: Any) -> None:
    """The item as a file; it can be made again at any time, so nothing waits for the disk."""
    private_folder(path.parent, durable=False)
    with crash_point("item-file.write"):
        path.write_bytes(msgspec.json.encode(item) + b"\n")
    path.chmod(FILE_MODE)
