"""The supervision tree of a run, wired.

::

    root, rest_for_one
    ├── recorder        first up, last down
    ├── hosts           the pool of worker processes
    ├── services        one_for_one
    │   ├── workspaces
    │   ├── merger
    │   ├── dead-letters
    │   ├── governor
    │   └── forecaster
    ├── crew            dynamic: the phase that runs, and one actor per agent
    └── run             significant: its end is the end of the tree

Stopping goes upwards: the run, the agents with their process trees, the services, the workers, and when nobody has
anything to say any more, the recorder.
"""

import math
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal, assert_never

import msgspec
import trio

from prodigy import events
from prodigy.actors.agent import AGENT_SHUTDOWN
from prodigy.actors.control import answer_questions
from prodigy.actors.dead_letters import DeadLetters
from prodigy.actors.finish import AskMerge, Conductor
from prodigy.actors.forecaster import forecasting
from prodigy.actors.governor import Governor, Rules
from prodigy.actors.host import Host, floors_at, free_at
from prodigy.actors.hosts import Hosts, Hurry, Pool
from prodigy.actors.merger import Merger, Private
from prodigy.actors.phase import Setting
from prodigy.actors.phases import PhaseFactory
from prodigy.actors.preparing import Prepared
from prodigy.actors.recorder import Ledger, Note, Observer, Recorder, Stamp
from prodigy.actors.resting import Disk
from prodigy.actors.run import CleanRun, FinishRun, Run
from prodigy.actors.services import Services
from prodigy.actors.snapshotting import Snapshots
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.tuning import NO_TUNING, Tuning
from prodigy.actors.workspaces import Site, Workspaces
from prodigy.errors import ProdigyError
from prodigy.git.checkout import Checkout
from prodigy.git.forge import Forge
from prodigy.git.housekeeping import GcHold
from prodigy.git.included import included_in
from prodigy.git.worktrees import Worktrees
from prodigy.job.caps import caps_of, raised
from prodigy.job.plan import RunPlan
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.steps.protocol import PROTOCOL
from prodigy.store.control import ActorStanding, Standing, WorkerStanding, remove_deserted
from prodigy.store.journal import JournalWriter
from prodigy.store.snapshots import Folded, opened
from prodigy.store.stop_requests import StopRequest, take
from prodigy.workflow.model import Budget
from prodigy.workflow.values import TemplateError
from supervisors import (
    ActorGone,
    AnyChild,
    AutoShutdown,
    ChildDown,
    ChildRestarted,
    ChildSpec,
    Crashed,
    DynamicSupervisorRef,
    DynamicSupervisorSpec,
    Escalated,
    MailboxFull,
    Node,
    PoolEvent,
    Restart,
    Root,
    SpawnedWorker,
    StartFailed,
    Strategy,
    Supervisor,
    TreeEvent,
    WorkerLost,
    WorkerPool,
    WorkerStarted,
    open_supervisor,
)

PROGRAM = "prodigy.steps.agent:PROGRAM"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
UNKNOWN_PARALLEL = 256
"""How many agents the workers are made for while the workflow has not said yet how many there may be."""
_ASKERS: Mapping[int, str] = {signal.SIGINT: "terminal", signal.SIGHUP: "terminal"}
"""Who sends a signal, as a rule."""
RECORDER_SHUTDOWN = 60.0
"""Seconds that the recorder may take to write what it was told."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gets from the process that it runs in."""

    layout: Layout
    forge: Forge
    environment: Mapping[str, str]
    """What every child inherits."""
    prepared: Prepared = Prepared()
    """What the workflow declares of it, by phase."""
    metadata: events.Metadata
    stamp: Stamp
    workers: int
    """How many worker processes may run."""
    tuning: Tuning = NO_TUNING
    ask_merge: AskMerge
    observers: Sequence[Observer] = ()
    spawned: SpawnedWorker | None = None
    """A worker that was started ahead of everything else."""
    hold: Sequence[int] = ()
    """Descriptors that stay open until every process tree is dead."""
    checkout: Checkout | None = None
    """How the main worktree stood just now, if somebody looked."""


Purpose = Literal["run", "merge", "clean", "clean-agents"]
"""Conduct the whole run, or take it up at its final merge, or remove what it left, or what its agents did."""


Opening = events.JobResumed | events.DlqRetryStarted
"""How a run that is on disk goes on: where it stopped, or with items of its dead letter queue."""


class Tree:
    """One run and its actors.

    Args:
        plan: what to run.
        around: what it gets from this process.
        purpose: how much of a run's life this tree is for; workers are there if steps have to run.
        opening: what the first record of this process says, where a run that is on disk goes on.
        journal: the run's, where it is read already; it is not read, and not kept in memory, a second time.
        budget: bounds that take the place of those in force.
    """

    def __init__(
        self,
        plan: RunPlan,
        around: Surroundings,
        purpose: Purpose = "run",
        opening: Opening | None = None,
        journal: Folded | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._plan = plan
        self._budget = budget
        self._around = around
        self._purpose = purpose
        self._going_on = opening
        self._journal = journal
        self._opened = False
        self._pool: Pool | None = None
        self.ledger = Ledger()
        common_dir = around.forge.customs.common_dir
        self._tasks = TaskFactory(
            plan, around.layout, self.ledger, around.environment, around.prepared, common_dir
        )
        self._recorder = ChildSpec(
            "recorder", self._make_recorder, drain=True, shutdown=RECORDER_SHUTDOWN, capacity=4096
        )
        self._hosts = ChildSpec(
            "hosts", lambda: Hosts(self._make_pool), shutdown=plan.workflow.grace + AGENT_SHUTDOWN
        )
        crew = DynamicSupervisorSpec("crew")
        group, services = self._wire_services(crew.ref)
        conductor = ChildSpec(
            purpose, self._conductor(purpose, services), restart=Restart.TRANSIENT, significant=True
        )
        hosts = [self._hosts] if purpose == "run" or (purpose == "merge" and plan.merges_by_steps) else []
        self._children: list[AnyChild] = [self._recorder, *hosts, group, crew, conductor]

    def _wire_services(self, crew: DynamicSupervisorRef) -> tuple[AnyChild, Services]:
        """The group of services, and the refs to all that the run uses."""
        plan, around, ledger = self._plan, self._around, self.ledger
        recorder, layout, git = self._recorder.ref, around.layout, around.forge.git
        worktrees = Worktrees(git, layout.git_lock, around.forge.restorer)
        site = Site(git, worktrees, GcHold(around.forge.customs.common_dir), around.checkout)
        disk = Disk(around.forge.customs.common_dir, layout, ledger, recorder)
        places = (layout.worktrees, Path(around.forge.customs.common_dir))
        private = Private(around.prepared.masker, frozenset(included_in(layout.included(plan.job_id))))
        workspaces = ChildSpec(
            "workspaces",
            lambda: Workspaces(plan, layout, site, ledger, recorder, around.tuning.idle_slots),
        )
        merger = ChildSpec(
            "merger",
            lambda: Merger(
                plan,
                around.forge,
                ledger,
                recorder,
                workspaces.ref,
                private,
                disk,
                self._tasks.merge_patience,
            ),
        )
        letters = ChildSpec("dead-letters", lambda: DeadLetters(recorder, ledger))
        governor = ChildSpec("governor", lambda: Governor(self._rules(), recorder, ledger, around.stamp.now))
        forecaster = forecasting(plan, around.forge, ledger, recorder)
        group = ChildSpec("services", lambda: Supervisor([workspaces, merger, letters, governor, forecaster]))
        services = Services(
            recorder=recorder,
            workspaces=workspaces.ref,
            hosts=self._hosts.ref,
            merger=merger.ref,
            dead_letters=letters.ref,
            governor=governor.ref,
            crew=crew,
            disk=disk,
            host=Host(
                floors_at(around.tuning.floors, *places),
                partial(free_at, *places),
                recorder,
                around.tuning.host_wait_max,
            ),
            forge=around.forge,
        )
        return group, services

    def _rules(self) -> Rules:
        most = self._plan.max_parallel or UNKNOWN_PARALLEL
        starts = self._plan.workflow.max_concurrent_starts
        return Rules(self._caps, most, starts, self._around.tuning)

    def _caps(self) -> events.Caps:
        """What the job may use, by the workflow; where that cannot be known the run fails before any step."""
        with suppress(TemplateError):
            return caps_of(self._plan.workflow.budget, self._tasks.first_scope())
        return events.Caps()

    def _conductor(self, purpose: Purpose, services: Services) -> Callable[[], Task]:
        plan, ledger, around = self._plan, self.ledger, self._around
        phases = PhaseFactory(Setting(plan, ledger, self._tasks, services, around.forge, around.stamp.now))
        conductor = Conductor(plan, ledger, around.ask_merge, services, phases, around.stamp.now)
        match purpose:
            case "run":
                return lambda: Run(conductor)
            case "merge":
                return lambda: FinishRun(conductor)
            case "clean":
                return lambda: CleanRun(ledger, services)
            case "clean-agents":
                return lambda: CleanRun(ledger, services, agents_only=True)
            case _:
                assert_never(purpose)

    # -- what needs this process -------------------------------------------------------------------------------------------
    def _make_recorder(self) -> Recorder:
        layout, job = self._around.layout, self._plan.job_id
        metadata = self._around.metadata

        def open_journal() -> tuple[JournalWriter, Folded]:
            known, self._journal = self._journal, None
            if known is None:
                known = opened(layout, job)
            return JournalWriter.open_existing(known.reader, metadata), known

        return Recorder(
            self.ledger,
            open_journal,
            self._opening,
            self._around.stamp,
            self._around.prepared.masker,
            Snapshots(layout, job),
            self._around.observers,
        )

    def _opening(self, state: JobState) -> events.AnyEvent | None:
        """What the first recorder of this process begins with: the run itself, or that it goes on."""
        first, self._opened = not self._opened, True
        if state.started is None:
            return self._plan.started()
        if first and isinstance(self._going_on, events.DlqRetryStarted):
            return msgspec.structs.replace(self._going_on, budget=self._given(state))
        if not first or self._purpose != "run":
            return None
        if state.status == "completed":  # nothing but its merge is left, which may have had too little
            given = self._given(state)
            return None if given is None else events.BudgetSet(caps=given)
        pending = sum(state.counts[status] for status in ("pending", "running", "merging"))
        open_ = len(state.intents) + len(state.git_intents)
        opening = self._going_on if isinstance(self._going_on, events.JobResumed) else events.JobResumed()
        return msgspec.structs.replace(
            opening, pending_items=pending, intents_open=open_, budget=self._given(state)
        )

    def _given(self, state: JobState) -> events.Caps | None:
        """What the job may use from now on, if that is said anew: by another workflow, or over what was in force."""
        replaced = self._going_on is not None and (
            self._going_on.settings_taken
            or self._going_on.workflow_sha256 not in {None, state.workflow_sha256}
        )
        known = None if replaced else state.money.caps
        if self._budget is None:
            return self._caps() if replaced else None
        return raised(known or self._caps(), self._budget, self._tasks.first_scope())

    def _make_pool(self) -> Pool:
        parallel = self._plan.max_parallel or UNKNOWN_PARALLEL
        size = max(1, min(self._around.workers, parallel))
        self._pool = WorkerPool(
            PROGRAM,
            PROTOCOL,
            size=size,
            jobs_per_worker=math.ceil(parallel / size),
            cancel_grace=self._plan.workflow.grace,
            recycle_after=self._around.tuning.recycle_after,
            hold_fds=tuple(self._around.hold),
            adopted=self._around.spawned,
            listener=self._heard_pool,
        )
        return self._pool

    def _heard_pool(self, event: PoolEvent) -> None:
        match event:
            case WorkerStarted(number, pid):
                self._note(events.WorkerStarted(worker=number, pid=pid))
            case WorkerLost(number, pid, reason, jobs):
                self._note(events.WorkerLost(worker=number, pid=pid, reason=reason, agents=jobs))
            case _:
                pass

    def _heard_tree(self, event: TreeEvent) -> None:
        match event:
            case ChildDown(path, Crashed(error)):
                self._note(events.ChildDown(child="/".join(path), reason="; ".join(_causes(error))))
            case ChildRestarted(path, restarts):
                self._note(events.ChildRestarted(child="/".join(path), restarts=restarts))
            case Escalated(path, child, reason):
                why = (
                    "; ".join(_causes(reason.error)) if isinstance(reason, Crashed) else type(reason).__name__
                )
                self._note(events.Escalated(supervisor="/".join(path), child=child, reason=why))
            case _:
                pass

    def _note(self, event: events.AnyEvent) -> None:
        """Record in passing; where the recorder is the one that is down, there is nobody to tell."""
        with suppress(MailboxFull, ActorGone):
            self._recorder.ref.tell_nowait(Note(event))

    # -- the life of the run -----------------------------------------------------------------------------------------------
    async def live(self, beside: Callable[[], Awaitable[None]]) -> int | None:
        """Run to the end, with ``beside`` (a screen) beside it; the signal that ended it early, if one did.

        The first signal stops everything in order, with the workflow's grace; the next one skips the grace. One that
        comes with a request says by that whether it does.

        Raises:
            ProdigyError: nothing was begun: the journal cannot be opened or written.
        """
        try:
            return await self._live(beside)
        except StartFailed as failed:
            if isinstance(failed.__cause__, ProdigyError):
                raise failed.__cause__ from None
            raise

    async def _live(self, beside: Callable[[], Awaitable[None]]) -> int | None:
        received: int | None = None
        with trio.open_signal_receiver(*SIGNALS) as signals:
            root_supervisor = Supervisor(
                self._children,
                strategy=Strategy.REST_FOR_ONE,
                auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
            )
            async with (
                open_supervisor(root_supervisor, id=self._plan.job_id, listener=self._heard_tree) as root,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(beside)
                remove_deserted(self._around.layout.home)
                address = self._around.layout.control_socket(self._plan.job_id)
                nursery.start_soon(answer_questions, address, lambda: self._standing(root))

                async def obey() -> None:
                    nonlocal received
                    async for number in signals:
                        request = take(self._around.layout.stop_request(self._plan.job_id))
                        again = received is not None
                        if received is None:
                            received = number
                            nursery.start_soon(self._stop, root, number, request)
                        if again if request is None else request.now:
                            self._hurry()

                nursery.start_soon(obey)
                await root.wait()
                nursery.cancel_scope.cancel()
        return received

    def _standing(self, root: Root) -> Standing:
        """Who is there, for whoever asks from outside."""
        workers = self._pool.workers if self._pool is not None else ()
        return Standing(
            seq=self.ledger.state.seq,
            tree=_standing_of(root.tree()),
            workers=[WorkerStanding(one.number, one.pid, one.ready, one.jobs) for one in workers],
        )

    async def _stop(self, root: Root, number: int, request: StopRequest | None) -> None:
        grace = 0.0 if request is not None and request.now else self._plan.workflow.grace
        by = f"`prodigy stop`, {request.by}" if request is not None else _ASKERS.get(number, "a signal")
        self._note(events.CancelRequested(signal=number, by=by, grace_ms=round(grace * 1000)))
        await root.stop()

    def _hurry(self) -> None:
        with suppress(MailboxFull, ActorGone):
            self._hosts.ref.tell_nowait(Hurry())


def _standing_of(node: Node) -> ActorStanding:
    return ActorStanding(
        name=node.id,
        kind=node.kind,
        state=node.state.value,
        mailbox=node.mailbox,
        restarts=node.restarts,
        last_error=node.last_error,
        children=[_standing_of(child) for child in node.children],
    )


def _causes(error: BaseException) -> Iterator[str]:
    """What was raised, without the groups that nurseries put around it."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
    else:
        yield f"{type(error).__name__}: {error}"
