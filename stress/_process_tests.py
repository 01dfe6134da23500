"""The tools of the process tests, for use here: families of processes, programs for workers, coordinators to kill."""

# ruff: noqa: E402 - the path first

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / "tests" / "supervisors" / "processes"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

import trio
from process_table import CALM, KINDS, Family, children, name_of, zygote_of
from programs import PROTOCOL, Echo, Message, Misbehave, Number, Output, Shell, Talk
from test_coordinator_death import CRIMES, coordinator_of

from supervisors import Command

PROGRAM = "programs:PROGRAM"

__all__ = [
    "CALM", "CRIMES", "KINDS", "PROGRAM", "PROTOCOL", "Echo", "Family", "Message", "Misbehave", "Number",
    "Output", "Shell", "Talk", "children", "coordinator_of", "environment", "name_of", "shell", "until_up",
    "zygote_of",
]  # fmt: skip


async def until_up(family: Family, kind: str) -> None:
    """Wait until a process of a kind is what it is to be; a storm, until generations of it have come and gone."""
    await family.until_up(kind)
    while "storm" in kind and not await is_raging(family):
        pass


async def is_raging(family: Family) -> bool:
    """Whether a storm forks: in a moment some of its processes have gone and others have come."""
    before = {member.pid for member in family.alive()}
    await trio.sleep(0.005)
    after = {member.pid for member in family.alive()}
    return bool(before - after) and bool(after - before)


def environment() -> dict[str, str]:
    """For workers that find these tools, and this package."""
    return os.environ | {"PYTHONPATH": f"{TOOLS}{os.pathsep}{ROOT}"}


def shell(script: str) -> Command:
    """A command that runs a script."""
    return Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))
