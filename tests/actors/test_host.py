"""No agent is started on a machine that is short of something; what is said of it is recorded once."""

import os
from pathlib import Path
from typing import Any

import trio

from prodigy import events
from prodigy.actors.host import floors_at, free_at
from prodigy.actors.tuning import Tuning
from prodigy.cli.result import run_error

FLOW = "map: {input: [1, 2], max_parallel: 2, agent_template: [{shell: 'echo > ${item}.txt'}]}\n"


def test_what_is_free_is_looked_up(tmp_path: Path) -> None:
    """Also of the disk of a folder that is not there yet."""
    free = free_at(tmp_path / "not" / "there")
    assert free["memory"] > 0
    assert free["disk"] > 0


def test_the_floor_of_a_disk_is_no_more_than_a_tenth_of_it(tmp_path: Path) -> None:
    size = os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    floors = floors_at({"memory": 2 * size, "disk": 2 * size}, tmp_path / "not" / "there")
    assert floors == {"memory": 2 * size, "disk": size // 10}
    assert floors_at({"disk": 1}, tmp_path) == {"disk": 1}


async def test_agents_wait_for_room(stage: Any, monkeypatch: Any) -> None:
    """Until there is enough of everything; the run goes on by itself then."""
    free = {"memory": 10, "disk": 1000}
    monkeypatch.setattr("prodigy.actors.host._LOOK", 0.02)
    monkeypatch.setattr("prodigy.actors.tree.free_at", lambda *_places: dict(free))

    async def heal() -> None:
        while not stage.kinds(events.HostShort):
            await trio.sleep(0.01)
        assert not stage.kinds(events.AgentStarted)
        free.update(memory=100, disk=1)
        while len(stage.kinds(events.HostShort)) < 2:
            await trio.sleep(0.01)
        assert not stage.kinds(events.AgentStarted)
        free.update(disk=1000)

    tree = await stage.run(FLOW, heal, tuning=Tuning(floors={"memory": 100, "disk": 500}))
    assert tree.ledger.state.merge == "merged"
    assert [(one.what, one.free, one.floor) for one in stage.kinds(events.HostShort)] == [
        ("memory", 10, 100),
        ("disk", 1, 500),
    ]
    assert [one.what for one in stage.kinds(events.HostRecovered)] == ["memory", "disk"]
    assert tree.ledger.state.short_of is None


async def test_other_phases_wait_for_room_as_well(stage: Any, monkeypatch: Any) -> None:
    free = {"memory": 10}
    monkeypatch.setattr("prodigy.actors.host._LOOK", 0.02)
    monkeypatch.setattr("prodigy.actors.tree.free_at", lambda *_places: dict(free))

    async def heal() -> None:
        while not stage.kinds(events.HostShort):
            await trio.sleep(0.01)
        assert not stage.kinds(events.StepIntended)
        free.update(memory=100)

    tree = await stage.run("- shell: echo > made.txt\n", heal, tuning=Tuning(floors={"memory": 100}))
    assert tree.ledger.state.merge == "merged"
    assert stage.kinds(events.HostRecovered)


async def test_nobody_waits_for_ever_after_the_phases_that_do_the_work(stage: Any, monkeypatch: Any) -> None:
    """There is no rest to come to: the merge is refused, and can be asked for again."""
    flow = "commands: [{shell: echo > made.txt}]\nmerge: [{shell: touch never.txt}]\n"
    monkeypatch.setattr("prodigy.actors.host._LOOK", 0.02)
    free = {"memory": 100}
    monkeypatch.setattr("prodigy.actors.tree.free_at", lambda *_places: dict(free))

    async def fill() -> None:
        while not stage.kinds(events.StepIntended):
            await trio.sleep(0.01)
        free.update(memory=10)

    tuning = Tuning(floors={"memory": 100}, host_wait_max=0.1)
    tree = await stage.run(flow, fill, tuning=tuning)
    state = tree.ledger.state
    assert (state.status, state.merge) == ("completed", "failed")
    assert tree.ledger.problem is not None
    assert "too little memory for another agent" in tree.ledger.problem.message
    assert [one.given_up for one in stage.kinds(events.HostShort)] == [False]
    assert not [one for one in stage.kinds(events.StepIntended) if one.phase == "merge"]


async def test_a_run_that_waited_long_enough_rests(stage: Any, monkeypatch: Any) -> None:
    """It is not done, nothing of it has failed, and whoever takes it up waits anew, or finds that there is room."""
    free = {"memory": 10}
    monkeypatch.setattr("prodigy.actors.host._LOOK", 0.02)
    monkeypatch.setattr("prodigy.actors.tree.free_at", lambda *_places: dict(free))
    tree = await stage.run(FLOW, tuning=Tuning(floors={"memory": 100}, host_wait_max=0.1))
    state = tree.ledger.state
    assert (state.status, state.pause, state.counts["failed"]) == ("paused", "memory", 0)
    assert [one.given_up for one in stage.kinds(events.HostShort)] == [False, True]
    assert not stage.kinds(events.AgentStarted)
    error = run_error(state)
    assert error is not None
    assert (error.code, error.message) == (
        "host-short",
        "There is too little memory for another agent: 10 B free, less than 100 B",
    )
