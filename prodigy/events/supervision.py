"""Actors and workers that come and go."""

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


SupervisionEvent = ChildDown | ChildRestarted | Escalated | WorkerStarted | WorkerLost
