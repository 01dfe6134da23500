"""Several runs of the steps heal as one does: what is recorded is not done again."""

import os
import signal
from typing import Any

import pytest
import trio
from crashes import crash_once

from prodigy import events
from prodigy.actors.iterations import IterationsActor
from prodigy.actors.phase import StepsActor

FLOW = """
- shell: echo $ARG >> log
- shell: test $ARG != b && echo "$ARG again" >> log
"""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("where", "method"),
    [(IterationsActor, "_start"), (IterationsActor, "_iterate"), (StepsActor, "_run_list")],
)
async def test_a_crash_costs_nothing(
    stage: Any, monkeypatch: pytest.MonkeyPatch, where: type[Any], method: str, after: bool
) -> None:
    calls = crash_once(monkeypatch, where, method, at=2, after=after)
    tree = await stage.run(FLOW, arguments=("a", "b", "c"))
    assert len(calls) > 2
    assert tree.ledger.problem is None
    error = tree.ledger.state.error
    assert error is not None
    assert error.message == "1 of 3 values failed, first `b`: Exited with 1"
    assert error.step == "iteration#2.2"
    branch = tree.ledger.state.started.session_branch
    assert stage.git("show", f"{branch}:log").splitlines() == ["a", "a again", "b", "c", "c again"]
    assert [event.n for event in stage.kinds(events.IterationStarted)] == [1, 2, 3]
    assert [event.n for event in stage.kinds(events.IterationCompleted)] == [1, 2, 3]
    assert [event.commits for event in stage.kinds(events.IterationCompleted)] == [2, 1, 2]
    scripts = [event for event in stage.kinds(events.StepIntended) if event.kind == "shell"]
    assert len(scripts) == 6, "no step ran twice"
    assert stage.kinds(events.ChildRestarted)


async def test_a_killed_worker_costs_the_step_in_flight(stage: Any) -> None:
    flow = """
    - shell: echo $ARG >> log
    - shell: test $ARG = a || test -e "$GATE" || { echo "$PPID" > "$PIDFILE"; sleep 600; }
    - shell: echo $ARG >> log
    """
    gate, pidfile = stage.folder / "gate", stage.folder / "pid"
    stage.environ |= {"GATE": str(gate), "PIDFILE": str(pidfile)}

    async def kill_the_worker() -> None:
        while not (pidfile.exists() and pidfile.read_text().strip()):
            await trio.sleep(0.02)
        gate.touch()
        [worker] = stage.kinds(events.WorkerStarted)
        os.kill(worker.pid, signal.SIGKILL)

    tree = await stage.run(flow, kill_the_worker, arguments=("a", "b"))
    assert tree.ledger.state.error is None
    assert stage.git("show", "main:log").split() == ["a", "a", "b", "b"]
    assert [event.commits for event in stage.kinds(events.IterationCompleted)] == [2, 2]
    tried = [event.step for event in stage.kinds(events.StepIntended) if event.kind == "shell"]
    assert tried == [
        "1", "2", "3", "iteration#2.1", "iteration#2.2", "iteration#2.2", "iteration#2.3",
    ]  # fmt: skip


async def test_what_ended_is_not_kept_in_memory(stage: Any) -> None:
    tree = await stage.run(FLOW, arguments=("a", "c"))
    assert tree.ledger.state.outcomes == {}
