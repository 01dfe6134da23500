"""A run that is ended from elsewhere: by exactly its own process, with everything below it, and it can be taken up."""

import json
import os
import signal
from pathlib import Path
from subprocess import Popen

import pytest
from worlds import PATIENCE, World, eventually, pids_with

from prodigy.store.locks import held

FLOW = """
grace: {grace}
steps:
  - shell: 'trap "{heard}" TERM; touch "{place}/{name}"; while :; do sleep 0.05; done # {tag}'
"""
PATIENT = "120s"
"""A grace that no test waits for."""


WAIT = ("--wait", f"{PATIENCE:.0f}s")
"""How long a run may take to end where nothing is said of that: of itself `stop` waits for 10 s beside the grace."""


def started(world: World, tag: str, *, grace: str = "100ms", name: str = "at", heard: str = "") -> Popen[str]:
    """A run whose step stands there, and does not listen to SIGTERM, or does what is said."""
    flow = FLOW.format(grace=grace, place=world.folder, name=name, tag=tag, heard=heard)
    process = world.start("run", world.workflow(flow, f"{name}.yml"), "--no-merge")
    eventually(lambda: (world.folder / name).exists() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[1]
    return process


def ended(process: Popen[str], code: int) -> str:
    """What it said; it ended with this code."""
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, said
    return said


def tail_of(world: World) -> str:
    job: str = world.events("job_started")[0]["job_id"]
    return job.rpartition("-")[2]


def test_a_run_ends_as_by_ctrl_c_and_says_who_asked(world: World, tag: str) -> None:
    process = started(world, tag, grace=PATIENT, heard="exit 1")
    done = world.prodigy("stop")
    assert (done.returncode, process.poll()) == (0, 143), "it is over before `stop` is"
    assert not pids_with(tag)
    assert f"prodigy resume {tail_of(world)}" in done.stdout
    [request] = world.events("cancel_requested")
    assert request["by"].startswith("`prodigy stop`, pid ")
    assert f"on {os.uname().nodename} since" in request["by"]
    assert request["grace_ms"] == 120_000
    assert world.events("job_paused") == [{"event_type": "job_paused", "reason": "signal", "signal": 15}]
    assert "asked by `prodigy stop`" in ended(process, 143)
    assert world.json("status")["running"] == []


def test_now_skips_the_grace(world: World, tag: str) -> None:
    process = started(world, tag, grace=PATIENT)
    document = world.json("stop", "latest", "--now", *WAIT)
    [stopped] = document["stops"]
    assert (stopped["result"], stopped["pid"], stopped["detail"]) == ("stopped", process.pid, "interrupted")
    assert "grace_ms" not in world.events("cancel_requested")[0]
    ended(process, 143)


def test_a_run_that_takes_longer_is_told_and_goes_on_ending(world: World, tag: str) -> None:
    """Asking politely once more changes nothing; being in a hurry does."""
    process = started(world, tag, grace=PATIENT)
    for _ in range(2):
        done = world.prodigy("stop", "--wait", "10ms", "--json")
        assert done.returncode == 1
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "still-running"
        assert f"pid {process.pid} on " in error["note"]
    assert process.poll() is None
    unheard = world.start("stop", "--all", "--wait", "10ms")
    assert unheard.stdout is not None
    unheard.stdout.close()
    unheard.communicate(timeout=PATIENCE)
    assert unheard.returncode == 1, "it has not ended, whether anybody reads that or not"
    assert world.prodigy("stop", tail_of(world), "--now", *WAIT).returncode == 0
    ended(process, 143)
    assert len(world.events("cancel_requested")) == 1


def test_killing_the_program_takes_its_steps_along(world: World, tag: str) -> None:
    process = started(world, tag, grace=PATIENT)
    os.kill(process.pid, signal.SIGSTOP)  # it does not listen any more
    assert world.prodigy("stop", "--wait", "10ms").returncode == 1
    done = world.prodigy("stop", "--kill", *WAIT)
    assert (done.returncode, done.stdout.split()[0]) == (0, "killed")
    assert not pids_with(tag)
    assert not any(held(lock) for lock in world.home.glob("locks/*/*"))
    ended(process, -signal.SIGKILL)
    assert [run["status"] for run in world.json("status")["resumable"]] == ["interrupted"]


def test_which_of_several(world: World, tag: str) -> None:
    one, other = (started(world, tag, name=name) for name in ("one", "other"))
    newest = world.json("status")["running"][0]["pid"]
    older, newer = (other, one) if one.pid == newest else (one, other)
    done = world.prodigy("stop", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "ambiguous-run")
    assert (older.poll(), newer.poll()) == (None, None)
    assert world.prodigy("stop", "latest", *WAIT).returncode == 0
    assert (older.poll(), newer.poll()) == (None, 143)
    third = started(world, tag, name="third")
    everyone = world.json("stop", "--all", *WAIT)["stops"]
    assert {stopped["pid"] for stopped in everyone} == {older.pid, third.pid}
    for process in (older, newer, third):
        ended(process, 143)


@pytest.mark.parametrize("words", [(), ("latest",), ("--all",), ("the run",)], ids=" ".join)
def test_what_is_not_running_needs_no_stopping(world: World, words: tuple[str, ...]) -> None:
    if words == ("the run",):
        world.prodigy("run", world.workflow("steps: [{shell: echo}]"), "--no-merge")
        words = (tail_of(world),)
        [stopped] = world.json("stop", *words)["stops"]
        assert (stopped["result"], stopped["detail"]) == ("not-running", "completed")
    done = world.prodigy("stop", *words)
    assert (done.returncode, "running" in done.stdout) == (0, True)


def test_a_number_that_belongs_to_somebody_else_by_now_is_not_signalled(world: World, tag: str) -> None:
    """A lock that names a live process of another start time stands for a holder that cannot be reached."""
    process = started(world, tag)
    [lock] = (path for path in Path(world.home).glob("locks/*/*.lock") if path.name.startswith("workflow-"))
    holder = json.loads(lock.read_text())
    for key, value in (("start_time", holder["start_time"] + 1), ("boot_id", "another")):
        lock.write_text(json.dumps({**holder, key: value}))
        for how in ("--now", "--kill"):
            assert world.prodigy("stop", how, "--wait", "1s").returncode == 1
    assert process.poll() is None
    lock.write_text(json.dumps(holder))
    assert world.prodigy("stop", *WAIT).returncode == 0
    ended(process, 143)


def test_a_request_for_an_earlier_process_is_nobodys(world: World, tag: str) -> None:
    process = started(world, tag, grace=PATIENT)
    [lock] = (path for path in Path(world.home).glob("locks/*/*.lock") if path.name.startswith("workflow-"))
    holder = json.loads(lock.read_text())
    request = {"asked": {**holder, "start_time": 1}, "by": holder, "now": True}
    lock.with_suffix(".stop").write_text(json.dumps(request))
    process.send_signal(signal.SIGINT)
    eventually(lambda: world.events("cancel_requested"))
    assert "by" not in world.events("cancel_requested")[0], "the terminal is who asks where nobody else does"
    process.send_signal(signal.SIGINT)
    ended(process, 130)
