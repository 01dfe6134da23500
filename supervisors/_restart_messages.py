"""What goes into the restart policy of a supervisor, and what comes out.

Pure, as the policy itself: events say what happened, commands what to do. Each is answered by the other.
"""

from enum import Enum, auto
from typing import TypeAlias

import msgspec

from supervisors._backoff import Backoff
from supervisors.specs import Restart


class ChildRule(msgspec.Struct, frozen=True):
    """What the policy must know of a child."""

    id: str
    restart: Restart = Restart.PERMANENT
    significant: bool = False
    backoff: Backoff | None = None


class Exit(Enum):
    """How a child ended, as far as the policy cares."""

    NORMAL = auto()
    CRASH = auto()
    FATAL = auto()
    """Not an error of the child but the end of the program, such as KeyboardInterrupt: nothing is restarted."""


class Outcome(Enum):
    """Why a supervisor ends."""

    STOPPED = auto()
    FINISHED = auto()
    START_FAILED = auto()
    ESCALATED = auto()
    FATAL = auto()


class StartAll(msgspec.Struct, frozen=True):
    """The supervisor begins."""


class StopAll(msgspec.Struct, frozen=True):
    """The supervisor was asked to stop."""


class AddChild(msgspec.Struct, frozen=True):
    """A child joins, last in order, and is started."""

    rule: ChildRule


class RemoveChild(msgspec.Struct, frozen=True):
    """A child is to be stopped and forgotten."""

    id: str


class ChildUp(msgspec.Struct, frozen=True):
    """A start succeeded at time ``now``."""

    id: str
    now: float


class ChildFailed(msgspec.Struct, frozen=True):
    """A start did not succeed."""

    id: str
    exit: Exit
    now: float


class ChildDown(msgspec.Struct, frozen=True):
    """A child that was up ended, asked or not."""

    id: str
    exit: Exit
    now: float


class DelayOver(msgspec.Struct, frozen=True):
    """The pause of `DelayStart` is over."""

    id: str
    attempt: int


Event: TypeAlias = StartAll | StopAll | AddChild | RemoveChild | ChildUp | ChildFailed | ChildDown | DelayOver


class StartChild(msgspec.Struct, frozen=True):
    """Start it; the answer is `ChildUp` or `ChildFailed`."""

    id: str


class StopChild(msgspec.Struct, frozen=True):
    """Ask it to stop; the answer is `ChildDown`, or `ChildFailed` if it was not up yet."""

    id: str


class DelayStart(msgspec.Struct, frozen=True):
    """Answer `DelayOver` after the pause that backoff sets before restart number ``attempt``."""

    id: str
    attempt: int


class CloseChild(msgspec.Struct, frozen=True):
    """The child is down for good."""

    id: str


class Ready(msgspec.Struct, frozen=True):
    """All children are up for the first time: the supervisor is."""


class Conclude(msgspec.Struct, frozen=True):
    """The supervisor's end is decided; ``child`` gave the reason, if any did."""

    outcome: Outcome
    child: str | None = None


class Over(msgspec.Struct, frozen=True):
    """All children are down; nothing follows."""


Command: TypeAlias = StartChild | StopChild | DelayStart | CloseChild | Ready | Conclude | Over
