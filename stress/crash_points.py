"""Jobs are killed at named points, seeded, up to three times, and taken up again: nothing lost, nothing done twice.

``STRESS_SCALE`` 1 is 2,000 runs; ``stress._deaths`` has what else can be said.
"""

from stress._deaths import all_judged
from stress._worlds import Place

KIND = "stress"
RUNS = 2000


def main() -> int:
    """0 if every run came to the same end as one that nobody killed."""
    return all_judged(RUNS, [Place])
