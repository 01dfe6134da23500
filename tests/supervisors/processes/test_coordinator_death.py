"""Whoever dies, and however many at once, no process tree outlives them.

The proof is a lock: a coordinator shares it with its workers and reapers and with no command, so when it is free they
are gone, and by then so must be every tree.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from process_table import Family, children, name_of, until, zygote_of

HERE = Path(__file__).parent


class Cast(NamedTuple):
    """Pids of everybody involved."""

    coordinator: int
    worker: int
    zygote: int
    reaper: int


@asynccontextmanager
async def coordinator_of(
    family: Family, lock: Path, script: str, how: str = "waited for"
) -> AsyncIterator[Cast]:
    """A coordinator whose worker runs a script that has said something."""
    command = [sys.executable, str(HERE / "coordinator.py"), str(lock), how]
    environment = os.environ | {"PYTHONPATH": str(HERE), "SCRIPT": script}
    process = await trio.lowlevel.open_process(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    async with process.stdout:
        said = json.loads(await process.stdout.receive_some())
        zygote = zygote_of(said["worker"])
        reaper = next(child for child in children(zygote) if name_of(child) == "reaper")
        yield Cast(process.pid, said["worker"], zygote, reaper)
        process.kill()
        await process.wait()
        await until(lambda: is_free(lock))
        assert not family.alive()


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


CRIMES = {
    "coordinator": lambda cast: [(cast.coordinator, signal.SIGKILL)],
    "worker": lambda cast: [(cast.worker, signal.SIGKILL)],
    "zygote": lambda cast: [(cast.zygote, signal.SIGKILL)],
    "reaper": lambda cast: [(cast.reaper, signal.SIGKILL)],
    "worker and coordinator": lambda cast: [
        (cast.worker, signal.SIGKILL),
        (cast.coordinator, signal.SIGKILL),
    ],
    "coordinator and worker": lambda cast: [
        (cast.coordinator, signal.SIGKILL),
        (cast.worker, signal.SIGKILL),
    ],
    "coordinator, with the worker stopped": lambda cast: [
        (cast.worker, signal.SIGSTOP),
        (cast.coordinator, signal.SIGKILL),
    ],
}


@pytest.mark.parametrize("how", ["waited for", "left by a job that has ended"])
@pytest.mark.parametrize("crime", CRIMES)
async def test_every_kind_of_survivor_dies(crime: str, how: str, family: Family, tmp_path: Path):
    script = f"{family.everyone()}\necho up; sleep 600"
    async with coordinator_of(family, tmp_path / "lock", script, how) as cast:
        await family.until_everyone_is_up()
        for pid, number in CRIMES[crime](cast):
            os.kill(pid, number)
        await family.until_gone()


@pytest.mark.parametrize("crime", CRIMES)
async def test_a_storm_dies(crime: str, family: Family, tmp_path: Path):
    script = f"{family.kind('setsid storm')}\necho up; sleep 600"
    async with coordinator_of(family, tmp_path / "lock", script) as cast:
        await family.until_up("setsid storm")
        for pid, number in CRIMES[crime](cast):
            os.kill(pid, number)
        await family.until_gone()


async def test_a_terminals_interrupt_reaches_only_the_coordinator(family: Family, tmp_path: Path):
    """Workers, zygotes and commands have sessions of their own."""
    script = f"{family.kind('plain')}\necho up; sleep 600"
    async with coordinator_of(family, tmp_path / "lock", script) as cast:
        assert os.getsid(cast.worker) == cast.worker
        assert os.getsid(cast.zygote) == os.getsid(cast.reaper) == cast.zygote
        await family.until_up("plain")
        sessions = {os.getsid(pid) for pid in family.sleepers()}
        assert not sessions & {cast.worker, cast.zygote, os.getsid(cast.coordinator)}
