"""The run: its phases in order, what the workflow says about how they ended, then the final merge.

Takes a run up wherever its journal stands: a phase that is recorded as completed is not run again, so a crash of
this actor costs nothing.
"""

from contextlib import ExitStack, suppress

import trio

from prodigy import events
from prodigy.actors.cut_off import account
from prodigy.actors.finish import Conductor
from prodigy.actors.merger import merges_done
from prodigy.actors.recorder import Ledger, record, subscribe
from prodigy.actors.services import Services
from prodigy.actors.task import Task
from prodigy.actors.workspaces import (
    attach_session,
    clear_agents,
    close_session,
    compare_checkout,
    open_session,
    reclaim_all,
)
from prodigy.errors import ProdigyError
from prodigy.events import Failure, Phase, Record
from prodigy.job.caps import caps_of
from prodigy.steps.clock import Clock
from prodigy.workflow.deferred import seconds, settled
from prodigy.workflow.values import TemplateError
from supervisors import UnknownChild

_ABOUT_QUOTA = events.QuotaBlocked | events.QuotaCleared | events.ClaudeParked | events.ClaudeIntended


class Run(Task):
    """Conducts one run; the ledger's ``problem`` is set when it ends for a reason outside its steps."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._plan = conductor.plan
        self._ledger = conductor.ledger
        self._services = conductor.services
        self._clock = Clock()
        self._still = ExitStack()
        """Holds the clock still until it is closed."""

    async def work(self) -> None:
        """Run to the end; what is outside the steps' responsibility becomes the ledger's ``problem``."""
        try:
            await self._conduct()
        except ProdigyError as error:
            self._ledger.problem = error

    async def _conduct(self) -> None:
        state = self._ledger.state
        if state.merge in {"merged", "nothing"}:
            if not state.branch_removed:  # that was cut off
                await close_session(self._services.workspaces)
            return
        await self._open()
        if state.status not in {"completed", "failed"}:
            await self._run_phases()
        if state.status == "completed":
            await self._conductor.finish()

    async def _open(self) -> None:
        """See that the session worktree is there, and that no slot waits for an agent of an earlier process."""
        await open_session(self._services.workspaces)
        await reclaim_all(self._services.workspaces, self._services.crew, self._ledger)

    async def _run_phases(self) -> None:
        failure = await self._as_far_as_it_goes()
        reason = self._pause() if failure is None else None
        if reason is not None:
            await record(self._services.recorder, events.JobPaused(reason=reason))
            return
        await self._afterwards("on_success" if failure is None else "on_failure")
        tasks = self._conductor.phases.tasks
        await account(self._ledger, self._services.recorder, tasks, lambda _: True)
        await compare_checkout(self._services.workspaces)
        counts = self._ledger.state.counts
        duration = round(self._ledger.state.money.active(self._conductor.now()) * 1000)
        done, failed, skipped = counts["done"], counts["failed"], counts["skipped"]
        if failure is None:
            ended: events.AnyEvent = events.JobCompleted(
                duration_ms=duration, success_count=done, failure_count=failed, skipped_count=skipped
            )
        else:
            ended = events.JobFailed(
                duration_ms=duration,
                error=failure,
                success_count=done,
                failure_count=failed,
                skipped_count=skipped,
            )
        await record(self._services.recorder, ended)

    def _pause(self) -> events.PauseReason | None:
        """Why the run comes to rest before its end, if it does."""
        state = self._ledger.state
        if state.refused is not None:
            return "disk"
        if state.turned_down is not None:
            return "claude"
        if state.given_up is not None:
            return "quota"
        if state.no_room is not None:
            return state.no_room.what
        return "budget" if state.money.exhausted is not None else None

    def _matters(self, told: Record) -> bool:
        """Whether a record may stop the run, or its clock."""
        return isinstance(told.event, _ABOUT_QUOTA) or self._pause() is not None

    async def _as_far_as_it_goes(self) -> Failure | None:
        """Run the phases, or stop everything when the run has to rest; why they failed, if they did."""
        stream = await subscribe(self._services.recorder, self._matters)
        failure: Failure | None = None
        if self._pause() is not None:  # that was recorded before this actor was started again
            await self._stop_crew()
            return None
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                nonlocal failure
                failure = await self._in_time()
                nursery.cancel_scope.cancel()

            nursery.start_soon(run)
            self._keep_time()
            async for told in stream:
                if isinstance(told.event, _ABOUT_QUOTA):
                    self._keep_time()
                if self._pause() is not None:
                    nursery.cancel_scope.cancel()
                    with trio.CancelScope(shield=True):
                        await self._stop_crew()
        return failure

    # -- the phases that do the work -----------------------------------------------------------------------------------
    async def _in_time(self) -> Failure | None:
        """Run the phases within the workflow's own time; why they failed, if they did."""
        try:
            scope = self._conductor.phases.tasks.first_scope()
            limit = seconds(settled(self._plan.workflow.timeout, scope))
            caps_of(self._plan.workflow.budget, scope)
        except TemplateError as error:
            return Failure(error_class="bad-input", message=error.message)
        with self._clock.limited(limit):
            return await self._phases_in_order()
        assert limit is not None, "it was up"
        await self._stop_crew()
        cut = next((phase for phase in self._plan.phases() if not self._has_ended(phase)), None)
        if cut is None:
            return await self._phases_in_order()  # the last one ended at the same moment
        return await self._cut_short(cut, "The run's", limit)

    async def _map_in_time(self) -> Failure | None:
        """Run the map phase within its own time; why it failed, if it did."""
        phase = self._plan.workflow.map
        assert phase is not None, "the plan has the phase"
        with self._clock.limited(phase.timeout):
            return await self._conductor.run_phase("map", self._conductor.phases.spec("map"))
        assert phase.timeout is not None, "it was up"
        await self._stop_crew()
        if self._has_ended("map"):
            return self._ledger.state.phases["map"].error
        return await self._cut_short("map", "The map phase's", phase.timeout)

    async def _cut_short(self, cut: Phase, whose: str, limit: float) -> Failure:
        """Record that a phase failed because somebody's time was up."""
        text = f"{limit:g} s"
        failure = Failure(error_class="timeout", message=f"{whose} time of {text} was up", limit=text)
        await record(self._services.recorder, events.PhaseFailed(phase=cut, duration_ms=0, error=failure))
        return failure

    def _keep_time(self) -> None:
        """The run's time stands still while conversations wait because the API turns them away."""
        state = self._ledger.state
        waits = state.parked and any(quota.until is not None for quota in state.quotas)
        if not waits:
            self._still.close()
        elif not self._clock.is_stopped:
            self._still.enter_context(self._clock.stopped())

    def _has_ended(self, phase: Phase) -> bool:
        known = self._ledger.state.phases.get(phase)
        return known is not None and known.status != "running"

    async def _phases_in_order(self) -> Failure | None:
        """Why the first phase that failed did."""
        for phase in self._plan.phases():
            if self._has_ended(phase):
                failure = self._ledger.state.phases[phase].error
                await self._wake(phase)
            elif phase == "map":
                failure = await self._map_in_time()
            else:
                failure = await self._conductor.run_phase(phase, self._conductor.phases.spec(phase))
            if failure is not None:
                return failure
        return None

    async def _wake(self, phase: Phase) -> None:
        """Have running again what an ended phase left running until the run's end."""
        left = self._ledger.state.detached
        if any(one.phase == phase and one.until == "run" and one.item_id is None for one in left):
            await self._conductor.run_phase(phase, self._conductor.phases.waking(phase))

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

    # -- what comes after them -----------------------------------------------------------------------------------------
    async def _afterwards(self, phase: Phase) -> None:
        """The workflow's own ``on_success`` or ``on_failure``, once; how they end changes nothing."""
        if not self._plan.step_list(phase).steps or self._has_ended(phase):
            return
        try:
            await self._settle_session()
        except ProdigyError as error:
            skipped = events.PhaseSkipped(phase=phase, reason=f"the session worktree is not usable: {error}")
            await record(self._services.recorder, skipped)
            return
        await self._conductor.run_phase(phase, self._conductor.phases.spec(phase))

    async def _settle_session(self) -> None:
        """A map phase that was cut short leaves the session worktree detached, and merges under way."""
        phase = self._ledger.state.phases.get("map")
        if phase is not None and phase.status == "failed":
            await merges_done(self._services.merger)
            await attach_session(self._services.workspaces)


class FinishRun(Task):
    """Takes up a run at its final merge: ``worktree merge``."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    async def work(self) -> None:
        """Ask, merge, clean up."""
        try:
            await self._conductor.finish()
        except ProdigyError as error:
            self._conductor.ledger.problem = error


class CleanRun(Task):
    """Removes what a run left in the repository, rescuing what is not merged: ``worktree clean``.

    ``agents_only`` leaves the session worktree and all branches where they are.
    """

    def __init__(self, ledger: Ledger, services: Services, *, agents_only: bool = False) -> None:
        self._ledger = ledger
        self._services = services
        self._agents_only = agents_only

    async def work(self) -> None:
        """Rescue, remove, record."""
        try:
            if self._agents_only:
                await clear_agents(self._services.workspaces)
            else:
                await close_session(self._services.workspaces, forced=True)
        except ProdigyError as error:
            self._ledger.problem = error
