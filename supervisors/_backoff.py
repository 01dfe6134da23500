"""How long to wait before a restart.

Pure: no clock and no random numbers; the attempt and the chance come in as values.
"""

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """A pause before each restart of a child that keeps crashing.

    Attempt *n* (from 1) waits ``initial * factor ** (n - 1)`` seconds, at most ``maximum``; ``factor=1.0`` is a
    fixed pause. ``jitter`` is the share of the pause, 0 to 1, that is left to chance: with 0.2 the pause is
    somewhere between 80 and 100 % of it. A child that was up for ``forgive_after`` seconds begins anew at 1.
    """

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.0
    forgive_after: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.initial <= self.maximum or self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("need 0 <= initial <= maximum, factor >= 1 and 0 <= jitter <= 1")

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds to wait before restart number ``attempt``, from 1; ``chance`` is in [0, 1)."""
        return self._pause(attempt) * (1 - self.jitter * chance)

    def _pause(self, attempt: int) -> float:
        try:
            return min(self.maximum, self.initial * self.factor ** (attempt - 1))
        except OverflowError:
            return self.maximum
