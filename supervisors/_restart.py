"""The restart policy of a supervisor: what happened goes in, what to do comes out.

Pure: no trio, no clock, no random numbers; the time comes in with the events. The machine keeps its own state
(ten thousand children would be too many to copy at each event), but the same events always give the same commands.

A child is in one of these phases::

    DOWN      not running and nothing planned: never started, finished, or down with its supervisor
    PENDING   to be started when its turn comes
    WAITING   to be started when its backoff pause is over
    STARTING  started, not up yet      ─┐
    UP        doing its work            ├─ there is something to stop
    STOPPING  asked to stop            ─┘

Rules:

1. Restarts that concern several children go through two lists. While one child of ``_stops`` is not down, the
   last of them in start order is being stopped and nothing is started. Then the first of ``_starts`` is started,
   and the next when it is up. So stops reverse starts, always.
2. A child in ``_stops`` is *doomed*. Whether it ends by request or by itself, its end is expected: it is not
   counted, and a child that is down is never stopped.
3. One-for-one restarts concern nobody else and go past the lists, so a slow start delays no other repair.
4. A child that comes down while a group is being restarted makes the group anew, beginning with the stops. (OTP
   finishes the starts first; a start that waits for the dead child would then wait for ever.)
5. Each restart is one entry in the sliding window, also when it concerns many children, also when it is the retry
   of a failed one. One entry too many is an escalation.
6. A first start that fails is not retried: it fails the supervisor's start, or the request to add the child.
7. What ends the supervisor (`Outcome`) is decided once; only `FATAL` overrides. From then on only stops happen.
"""

# ruff: noqa: A002 - "id" and "exit" are the words of the field

import math
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import assert_never

from supervisors._restart_messages import (
    AddChild,
    ChildDown,
    ChildFailed,
    ChildRule,
    ChildUp,
    CloseChild,
    Command,
    Conclude,
    DelayOver,
    DelayStart,
    Event,
    Exit,
    Outcome,
    Over,
    Ready,
    RemoveChild,
    StartAll,
    StartChild,
    StopAll,
    StopChild,
)
from supervisors.specs import AutoShutdown, Intensity, Restart, Strategy


class Phase(Enum):
    """Where a child stands."""

    DOWN = auto()
    PENDING = auto()
    WAITING = auto()
    STARTING = auto()
    UP = auto()
    STOPPING = auto()


LIVE = frozenset({Phase.STARTING, Phase.UP, Phase.STOPPING})
"""Phases in which there is something to stop."""


class _Child:
    __slots__ = ("attempt", "delayed", "doomed", "ever_up", "leaving", "phase", "rule", "up_since")

    def __init__(self, rule: ChildRule) -> None:
        self.rule = rule
        self.phase = Phase.DOWN
        self.doomed = False
        self.leaving = False
        self.ever_up = False
        self.up_since = math.inf
        self.attempt = 0
        self.delayed = False


class RestartPolicy:
    """The policy of one supervisor over one life of it.

    Args:
        rules: the children in start order; their ids differ.
        dynamic: children come and go by request: one is forgotten as soon as it is down for good, and at the end
            all are stopped at once.
    """

    def __init__(
        self,
        rules: Iterable[ChildRule] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        dynamic: bool = False,
    ) -> None:
        self._children = {rule.id: _Child(rule) for rule in rules}
        self._strategy = strategy
        self._intensity = intensity or Intensity()
        self._auto_shutdown = auto_shutdown
        self._dynamic = dynamic
        self._restarts: deque[float] = deque()
        self._stops: list[_Child] = []
        self._starts: deque[_Child] = deque()
        self._booting = False
        self._outcome: Outcome | None = None
        self._over = False
        self._commands: list[Command] = []

    def apply(self, event: Event) -> list[Command]:
        """Take in what happened; return what to do, in this order."""
        match event:
            case StartAll():
                self._start_all()
            case StopAll():
                self._conclude(Outcome.STOPPED)
            case AddChild() | RemoveChild() if self._outcome is not None:
                pass  # too late: nobody comes any more, and all are leaving
            case AddChild():
                self._add(event.rule)
            case RemoveChild():
                self._remove(self._children[event.id])
            case ChildUp():
                self._is_up(self._children[event.id], event.now)
            case ChildFailed():
                self._is_down(self._children[event.id], event.exit, event.now)
            case ChildDown():
                self._is_down(self._children[event.id], event.exit, event.now)
            case DelayOver():
                self._wake(event)
            case _:
                assert_never(event)
        self._advance()
        commands, self._commands = self._commands, []
        return commands

    def __contains__(self, id: str) -> bool:
        return id in self._children

    # What happened

    def _start_all(self) -> None:
        self._booting = True
        for child in self._children.values():
            self._schedule(child)

    def _add(self, rule: ChildRule) -> None:
        child = self._children[rule.id] = _Child(rule)
        self._begin(child)

    def _remove(self, child: _Child) -> None:
        child.leaving = True
        if child.phase in LIVE:
            self._stop(child)
        else:
            self._close(child)

    def _is_up(self, child: _Child, now: float) -> None:
        child.ever_up = True
        child.up_since = now
        if child.phase is Phase.STARTING:
            child.phase = Phase.UP

    def _is_down(self, child: _Child, exit: Exit, now: float) -> None:
        was_starting = child.phase is Phase.STARTING
        expected, child.doomed = child.doomed, False
        child.phase = Phase.DOWN
        if exit is Exit.FATAL:
            self._conclude(Outcome.FATAL, child)
        elif expected:
            self._came_down_as_asked(child)
        elif was_starting and not child.ever_up:
            self._first_start_failed(child)
        elif _is_restarted(child.rule, exit, was_starting=was_starting):
            self._restart(child, now)
        else:
            self._close(child)
            self._shut_down_with(child)

    def _wake(self, event: DelayOver) -> None:
        child = self._children.get(event.id)
        if child is not None and child.phase is Phase.WAITING and child.attempt == event.attempt:
            self._begin(child)

    # Decisions

    def _came_down_as_asked(self, child: _Child) -> None:
        if child.leaving or child.rule.restart is Restart.TEMPORARY:
            self._close(child)
        elif self._outcome is None:
            child.phase = Phase.PENDING

    def _first_start_failed(self, child: _Child) -> None:
        if self._booting:
            self._conclude(Outcome.START_FAILED, child)
        else:
            self._close(child)

    def _restart(self, child: _Child, now: float) -> None:
        if not self._may_restart(now):
            self._conclude(Outcome.ESCALATED, child)
            return
        self._note_attempt(child, now)
        if self._strategy is Strategy.ONE_FOR_ONE:
            self._begin(child)
        else:
            self._restart_group(self._affected(child))

    def _may_restart(self, now: float) -> bool:
        self._restarts.append(now)
        while self._restarts[0] < now - self._intensity.period:
            self._restarts.popleft()
        return len(self._restarts) <= self._intensity.restarts

    def _note_attempt(self, child: _Child, now: float) -> None:
        backoff = child.rule.backoff
        if backoff is not None and now - child.up_since >= backoff.forgive_after:
            child.attempt = 0
        child.attempt += 1
        child.delayed = backoff is not None

    def _affected(self, child: _Child) -> list[_Child]:
        children = list(self._children.values())
        if self._strategy is Strategy.REST_FOR_ONE:
            return children[children.index(child) :]
        return children

    def _restart_group(self, group: list[_Child]) -> None:
        """Stop what lives of the group, last first, then start it, first first; temporary ones are not back then."""
        self._stops = [child for child in group if child.phase in LIVE]
        for child in self._stops:
            child.doomed = True
        self._starts.clear()
        for child in group:
            self._schedule(child)

    def _shut_down_with(self, child: _Child) -> None:
        """End with a significant child that ended by itself, if that is the agreement."""
        if not child.rule.significant or self._auto_shutdown is AutoShutdown.NEVER:
            return
        others_last = self._auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and any(
            other.rule.significant and other.phase is not Phase.DOWN for other in self._children.values()
        )
        if not others_last:
            self._conclude(Outcome.FINISHED, child)

    def _conclude(self, outcome: Outcome, child: _Child | None = None) -> None:
        if self._outcome is None or (outcome is Outcome.FATAL and self._outcome is not Outcome.FATAL):
            if self._booting and outcome is Outcome.FINISHED:
                self._commands.append(Ready())  # the supervisor did come up, and then ended
            self._booting = False
            self._commands.append(Conclude(outcome, child.rule.id if child else None))
            self._outcome = outcome
            self._stop_all()

    def _stop_all(self) -> None:
        self._starts.clear()
        self._stops = [child for child in self._children.values() if child.phase in LIVE]
        for child in self._children.values():
            if child.phase in LIVE:
                child.doomed = True
            else:
                child.phase = Phase.DOWN
        if self._dynamic:
            for child in self._stops:
                self._stop(child)

    # Steps

    def _advance(self) -> None:
        """Take the next step of the stops, then of the starts, if the last one is done."""
        while self._stops and self._stops[-1].phase not in LIVE:
            self._stops.pop()
        if self._stops:
            self._stop(self._stops[-1])
        elif self._outcome is not None:
            self._end()
        else:
            self._advance_starts()

    def _advance_starts(self) -> None:
        while self._starts and self._starts[0].phase in {Phase.UP, Phase.DOWN}:
            self._starts.popleft()
        if self._starts:
            if self._starts[0].phase is Phase.PENDING:
                self._begin(self._starts[0])
        elif self._booting:
            self._booting = False
            self._commands.append(Ready())

    def _schedule(self, child: _Child) -> None:
        """Have the child started when its turn comes; one that lives still has to come down first."""
        if child.phase not in LIVE:
            child.phase = Phase.PENDING
        self._starts.append(child)

    def _begin(self, child: _Child) -> None:
        if child.delayed:
            child.delayed = False
            child.phase = Phase.WAITING
            self._commands.append(DelayStart(child.rule.id, child.attempt))
        else:
            child.phase = Phase.STARTING
            child.up_since = math.inf
            self._commands.append(StartChild(child.rule.id))

    def _stop(self, child: _Child) -> None:
        if child.phase is not Phase.STOPPING:
            child.doomed = True
            child.phase = Phase.STOPPING
            self._commands.append(StopChild(child.rule.id))

    def _close(self, child: _Child) -> None:
        child.phase = Phase.DOWN
        if self._dynamic or child.leaving or child.rule.restart is Restart.TEMPORARY:
            del self._children[child.rule.id]
        self._commands.append(CloseChild(child.rule.id))

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._commands.append(Over())


def _is_restarted(rule: ChildRule, exit: Exit, *, was_starting: bool) -> bool:
    """Whether a child is started again; one whose restart failed, and a crashed one, count the same."""
    match rule.restart:
        case Restart.PERMANENT:
            return True
        case Restart.TRANSIENT:
            return exit is not Exit.NORMAL or was_starting
        case Restart.TEMPORARY:
            return False
        case _:
            assert_never(rule.restart)
