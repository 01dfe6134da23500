"""The words of supervision: restart types, strategies, intensity, mailbox overflow, backoff settings.

Data only: importable without trio. The meaning is OTP's, to the letter where nothing else is said.
"""

from enum import Enum

import msgspec


class Restart(Enum):
    """What becomes of a child that is down and was not asked to stop by its supervisor."""

    PERMANENT = "permanent"
    """Always started again."""
    TRANSIENT = "transient"
    """Started again only after a crash."""
    TEMPORARY = "temporary"
    """Never started again, and forgotten."""


class Strategy(Enum):
    """Which children are restarted with the one that came down."""

    ONE_FOR_ONE = "one_for_one"
    """Only that one."""
    ONE_FOR_ALL = "one_for_all"
    """All: the others are stopped in reverse order, then all are started in order."""
    REST_FOR_ONE = "rest_for_one"
    """That one and those started after it, stopped in reverse order, started in order."""


class AutoShutdown(Enum):
    """Whether a supervisor ends with its significant children.

    Only a child that ends by itself and is not restarted counts, not one that its supervisor stops.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    """When the first of them ends."""
    ALL_SIGNIFICANT = "all_significant"
    """When the last of them ends."""


class Intensity(msgspec.Struct, frozen=True):
    """How many restarts a supervisor may perform before it gives up.

    Every restart counts, whichever child it is for, and so does every retry of a failed one. Restart number
    ``restarts + 1`` within ``period`` seconds is not performed: the supervisor stops its children and crashes
    with `RestartIntensityExceeded`. ``Intensity(0)`` allows none.
    """

    restarts: int = 3
    period: float = 5.0

    def __post_init__(self) -> None:
        if self.restarts < 0 or not self.period > 0:
            raise ValueError("restarts must be at least 0 and period above 0 seconds")


class Overflow(Enum):
    """What happens to a message for which the mailbox has no room."""

    WAIT = "wait"
    """The sender waits: back-pressure."""
    REFUSE = "refuse"
    """The sender gets `MailboxFull`."""
