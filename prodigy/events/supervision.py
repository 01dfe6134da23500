"""Actors and workers that come and go."""

from typing import Literal

from prodigy.events.parts import Event


class ChildDown(Event, frozen=True, kw_only=True, tag="child_down"):
    """An actor ended other than by order."""

    child: str
    reason: str


class ChildRestarted(Event, frozen=True, kw_only=True, tag="child_restarted"):
    """A supervisor started an actor again."""

    child: str
    restarts: int


class Escalated(Event, frozen=True, kw_only=True, tag="escalated"):
    """A supervisor gave up: a child went down once more than it may, which ends what is around it."""

    supervisor: str
    child: str
    reason: str


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker_started"):
    """A worker process is ready."""

    worker: int
    pid: int


class WorkerLost(Event, frozen=True, kw_only=True, tag="worker_lost"):
    """A worker process died; what ran in it is handed back."""

    worker: int
    pid: int
    reason: str
    agents: tuple[str, ...] = ()


Scarce = Literal["memory", "disk"]
"""What a machine can be short of."""


class HostShort(Event, frozen=True, kw_only=True, tag="host_short"):
    """Too little of something is free for another agent: none starts until it is otherwise. In bytes."""

    what: Scarce
    free: int
    floor: int
    given_up: bool = False
    """Whether that has lasted longer than the run is to wait: it comes to rest."""


class HostRecovered(Event, frozen=True, kw_only=True, tag="host_recovered"):
    """There is room again."""

    what: Scarce


SupervisionEvent = (
    ChildDown | ChildRestarted | Escalated | WorkerStarted | WorkerLost | HostShort | HostRecovered
)
