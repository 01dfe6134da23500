"""The power goes at named points of jobs, seeded, up to three times, and they are taken up again: as killed ones are.

Each world lies on an ext4 file system of its own, of each of ``KINDS`` in turn; after a death it holds what was brought to
disk by then. ``STRESS_SCALE`` 1 is 500 runs; ``STRESS_DISKS`` names kinds, with commas; ``stress._deaths`` has what else
can be said. A world that was not judged well is kept as the file system that it was: ``image``, and ``image.lost`` as the
last loss of power left it. Mounting needs root.
"""

import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from stress._deaths import all_judged
from stress._worlds import KINDS, NoDisk, PoweredPlace

KIND = "stress"
RUNS = 500


def main() -> int:
    """0 if every run came to the same end as one that nobody killed, or none can be here."""
    names = os.environ.get("STRESS_DISKS", ",".join(KINDS)).split(",")
    try:
        with TemporaryDirectory() as folder:
            trial = PoweredPlace(Path(folder))
            trial.prepare()
            trial.clear()
    except NoDisk as refusal:
        print(f"   skipped: no file system can be mounted here: {refusal}")
        return 0
    return all_judged(RUNS, [partial(PoweredPlace, kind=name) for name in names])
