"""Whose a slot is: one agent's from when it is begun to be made until it is given back, once, whatever crashes."""

import threading
from collections import Counter
from typing import Any

import pytest
import trio
import trio.lowlevel
from worlds import PATIENCE

from prodigy import events
from prodigy.actors import agent, slots
from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Note, RecorderRef, record
from prodigy.actors.returning import Returning
from prodigy.actors.slots import Slots
from prodigy.actors.workspaces import Workspaces
from prodigy.errors import RunError
from prodigy.events import AnyEvent
from prodigy.store.segments import FileSegment

FLOW = """
mode: mapreduce
map:
  input: {list: [a, b, c, d]}
  max_parallel: 2
  agent_template:
    - shell: echo ${item} > ${item}.txt
reduce:
  - shell: ls *.txt > all
"""

BEGINNING = 2
"""How often it is asked what earlier ones left, before any agent begins: by the run, and by the map phase."""


async def test_two_agents_that_crash_together_give_each_slot_back_once(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first one's slot is freed, somebody frees the other's; no slot is two agents' after that."""
    running, asked = list[int](), list[int]()
    reclaim, rescue = Returning.reclaim, Keeper.attempt

    async def crash_together(*_: Any) -> Any:
        running.append(1)
        while len(running) < 2:
            await trio.lowlevel.checkpoint()
        raise RuntimeError("the agent's own")

    async def counted(self: Any, *words: Any) -> None:
        asked.append(1)
        await reclaim(self, *words)

    async def rescue_when_both_asked(self: Any, *words: Any) -> Any:
        told = stage.kinds(events.AgentFailed)
        crashed = len(told)
        while crashed == 1 or (crashed == 2 and len(asked) < BEGINNING + 2):
            await trio.lowlevel.checkpoint()
            crashed = len(stage.kinds(events.AgentFailed))
        return await rescue(self, *words)

    monkeypatch.setattr(agent, "run_agent", crash_together)
    monkeypatch.setattr(Returning, "reclaim", counted)
    monkeypatch.setattr(Keeper, "attempt", rescue_when_both_asked)
    tree = await stage.run(FLOW)
    assert {"the agent's own" in item.error.message for item in tree.ledger.state.items.values()} == {True}
    given = Counter((event.slot, event.agent_id) for event in stage.kinds(events.WorktreeReleased))
    assert len(given) == 4
    assert set(given.values()) == {1}


async def test_a_lease_that_was_told_when_its_service_crashed_counts(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of it is not on disk yet when the service comes up again; the worktree is not taken away."""
    crashed, up_again = list[int](), threading.Event()
    sync, recover = FileSegment.sync, Slots.recover

    async def tell_and_crash(recorder: RecorderRef, event: AnyEvent) -> int:
        if isinstance(event, events.WorktreeLeased) and not crashed:
            crashed.append(1)
            await recorder.tell(Note(event))
            raise RuntimeError("put in by the test")
        return await record(recorder, event)

    async def recovering(self: Any) -> None:
        if crashed:
            up_again.set()
        await recover(self)

    def slow(self: FileSegment) -> None:
        if crashed:
            assert up_again.wait(PATIENCE)
        sync(self)

    monkeypatch.setattr(slots, "record", tell_and_crash)
    monkeypatch.setattr(Slots, "recover", recovering)
    monkeypatch.setattr(FileSegment, "sync", slow)
    tree = await stage.run(FLOW)
    assert crashed
    assert (tree.ledger.problem, tree.ledger.state.merge) == (None, "merged")
    assert not stage.kinds(events.AgentFailed)
    assert stage.git("show", "main:all").split() == ["a.txt", "b.txt", "c.txt", "d.txt"]
    [down] = stage.kinds(events.ChildDown)
    assert "put in by the test" in down.reason
    held = Counter((event.slot, event.agent_id) for event in stage.kinds(events.WorktreeLeased))
    assert set(held.values()) == {1}


async def test_slots_that_are_kept_hold_no_place_after_their_service_crashed(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hold what could not be rescued, and two agents may work at a time: there are slots for the others."""
    refused, released, leases = list[str](), list[int](), list[int]()
    rescue, release, lease = Keeper.attempt, Slots.release, Workspaces._lease

    async def refuse(self: Any, path: str, *words: Any) -> Any:
        if len(refused) < 2:
            refused.append(path)
            raise RunError("rescue-failed", "put in by the test")
        return await rescue(self, path, *words)

    async def counted(self: Any, *words: Any) -> None:
        await release(self, *words)
        released.append(1)

    async def crash_when_both_are_kept(self: Any, *words: Any) -> Any:
        leases.append(1)
        if len(leases) == 3:
            while len(released) < 2:
                await trio.lowlevel.checkpoint()
            raise RuntimeError("put in by the test")
        return await lease(self, *words)

    monkeypatch.setattr(Keeper, "attempt", refuse)
    monkeypatch.setattr(Slots, "release", counted)
    monkeypatch.setattr(Workspaces, "_lease", crash_when_both_are_kept)
    with trio.fail_after(PATIENCE):
        tree = await stage.run(
            FLOW.replace("echo ${item} >", "case ${item} in a|b) exit 1;; esac; echo ${item} >")
        )
    state = tree.ledger.state
    [down] = stage.kinds(events.ChildDown)
    assert "put in by the test" in down.reason
    assert (state.counts["failed"], state.counts["done"]) == (2, 2)
    assert len(refused) == len(state.leases) == 2
