"""One life of an actor, in a task of its own.

The task is shielded from the outside: however the surroundings are cancelled, an actor ends only by itself or by its
supervisor, so a supervisor can keep the order. The shutdown budget is the deadline of the task's own cancel scope.

Nothing but the supervisor's callbacks runs after an actor's end, and nothing is raised from here: a crash is data.
"""

from typing import Any, Protocol

import trio

from supervisors._actor import Actor
from supervisors._child import ChildSpec
from supervisors.signals import Crashed, Finished, Killed, Reason, State, Stopped


class Keeper(Protocol):
    """Who is told how an incarnation fares."""

    def child_up(self, life: "Incarnation", /) -> None:
        """The start succeeded."""
        ...

    def child_down(self, life: "Incarnation", reason: Reason, /) -> None:
        """It ended; `Incarnation.was_up` tells a failed start from a later end."""
        ...


class Incarnation:
    """Starts the actor of ``spec``, keeps it going, and tells ``keeper`` when it is up and when it is down."""

    __slots__ = ("_actor", "_keeper", "_scope", "_stopping", "ended", "spec", "was_up")

    def __init__(self, spec: ChildSpec[Any], keeper: Keeper) -> None:
        self.spec = spec
        self.was_up = False
        self.ended = trio.Event()
        self._keeper = keeper
        self._actor: Actor[Any] | None = None
        self._scope = trio.CancelScope(shield=True)
        self._stopping = False
        spec.place.begin(self.stop)

    @property
    def deadline(self) -> float:
        """When it is cancelled, on trio's clock; infinity as long as nothing limits it."""
        return self._scope.deadline

    def stop(self) -> None:
        """Ask it to end within its shutdown budget; asking again changes nothing."""
        if self._stopping:
            return
        self._stopping = True
        self.spec.place.state = State.STOPPING
        if self._actor is not None:
            self._limit(self._actor)  # first: a reader that is woken by the end would escape a budget of zero
        self.spec.place.mailbox.end(drain=self.spec.drain)

    def kill(self) -> None:
        """Cancel it, whatever it does."""
        self._stopping = True
        self.spec.place.state = State.STOPPING
        self._scope.deadline = min(self._scope.deadline, trio.current_time())
        self._scope.cancel()

    async def run(self) -> None:
        """Live."""
        reason = await self._work()
        if self._actor is not None and self.was_up and not isinstance(reason, Killed):
            reason = await self._clean_up(self._actor, reason)
        self.spec.place.ended(reason)
        self.ended.set()
        self._keeper.child_down(self, reason)

    async def _work(self) -> Reason:
        if self._stopping:
            return Stopped()
        try:
            with self._scope:
                self._actor = self.spec.start()
                self.spec.place.kind = type(self._actor).__name__
                await self._actor.live(self.spec.place, self._up)
                return Stopped() if self._stopping else Finished()
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt, too, must reach the root in order
            return Crashed(error)  # never Cancelled: the scope takes its own and shields from all others
        return Killed()

    def _up(self) -> None:
        self.was_up = True
        if not self._stopping:
            self.spec.place.state = State.RUNNING
        self._keeper.child_up(self)

    async def _clean_up(self, actor: Actor[Any], reason: Reason) -> Reason:
        """Run `Actor.stopped`; an actor that crashed has crashed, however the clean-up goes."""
        if self._scope.cancel_called:
            return self._worse(reason, Killed())
        self._scope = trio.CancelScope(shield=True, deadline=self._scope.deadline)
        if not self._stopping:
            self._limit(actor)
        try:
            with self._scope:
                await actor.stopped(reason)
                return reason
        except BaseException as error:  # noqa: BLE001 - as in _work
            return self._worse(reason, Crashed(error))
        return self._worse(reason, Killed())

    def _worse(self, first: Reason, second: Reason) -> Reason:
        if not isinstance(first, Crashed):
            return second
        if isinstance(second, Crashed):
            first.error.add_note(f"its clean-up failed too: {second}")
        return first

    def _limit(self, actor: Actor[Any]) -> None:
        """Have the scope cancelled when the budget is used up, or earlier if that was settled already."""
        budget = actor.shutdown if self.spec.shutdown is None else self.spec.shutdown
        if budget == 0:
            self._scope.cancel()
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + budget)
