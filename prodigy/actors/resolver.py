"""One conflict, as Claude resolves it: a merge begun in the scratch worktree, a Claude step there, our look at it.

Claude never moves a branch: what it leaves is checked (``git.resolution``), ``verify`` has to succeed on it, and then
the merger merges it like any other commit. What fails, or is refused, is kept under a rescue ref and recorded; the
window says what becomes of the item then, the conductor what becomes of the final merge. Taken up after an
interruption, a resolution that was recorded is not paid for again.
"""

from contextlib import suppress
from typing import Literal, Never, TypedDict

from msgspec import structs

from prodigy import events
from prodigy.actors.agent import AGENT_SHUTDOWN
from prodigy.actors.merge_prompt import merge_prompt
from prodigy.actors.merger import Resolved, merge_resolved, refusal_class, stand
from prodigy.actors.phase import Setting
from prodigy.actors.recorder import record
from prodigy.actors.resting import NotWritable
from prodigy.actors.running import run_agent
from prodigy.actors.shared_state import Whose
from prodigy.actors.task import Task
from prodigy.actors.workspace_requests import WantedMerge
from prodigy.actors.workspaces import (
    begin_merge,
    close_scratch,
    conclude_merge,
    find_merge,
    leave_merge,
    steps_ended,
)
from prodigy.actors.worktree_setup import set_up
from prodigy.errors import ProdigyError, RunError
from prodigy.events import Failure
from prodigy.git.evidence import is_ancestor
from prodigy.git.merge import Conflict, foretell
from prodigy.git.repository import branch_tip, find_target
from prodigy.git.resolution import Begun
from prodigy.job.items import item_text
from prodigy.job.policy import HOST_LOSSES
from prodigy.job.state import ItemState, JobState, Resolution, leaves_of
from prodigy.steps.protocol import AgentResult, AgentTask, Outcome
from prodigy.store.journal import StorageFailed
from prodigy.workflow.model import Claude, Step
from supervisors import ChildSpec, HostLost, Restart

ROUNDS = 3
"""How often a conflict is resolved again because the result collided with what was merged meanwhile."""
TIMEOUT = 600.0
"""Seconds that Claude may take."""
_MINE = "resolve/"
_LEAF = "1/1"
"""The launch of Claude among the recorded outcomes of a resolution."""


class _Whose(TypedDict):
    what: Literal["agent", "final"]
    target_branch: str
    item_id: str | None
    agent_id: str | None


class NotResolved(Exception):
    """Claude failed, or what it made is not to be merged."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Resolver(Task):
    """Resolves one conflict; the two kinds say what collides with what.

    Args:
        setting: of the run.
    """

    def __init__(self, setting: Setting) -> None:
        self._plan = setting.plan
        self._ledger = setting.ledger
        self._tasks = setting.tasks
        self._services = setting.services
        self._forge = setting.forge
        self._git = setting.forge.git

    async def work(self) -> None:
        """Resolve, or record why not; only bugs raise."""
        with suppress(StorageFailed, NotWritable):  # the run says so
            await self._work()

    async def _work(self) -> None:
        try:
            await self.resolve()
        except NotResolved as problem:
            await self._failed(problem.failure)
        except StorageFailed:
            raise
        except ProdigyError as error:
            kind = refusal_class(error, "merge-conflict")
            failure = Failure(error_class=kind, message=error.message, stderr_tail=error.note or "")
            await self._failed(failure)

    async def resolve(self) -> None:
        """The whole of it."""
        raise NotImplementedError

    @property
    def owner(self) -> JobState | ItemState:
        """Where its records are folded."""
        raise NotImplementedError

    @property
    def whose(self) -> _Whose:
        """What its events carry."""
        raise NotImplementedError

    async def tip(self) -> str:
        """What the work collides with."""
        raise NotImplementedError

    def wanted(self, source: str, onto: str) -> WantedMerge:
        """The merge of the two."""
        raise NotImplementedError

    def sides(self) -> str:
        """What the two sides are, in a line for Claude."""
        raise NotImplementedError

    def of_owner(self, task: AgentTask) -> AgentTask:
        """The task, as one whose events name the owner."""
        return task

    # -- one resolution ------------------------------------------------------------------------------------------------
    async def resolution(self, source: str) -> Resolution:
        """Let Claude resolve the conflict of ``source`` with the tip; what was checked and recorded.

        Raises:
            NotResolved: it did not.
            ProdigyError: the merge could not be begun, or what came of it was refused.
        """
        reason = ""
        for _ in range(HOST_LOSSES):
            try:
                return await self._attempt(source)
            except HostLost as lost:
                reason = lost.reason
        raise NotResolved(Failure(error_class="merge-conflict", message=f"The worker was lost: {reason}"))

    async def _attempt(self, source: str) -> Resolution:
        await self._services.host.room(afterwards=self.whose["item_id"] is None)
        begun = await self._found(source) or await self._begun(source)
        wanted = self.wanted(begun.source, begun.onto)
        head = await self._claude(begun) if begun.paths else begun.onto
        commit = await conclude_merge(self._services.workspaces, wanted, begun)
        await self._verify(begun.path, head)
        resolved = events.ConflictResolved(source=begun.source, onto=begun.onto, commit=commit, **self.whose)
        await record(self._services.recorder, resolved)
        await close_scratch(self._services.workspaces)
        return Resolution(source=begun.source, onto=begun.onto, commit=commit)

    async def _found(self, source: str) -> Begun | None:
        """The merge as Claude left it before an interruption, if that is recorded and still stands."""
        known, done = self.owner.resolution, self._outcomes().get(_LEAF)
        if known is None or known.source != source or not isinstance(done, events.StepCompleted):
            return None
        path = await find_merge(self._services.workspaces, done.head_after or known.onto)
        if path is None:
            return None
        return Begun(path=path, source=source, onto=known.onto, paths=known.paths)

    async def _begun(self, source: str) -> Begun:
        onto = await self.tip()
        foretold = await foretell(self._forge, onto, source)
        paths = foretold.paths if isinstance(foretold, Conflict) else ()
        started = events.ConflictResolutionStarted(source=source, onto=onto, paths=paths, **self.whose)
        await record(self._services.recorder, started)
        return await begin_merge(self._services.workspaces, self.wanted(source, onto))

    async def _claude(self, begun: Begun) -> str:
        """Run Claude where the merge has been begun; the commit that it left."""
        task = self._tasks.phase(
            "resolve", (), begun.onto, worktree=begun.path, timeout=TIMEOUT, outcomes=self._outcomes()
        )
        prompt = merge_prompt(self.sides(), begun.paths)
        workflow = self._plan.workflow
        step = Step(
            action=Claude(prompt),
            name="resolve the conflict",
            idle_timeout=workflow.idle_timeout,
            claude=workflow.claude,
            auto_commit=False,
            interpolate=False,
        )
        result = await self._run(structs.replace(self.of_owner(task), steps=(step,)))
        return result.head

    async def _verify(self, path: str, head: str) -> None:
        """``verify`` on what Claude made, in the same worktree."""
        steps = tuple(
            structs.replace(step, auto_commit=False) for step in self._plan.step_list("verify").steps
        )
        if steps:
            task = self.of_owner(self._tasks.phase("verify", steps, head, worktree=path, outcomes={}))
            failure = await set_up(self._services, self._tasks, task)
            if failure is not None:
                raise NotResolved(failure)
            await self._run(task)

    async def _run(self, task: AgentTask) -> AgentResult:
        result = await run_agent(self._services, task)
        await steps_ended(
            self._services.workspaces, Whose(phase=task.phase, path=task.worktree, branch="(none)")
        )
        moved = await stand(self._services.merger)
        if result.error is not None:
            raise NotResolved(result.error)
        if moved:
            raise NotResolved(Failure(error_class="merge-conflict", message=f"{self._plan.branch} was moved"))
        return result

    def _outcomes(self) -> dict[str, Outcome]:
        """The recorded leaf outcomes of the resolution, as the interpreter looks them up."""
        recorded = leaves_of(self.owner).outcomes.items()
        return {key.removeprefix(_MINE): outcome for key, outcome in recorded if key.startswith(_MINE)}

    async def excused(self, failure: Failure) -> None:
        """Nothing, if the failure counts."""

    async def _failed(self, failure: Failure) -> None:
        """Keep what was made, and record why it is not merged."""
        await self.excused(failure)
        known = self.owner.resolution
        kept, paths = None, ""
        if known is not None:
            paths = f" in {', '.join(known.paths)}" if known.paths else ""
            wanted = self.wanted(known.source, known.onto)
            kept = await leave_merge(
                self._services.workspaces, wanted, f"it was not merged: {failure.message}"
            )
        message = f"merge conflict{paths}, not resolved: {failure.message}"
        failure = structs.replace(failure, error_class="merge-conflict", message=message)
        told = events.ConflictResolutionFailed(error=failure, rescue_ref=kept, **self.whose)
        await record(self._services.recorder, told)


class ItemResolver(Resolver):
    """Resolves the conflict of an item's work with what was merged before it.

    Args:
        item_id: whose work it is.
        setting: of the run.
    """

    def __init__(self, item_id: str, setting: Setting) -> None:
        super().__init__(setting)
        self._item_id = item_id

    @property
    def owner(self) -> ItemState:
        """The item."""
        return self._ledger.state.items[self._item_id]

    @property
    def whose(self) -> _Whose:
        """See `Resolver`."""
        item = self.owner
        return _Whose(
            what="agent", target_branch=self._plan.branch, item_id=item.item_id, agent_id=item.agent_id
        )

    async def excused(self, failure: Failure) -> None:
        """Nothing, unless the disk is to blame: `NotWritable`."""
        await self._services.disk.acquit_of(failure)

    async def tip(self) -> str:
        """That of the session branch."""
        return self._ledger.state.tip or self._plan.base_commit

    def wanted(self, source: str, onto: str) -> WantedMerge:
        """See `Resolver`."""
        item = self.owner
        trailers = f"Prodigy-Job: {self._plan.job_id}\nProdigy-Item: {item.item_id}\n"
        return WantedMerge(
            source=source,
            onto=onto,
            message=f"Merge {item_text(item.item, item.item_id)}\n\n{trailers}",
            item_id=item.item_id,
            agent_id=item.agent_id,
            attempt=item.attempts,
        )

    def sides(self) -> str:
        """See `Resolver`."""
        whose = item_text(self.owner.item, self.owner.item_id)
        return (
            f"HEAD is what the workflow {self._plan.workflow.name} has merged so far, the work on other items; "
            f"MERGE_HEAD is the work on the item {whose}."
        )

    def of_owner(self, task: AgentTask) -> AgentTask:
        """The task, as one of the item."""
        return self._tasks.of_item(task, self.owner)

    async def resolve(self) -> None:
        """Resolve and merge, again where the result collides with what was merged meanwhile."""
        item, known = self.owner, self.owner.resolution
        assert item.head is not None, "an attempt that collided has ended"
        branch = f"refs/heads/{self._plan.branch}"
        if await is_ancestor(self._git, item.head, branch):  # merged; the record of it was cut off
            await self._merge(Resolution(source=item.head, onto=await self.tip(), commit=item.head))
            return
        source = known.source if known is not None else item.head
        for _ in range(ROUNDS):
            if known is None or known.commit is None:
                known = await self.resolution(source)
            if await self._merge(known):
                return
            source, known = known.commit or source, None
        message = f"the result collided with what was merged meanwhile, {ROUNDS} times in a row"
        raise NotResolved(Failure(error_class="merge-conflict", message=message))

    async def _merge(self, known: Resolution) -> bool:
        item = self.owner
        assert known.commit is not None
        resolved = Resolved(
            item.item_id,
            item.agent_id or "",
            known.commit,
            known.onto,
            claude=known.commit != item.head,
        )
        return await merge_resolved(self._services.merger, resolved)


class FinalResolver(Resolver):
    """Resolves the conflict of the whole run's work with its target; who asked for the merge asks again."""

    @property
    def owner(self) -> JobState:
        """The run."""
        return self._ledger.state

    @property
    def whose(self) -> _Whose:
        """See `Resolver`."""
        return _Whose(what="final", target_branch=self._plan.target, item_id=None, agent_id=None)

    async def tip(self) -> str:
        """That of the target."""
        target = await find_target(self._git, self._plan.target)
        tip = await branch_tip(self._git, target.branch) if target.branch is not None else None
        if tip is None:
            raise RunError("merge-target-missing", "there is no branch to merge into")
        return tip

    def wanted(self, source: str, onto: str) -> WantedMerge:
        """See `Resolver`."""
        subject = f"Merge {self._plan.workflow.name} ({self._plan.session_id})"
        return WantedMerge(
            source=source, onto=onto, message=f"{subject}\n\nProdigy-Job: {self._plan.job_id}\n"
        )

    def sides(self) -> str:
        """See `Resolver`."""
        return (
            f"HEAD is the branch {self._plan.target}, where others went on meanwhile; "
            f"MERGE_HEAD is all the work of the workflow {self._plan.workflow.name}."
        )

    async def resolve(self) -> None:
        """Resolve once."""
        await self.resolution(self._ledger.state.source or self._plan.base_commit)


def resolving(item_id: str | None, setting: Setting) -> ChildSpec[Never]:
    """The child that resolves the conflict of an item, or of the final merge."""

    def start() -> Resolver:
        return FinalResolver(setting) if item_id is None else ItemResolver(item_id, setting)

    name = "final" if item_id is None else str(setting.ledger.state.items[item_id].agent_id)
    return ChildSpec(
        id=f"resolve-{name}",
        start=start,
        restart=Restart.TEMPORARY,
        shutdown=setting.plan.workflow.grace + AGENT_SHUTDOWN,
    )
