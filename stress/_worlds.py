"""The tools of the tests of whole runs, for use here: users' worlds, runs that die, the matrix of options, products without one."""

# ruff: noqa: E402 - the path first

import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1] / "tests"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

from crash_worlds import Moment
from dying import Job, Model, Place, die_and_resume, uninterrupted
from matrix import TABLE
from mortal_jobs import JOBS
from mutants import DEPENDENTS, failing, verdict
from power import KINDS, NoDisk, PoweredPlace
from worlds import World, made_world, pids_with

__all__ = [
    "DEPENDENTS",
    "JOBS",
    "KINDS",
    "TABLE",
    "Job",
    "Model",
    "Moment",
    "NoDisk",
    "Place",
    "PoweredPlace",
    "World",
    "die_and_resume",
    "failing",
    "made_world",
    "pids_with",
    "uninterrupted",
    "verdict",
]
