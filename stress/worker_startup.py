"""A worker serves in at most 1.5 times what Python takes to import trio, msgspec and psutil.

Rounds of both alternate; the ratio is the median of the rounds' ratios.
"""

import os
import select
import statistics
import subprocess
import sys
import time

from stress import _program
from stress._inspection import inspected
from stress._report import Report, scaled
from supervisors import spawn_worker

KIND = "bench"
ROUNDS, FLOOR = 21, 1.5
BARE = "import trio, msgspec, psutil"


def main() -> int:
    """0 if a worker starts quickly."""
    report = Report()
    with inspected(report):
        pairs = [(bare(), worker()) for _ in range(scaled(ROUNDS, least=3))]
    base, ours = (1000 * statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    text = f"worker {ours:.0f} ms, bare imports {base:.0f} ms, {ratio:.2f} times (at most {FLOOR:g})"
    report.law(text, holds=ratio <= FLOOR)
    return report.code


def bare() -> float:
    """Seconds of an interpreter that imports and exits."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return time.perf_counter() - began


def worker() -> float:
    """Seconds until a worker says that it is ready: the first frame of its channel."""
    began = time.perf_counter()
    spawned = spawn_worker(_program.NAME)
    select.select([spawned.channel], [], [])
    took = time.perf_counter() - began
    assert b"ready" in spawned.channel.recv(1000)
    spawned.channel.close()
    spawned.pulse.close()
    spawned.process.wait()
    select.select([spawned.leash], [], [])
    os.close(spawned.leash)
    return took
