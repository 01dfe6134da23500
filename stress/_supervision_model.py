"""What OTP says a supervisor does, as an observer that knows nothing of the code it watches.

It sees what happens, in order, and says what should not have happened. It is no second implementation: it plans
nothing. A supervisor that has been asked to stop hears of it a little later; what it does meanwhile with children that
crash is its own affair, and only the order of its stops is judged then.

Laws, for each supervisor and each life of it:

1. Children are started in order, each when the one before has come up, and stopped in reverse.
2. A child is stopped only if its supervisor is being stopped or gives up, if its group is restarted, or if somebody
   asked it directly to stop.
3. What a restart concerns is what the strategy says, and temporary children do not come back.
4. A supervisor gives up at the first restart beyond its intensity, at once, and never otherwise.
5. A first start that fails is not retried: the supervisor's own start fails.
6. When a supervisor is down, so are all its children.
"""

# ruff: noqa: A002 - "id" is the word of the field

from collections import deque
from enum import Enum, auto

from supervisors import (
    ChildDown,
    ChildRestarted,
    ChildStarted,
    ChildStuck,
    Crashed,
    Escalated,
    Finished,
    Intensity,
    Killed,
    Reason,
    Restart,
    RestartIntensityExceeded,
    StartFailed,
    Stopped,
    Strategy,
    TreeEvent,
)

Path = tuple[str, ...]
SAME_MOMENT = 0.002
"""Seconds by which the supervisor's clock and ours may have been read apart."""


class Phase(Enum):
    """Where a child stands, as far as can be seen."""

    OUT = auto()
    """Down, and nothing is owed to it."""
    OWED = auto()
    """To be started, or started and not seen yet."""
    BEGUN = auto()
    UP = auto()


class Watched:
    """An actor as it is seen from outside.

    Args:
        id: among its siblings.
        restart: what its supervisor promises.
        children: what it supervises, in order; none for a plain actor.
        strategy: with which.
        intensity: with which.
    """

    def __init__(
        self,
        id: str,
        restart: Restart,
        children: "list[Watched] | None" = None,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
    ) -> None:
        self.id = id
        self.restart = restart
        self.children = children or []
        self.strategy = strategy
        self.intensity = intensity or Intensity()
        self.parent: Watched | None = None
        self.path: Path = (id,)
        self.phase = Phase.OUT
        self.poked = False
        self.reset()

    def reset(self) -> None:
        """Begin a new life as a supervisor, and a new one of each child under it."""
        self.ends_with: type[Exception] | None = None
        self.restarts: deque[float] = deque()
        for child in self.children:
            child.phase = Phase.OWED
            child.doomed = child.was_up = child.repaired = False
            child.poked = False

    doomed = was_up = repaired = False

    def join(self, parent: "Watched | None" = None) -> "dict[Path, Watched]":
        """Take a seat below a parent; this one and all below it, by path."""
        self.parent = parent
        self.path = (*parent.path, self.id) if parent else (self.id,)
        found = {self.path: self}
        for child in self.children:
            found |= child.join(self)
        return found

    @property
    def lives(self) -> bool:
        """Whether there certainly is something to stop."""
        return self.phase in {Phase.BEGUN, Phase.UP}


class Model:
    """Watches one tree.

    Attributes:
        watched: every actor by its path.
        wrong: what should not have happened.
        seen: how many observations there were, by kind.
        judged: how many restarts were held against their intensity.
    """

    def __init__(self, root: Watched) -> None:
        self.root = root
        self.watched = root.join()
        self.wrong: list[str] = []
        self.seen: dict[str, int] = {}
        self.judged = 0
        self._escalates: Watched | None = None
        self._begin(root)

    # What happens

    def began(self, path: Path, now: float) -> None:
        """An actor is being made."""
        self._note("began", path, now)
        actor = self.watched[path]
        parent = actor.parent
        assert parent is not None
        self._expect(
            actor.phase is Phase.OWED, f"{path} is started and nobody owed that ({actor.phase.name})"
        )
        late = actor.doomed and is_stopping(
            parent
        )  # it was on its way when the decision fell, and is stopped in its turn
        self._expect(parent.ends_with is None or late, f"{path} is started by a supervisor that has given up")
        if not actor.repaired:
            for sibling in parent.children[: parent.children.index(actor)]:
                early = sibling.phase in {Phase.OWED, Phase.BEGUN} and not (
                    sibling.repaired and sibling.was_up
                )
                self._expect(
                    not early, f"{path} is started before {sibling.id}, which is {sibling.phase.name}"
                )
        self._expect(
            not is_stopping(parent) or late, f"{path} is started while siblings are still to be stopped"
        )
        self._begin(actor)
        actor.doomed = late

    def event(self, event: TreeEvent, now: float) -> None:
        """The tree tells something."""
        self._note(type(event).__name__, event.path, now)
        if self._escalates is not None and not (
            isinstance(event, Escalated) and event.path == self._escalates.path
        ):
            self._wrong(f"{self._escalates.path} is beyond its intensity and does not give up")
            self._escalates = None
        match event:
            case ChildStarted(path) | ChildRestarted(path):
                self._is_up(self.watched[path])
            case ChildDown(path, reason):
                if len(path) > 1:
                    self._is_down(self.watched[path], reason, now)
            case Escalated(path):
                self._gives_up(self.watched[path], now)
            case ChildStuck(path):
                self._wrong(f"{path} is stuck")

    def poked(self, path: Path) -> None:
        """Somebody asks an actor directly to stop."""
        self.watched[path].poked = True

    # What it means

    def _begin(self, actor: Watched) -> None:
        actor.phase = Phase.BEGUN
        actor.reset()

    def _is_up(self, actor: Watched) -> None:
        self._expect(actor.phase is Phase.BEGUN, f"{actor.path} is up without a start")
        actor.phase = Phase.UP
        actor.was_up = True
        actor.repaired = False

    def _is_down(self, actor: Watched, reason: Reason, now: float) -> None:
        parent = actor.parent
        assert parent is not None
        self._check_own_end(actor, reason)
        if isinstance(reason, Stopped | Killed) and not actor.poked:
            self._check_stop(actor)
        starting, actor.poked = actor.phase is not Phase.UP, False
        expected, actor.doomed = actor.doomed or parent.ends_with is not None, False
        actor.phase = Phase.OUT
        if expected:
            if actor.restart is not Restart.TEMPORARY and parent.ends_with is None:
                actor.phase = Phase.OWED
        elif starting and not actor.was_up:
            if not is_asked(parent):
                parent.ends_with = StartFailed
                self._doom(parent.children)
        elif comes_back(actor.restart, reason, starting=starting):
            self._restart(parent, actor, now)

    def _check_own_end(self, actor: Watched, reason: Reason) -> None:
        """A supervisor ends when it has to, and after all its children."""
        for child in actor.children:
            self._expect(not child.lives, f"{actor.path} is down before {child.id}")
        crash = type(reason.error) if isinstance(reason, Crashed) else None
        free = (
            actor.ends_with is None and is_asked(actor) and crash in {StartFailed, RestartIntensityExceeded}
        )
        if actor.children and actor.phase is not Phase.OWED and not free:
            self._expect(crash is actor.ends_with, f"{actor.path} ended with {reason}, not {actor.ends_with}")

    def _check_stop(self, actor: Watched) -> None:
        """Whoever is stopped is stopped for a reason, and in its turn."""
        parent = actor.parent
        if parent is None:
            self._expect(self.root.poked, f"{actor.path} is stopped and nobody wanted it")
            return
        for sibling in parent.children[parent.children.index(actor) + 1 :]:
            self._expect(
                not sibling.lives,
                f"{actor.path} is stopped before {sibling.id}, which is {sibling.phase.name}",
            )
        if not actor.doomed and parent.ends_with is None and not parent.poked:
            self._check_stop(parent)

    def _restart(self, parent: Watched, actor: Watched, now: float) -> None:
        parent.restarts.append(now)
        if not is_asked(parent):
            self.judged += 1
            if too_many(parent, now, within=-SAME_MOMENT):
                self._escalates = parent
                return
        actor.phase = Phase.OWED
        if parent.strategy is Strategy.ONE_FOR_ONE:
            actor.repaired = True
            return
        first = 0 if parent.strategy is Strategy.ONE_FOR_ALL else parent.children.index(actor)
        group = parent.children[first:]
        self._doom(group)
        for child in group:
            if child.phase is Phase.OUT and child.restart is not Restart.TEMPORARY:
                child.phase = Phase.OWED

    def _gives_up(self, supervisor: Watched, now: float) -> None:
        due = (
            self._escalates is supervisor
            or is_asked(supervisor)
            or too_many(supervisor, now, within=SAME_MOMENT)
        )
        self._expect(due, f"{supervisor.path} gives up within its intensity")
        self._escalates = None
        supervisor.ends_with = RestartIntensityExceeded
        self._doom(supervisor.children)

    def _doom(self, children: list[Watched]) -> None:
        for child in children:
            child.doomed = child.lives or child.phase is Phase.OWED

    # What to say of it

    def _note(self, kind: str, path: Path, now: float) -> None:
        self.seen[kind] = self.seen.get(kind, 0) + 1
        self._last = f"{now:.4f} {kind} {'/'.join(path)}"

    def _expect(self, holds: bool, text: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not holds:
            self._wrong(text)

    def _wrong(self, text: str) -> None:
        self.wrong.append(f"at {self._last}: {text}")


def is_asked(supervisor: Watched) -> bool:
    """Whether a supervisor may have been asked to stop."""
    above = supervisor.parent
    return (
        supervisor.poked
        or supervisor.doomed
        or (above is not None and (above.ends_with is not None or is_asked(above)))
    )


def is_stopping(supervisor: Watched) -> bool:
    """Whether a supervisor is stopping children, all or a group."""
    return supervisor.ends_with is not None or any(
        child.doomed and child.lives for child in supervisor.children
    )


def too_many(supervisor: Watched, now: float, *, within: float) -> bool:
    """Whether there were more restarts in the period, give or take, than the intensity allows."""
    limit = supervisor.intensity
    while supervisor.restarts[0] < now - limit.period - 1:
        supervisor.restarts.popleft()
    return sum(now - at <= limit.period + within for at in supervisor.restarts) > limit.restarts


def comes_back(restart: Restart, reason: Reason, *, starting: bool) -> bool:
    """Whether a child that ended by itself is started again."""
    if restart is Restart.TRANSIENT:
        return starting or not isinstance(reason, Finished | Stopped)
    return restart is Restart.PERMANENT
