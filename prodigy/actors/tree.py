"""The supervision tree of a run, wired.

::

    root, rest_for_one
    ├── recorder        first up, last down
    ├── hosts           the pool of worker processes
    ├── services        one_for_one
    │   ├── workspaces
    │   ├── merger
    │   └── dead-letters
    ├── crew            dynamic: the phase that runs, and one actor per agent
    └── run             significant: its end is the end of the tree

Stopping goes upwards: the run, the agents with their process trees, the services, the workers, and when nobody has
anything to say any more, the recorder.
"""

import math
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, assert_never

import msgspec
import trio

from prodigy import events
from prodigy.actors.dead_letters import DeadLetters
from prodigy.actors.hosts import Hosts, Hurry, Pool
from prodigy.actors.merger import Forge, Merger
from prodigy.actors.phase import AGENT_SHUTDOWN, PhaseFactory
from prodigy.actors.recorder import Ledger, Note, Observer, Recorder, Stamp
from prodigy.actors.run import AskMerge, CleanRun, FinishRun, Run
from prodigy.actors.services import Services
from prodigy.actors.task import Task
from prodigy.actors.tasks import TaskFactory
from prodigy.actors.workspaces import Workspaces
from prodigy.git.worktrees import Worktrees
from prodigy.job.fold import fold
from prodigy.job.plan import RunPlan
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.steps.protocol import PROTOCOL
from prodigy.store.journal import JournalWriter, read
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
    MailboxFull,
    PoolEvent,
    Restart,
    Root,
    SpawnedWorker,
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
RECORDER_SHUTDOWN = 60.0
"""Seconds that the recorder may take to write what it was told."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run gets from the process that it runs in."""

    layout: Layout
    forge: Forge
    environment: Mapping[str, str]
    """What every child inherits."""
    metadata: events.Metadata
    stamp: Stamp
    workers: int
    """How many worker processes may run."""
    ask_merge: AskMerge
    observers: Sequence[Observer] = ()
    spawned: SpawnedWorker | None = None
    """A worker that was started ahead of everything else."""
    hold: Sequence[int] = ()
    """Descriptors that stay open until every process tree is dead."""


Purpose = Literal["run", "merge", "clean"]
"""Conduct the whole run, or take it up at its final merge, or remove what it left."""


class Tree:
    """One run and its actors.

    Args:
        plan: what to run.
        around: what it gets from this process.
        purpose: how much of a run's life this tree is for; only a whole run has workers.
    """

    def __init__(self, plan: RunPlan, around: Surroundings, purpose: Purpose = "run") -> None:
        self._plan = plan
        self._around = around
        self.ledger = Ledger()
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
        hosts = [self._hosts] if purpose == "run" else []
        self._children: list[AnyChild] = [self._recorder, *hosts, group, crew, conductor]

    def _wire_services(self, crew: DynamicSupervisorRef) -> tuple[AnyChild, Services]:
        """The group of services, and the refs to all that the run uses."""
        plan, around, ledger = self._plan, self._around, self.ledger
        recorder, layout, git = self._recorder.ref, around.layout, around.forge.git
        worktrees = Worktrees(git, layout.git_lock)
        workspaces = ChildSpec(
            "workspaces",
            lambda: Workspaces(plan, layout, git, worktrees, ledger, recorder),
        )
        merger = ChildSpec("merger", lambda: Merger(plan, around.forge, ledger, recorder, workspaces.ref))
        letters = ChildSpec("dead-letters", lambda: DeadLetters(recorder, ledger))
        group = ChildSpec("services", lambda: Supervisor([workspaces, merger, letters]))
        services = Services(recorder, workspaces.ref, self._hosts.ref, merger.ref, letters.ref, crew)
        return group, services

    def _conductor(self, purpose: Purpose, services: Services) -> Callable[[], Task]:
        plan, ledger, ask_merge = self._plan, self.ledger, self._around.ask_merge
        match purpose:
            case "run":
                tasks = TaskFactory(plan, self._around.layout, ledger, self._around.environment)
                phases = PhaseFactory(plan, ledger, tasks, services)
                return lambda: Run(plan, ledger, ask_merge, services, phases)
            case "merge":
                return lambda: FinishRun(plan, ledger, ask_merge, services)
            case "clean":
                return lambda: CleanRun(ledger, services)
            case _:
                assert_never(purpose)

    # -- what needs this process -------------------------------------------------------------------------------------------
    def _make_recorder(self) -> Recorder:
        folder = self._around.layout.journal(self._plan.job_id)
        metadata = self._around.metadata

        def open_journal() -> tuple[JournalWriter, JobState]:
            reader = read(folder)
            state = fold(reader)
            return JournalWriter.open_existing(reader, metadata), state

        return Recorder(
            self.ledger, open_journal, self._plan.started(), self._around.stamp, self._around.observers
        )

    def _make_pool(self) -> Pool:
        size = max(1, min(self._around.workers, self._plan.max_parallel))
        return WorkerPool(
            PROGRAM,
            PROTOCOL,
            size=size,
            jobs_per_worker=math.ceil(self._plan.max_parallel / size),
            cancel_grace=self._plan.workflow.grace,
            hold_fds=tuple(self._around.hold),
            adopted=self._around.spawned,
            listener=self._heard_pool,
        )

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
            case _:
                pass

    def _note(self, event: events.AnyEvent) -> None:
        """Record in passing; where the recorder is the one that is down, there is nobody to tell."""
        with suppress(MailboxFull, ActorGone):
            self._recorder.ref.tell_nowait(Note(event))

    # -- the life of the run -----------------------------------------------------------------------------------------------
    async def live(self, beside: Callable[[], Awaitable[None]]) -> int | None:
        """Run to the end, with ``beside`` (a screen) beside it; the signal that ended it early, if one did.

        The first signal stops everything in order, with the workflow's grace; the next one skips the grace.
        """
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

                async def obey() -> None:
                    nonlocal received
                    async for number in signals:
                        if received is None:
                            received = number
                            nursery.start_soon(self._stop, root, number)
                        else:
                            self._hurry()

                nursery.start_soon(obey)
                await root.wait()
                nursery.cancel_scope.cancel()
        return received

    async def _stop(self, root: Root, number: int) -> None:
        grace = self._plan.workflow.grace
        self._note(events.CancelRequested(signal=number, grace_ms=round(grace * 1000)))
        await root.stop()

    def _hurry(self) -> None:
        with suppress(MailboxFull, ActorGone):
            self._hosts.ref.tell_nowait(Hurry())


def _causes(error: BaseException) -> Iterator[str]:
    """What was raised, without the groups that nurseries put around it."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _causes(part)
    else:
        yield f"{type(error).__name__}: {error}"
