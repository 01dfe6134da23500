"""Setting worktrees up, and looking at what they share, survive crashes of the service and of workers."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import trio
from crashes import crash_once

from prodigy import events
from prodigy.actors.tuning import Tuning
from prodigy.actors.workspaces import Workspaces

FLOW = """
worktree: {setup: [{shell: 'echo x >> "$COUNT"'}], include: local, keep: [kept]}
map:
  input: [a, b, c]
  max_parallel: 1
  agent_template:
    - shell: cat local > ${item}.txt; git config some.key ${item}
reduce:
  - shell: cat local *.txt > all
"""


def prepared(stage: Any) -> Path:
    count: Path = stage.folder / "count"
    stage.environ["COUNT"] = str(count)
    (stage.folder / "project/local").write_text("mine\n")
    return count


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "method", ["_open", "_lease", "_setup_due", "_setup_done", "_ended", "_quiet", "_furnish"]
)
async def test_a_crash_costs_nothing(
    stage: Any, monkeypatch: pytest.MonkeyPatch, method: str, after: bool
) -> None:
    count = prepared(stage)
    config = (stage.folder / "project/.git/config").read_bytes()
    calls = crash_once(monkeypatch, Workspaces, method, after=after)
    tree = await stage.run(FLOW)
    assert calls
    assert tree.ledger.problem is None
    assert tree.ledger.state.merge == "merged"
    assert stage.git("show", "main:all") == "mine\n" * 3 + "mine"
    assert stage.git("ls-tree", "--name-only", "main").split() == [
        "README.md",
        "a.txt",
        "all",
        "b.txt",
        "c.txt",
    ]
    assert len(count.read_text().splitlines()) in {2, 3}, "a new incarnation makes its idle slot anew"
    changed = stage.kinds(events.SharedStateChanged)
    if method == "_ended" and not after:
        assert changed
    else:
        assert changed[-1].undone
        assert (stage.folder / "project/.git/config").read_bytes() == config


async def test_a_worktree_that_nobody_needs_is_removed(stage: Any) -> None:
    """While the run goes on; what it held is merged."""
    flow = """
    map:
      input: [1, 2, 3]
      max_parallel: 3
      agent_template:
        - shell: echo > ${item}.txt
        - when: "${item} == 3"
          shell: while [ $(ls -d ../slot-* | wc -l) -gt 1 ]; do sleep 0.05; done
    """
    tree = await stage.run(flow, tuning=Tuning(idle_slots=0.2))
    assert tree.ledger.problem is None
    assert stage.git("ls-tree", "--name-only", "main").split() == ["1.txt", "2.txt", "3.txt", "README.md"]


async def test_a_setup_whose_worker_is_killed_is_done_again(stage: Any) -> None:
    """In a phase from its beginning, before anything else; its recorded steps do not count as done."""
    prepared(stage)
    pidfile = stage.folder / "pid"
    stage.environ["PIDFILE"] = str(pidfile)
    flow = """
    worktree:
      setup:
        - shell: echo x >> "$COUNT"
        - shell: test $(wc -l < "$COUNT") = 2 || { echo "$PPID" > "$PIDFILE"; sleep 600; }
    commands:
      - shell: cp "$COUNT" count.txt
    """

    async def kill_the_worker() -> None:
        while not (pidfile.exists() and pidfile.read_text().strip()):
            await trio.sleep(0.02)
        [worker] = stage.kinds(events.WorkerStarted)
        os.kill(worker.pid, signal.SIGKILL)

    tree = await stage.run(flow, kill_the_worker)
    assert tree.ledger.state.merge == "merged"
    assert stage.git("show", "main:count.txt").split() == ["x", "x"]
    steps = [event.step for event in stage.kinds(events.StepIntended)]
    assert steps == ["worktree.1", "worktree.2"] * 2 + ["1", "1.commit"]
