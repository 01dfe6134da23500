"""2,000,000 broken workflows, expressions, texts, scripts: each is read or refused, at once, in bounded memory.

What may come out is a value or an error that explains itself; and a value never becomes code of a script. Inputs are
numbered: ``STRESS_SEED`` and the number make the same input again.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from stress._inspection import MIB, inspected
from stress._report import Report, scaled

KIND = "stress"
INPUTS = 2_000_000
PEAK = 400 * MIB
"""Bytes of memory that a worker may have had."""
STUCK = 30.0
"""Seconds after which an input that is still in work is a failure, whatever holds it."""
PATIENCE = 12 * 3600.0
"""Seconds that all inputs may take on a slow machine; each of them has ``STUCK``."""
WORKERS = os.cpu_count() or 1
_MOST_FAULTS = 20


def main() -> int:
    """0 if nothing else came out."""
    report = Report()
    with inspected(report, patience=PATIENCE), tempfile.TemporaryDirectory(prefix="prodigy-fuzz-") as folder:
        judge(report, fuzz(report.seed, scaled(INPUTS), Path(folder)))
    return report.code


class Course:
    """What came out so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.peak = 0


def judge(report: Report, course: Course) -> None:
    """Say how it went."""
    refused = course.counts.pop("refused", 0)
    shown = ", ".join(f"{count} {name}" for name, count in course.counts.most_common())
    report.figure(f"{course.counts.total()} inputs: {shown}; {refused} refused")
    report.law(
        f"{len(course.faults)} faults", "\n".join(["", *course.faults[:_MOST_FAULTS]]) * bool(course.faults)
    )
    report.law(
        f"peak of memory {course.peak // MIB} MiB (at most {PEAK // MIB})", holds=0 < course.peak <= PEAK
    )


def fuzz(seed: int, count: int, folder: Path) -> Course:
    """Try so many inputs in as many workers as there are processors."""
    course = Course()
    with started(seed, count, folder) as workers:
        working = workers
        while working:
            working = [worker for worker in working if worker.goes_on(course)]
            time.sleep(0.05)
    return course


@contextmanager
def started(seed: int, count: int, folder: Path) -> Iterator[list["Worker"]]:
    """Workers that are gone afterwards."""
    workers = [Worker(seed, count, first, folder / str(first)) for first in range(min(WORKERS, count))]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()


class Worker:
    """A process that tries every so-manieth input; one that dies or gets stuck is followed by another."""

    def __init__(self, seed: int, count: int, first: int, path: Path) -> None:
        self.seed, self.count, self.path = seed, count, path
        self.number, self.since = first, time.monotonic()
        path.write_bytes(struct.pack("q", first))
        self.output: IO[bytes] = path.with_suffix(".out").open("w+b")
        self.process = self._start(first)

    def _start(self, first: int) -> "subprocess.Popen[bytes]":
        words = (self.seed, first, WORKERS, self.count, self.path)
        command = [sys.executable, "-m", "stress._language_fuzz", *map(str, words)]
        return subprocess.Popen(command, stdout=self.output, cwd=Path(__file__).parents[1])

    def goes_on(self, course: Course) -> bool:
        """Look after it; whether there is more to come. What it found is taken at its end."""
        code, number = self.process.poll(), struct.unpack("q", self.path.read_bytes())[0]
        if number != self.number:
            self.number, self.since = number, time.monotonic()
        stuck = code is None and time.monotonic() - self.since > STUCK
        if code == 0:
            self._take(course)
            return False
        if code is None and not stuck:
            return True
        why = f"still in work after {STUCK:g} s" if stuck else f"the process ended with {code}"
        course.faults.append(f"input {number}: {why}")
        self.process.kill()
        self.process.wait()
        self.since = time.monotonic()
        self.process = self._start(number + WORKERS)
        return True

    def _take(self, course: Course) -> None:
        self.output.seek(0)
        for line in self.output:
            told: dict[str, Any] = json.loads(line)
            if "fault" in told:
                course.faults.append(f"input {told['number']}: {told['fault']}")
            else:
                course.counts.update(told["counts"])
                course.peak = max(course.peak, told["peak"])

    def end(self) -> None:
        """Let nothing of it be left."""
        self.process.kill()
        self.process.wait()
        self.output.close()
