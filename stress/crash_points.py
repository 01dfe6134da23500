"""A run is killed at named points, seeded, up to three in a row, and resumed: nothing lost, nothing done twice.

``STRESS_SCALE`` 1 is 2,000 runs; ``STRESS_SEED`` chooses the moments. What failed is kept and named.
"""

import os
import random
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from stress._worlds import Model, Moment, die_and_resume, uninterrupted

KIND = "stress"
RUNS = 2000
MOST_DEATHS = 3
BESIDE = 2
"""Runs at the same time."""


def main() -> int:
    """0 if every run came to the same end as one that nobody killed."""
    runs = max(1, round(RUNS * float(os.environ.get("STRESS_SCALE", "1"))))
    seed = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 1_000_000)))
    folder = Path(tempfile.mkdtemp(prefix="prodigy-crash-"))
    model = uninterrupted(folder / "model")
    chance = random.Random(seed)
    plans = [_plan(chance, model) for _ in range(runs)]
    print(f"   seed {seed}, {len(model.moments)} moments at {len(model.points)} points, {runs} runs")
    with ThreadPoolExecutor(BESIDE) as pool:
        outcomes = list(pool.map(lambda job: _try(folder / f"run-{job[0]}", model, job[1]), enumerate(plans)))
    violations = outcomes.count("violation")
    print(f"   {outcomes.count('died')} runs died and were resumed, {violations} violations")
    if not violations:
        folder.rmdir()
    return 1 if violations else 0


def _plan(chance: random.Random, model: Model) -> list[Moment]:
    """One moment mostly, sometimes several deaths in a row; points weigh the same however often they are passed."""
    deaths = chance.choice([1, 1, 1, 2, MOST_DEATHS])
    points = [chance.choice(model.points) for _ in range(deaths)]
    return [
        chance.choice(
            [moment for moment in model.moments if (moment.who, moment.point) == (at.who, at.point)]
        )
        for at in points
    ]


def _try(folder: Path, model: Model, moments: list[Moment]) -> Literal["died", "lived", "violation"]:
    try:
        return "died" if die_and_resume(folder, model, moments) else "lived"
    except (AssertionError, subprocess.SubprocessError) as failure:
        print(f"   FAIL {', '.join(map(str, moments))} in {folder}: {failure}", flush=True)
        return "violation"
