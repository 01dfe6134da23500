"""Many real agents side by side: everything is merged, everything is paid for, every log is there."""

import json
import re
from pathlib import Path

import pytest
from fakes.messages_api import MessagesApi, Reply, Request, Scenario, Tool, Usage, bash
from worlds import World

ITEMS = 40


def write(request: Request) -> Reply:
    """Each agent has a file, a price and a number of its own."""
    number = int(re.search(r"Your number is (\d+)", request.prompt)[1])  # type: ignore[index]
    path = f"{request.folder}/f{number}.txt"
    usage = Usage(1000 + 7 * number, 50 + number, 11 * number, 3 * number)
    return Reply("I write.", [Tool("Write", {"file_path": path, "content": f"{number}\n"})], usage)


def commit(request: Request) -> Reply:
    return Reply(tools=[bash("git add --all && git commit -q -m 'by claude'")], usage=Usage(2000, 60))


def test_forty_agents(world: World, api: MessagesApi) -> None:
    api["agent"] = Scenario([write, commit, Reply("Done.")], by_turn=True)
    template = [{"claude": "[[agent]] Your number is ${item.n}.", "commit_required": True}]
    flow = {
        "mode": "mapreduce",
        "setup": [
            {
                "shell": f"""seq 1 {ITEMS} | sed 's/.*/{{"n": &}}/' | paste -sd, | sed 's/.*/[&]/' > items.json"""
            }
        ],
        "map": {"input": "items.json", "max_parallel": 8, "agent_template": template},
    }
    done = world.prodigy("run", world.workflow(json.dumps(flow)), "-y", "--json", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    numbers = {path.name for path in world.repository.glob("f*.txt")}
    assert numbers == {f"f{n}.txt" for n in range(1, ITEMS + 1)}
    merged = [event for event in world.events("worktree_merged") if event["what"] == "agent"]
    assert len(merged) == ITEMS
    assert world.git("log", "--format=%s").splitlines().count("by claude") == ITEMS
    uses = [event["claude"] for event in world.events("step_completed") if event.get("claude")]
    assert len(uses) == len(api.sessions()) == ITEMS
    for use in uses:
        assert use["cost_usd"] == pytest.approx(api.cost(use["session_id"]), abs=1e-9)
        assert Path(use["json_log_location"]).is_file()
    assert report["cost"]["usd"] == pytest.approx(api.cost(), abs=1e-6)
    assert all(Path(item["json_log_location"]).is_file() for item in world.events("agent_completed"))
    assert world.leftovers() == []
