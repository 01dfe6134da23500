"""What steps leave running: dead when the agent or the run has ended, however that ends; left alone for good if they say so."""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest
from worlds import PATIENCE, World, eventually, pids_with

Ending = Callable[[World, Popen[str]], None]


def number(path: Path, first: int) -> str:
    """Seconds that nobody else sleeps: `sleep` takes nothing but numbers."""
    return f"0.{first}{int(hashlib.sha256(str(path).encode()).hexdigest()[:12], 16)}"


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[str]:
    """What sleeps so long is dead when its test ends."""
    word = number(tmp_path, 1)
    yield word
    assert pids_with(word) == []


@pytest.fixture
def forever(tmp_path: Path) -> Iterator[str]:
    """What sleeps so long outlives runs, and not the test."""
    word = number(tmp_path, 2)
    yield word
    for pid in pids_with(word):
        os.kill(pid, signal.SIGKILL)


def flow(world: World, mortal: str, forever: str) -> str:
    """Setup leaves one of each kind running; one item waits for a file to vanish, and needs what is left running."""
    folder = world.folder

    def left(name: str, word: str) -> str:
        return json.dumps(f"echo $$ >> {folder}/{name}; exec sleep 600 {word}")

    waiting = (
        f"(setsid sleep 600 {mortal} &); touch {folder}/at;"
        f" while [ -e {folder}/hold ]; do sleep 0.02; done; kill -0 $(tail -n 1 {folder}/run)"
    )
    there = " && ".join(f"test -s {folder}/{name}" for name in ("agent", "run", "forever"))
    there = f"until {there}; do sleep 0.02; done"  # what is left running has only just been started
    return world.workflow(f"""
grace: 300ms
mode: mapreduce
setup:
  - {{shell: {left("agent", mortal)}, detach: agent}}
  - {{shell: {left("run", mortal)}, detach: run}}
  - {{shell: {left("forever", forever)}, detach: forever}}
  - shell: {json.dumps(there)}
map:
  input: {{list: [one]}}
  agent_template:
    - shell: {json.dumps(waiting)}
reduce:
  - shell: kill -0 $(tail -n 1 {folder}/run)
""")


def pids(world: World, name: str) -> list[int]:
    """Those that a step has left running, in order."""
    return [int(line) for line in (world.folder / name).read_text().split()]


def begin(world: World, path: str) -> Popen[str]:
    """Start a run, and wait until its item waits."""
    (world.folder / "hold").touch()
    process = world.start("run", path, "-y")
    eventually(lambda: (world.folder / "at").exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    return process


def test_each_kind_lives_as_long_as_it_is_to(world: World, mortal: str, forever: str) -> None:
    process = begin(world, flow(world, mortal, forever))
    [agent], [run], [for_good] = (pids(world, name) for name in ("agent", "run", "forever"))
    assert not Path(f"/proc/{agent}").exists(), "the setup phase has ended"
    assert run in pids_with(mortal)
    assert {one["until"]: one["pid"] for one in world.json("status")["detached"]} == {
        "run": run,
        "forever": for_good,
    }
    (world.folder / "hold").unlink()
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, stderr
    assert pids_with(mortal) == []
    assert pids_with(forever) == [for_good]
    left = {event["until"]: event for event in world.events("step_detached")}
    assert (left["run"]["pid"], left["forever"]["pid"]) == (run, for_good)
    assert f"left running for good: pid {for_good}" in stderr
    [named] = world.json("status")["detached"]
    assert (named["pid"], named["until"], named["workflow"]) == (for_good, "forever", "workflow")
    assert f"kill {for_good}" in world.prodigy("status").stdout
    os.kill(for_good, signal.SIGKILL)
    eventually(lambda: not pids_with(forever))
    assert world.json("status")["detached"] == []


def ctrl_c(_: World, process: Popen[str]) -> None:
    process.send_signal(signal.SIGINT)


def sigterm(_: World, process: Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)


def coordinator(_: World, process: Popen[str]) -> None:
    process.kill()


def coordinator_and_workers(world: World, process: Popen[str]) -> None:
    workers = [event["pid"] for event in world.events("worker_started")]
    for pid in [*workers, process.pid]:
        os.kill(pid, signal.SIGKILL)


def everybody(world: World, process: Popen[str]) -> None:
    """Nobody is left who could end anything."""
    ours = [process.pid, *(pid for pid in below(process.pid) if is_python(pid))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in ours:
            os.kill(pid, number)
    del world


def below(pid: int) -> list[int]:
    """Descendants that live; what a step starts comes and goes."""
    with suppress(OSError):
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [found for child in map(int, listed) for found in (child, *below(child))]
    return []


def is_python(pid: int) -> bool:
    with suppress(OSError):
        return "python" in Path(f"/proc/{pid}/exe").readlink().name
    return False


@pytest.mark.parametrize(
    "end", [ctrl_c, sigterm, coordinator, coordinator_and_workers, everybody], ids=lambda end: end.__name__
)
def test_however_a_run_ends_and_when_it_goes_on(world: World, mortal: str, forever: str, end: Ending) -> None:
    """Only what is left running for good outlives it, and is not started twice; what the run needs is there again."""
    process = begin(world, flow(world, mortal, forever))
    end(world, process)
    process.communicate(timeout=PATIENCE)
    if end is not everybody:
        eventually(lambda: not pids_with(mortal))
    [for_good] = pids(world, "forever")
    assert pids_with(forever) == [for_good]
    resumed = world.start("resume", "-y")
    eventually(lambda: len(pids(world, "run")) > 1 or resumed.poll() is not None)
    (world.folder / "hold").unlink()
    _, stderr = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, stderr
    assert pids_with(mortal) == []
    assert pids_with(forever) == pids(world, "forever") == [for_good]
    assert len(set(pids(world, "run"))) == len(pids(world, "run")) == 2, "ended, and started again once"


def test_a_worker_takes_along_what_it_keeps(world: World, mortal: str, forever: str) -> None:
    """The item that it takes along is tried again, beside what is left running for good."""
    process = begin(world, flow(world, mortal, forever))
    [run] = pids(world, "run")
    for event in world.events("worker_started"):
        os.kill(event["pid"], signal.SIGKILL)
    eventually(lambda: run not in pids_with(mortal))
    (world.folder / "hold").unlink()
    process.communicate(timeout=PATIENCE)
    [for_good] = pids(world, "forever")
    assert pids_with(mortal) == []
    assert pids_with(forever) == [for_good]


def test_verification_that_is_interrupted_leaves_no_worktree(world: World) -> None:
    path = world.workflow(
        f"commands:\n  - shell: echo new > new.txt\nverify:\n  - shell: touch {world.folder}/at; sleep 600\n"
    )
    process = world.start("run", path, "-y")
    eventually(lambda: (world.folder / "at").exists() or process.poll() is not None)
    assert any("scratch" in str(path) for path in world.home.glob("worktrees/*/.*")), "where it verifies"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert not any("scratch" in str(path) for path in world.home.glob("worktrees/*/.*"))
    assert "scratch" not in world.git("worktree", "list")
