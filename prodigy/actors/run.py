"""The run: its phases in order, then the final merge.

Takes a run up wherever its journal stands: a phase that is recorded as completed is not run again, so a crash of
this actor costs nothing.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

import trio

from prodigy import events
from prodigy.actors.merger import merge_final
from prodigy.actors.phase import PhaseFactory
from prodigy.actors.recorder import Ledger, record
from prodigy.actors.services import Services
from prodigy.actors.task import Task
from prodigy.actors.workspaces import close_session, open_session
from prodigy.errors import ProdigyError
from prodigy.events import Failure, Phase
from prodigy.job.plan import RunPlan
from supervisors import UnknownChild

Answer = Literal["yes", "no", "eof", "no-tty", "flag-yes", "flag-no"]
AskMerge = Callable[[str, str], Awaitable[Answer]]
"""Asks whether to merge a session into a branch."""


class Run(Task):
    """Conducts one run.

    Args:
        plan: what to run.
        ledger: the run as recorded; ``problem`` is set here when the run ends for a reason outside its steps.
        ask_merge: asks the user about the final merge.
        services: what it uses.
        phases: makes the actor of each phase.
    """

    def __init__(
        self,
        plan: RunPlan,
        ledger: Ledger,
        ask_merge: AskMerge,
        services: Services,
        phases: PhaseFactory,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._ask_merge = ask_merge
        self._services = services
        self._phases = phases

    async def work(self) -> None:
        """Run to the end; what is outside the steps' responsibility becomes the ledger's ``problem``."""
        try:
            await self._conduct()
        except ProdigyError as error:
            self._ledger.problem = error

    async def _conduct(self) -> None:
        state = self._ledger.state
        if state.status not in {"completed", "failed"}:
            await open_session(self._services.workspaces)
            await self._run_phases()
        if state.status == "completed" and state.merge not in {"merged", "nothing"}:
            await finish(self._plan, self._ledger, self._ask_merge, self._services)

    async def _run_phases(self) -> None:
        began = trio.current_time()
        limit = self._plan.workflow.timeout
        failure: Failure | None = None
        with trio.move_on_after(float("inf") if limit is None else limit) as scope:
            failure = await self._phases_in_order()
        if scope.cancelled_caught:
            await self._stop_crew()
            text = f"{limit:g} s"
            failure = Failure(error_class="timeout", message=f"The run's time of {text} was up", limit=text)
        if failure is not None:
            await self._job_failed(began, failure)
            return
        counts = self._ledger.state.counts
        await record(
            self._services.recorder,
            events.JobCompleted(
                duration_ms=round((trio.current_time() - began) * 1000),
                success_count=counts["done"],
                failure_count=counts["failed"],
                skipped_count=counts["skipped"],
            ),
        )

    async def _phases_in_order(self) -> Failure | None:
        """Why the first phase that failed did."""
        for phase in self._plan.phases():
            failure = await self._run_phase(phase)
            if failure is not None:
                return failure
        return None

    async def _stop_crew(self) -> None:
        """End the phase, so that nothing is started any more, then every agent with its process trees."""
        crew = self._services.crew
        ids_ = [child.id for child in await crew.children()]
        for child in (name for name in ids_ if name.startswith("phase-")):
            await self._stop_child(child)
        async with trio.open_nursery() as nursery:
            for child in (name for name in ids_ if not name.startswith("phase-")):
                nursery.start_soon(self._stop_child, child)

    async def _stop_child(self, child: str) -> None:
        with suppress(UnknownChild):  # it ended by itself meanwhile
            await self._services.crew.stop_child(child)

    async def _run_phase(self, phase: Phase) -> Failure | None:
        """Run a phase as an actor of its own, unless it is done; its failure, if it failed."""
        done = self._ledger.state.phases.get(phase)
        if done is None or done.status == "running":
            spec = self._phases.spec(phase)
            await self._services.crew.start_child(spec)
            await spec.ref.wait_stopped()
            done = self._ledger.state.phases.get(phase)
        if done is None or done.status == "running":
            return Failure(error_class="internal", message=f"The {phase} phase ended without a result")
        return done.error if done.status == "failed" else None

    async def _job_failed(self, began: float, failure: Failure) -> None:
        counts = self._ledger.state.counts
        await record(
            self._services.recorder,
            events.JobFailed(
                duration_ms=round((trio.current_time() - began) * 1000),
                error=failure,
                success_count=counts["done"],
                failure_count=counts["failed"],
                skipped_count=counts["skipped"],
            ),
        )


async def finish(plan: RunPlan, ledger: Ledger, ask_merge: AskMerge, services: Services) -> None:
    """Ask, merge, clean up. A merge that cannot be done leaves branch and worktree as they are."""
    tip = ledger.state.tip
    if tip is None or tip == plan.base_commit:
        await merge_final(services.merger)
        await close_session(services.workspaces)
        return
    answer = await ask_merge(plan.session_id, plan.original_branch)
    await record(services.recorder, events.MergePrompted(target=plan.original_branch, answer=answer))
    if answer in {"yes", "flag-yes"}:
        await merge_final(services.merger)
        await close_session(services.workspaces)


class FinishRun(Task):
    """Takes up a run at its final merge: ``worktree merge``."""

    def __init__(self, plan: RunPlan, ledger: Ledger, ask_merge: AskMerge, services: Services) -> None:
        self._plan = plan
        self._ledger = ledger
        self._ask_merge = ask_merge
        self._services = services

    async def work(self) -> None:
        """Ask, merge, clean up."""
        try:
            await finish(self._plan, self._ledger, self._ask_merge, self._services)
        except ProdigyError as error:
            self._ledger.problem = error


class CleanRun(Task):
    """Removes what a run left in the repository, rescuing what is not merged: ``worktree clean``."""

    def __init__(self, ledger: Ledger, services: Services) -> None:
        self._ledger = ledger
        self._services = services

    async def work(self) -> None:
        """Rescue, remove, record."""
        try:
            await close_session(self._services.workspaces, forced=True)
        except ProdigyError as error:
            self._ledger.problem = error
