"""Supervised actors on trio, worker processes, and process trees that really die.

Three layers, each of use without the next:

- *Actors* (`Actor`, `ChildSpec`, `Supervisor`, `DynamicSupervisor`, `open_supervisor`): Erlang/OTP's supervision on
  trio's structured concurrency.
- *Workers* (`WorkerPool`, `WorkerProgram`, `JobProtocol`): typed jobs in processes of their own, replaced when they
  die or hang; what was in them is handed back as `HostLost`.
- *Process trees* (`SlotPool`, `Command`, `ProcessTree`): a command and everything that comes of it, ended as a whole.
"""

from supervisors._actor import Actor
from supervisors._backoff import Backoff
from supervisors._child import AnyChild, ChildSpec
from supervisors._mailbox import Mailbox
from supervisors._pool import WorkerPool, open_pool
from supervisors._proctree import Command, Exit, ProcessTree
from supervisors._program import JobLink, JobProtocol, WorkerProgram
from supervisors._ref import ActorRef
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
from supervisors.process_errors import HostLost, JobFailed, PoolBroken, ProcessError, SlotLost, SpawnFailed
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
from supervisors.worker_events import PoolEvent, WorkerInfo, WorkerLost, WorkerStarted, WorkerStopped

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
    "Escalated",
    "Exit",
    "Finished",
    "HostLost",
    "Intensity",
    "JobFailed",
    "JobLink",
    "JobProtocol",
    "Killed",
    "Mailbox",
    "MailboxFull",
    "Node",
    "Overflow",
    "PoolBroken",
    "PoolEvent",
    "ProcessError",
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
    "open_pool",
    "open_slots",
    "open_supervisor",
    "spawn_worker",
]
