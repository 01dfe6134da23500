"""Seeded plans of who dies when in which job, carried out some at a time, and judged.

``STRESS_SCALE`` times the runs that a check asks for, in turns of every job; ``STRESS_SEED`` chooses the moments;
``STRESS_JOBS`` names the jobs, with commas. What failed is kept and named.
"""

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from stress._worlds import JOBS, Model, Moment, Place, die_and_resume, uninterrupted

MOST_DEATHS = 3
BESIDE = 2
"""Runs at the same time."""
VIOLATION = -1

Maker = Callable[[Path], Place]


def all_judged(runs: int, makers: Sequence[Maker]) -> int:
    """0 if every run came to the same end as one that nobody killed; runs take places of each maker in turn."""
    runs = max(1, round(runs * float(os.environ.get("STRESS_SCALE", "1"))))
    seed = int(os.environ.get("STRESS_SEED", str(time.time_ns() % 1_000_000)))
    names = os.environ.get("STRESS_JOBS", ",".join(job.name for job in JOBS)).split(",")
    folder = Path(tempfile.mkdtemp(prefix="prodigy-deaths-"))
    models = [uninterrupted(folder / f"model-{job.name}", job) for job in JOBS if job.name in names]
    for model in models:
        print(f"   {model.job.name}: {len(model.moments)} moments at {len(model.points)} points")
    print(f"   seed {seed}, {runs} runs", flush=True)
    chance = random.Random(seed)
    plans = [(model, _plan(chance, model)) for model in (models * runs)[:runs]]
    with ExitStack() as opened, ThreadPoolExecutor(BESIDE) as pool:
        stands = [_Stand(folder, maker, opened) for maker in makers]
        shares = [(stands[number % len(stands)], *plan) for number, plan in enumerate(plans)]
        outcomes = list(pool.map(lambda share: share[0].outcome(*share[1:]), shares))
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


@dataclass
class _Stand:
    """Places of one kind for as many runs as there are at a time; all are closed in the end."""

    folder: Path
    maker: Maker
    opened: ExitStack
    _free: SimpleQueue[Place] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for _ in range(BESIDE):
            self._free.put(self._new())

    def _new(self) -> Place:
        place = self.maker(Path(tempfile.mkdtemp(prefix="place-", dir=self.folder)))
        self.opened.callback(place.close)
        return place

    def outcome(self, model: Model, moments: list[Moment]) -> int:
        """How many times the job died; or that something was wrong, and then nothing follows it in its place."""
        place = self._free.get()
        try:
            return die_and_resume(place, model, moments)
        except (AssertionError, subprocess.SubprocessError) as failure:
            deaths = ", ".join(map(str, moments))
            print(f"   FAIL {model.job.name}: {deaths} in {place}: {failure}", flush=True)
            place.close()
            place = self._new()
            return VIOLATION
        finally:
            self._free.put(place)
