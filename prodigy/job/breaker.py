"""The circuit breaker of a map phase: after failures in a row it pauses, then tries whether things are better.

Pure; time is seconds on whatever clock the caller's events carry::

    closed ──N items failed in a row──▶ open ──pause over──▶ half open ──enough trials succeeded──▶ closed
                                         ▲                       │
                                         └─────a trial failed────┘      the third opening in a row: given up

While it is open nothing starts; what was running goes on, and its outcome counts for nothing. Half open, a few items
run as trials. An opening is decided here, but is in force only once its record says so.
"""

from copy import copy
from typing import Literal

from msgspec import Struct

from prodigy.job.state import Circuit, JobState
from prodigy.workflow.model import CircuitBreaker

OPENINGS = 3
"""How many openings in a row end the phase."""


class Open(Struct, frozen=True):
    """Stop starting items for ``pause`` seconds; ``failures`` is what brought it about."""

    failures: int
    opening: int
    pause: float


class Close(Struct, frozen=True):
    """Start items as before."""


class GiveUp(Struct, frozen=True):
    """It would open for the third time in a row."""


Decision = Open | Close | GiveUp


class Breaker:
    """The breaker of one phase, fresh or as its records left it.

    Args:
        settings: thresholds and pause; ``None`` for a breaker that never opens.
        circuit: the open circuit, if it is open.
        streak: how many items failed in a row up to now.
    """

    def __init__(
        self, settings: CircuitBreaker | None, circuit: Circuit | None = None, streak: int = 0
    ) -> None:
        self._settings = settings
        self._circuit = circuit
        self._streak = streak
        self._turning = False
        """Decided, but not recorded yet."""

    @classmethod
    def of(cls, settings: CircuitBreaker | None, state: JobState) -> "Breaker":
        """The breaker as the journal left it."""
        circuit = state.circuit
        own = None if circuit is None else copy(circuit)
        return cls(settings, own, state.failures_in_a_row)

    # -- what it allows ----------------------------------------------------------------------------------------------
    def room(self, trials: int, now: float) -> float:
        """How many more items may start, with ``trials`` running; infinite while it is closed."""
        if self._turning:
            return 0
        if self._settings is None or self._circuit is None:
            return float("inf")
        if now < self._circuit.until:
            return 0
        return max(0, self._settings.half_open_requests - trials)

    @property
    def paused_until(self) -> float | None:
        """When the pause of an open circuit is over, or was over."""
        return self._circuit.until if self._circuit is not None and not self._turning else None

    @property
    def testing(self) -> bool:
        """Whether what starts now is a trial."""
        return self._circuit is not None

    # -- what happens ------------------------------------------------------------------------------------------------
    def settled(self, outcome: Literal["done", "failed"], *, trial: bool) -> Decision | None:
        """An item came to its end; what follows from that."""
        if self._circuit is None:
            self._streak = self._streak + 1 if outcome == "failed" else 0
        elif trial:
            self._circuit.successes += outcome == "done"
            self._circuit.failures += outcome == "failed"
        return self.overdue()

    def overdue(self) -> Decision | None:
        """What has to be decided and was not yet, by all that is known."""
        settings, circuit = self._settings, self._circuit
        if settings is None or self._turning:
            return None
        decision: Decision | None = None
        if circuit is None and self._streak >= settings.failure_threshold:
            decision = Open(self._streak, 1, settings.timeout)
        elif circuit is not None and circuit.failures:
            opening = circuit.opening + 1
            decision = GiveUp() if opening >= OPENINGS else Open(circuit.failures, opening, settings.timeout)
        elif circuit is not None and circuit.successes >= settings.success_threshold:
            decision = Close()
        self._turning = decision is not None
        return decision

    def opened(self, opening: int, until: float) -> None:
        """An opening was recorded."""
        self._turning = False
        self._circuit = Circuit(opening, until)

    def closed(self) -> None:
        """The closing was recorded."""
        self._turning = False
        self._circuit = None
        self._streak = 0
