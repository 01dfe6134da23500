"""The end of a run heals as well: crashes between question, steps, verification and merge cost nothing."""

from typing import Any

import pytest
from crashes import crash_once

from prodigy import events
from prodigy.actors.finish import Conductor
from prodigy.actors.merger import Merger
from prodigy.actors.phase import MergeActor, VerifyActor
from prodigy.actors.workspaces import Workspaces

FLOW = """
commands: [{shell: echo one > a.txt}]
merge: [{shell: echo two >> b.txt}]
verify: [{shell: cat a.txt b.txt}]
"""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("where", "method"),
    [
        (MergeActor, "roots"),
        (MergeActor, "body"),
        (VerifyActor, "body"),
        (Workspaces, "_open_scratch"),
        (Workspaces, "_close_scratch"),
        (Merger, "_foresee"),
        (Conductor, "_merge_steps"),
        (Conductor, "_verify"),
    ],
)
async def test_a_crash_costs_nothing(
    stage: Any, monkeypatch: pytest.MonkeyPatch, where: type[Any], method: str, after: bool
) -> None:
    calls = crash_once(monkeypatch, where, method, after=after)
    tree = await stage.run(FLOW)
    assert calls
    assert tree.ledger.problem is None
    assert tree.ledger.state.merge == "merged"
    assert stage.git("show", "main:b.txt") == "two"
    completed = [event.phase for event in stage.kinds(events.PhaseCompleted)]
    assert [*dict.fromkeys(completed)] == ["steps", "merge", "verify"]
    assert completed.count("merge") == 1, "looking twice at the merged tree does no harm, merge steps may"
    assert stage.git("branch", "--list", "prodigy-*") == ""
    assert stage.git("worktree", "list", "--porcelain").count("worktree ") == 1
