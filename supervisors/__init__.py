"""Supervised actors on trio, worker processes, and process trees that really die.

Three layers, each of use without the next:

- *Actors* (`Actor`, `ChildSpec`, `Supervisor`, `DynamicSupervisor`, `open_supervisor`): Erlang/OTP's supervision on
  trio's structured concurrency.
- *Workers* (`WorkerPool`, `WorkerProgram`, `JobProtocol`, `open_pool`): typed jobs in processes of their own, replaced
  when they die or hang; what was in them is handed back as `HostLost`.
- *Process trees* (`SlotPool`, `Command`, `ProcessTree`, `open_slots`): a command and everything that comes of it, ended
  as a whole.

Everything that users need is here and in `supervisors.testing`; modules with a leading underscore are nobody's business.
Names are imported when they are first used: a worker's zygote must boot before anything slow is imported, and its first
steps (`supervisors._worker`) have to come through this door.

::

    class Counter(Actor[int]):
        async def handle(self, message: int) -> None:
            print(message)

    counter = ChildSpec("counter", Counter)
    async with open_supervisor(Supervisor([counter])):
        await counter.ref.tell(1)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisors._actor import Actor
    from supervisors._backoff import Backoff
    from supervisors._child import AnyChild, ChildSpec
    from supervisors._mailbox import Mailbox
    from supervisors._pool import WorkerPool, open_pool
    from supervisors._proctree import Command, Exit, Grace, ProcessTree
    from supervisors._program import JobLink, JobProtocol, WorkerProgram
    from supervisors._ref import ActorRef, Monitor
    from supervisors._reply import Reply
    from supervisors._slots import Slot, SlotPool, open_slots
    from supervisors._spawn import SpawnedWorker, spawn_worker
    from supervisors._supervisor import (
        DynamicSupervisor,
        DynamicSupervisorRef,
        DynamicSupervisorSpec,
        Supervisor,
    )
    from supervisors._tree import Root, open_supervisor
    from supervisors.errors import (
        ActorDied,
        ActorGone,
        ActorStopped,
        AlreadyAnswered,
        AskTimeout,
        DuplicateChild,
        MailboxFull,
        RestartIntensityExceeded,
        StartFailed,
        SupervisionError,
        UnknownChild,
    )
    from supervisors.limits import Breach, Limits
    from supervisors.pools import PoolOptions
    from supervisors.process_errors import (
        FrameError,
        FrameTooLarge,
        HostLost,
        JobFailed,
        PoolBroken,
        ProcessError,
        SlotLost,
        SpawnFailed,
    )
    from supervisors.processes import ProcessSample, below, read_processes
    from supervisors.recovery import (
        Machine,
        Mark,
        ProcessIdentity,
        alive,
        find_marked,
        identity,
        reap_left_overs,
    )
    from supervisors.signals import (
        ChildDown,
        ChildRestarted,
        ChildStarted,
        ChildStuck,
        Crashed,
        Down,
        Escalated,
        Finished,
        Killed,
        Node,
        Reason,
        State,
        Stopped,
        TreeEvent,
    )
    from supervisors.specs import AutoShutdown, Intensity, Overflow, Restart, Strategy
    from supervisors.wire import ErrorInfo
    from supervisors.worker_events import PoolEvent, WorkerInfo, WorkerLost, WorkerStarted, WorkerStopped
else:
    import importlib

    HOMES = {
        "_actor": "Actor",
        "_backoff": "Backoff",
        "_child": "AnyChild ChildSpec",
        "_mailbox": "Mailbox",
        "_pool": "WorkerPool open_pool",
        "_proctree": "Command Exit Grace ProcessTree",
        "_program": "JobLink JobProtocol WorkerProgram",
        "_ref": "ActorRef Monitor",
        "_reply": "Reply",
        "_slots": "Slot SlotPool open_slots",
        "_spawn": "SpawnedWorker spawn_worker",
        "_supervisor": "DynamicSupervisor DynamicSupervisorRef DynamicSupervisorSpec Supervisor",
        "_tree": "Root open_supervisor",
        "errors": "ActorDied ActorGone ActorStopped AlreadyAnswered AskTimeout DuplicateChild MailboxFull "
        "RestartIntensityExceeded StartFailed SupervisionError UnknownChild",
        "limits": "Breach Limits",
        "pools": "PoolOptions",
        "processes": "ProcessSample below read_processes",
        "recovery": "Machine Mark ProcessIdentity alive find_marked identity reap_left_overs",
        "process_errors": "FrameError FrameTooLarge HostLost JobFailed PoolBroken ProcessError SlotLost SpawnFailed",
        "signals": "ChildDown ChildRestarted ChildStarted ChildStuck Crashed Down Escalated Finished Killed Node Reason "
        "State Stopped TreeEvent",
        "specs": "AutoShutdown Intensity Overflow Restart Strategy",
        "wire": "ErrorInfo",
        "worker_events": "PoolEvent WorkerInfo WorkerLost WorkerStarted WorkerStopped",
    }

    def __getattr__(name: str) -> object:
        """Import a name from its home."""
        home = next((home for home, names in HOMES.items() if name in names.split()), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        return value

    def __dir__() -> list[str]:
        return [*globals(), *__all__]


__all__ = [
    "Actor",
    "ActorDied",
    "ActorGone",
    "ActorRef",
    "ActorStopped",
    "AlreadyAnswered",
    "AnyChild",
    "AskTimeout",
    "AutoShutdown",
    "Backoff",
    "Breach",
    "ChildDown",
    "ChildRestarted",
    "ChildSpec",
    "ChildStarted",
    "ChildStuck",
    "Command",
    "Crashed",
    "Down",
    "DuplicateChild",
    "DynamicSupervisor",
    "DynamicSupervisorRef",
    "DynamicSupervisorSpec",
    "ErrorInfo",
    "Escalated",
    "Exit",
    "Finished",
    "FrameError",
    "FrameTooLarge",
    "Grace",
    "HostLost",
    "Intensity",
    "JobFailed",
    "JobLink",
    "JobProtocol",
    "Killed",
    "Limits",
    "Machine",
    "Mailbox",
    "MailboxFull",
    "Mark",
    "Monitor",
    "Node",
    "Overflow",
    "PoolBroken",
    "PoolEvent",
    "PoolOptions",
    "ProcessError",
    "ProcessIdentity",
    "ProcessSample",
    "ProcessTree",
    "Reason",
    "Reply",
    "Restart",
    "RestartIntensityExceeded",
    "Root",
    "Slot",
    "SlotLost",
    "SlotPool",
    "SpawnFailed",
    "SpawnedWorker",
    "StartFailed",
    "State",
    "Stopped",
    "Strategy",
    "SupervisionError",
    "Supervisor",
    "TreeEvent",
    "UnknownChild",
    "WorkerInfo",
    "WorkerLost",
    "WorkerPool",
    "WorkerProgram",
    "WorkerStarted",
    "WorkerStopped",
    "alive",
    "below",
    "find_marked",
    "identity",
    "open_pool",
    "open_slots",
    "open_supervisor",
    "read_processes",
    "reap_left_overs",
    "spawn_worker",
]
