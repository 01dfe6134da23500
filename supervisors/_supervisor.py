"""The two kinds of supervisors: of a fixed family of children, and of children that come and go by request."""

# ruff: noqa: A002 - "id" is the word of the field

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Never, TypeAlias, TypeVar, assert_never

import msgspec

from supervisors import _restart_messages as policy
from supervisors._backoff import Backoff
from supervisors._child import AnyChild, ChildSpec
from supervisors._incarnation import Incarnation
from supervisors._ref import ActorRef
from supervisors._reply import Reply
from supervisors._supervising import SupervisingActor, because
from supervisors.errors import DuplicateChild, StartFailed, UnknownChild
from supervisors.signals import Node, Reason
from supervisors.specs import AutoShutdown, Intensity, Restart, Strategy

M = TypeVar("M")


class Supervisor(SupervisingActor[Never]):
    """Keeps a fixed family of children running; takes no messages.

    The children are started in order, each when the one before is up, and stopped in reverse. If a first start fails,
    those already up are stopped and the supervisor's own start fails with `StartFailed`. It may be a child itself::

        services = ChildSpec("services", lambda: Supervisor([merger, letters]))
        Supervisor([recorder, services], strategy=Strategy.REST_FOR_ONE)

    As in OTP, restarting a group starts also those of its members that had finished before, if they are not
    temporary. Unlike in OTP, a supervisor that gives up is always a crash to its own supervisor, so a transient one
    is restarted.

    Args:
        children: the children in start order.
        strategy: which children are restarted with the one that came down.
        intensity: how many restarts are too many; ``None``: more than 3 within 5 s.
        auto_shutdown: whether it finishes with its significant children.
    """

    def __init__(
        self,
        children: Sequence[AnyChild] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        super().__init__(
            children, strategy=strategy, intensity=intensity, auto_shutdown=auto_shutdown, dynamic=False
        )


class StartChild(msgspec.Struct, frozen=True):
    """Start a child; answered when it is up."""

    spec: AnyChild
    reply: Reply[None]


class StopChild(msgspec.Struct, frozen=True):
    """Stop and forget a child; answered when it is down."""

    id: str
    reply: Reply[None]


class ListChildren(msgspec.Struct, frozen=True):
    """Answered with the children, oldest first."""

    reply: Reply[tuple[Node, ...]]


class FindChild(msgspec.Struct, frozen=True):
    """Answered with the child of this id; ``None`` if there is none."""

    id: str
    reply: Reply[ActorRef[Any] | None]


DynamicSupervisorMessage: TypeAlias = StartChild | StopChild | ListChildren | FindChild


class DynamicSupervisor(SupervisingActor[DynamicSupervisorMessage]):
    """Keeps children running that come and go by request, one for one.

    It begins without children. One that is down and not restarted is forgotten. At its end all are stopped at once,
    each within its own budget; a new incarnation begins without them. See `DynamicSupervisorSpec` for its use.

    Args:
        intensity: how many restarts, over all children, are too many; ``None``: more than 3 within 5 s.
        auto_shutdown: whether it finishes with its significant children.
    """

    def __init__(
        self, *, intensity: Intensity | None = None, auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    ) -> None:
        super().__init__(
            (),
            strategy=Strategy.ONE_FOR_ONE,
            intensity=intensity,
            auto_shutdown=auto_shutdown,
            dynamic=True,
        )
        self._awaited: dict[str, Reply[None]] = {}
        self._leaving: dict[str, list[Reply[None]]] = {}

    async def handle(self, message: DynamicSupervisorMessage) -> None:
        """Do what is asked; the answers come when the children report."""
        match message:
            case StartChild(spec, reply):
                self._add(spec, reply)
            case StopChild(id, reply):
                self._remove(id, reply)
            case ListChildren(reply):
                reply.send(tuple(place.node() for place in self._here.children.values()))
            case FindChild(id, reply):
                place = self._here.children.get(id)
                reply.send(None if place is None else ActorRef(place))
            case _:
                assert_never(message)

    def child_up(self, life: Incarnation, /) -> None:
        """Part of the `Keeper` protocol."""
        super().child_up(life)
        reply = self._awaited.pop(life.spec.id, None)
        if reply is not None:
            reply.send(None)

    def _add(self, spec: AnyChild, reply: Reply[None]) -> None:
        try:
            self._admit(spec)
            self._seat_or_forget(spec)
        except (DuplicateChild, ValueError, RuntimeError) as error:
            reply.fail(error)
            return
        self._awaited[spec.id] = reply
        self._feed(policy.AddChild(spec.rule))

    def _seat_or_forget(self, spec: AnyChild) -> None:
        try:
            self._seat(spec)
        except RuntimeError:
            del self._specs[spec.id]
            raise

    def _remove(self, id: str, reply: Reply[None]) -> None:
        if id not in self._policy:
            reply.fail(UnknownChild(id))
            return
        self._leaving.setdefault(id, []).append(reply)
        self._feed(policy.RemoveChild(id))

    def _close(self, spec: AnyChild, reason: Reason | None, /) -> None:
        super()._close(spec, reason)
        del self._specs[spec.id]
        start = self._awaited.pop(spec.id, None)
        if start is not None:
            start.fail(because(reason, StartFailed(spec.id)))
        for reply in self._leaving.pop(spec.id, ()):
            reply.send(None)


class DynamicSupervisorRef(ActorRef[DynamicSupervisorMessage]):
    """Talks to a dynamic supervisor."""

    __slots__ = ()

    async def start_child(self, spec: ChildSpec[M]) -> ActorRef[M]:
        """Start a child, last in order; returns its ref when it is up.

        A caller that is cancelled meanwhile leaves the child to the supervisor.

        Raises:
            StartFailed: it did not come up; the cause is chained. It is forgotten.
            DuplicateChild: a child with this id exists.
            ActorGone: the supervisor ended before the child was up.
        """
        await self.ask(partial(StartChild, spec), timeout=None)
        return spec.ref

    async def stop_child(self, id: str) -> None:
        """Stop the child and forget it; returns when it is down. Raises `UnknownChild`."""
        await self.ask(partial(StopChild, id), timeout=None)

    async def children(self) -> tuple[Node, ...]:
        """The children as they stand, oldest first."""
        return await self.ask(ListChildren, timeout=None)

    async def find_child(self, id: str) -> ActorRef[Any] | None:
        """The child of this id, for who did not start it, or has forgotten; ``None`` if there is none."""
        return await self.ask(partial(FindChild, id), timeout=None)


class DynamicSupervisorSpec(ChildSpec[DynamicSupervisorMessage]):
    """The spec of a dynamic supervisor; its ``ref`` starts and stops children.

    ::

        agents = DynamicSupervisorSpec("agents")
        async with open_supervisor(Supervisor([agents])):
            agent = await agents.ref.start_child(ChildSpec("agent-1", Agent))
            await agents.ref.stop_child("agent-1")

    The arguments are those of `ChildSpec`.
    """

    def __init__(
        self,
        id: str,
        start: Callable[[], DynamicSupervisor] = DynamicSupervisor,
        *,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | None = None,
        significant: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(
            id, start, restart=restart, shutdown=shutdown, significant=significant, backoff=backoff
        )

    @property
    def ref(self) -> DynamicSupervisorRef:
        """Talks to the supervisor, whichever incarnation lives."""
        return DynamicSupervisorRef(self.place)
