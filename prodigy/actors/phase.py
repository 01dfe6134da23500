"""The phases as actors: a list of steps in the session worktree; the map phase is ``actors.map_phase``.

A phase records its own beginning and end; whoever started it reads the result from the ledger. Every kind can be
taken up again where the journal stands.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import trio
from msgspec import structs

from prodigy import events
from prodigy.actors.cut_off import account, finished, in_order, paid_at_the_end
from prodigy.actors.governor import AFTERWARDS
from prodigy.actors.recorder import Ledger, record
from prodigy.actors.returning import Cut
from prodigy.actors.running import run_agent
from prodigy.actors.services import Services
from prodigy.actors.shared_state import Whose
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import close_scratch, go_on, open_scratch, steps_ended
from prodigy.actors.worktree_setup import set_up
from prodigy.errors import ProdigyError, RunError
from prodigy.events import Failure, Phase
from prodigy.git.evidence import files_changed, history
from prodigy.git.final import Foreseen
from prodigy.git.forge import Forge
from prodigy.job.plan import RunPlan
from prodigy.job.policy import HOST_LOSSES
from prodigy.steps.captures import CaptureError
from prodigy.steps.phase_outputs import capturing, values
from prodigy.steps.protocol import AgentResult, AgentTask
from prodigy.store.journal import StorageFailed
from prodigy.workflow.deferred import seconds, settled
from prodigy.workflow.model import Step
from prodigy.workflow.select import BadInput
from prodigy.workflow.values import TemplateError
from supervisors import HostLost

_SHORT_SHA = 10
_CLEAN_UP = 5.0
"""Seconds that the removal of a scratch worktree may take while the run is being stopped."""


@dataclass(frozen=True)
class Setting:
    """What all phases of a run work with.

    Attributes:
        plan: the run.
        ledger: the run as recorded.
        tasks: makes what is sent to workers.
        services: what phases use.
        forge: what merges are made with; phases only ask.
        now: the clock of the records.
    """

    plan: RunPlan
    ledger: Ledger
    tasks: TaskFactory
    services: Services
    forge: Forge
    now: Callable[[], datetime]


class PhaseActor(Task):
    """What all kinds of phase share: their beginning, their end, and running steps.

    Args:
        phase: which one.
        setting: of the run.
    """

    def __init__(self, phase: Phase, setting: Setting) -> None:
        self._phase: Phase = phase
        self._setting = setting
        self._plan = setting.plan
        self._ledger = setting.ledger
        self._tasks = setting.tasks
        self._services = setting.services
        self._git = setting.forge.git
        self._now = setting.now
        self._variables: dict[str, Any] = {}
        """What later phases can read of this one."""
        self._fields: dict[str, dict[str, Any]] = {}
        """And of those variables besides their values."""
        self._cut: str | None = None
        """Why its steps may have been cut off, if anything is known."""

    async def work(self) -> None:
        """Begin unless begun, run, record the end. Failures are recorded; only bugs raise."""
        began = trio.current_time()
        try:
            failure = await self._attempt()
            duration = round((trio.current_time() - began) * 1000)
            await self._record(self._end(failure, duration))
        except* StorageFailed:
            pass  # nothing can be recorded any more; the run says so

    def _end(self, failure: Failure | None, duration: int) -> events.AnyEvent:
        if failure is not None:
            return events.PhaseFailed(phase=self._phase, duration_ms=duration, error=failure)
        return events.PhaseCompleted(
            phase=self._phase,
            duration_ms=duration,
            head=self._ledger.state.tip,
            variables=self._variables,
            fields=self._fields,
        )

    async def _attempt(self) -> Failure | None:
        try:
            return await self.body()
        except StorageFailed:
            raise
        except (BadInput, TemplateError) as error:
            return Failure(error_class="bad-input", message=error.message)
        except CaptureError as error:
            return Failure(error_class="capture-failed", message=str(error))
        except ProdigyError as error:
            return Failure(error_class="worktree-error", message=f"{error.code}: {error.message}")

    async def body(self) -> Failure | None:
        """The phase itself; why it failed, if it did."""
        raise NotImplementedError

    async def _record(self, event: events.AnyEvent) -> int:
        return await record(self._services.recorder, event)

    async def _begin(self, max_parallel: int | None = None) -> str:
        """Record the beginning once; the commit that the phase began with."""
        known = self._ledger.state.phases.get(self._phase)
        if known is None or known.status != "running":
            await self._record(
                events.PhaseStarted(phase=self._phase, base_commit=self._head(), max_parallel=max_parallel)
            )
            known = self._ledger.state.phases[self._phase]
        else:
            self._cut = "it was interrupted"
        assert known.base_commit is not None
        return known.base_commit

    async def _run_steps(
        self,
        steps: tuple[Step, ...],
        *,
        timeout: float | None = None,
        prefix: str = "",
        variables: dict[str, Any] | None = None,
    ) -> AgentResult:
        """Run steps in the session worktree; when the worker is lost, go on at the first leaf without an outcome."""
        losses, began = 0, trio.current_time()
        while True:
            left = None if timeout is None else max(0.0, timeout - (trio.current_time() - began))
            goes_on = self._cut is not None
            head = self._head() if self._cut is None else await self._return(self._cut)
            task = self._tasks.phase(
                self._phase,
                steps,
                head,
                timeout=left,
                prefix=prefix,
                outcomes=self._outcomes(),
                variables=variables,
            )
            if goes_on:
                task = structs.replace(task, finished=finished(self._ledger.state, self._phase, None))
            try:
                async with paid_at_the_end(self._pay):
                    return await self._set_up_and_run(task)
            except HostLost as lost:
                losses += 1
                self._cut = lost.reason
                if losses > HOST_LOSSES:
                    await self._return(lost.reason)
                    return AgentResult(head=self._head(), duration_ms=0, error=_lost(losses, lost))

    async def _return(self, reason: str) -> str:
        """Bring the session worktree to where the steps go on; the commit that it stands on."""
        self._cut = None
        state, phase = self._ledger.state, self._phase
        await self._pay()
        outcomes = self._outcomes()
        cut = Cut(
            path=str(self._tasks.session_worktree),
            branch=self._plan.branch,
            base=self._start_commit(),
            outcomes=outcomes,
            cut_off=tuple(
                one for one in state.intents.values() if one.phase == phase and one.item_id is None
            ),
            finished=in_order(state, phase, None),
            reason=reason,
        )
        standing = await go_on(self._services.workspaces, cut)
        if standing.forgotten or (standing.restore and standing.head != self._head()):
            await self._record(
                events.WorkRewound(phase=phase, head=standing.head, forgotten=standing.forgotten)
            )
        return standing.head

    async def _pay(self) -> None:
        """Account for launches of Claude whose end nobody told."""
        recorder, tasks = self._services.recorder, self._tasks
        await account(self._ledger, recorder, tasks, lambda launch: launch.item_id is None)

    def _start_commit(self) -> str:
        """The commit that the steps began with."""
        return self._ledger.state.phases[self._phase].base_commit or self._plan.base_commit

    async def _set_up_and_run(self, task: AgentTask) -> AgentResult:
        """Run a task where there is room for it, in a worktree that is fit; what tells of a failure does not ask for that."""
        if self._phase != "on_failure":
            failure = await self._no_room() or await set_up(self._services, self._tasks, task)
            if failure is not None:
                return AgentResult(head=task.head, duration_ms=0, error=failure)
        result = await run_agent(self._services, task)
        whose = Whose(phase=self._phase, path=task.worktree, branch=self._plan.branch)
        await steps_ended(self._services.workspaces, whose)
        return result

    async def _no_room(self) -> Failure | None:
        try:
            await self._services.host.room(afterwards=self._phase in AFTERWARDS)
        except RunError as short:
            return Failure(error_class="spawn-failed", message=short.message)
        return None

    def _head(self) -> str:
        """Where the session stands, by what is recorded."""
        return self._ledger.state.tip or self._plan.base_commit

    def _outcomes(self) -> dict[str, Any]:
        """The recorded leaf outcomes of this phase, as the interpreter looks them up."""
        mine = f"{self._phase}/"
        return {
            key.removeprefix(mine): outcome
            for key, outcome in self._ledger.state.outcomes.items()
            if key.startswith(mine)
        }

    def _limit(self) -> float | None:
        """Seconds for all steps of the phase together."""
        body = self._plan.step_list(self._phase)
        return seconds(settled(body.timeout, self._tasks.scope(self._phase)))


class StepsActor(PhaseActor):
    """A list of steps in the session worktree: ``setup``, ``reduce``, the steps of a plain workflow, and the hooks."""

    async def body(self) -> Failure | None:
        """Run the phase's list of steps as one agent; what it captured is for the phases after it."""
        await self._begin()
        return await self._run_list()

    async def _run_list(self, prefix: str = "") -> Failure | None:
        body = self._plan.step_list(self._phase)
        steps = capturing(body.steps, body.outputs)
        roots = await self.roots()
        result = await self._run_steps(steps, timeout=self._limit(), prefix=prefix, variables=roots)
        if result.error is None:
            self._variables = result.variables | values(body.outputs, result.variables)
            self._fields = result.fields
        return result.error

    async def roots(self) -> dict[str, Any]:
        """Variables that only this phase knows."""
        return {}


class WakingActor(PhaseActor):
    """What a phase that has ended left running until the run's end, once the run is taken up again."""

    async def work(self) -> None:
        """Start it again where it does not run; the phase is as it was."""
        body = self._plan.step_list(self._phase)
        task = self._tasks.phase(
            self._phase, capturing(body.steps, body.outputs), self._head(), outcomes=self._outcomes()
        )
        with suppress(HostLost):  # and everything that ran in it: those who miss it will say so
            await run_agent(self._services, structs.replace(task, waking=True))


class MergeActor(StepsActor):
    """``merge``: the steps that come before the final merge, and may do it themselves."""

    async def roots(self) -> dict[str, Any]:
        """``${merge.…}``: what is about to be merged, and where."""
        base, head = self._plan.base_commit, self._head()
        commits = (await history(self._git, base, head)).commits
        files = await files_changed(self._git, base, head)
        about = {
            "worktree": str(self._tasks.session_worktree),
            "source_branch": self._plan.branch,
            "target_branch": self._plan.target,
            "session_id": self._plan.session_id,
            "commits": [
                {"id": commit.sha, "short_id": commit.sha[:_SHORT_SHA], "message": commit.subject}
                for commit in commits
            ],
            "commit_ids": [commit.sha for commit in commits],
            "commit_count": len(commits),
            "modified_files": files,
            "file_list": files,
            "file_count": len(files),
        }
        return {"merge": about}


class VerifyActor(PhaseActor):
    """``verify``: steps that have to succeed on the merged tree, in a worktree that is thrown away afterwards.

    Args:
        merged: what to verify.
    """

    def __init__(self, phase: Phase, setting: Setting, merged: Foreseen) -> None:
        super().__init__(phase, setting)
        self._commit, self._tree = merged.commit, merged.tree

    async def body(self) -> Failure | None:
        """Check the commit out, run the steps there, remove it all; from the beginning again if it was cut off."""
        began = events.PhaseStarted(phase=self._phase, base_commit=self._head(), tree=self._tree)
        await self._record(began)
        losses = 0
        while True:
            try:
                return (await self._verify()).error
            except HostLost as lost:
                losses += 1
                await self._pay()
                if losses > HOST_LOSSES:
                    return _lost(losses, lost)

    async def _verify(self) -> AgentResult:
        steps = tuple(
            structs.replace(step, auto_commit=False) for step in self._plan.step_list("verify").steps
        )
        worktree = await open_scratch(self._services.workspaces, self._commit)
        task = self._tasks.phase(
            "verify", steps, self._commit, worktree=worktree, timeout=self._limit(), outcomes={}
        )
        try:
            return await self._set_up_and_run(task)
        finally:
            with trio.move_on_after(
                _CLEAN_UP, shield=True
            ):  # services outlive phases, also when all is being stopped
                await close_scratch(self._services.workspaces)


def _lost(times: int, lost: HostLost) -> Failure:
    return Failure(error_class="host-lost", message=f"The worker was lost {times} times: {lost.reason}")
