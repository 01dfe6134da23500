"""The tree heals: services, phases, the run itself crash, and the run ends as if they had not."""

import os
import signal
from typing import Any

import pytest
import trio
import trio.lowlevel
from crashes import crash_once
from worlds import PATIENCE

from prodigy import events
from prodigy.actors import agent
from prodigy.actors.dead_letters import DeadLetters
from prodigy.actors.finish import Conductor
from prodigy.actors.map_phase import MapActor
from prodigy.actors.merger import Merger
from prodigy.actors.slots import Slots
from prodigy.actors.workspaces import Workspaces, lease
from prodigy.store.journal import StorageFailed
from prodigy.store.segments import FileSegment
from supervisors import RestartIntensityExceeded

FLOW = """
mode: mapreduce
map:
  input: {list: [a, b, c, broken]}
  max_parallel: 2
  agent_template:
    - shell: test ${item} != broken && echo ${item} > ${item}.txt
reduce:
  - shell: ls *.txt > all
"""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("where", "method"),
    [
        (Merger, "_merge_agent"),
        (Merger, "_merge_final"),
        (DeadLetters, "handle"),
        (Slots, "lease"),
        (Slots, "release"),
        (Slots, "_give_back"),
        (Workspaces, "_rescue"),
        (Workspaces, "_attach"),
        (MapActor, "_select"),
        (MapActor, "_drive"),
        (Conductor, "run_phase"),
    ],
)
async def test_a_crash_costs_nothing(
    stage: Any, monkeypatch: pytest.MonkeyPatch, where: type[Any], method: str, after: bool
) -> None:
    calls = crash_once(monkeypatch, where, method, after=after)
    tree = await stage.run(FLOW)
    assert calls, [item.error for item in tree.ledger.state.items.values()]
    assert tree.ledger.problem is None
    assert tree.ledger.state.status == "completed"
    assert tree.ledger.state.merge == "merged"
    buried = {letter.item: letter.message for letter in tree.ledger.state.dead_letters.values()}
    assert list(buried) == ["broken"], buried
    assert stage.git("show", "main:all").split() == ["a.txt", "b.txt", "c.txt"]
    assert len(stage.kinds(events.ItemsSelected)) == 1
    assert [event.phase for event in stage.kinds(events.PhaseStarted)] == ["map", "reduce"]
    merged = [event.item_id for event in stage.kinds(events.WorktreeMerged) if event.what == "agent"]
    assert len(merged) == len(set(merged)) == 3
    assert any("put in by the test" in event.reason for event in stage.kinds(events.ChildDown))
    assert stage.kinds(events.ChildRestarted)
    assert stage.git("branch", "--list", "prodigy-*") == ""


def first_look_crashes(monkeypatch: pytest.MonkeyPatch, second: trio.Event, agents: list[int]) -> None:
    """The map phase goes down when two agents have come so far; ``second``: it is up again and has taken them up."""
    original, looks = MapActor._next, list[int]()

    async def crash_at_first(self: Any, *words: Any) -> Any:
        looks.append(1)
        if len(looks) == 1:
            while len(agents) < 2:
                await trio.lowlevel.checkpoint()
            raise RuntimeError("put in by the test")
        second.set()
        return await original(self, *words)

    monkeypatch.setattr(MapActor, "_next", crash_at_first)


async def test_agents_that_wait_for_a_slot_outlive_their_phase(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is recorded of them when the phase comes up again: it finds them there, and starts none a second time."""
    again, came = trio.Event(), list[int]()
    first_look_crashes(monkeypatch, again, came)

    async def lease_later(*words: Any) -> Any:
        came.append(1)
        await again.wait()
        return await lease(*words)

    monkeypatch.setattr(agent, "lease", lease_later)
    tree = await stage.run(FLOW)
    assert again.is_set()
    assert (tree.ledger.problem, tree.ledger.state.merge) == (None, "merged")
    assert stage.git("show", "main:all").split() == ["a.txt", "b.txt", "c.txt"]
    started = [event.agent_id for event in stage.kinds(events.AgentStarted)]
    assert sorted(started) == ["agent-0-1", "agent-1-1", "agent-2-1", "agent-3-1"]
    [down] = stage.kinds(events.ChildDown)
    assert "put in by the test" in down.reason


async def test_an_agent_that_crashes_after_its_phase_did_fails_its_item(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody watches it still: its item does not wait for ever."""
    again, came = trio.Event(), list[int]()
    first_look_crashes(monkeypatch, again, came)

    async def crash_later(*_: Any) -> Any:
        came.append(1)
        await again.wait()
        raise RuntimeError("the agent's own")

    monkeypatch.setattr(agent, "run_agent", crash_later)
    with trio.fail_after(PATIENCE):
        tree = await stage.run(FLOW)
    assert tree.ledger.state.counts["failed"] == 4
    assert {"the agent's own" in item.error.message for item in tree.ledger.state.items.values()} == {True}


async def test_what_goes_down_too_often_is_told(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its supervisor gives up, and says for whom."""

    async def crash(*_: Any) -> None:
        raise RuntimeError("put in by the test")

    monkeypatch.setattr(Merger, "_merge_agent", crash)
    with pytest.raises(RestartIntensityExceeded):
        await stage.run(FLOW)
    [given_up, *_] = stage.kinds(events.Escalated)
    assert (given_up.supervisor.rpartition("/")[2], given_up.child) == ("services", "merger")
    assert "put in by the test" in given_up.reason


async def test_a_killed_worker_is_replaced_and_the_phase_goes_on_where_it_was(stage: Any) -> None:
    """A plain workflow's finished steps are not run again; the one in flight is."""
    flow = """
    - shell: echo one >> log.txt
    - shell: test -e "$GATE" || { echo "$PPID" > "$PIDFILE"; sleep 600; }
    - shell: echo three >> log.txt
    """
    gate, pidfile = stage.folder / "gate", stage.folder / "pid"
    stage.environ |= {"GATE": str(gate), "PIDFILE": str(pidfile)}

    async def kill_the_worker() -> None:
        while not (pidfile.exists() and pidfile.read_text().strip()):
            await trio.sleep(0.02)
        gate.touch()
        [worker] = stage.kinds(events.WorkerStarted)
        os.kill(worker.pid, signal.SIGKILL)

    tree = await stage.run(flow, kill_the_worker)
    assert tree.ledger.state.error is None
    assert tree.ledger.state.status == "completed"
    assert stage.git("show", "main:log.txt").split() == ["one", "three"]
    assert len([event for event in stage.kinds(events.StepIntended) if event.step == "1"]) == 1
    assert len([event for event in stage.kinds(events.StepIntended) if event.step == "2"]) == 2


@pytest.mark.parametrize("good", range(4, 40, 4))
async def test_storage_that_fails_ends_the_run_and_says_so(
    stage: Any, monkeypatch: pytest.MonkeyPatch, good: int
) -> None:
    """After so many good writes: whoever waits then, for a record or a worktree, waits no longer."""
    writes = 0
    sync = FileSegment.sync

    def failing(self: FileSegment) -> None:
        nonlocal writes
        writes += 1
        if writes > good:
            raise OSError(28, "No space left on device")
        sync(self)

    monkeypatch.setattr(FileSegment, "sync", failing)
    tree = await stage.run(FLOW)
    assert isinstance(tree.ledger.problem, StorageFailed)
    assert tree.ledger.state.status in {"starting", "running"}
    assert stage.git("log", "--format=%s", "main") == "first"
