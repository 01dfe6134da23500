"""What a check says: its seed, figures, and laws that hold or do not.

Rules: every check prints its seed first, a figure says its unit, and one broken law fails the check.
"""

import os
import random
import statistics
from collections.abc import Sequence

SCALE = float(os.environ.get("STRESS_SCALE", "1"))
"""How much of everything: 1 is what we promise to withstand, 0.1 a quick look."""


def scaled(count: int, *, least: int = 1) -> int:
    """So many, by ``STRESS_SCALE``."""
    return max(least, round(count * SCALE))


class Report:
    """The outcome of one check.

    Attributes:
        seed: of all its random choices; ``STRESS_SEED`` repeats a run.
    """

    def __init__(self) -> None:
        self.seed = int(os.environ.get("STRESS_SEED") or random.randrange(2**32))
        self._failures = 0
        print(f"   seed {self.seed}, scale {SCALE:g}", flush=True)

    def law(self, name: str, broken: object = None, *, holds: bool = True) -> None:
        """Say whether a law holds: nothing speaks against it.

        Args:
            name: of the law.
            broken: what speaks against it: anything true, shown.
            holds: or simply this.
        """
        fine = holds and not broken
        self._failures += not fine
        evidence = f": {broken!s:.2000}" if broken else ""
        print(f"   {'ok  ' if fine else 'FAIL'} {name}{evidence}", flush=True)

    def figure(self, text: str) -> None:
        """Say something that is measured and not judged."""
        print(f"   {text}", flush=True)

    @property
    def code(self) -> int:
        """Exit code: 0 if every law holds."""
        return 1 if self._failures else 0


def milliseconds(seconds: Sequence[float]) -> str:
    """Median and maximum of some durations."""
    if not seconds:
        return "none"
    return f"{1000 * statistics.median(seconds):.0f} ms (max {1000 * max(seconds):.0f})"
