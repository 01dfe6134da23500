"""The child spec: how a supervisor starts, restarts and stops one child."""

# ruff: noqa: A002 - "id" is the word of the field

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from supervisors._actor import Actor
from supervisors._backoff import Backoff
from supervisors._place import Place
from supervisors._ref import ActorRef
from supervisors._restart_messages import ChildRule
from supervisors.specs import Overflow, Restart

M = TypeVar("M")


class ChildSpec(Generic[M]):
    """One child of a supervisor, and the place it will have in the tree.

    ``ref`` exists at once, before the child is started, and stays valid over restarts. So actors are wired by
    passing the refs of some specs to the constructors of others::

        journal = ChildSpec("journal", Journal)
        worker = ChildSpec("worker", lambda: Worker(journal.ref))
        Supervisor([journal, worker])

    Args:
        id: the child's name, unique among its siblings.
        start: makes the actor, anew for each incarnation; an error here is a failed start.
        restart: when the child is started again; see `Restart`.
        shutdown: seconds the child may take from the request to stop until it is cancelled; 0.0 cancels at once,
            ``math.inf`` waits for ever. ``None``: what the actor's class says, 5 s for actors and for ever for
            supervisors, whose children have budgets of their own.
        significant: the child's normal end may end its supervisor; see `AutoShutdown`. Not with ``PERMANENT``.
        capacity: how many messages may wait in the mailbox.
        overflow: what happens to one message more.
        drain: when asked to stop, handle what is queued first.
        backoff: the pause before restarts; ``None`` restarts at once.
    """

    def __init__(  # noqa: PLR0913 - a child spec is its settings; all but the first two are by keyword
        self,
        id: str,
        start: Callable[[], Actor[M]],
        *,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | None = None,
        significant: bool = False,
        capacity: int = 1024,
        overflow: Overflow = Overflow.WAIT,
        drain: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        if shutdown is not None and not shutdown >= 0:
            raise ValueError("shutdown is at least 0 seconds")
        if significant and restart is Restart.PERMANENT:
            raise ValueError("a permanent child never ends for good, so it cannot be significant")
        self.start = start
        self.shutdown = shutdown
        self.drain = drain
        self.rule = ChildRule(id, restart, significant, backoff)
        self.place: Place[M] = Place(id, capacity, overflow)

    def __repr__(self) -> str:
        return f"<ChildSpec {self.id!r}, {self.rule.restart.value}>"

    @property
    def id(self) -> str:
        """The child's name among its siblings."""
        return self.rule.id

    @property
    def ref(self) -> ActorRef[M]:
        """Talks to the child, whichever incarnation lives."""
        return ActorRef(self.place)


AnyChild = ChildSpec[Any]
"""A child spec of whatever message type, as supervisors take them."""
