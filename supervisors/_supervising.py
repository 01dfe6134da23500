"""Supervisors: actors whose work is to keep other actors running.

What is to be done is decided by the pure `RestartPolicy`; here it is done. Each child lives in a task of its own in
the supervisor's nursery. Its reports are fed to the policy at once, in the task that brings them; what the policy
answers needs no waiting: a start is a new task, a stop a request.
"""

# ruff: noqa: A002 - "id" is the word of the field

import math
import random
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, assert_never

import trio

from supervisors import _restart_messages as policy
from supervisors._actor import Actor
from supervisors._backoff import Backoff
from supervisors._child import AnyChild
from supervisors._incarnation import Incarnation
from supervisors._place import Place
from supervisors._restart import RestartPolicy
from supervisors.errors import DuplicateChild, RestartIntensityExceeded, StartFailed
from supervisors.signals import (
    ChildDown,
    ChildRestarted,
    ChildStarted,
    ChildStuck,
    Crashed,
    Escalated,
    Finished,
    Killed,
    Reason,
    State,
    Stopped,
    TreeEvent,
)
from supervisors.specs import AutoShutdown, Intensity, Strategy

M = TypeVar("M")

STUCK_AFTER = 5.0
"""Seconds from a child's cancellation until `ChildStuck` says that it has not ended."""


class SupervisingActor(Actor[M]):
    """What both kinds of supervisors are made of."""

    shutdown: ClassVar[float] = math.inf

    def __init__(
        self,
        children: Sequence[AnyChild],
        *,
        strategy: Strategy,
        intensity: Intensity | None,
        auto_shutdown: AutoShutdown,
        dynamic: bool,
    ) -> None:
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._auto_shutdown = auto_shutdown
        self._dynamic = dynamic
        self._specs: dict[str, AnyChild] = {}
        for spec in children:
            self._admit(spec)

    def _admit(self, spec: AnyChild) -> None:
        if spec.id in self._specs:
            raise DuplicateChild(spec.id)
        if spec.rule.significant and self._auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(
                f"child {spec.id!r} is significant, but the supervisor never shuts down by itself"
            )
        self._specs[spec.id] = spec

    # One life

    async def live(self, place: Place[M], up: Callable[[], None]) -> None:
        """Start the children, look after them until asked to stop or until the policy gives up, stop them."""
        self._place = place
        await self.started()
        self._begin(place, up)
        async with trio.open_nursery() as self._nursery:
            try:
                self._feed(policy.StartAll())
                await self.run(place.mailbox)
            finally:
                await self._stop_children()
                self._nursery.cancel_scope.cancel()  # only timers are left
        if self._failure is not None:
            raise self._failure

    def _begin(self, place: Place[M], up: Callable[[], None]) -> None:
        self._here = place
        self._up = up
        self._lives: dict[str, Incarnation] = {}
        self._over = trio.Event()
        self._killing = False
        self._failure: BaseException | None = None
        self._policy = RestartPolicy(
            [spec.rule for spec in self._specs.values()],
            strategy=self._strategy,
            intensity=self._intensity,
            auto_shutdown=self._auto_shutdown,
            dynamic=self._dynamic,
        )
        self._take_seats()

    def _take_seats(self) -> None:
        """Put the children's places below this one; those of an earlier life that are not among them are closed."""
        before, self._here.children = self._here.children, {}
        for spec in self._specs.values():
            self._seat(spec)
        for place in before.values():
            if self._here.children.get(place.id) is not place:
                place.close()

    def _seat(self, spec: AnyChild) -> None:
        spec.place.join(self._here)
        self._here.children[spec.id] = spec.place

    async def _stop_children(self) -> None:
        """Stop them in order. When this supervisor is killed meanwhile, or was, so are they, still in order."""
        try:
            self._feed(policy.StopAll())
            await self._over.wait()
        finally:
            with trio.CancelScope(shield=True):
                self._kill_who_is_stopping()
                await self._over.wait()
            self._end_pauses()
            if self._dynamic:
                self._disperse()

    def _end_pauses(self) -> None:
        """Children that waited for their restart wait no more; the next life starts them anew."""
        for place in self._here.children.values():
            if place.state is State.RESTARTING:
                place.state = State.STOPPED

    def _kill_who_is_stopping(self) -> None:
        self._killing = True
        for life in self._lives.values():
            if life.spec.place.state is State.STOPPING:
                self._end_life(life)

    def _disperse(self) -> None:
        """Forget children that came by request: nobody will start them again."""
        for place in self._here.children.values():
            place.close()
        self._here.children.clear()
        self._specs.clear()

    # Reports of the children

    def child_up(self, life: Incarnation, /) -> None:
        """Part of the `Keeper` protocol."""
        place = life.spec.place
        first = place.restarts == 0
        self._tell(ChildStarted(place.path) if first else ChildRestarted(place.path, place.restarts))
        self._feed(policy.ChildUp(place.id, trio.current_time()))

    def child_down(self, life: Incarnation, reason: Reason, /) -> None:
        """Part of the `Keeper` protocol."""
        place = life.spec.place
        del self._lives[place.id]
        self._tell(ChildDown(place.path, reason))
        event = policy.ChildDown if life.was_up else policy.ChildFailed
        self._feed(event(place.id, _exit_of(reason), trio.current_time()), reason)

    def _tell(self, event: TreeEvent) -> None:
        self._here.tell_listener(event)

    # Commands of the policy

    def _feed(self, event: policy.Event, reason: Reason | None = None) -> None:
        """Let the policy decide upon ``event``, which ``reason`` brought about, and do what it says."""
        for command in self._policy.apply(event):
            self._perform(command, reason)

    def _perform(self, command: policy.Command, reason: Reason | None) -> None:
        match command:
            case policy.StartChild(id):
                self._start(self._specs[id])
            case policy.StopChild(id):
                self._end_life(self._lives[id])
            case policy.DelayStart(id, attempt):
                self._delay(self._specs[id], attempt)
            case policy.CloseChild(id):
                self._close(self._specs[id], reason)
            case policy.Ready():
                self._up()
            case policy.Conclude(outcome, child):
                self._conclude(outcome, child or "", reason)
            case policy.Over():
                self._over.set()
            case _:
                assert_never(command)

    def _start(self, spec: AnyChild) -> None:
        life = self._lives[spec.id] = Incarnation(spec, self)
        self._nursery.start_soon(life.run, name="/".join(spec.place.path))

    def _end_life(self, life: Incarnation) -> None:
        if self._killing:
            life.kill()
        else:
            life.stop()
        if life.deadline < math.inf:
            self._nursery.start_soon(self._watch_the_end, life)

    async def _watch_the_end(self, life: Incarnation) -> None:
        with trio.move_on_at(life.deadline + STUCK_AFTER):
            await life.ended.wait()
            return
        self._tell(ChildStuck(life.spec.place.path, STUCK_AFTER))

    def _delay(self, spec: AnyChild, attempt: int) -> None:
        spec.place.state = State.RESTARTING
        backoff = spec.rule.backoff or Backoff()
        chance = random.random()  # noqa: S311 - spreads restarts, guards no secret
        self._nursery.start_soon(self._pause, spec.id, attempt, backoff.delay(attempt, chance))

    async def _pause(self, id: str, attempt: int, seconds: float) -> None:
        await trio.sleep(seconds)
        self._feed(policy.DelayOver(id, attempt))

    def _close(self, spec: AnyChild, _: Reason | None, /) -> None:
        """The child is down for good; its reason comes along if it ended just now."""
        spec.place.close()
        if spec.id not in self._policy:
            del self._here.children[spec.id]

    def _conclude(self, outcome: policy.Outcome, child: str, reason: Reason | None) -> None:
        self._failure = self._failure_of(outcome, child, reason)
        if outcome is policy.Outcome.ESCALATED and reason is not None:
            self._tell(Escalated(self._here.path, child, reason))
        self._here.mailbox.end(drain=False)

    def _failure_of(self, outcome: policy.Outcome, child: str, reason: Reason | None) -> BaseException | None:
        """What this supervisor's own crash is to be, if its end is one."""
        match outcome:
            case policy.Outcome.STOPPED | policy.Outcome.FINISHED:
                return None
            case policy.Outcome.START_FAILED:
                return because(reason, StartFailed(child))
            case policy.Outcome.ESCALATED:
                limit = self._intensity
                return because(
                    reason, RestartIntensityExceeded(self._here.id, child, limit.restarts, limit.period)
                )
            case policy.Outcome.FATAL:
                return reason.error if isinstance(reason, Crashed) else None
            case _:
                assert_never(outcome)


def _exit_of(reason: Reason) -> policy.Exit:
    match reason:
        case Finished() | Stopped():
            return policy.Exit.NORMAL
        case Killed():
            return policy.Exit.CRASH
        case Crashed(error):
            return policy.Exit.CRASH if isinstance(error, Exception) else policy.Exit.FATAL
        case _:
            assert_never(reason)


def because(reason: Reason | None, error: Exception) -> Exception:
    """``error`` with the crash that led to it as its cause."""
    if isinstance(reason, Crashed):
        error.__cause__ = reason.error
    return error
