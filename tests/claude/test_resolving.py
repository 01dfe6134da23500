"""A conflict between two agents that the real CLI resolves, by the prompt that Prodigy brings along."""

import json
import re

import pytest
from fakes.messages_api import MessagesApi, Reply, Request, Scenario, Usage, bash
from worlds import World

BOTH = (
    "{ git show HEAD:shared.txt; git show MERGE_HEAD:shared.txt; } | sort -u > both;"
    " mv both shared.txt; git add shared.txt; git commit -q --no-edit"
)


def work(request: Request) -> Reply:
    """An agent writes the name of its item; whoever is asked to finish a merge resolves it.

    The CLI tells the model the latest commits before it tells the prompt.
    """
    if "A merge has been begun" in request.prompt:
        return Reply("I resolve.", [bash(BOTH)], Usage(7000, 300))
    *_, item = re.findall(r"do item (\w) please", request.prompt)
    return Reply(tools=[bash(f"echo {item} > shared.txt")])


def test_both_sides_are_merged_and_paid_for(world: World, api: MessagesApi) -> None:
    world.write("shared.txt", "start\n")
    world.commit()
    api["default"] = Scenario([work, Reply("Done.")], by_turn=True)
    phase = {
        "input": {"list": ["a", "b"]},
        "max_parallel": 2,
        "agent_template": [{"claude": "do item ${item} please"}],
    }
    flow = json.dumps({"mode": "mapreduce", "on_conflict": "claude", "map": phase})
    report = world.json("run", world.workflow(flow), "-y")
    assert (report["status"], report["items"]["done"]) == ("completed", 2)
    assert (world.repository / "shared.txt").read_text() == "a\nb\n"
    [conflict] = world.events("merge_conflicted")
    assert (conflict["policy"], conflict["paths"]) == ("claude", ["shared.txt"])
    [resolved] = world.events("conflict_resolved")
    assert world.git("rev-list", "--parents", "-1", resolved["commit"]).count(" ") == 2
    assert any("Files in conflict: shared.txt" in entry.request.prompt for entry in api.ledger)
    assert report["cost"]["usd"] == pytest.approx(api.cost())
    assert report["cost"]["launches"] == len(api.sessions()) == 3
    assert world.leftovers() == []
