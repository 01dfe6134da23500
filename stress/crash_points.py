"""Jobs are killed at named points, seeded, up to three times, and taken up again: nothing lost, nothing done twice.

``STRESS_SCALE`` 1 is 2,000 runs, in turns of every job; ``STRESS_SEED`` chooses the moments; ``STRESS_JOBS`` names the
jobs, with commas. What failed is kept and named.
"""

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from stress._worlds import JOBS, Model, Moment, Place, die_and_resume, uninterrupted

KIND = "stress"
RUNS = 2000
MOST_DEATHS = 3
BESIDE = 2
"""Runs at the same time."""
VIOLATION = -1


def main() -> int:
    """0 if every run came to the same end as one that nobody killed."""
    runs = max(1, round(RUNS * float(os.environ.get("STRESS_SCALE", "1"))))
    seed = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 1_000_000)))
    names = os.environ.get("STRESS_JOBS", ",".join(job.name for job in JOBS)).split(",")
    folder = Path(tempfile.mkdtemp(prefix="prodigy-crash-"))
    models = [uninterrupted(folder / f"model-{job.name}", job) for job in JOBS if job.name in names]
    for model in models:
        print(f"   {model.job.name}: {len(model.moments)} moments at {len(model.points)} points")
    print(f"   seed {seed}, {runs} runs", flush=True)
    chance = random.Random(seed)
    plans = [(model, _plan(chance, model)) for model in (models * runs)[:runs]]
    places: SimpleQueue[Place] = SimpleQueue()
    for number in range(BESIDE):
        places.put(Place(folder / f"place-{number}"))
    with ThreadPoolExecutor(BESIDE) as pool:
        outcomes = list(pool.map(lambda plan: _try(places, *plan), plans))
    violations = outcomes.count(VIOLATION)
    deaths = sum(outcome for outcome in outcomes if outcome > 0)
    died = len(outcomes) - violations - outcomes.count(0)
    print(f"   {died} runs died, {deaths} times in all, and came to their end; {violations} violations")
    print(f"   {_processor_time() / runs:.1f} s of processor time a run, as far as coordinators tell")
    if not violations:
        shutil.rmtree(folder)
    return 1 if violations else 0


def _processor_time() -> float:
    """Seconds of all processes that were waited for; workers of a coordinator that died are not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _plan(chance: random.Random, model: Model) -> list[Moment]:
    """One moment mostly, sometimes several deaths; points weigh the same however often they are passed."""
    deaths = chance.choice([1, 1, 1, 2, MOST_DEATHS])
    points = [chance.choice(model.points) for _ in range(deaths)]
    times = [
        [
            moment
            for moment in model.moments
            if (moment.act, moment.who, moment.point) == (at.act, at.who, at.point)
        ]
        for at in points
    ]
    return [chance.choice(moments) for moments in times]


def _try(places: SimpleQueue[Place], model: Model, moments: list[Moment]) -> int:
    """How many times the job died; or that something was wrong, and then nothing follows it in its place."""
    place = places.get()
    try:
        return die_and_resume(place, model, moments)
    except (AssertionError, subprocess.SubprocessError) as failure:
        print(
            f"   FAIL {model.job.name}: {', '.join(map(str, moments))} in {place.here}: {failure}", flush=True
        )
        place = Place(Path(tempfile.mkdtemp(prefix="place-", dir=place.folder.parent)))
        return VIOLATION
    finally:
        places.put(place)
