"""``prodigy ps`` of real runs: who is there, by its own word and without it."""

import os
import signal
from typing import Any

from worlds import PATIENCE, World, eventually

FLOW = """
name: tidy
mode: mapreduce
map:
  input: {{list: [one, two]}}
  item_id: "${{item}}"
  max_parallel: 2
  agent_template:
    - shell: 'echo begun; touch "{place}/at-${{item}}"; while ! test -e "{place}/gate"; do sleep 0.05; done'
"""


def test_a_live_run_from_outside(world: World) -> None:
    """Its actors, its workers, its agents with their processes; where it does not answer, all but the actors."""
    flow = world.workflow(FLOW.format(place=world.folder))
    run = world.start("run", flow, "--no-merge")
    eventually(lambda: all((world.folder / f"at-{name}").exists() for name in ("one", "two")))

    def answered() -> list[Any]:
        """A run that is slow to answer counts as one that does not; that a process was started is told a little later."""
        found = [one for one in world.json("ps")["runs"] if one["source"] == "socket"]
        known = [agent for one in found for worker in one["workers"] for agent in worker["agents"]]
        return found if [agent["pid"] is not None for agent in known] == [True, True] else []

    [told] = eventually(answered)
    assert (told["pid"], told["run"]["status"]) == (run.pid, "running")
    assert [actor["name"] for actor in told["actors"]] == ["recorder", "hosts", "services", "crew", "run"]
    [crew] = [actor for actor in told["actors"] if actor["name"] == "crew"]
    assert {"agent-0-1", "agent-1-1"} <= {actor["name"] for actor in crew["children"]}
    agents = {agent["item_id"]: agent for worker in told["workers"] for agent in worker["agents"]}
    assert agents.keys() == {"one", "two"}
    for agent in agents.values():
        assert os.path.exists(f"/proc/{agent['pid']}")  # noqa: PTH110 - a process, not a path
        assert agent["load"]["processes"] >= 1
        assert agent["load"]["rss"] > 0
        assert agent["idle_ms"] is not None

    def shown() -> str:
        said = world.prodigy("ps", "latest", "--tree").stdout
        return said if "agent-0-1 one  step 1 " in said else ""

    tree = eventually(shown)
    assert tree.splitlines()[0].startswith("run ")

    os.kill(run.pid, signal.SIGSTOP)
    try:
        [silent] = world.json("ps")["runs"]
        assert (silent["source"], silent["actors"]) == ("journal", [])
        known = {agent["item_id"]: agent for worker in silent["workers"] for agent in worker["agents"]}
        assert {item: agent["pid"] for item, agent in known.items()} == {
            item: agent["pid"] for item, agent in agents.items()
        }, "by whom their processes descend from"
    finally:
        os.kill(run.pid, signal.SIGCONT)
    (world.folder / "gate").touch()
    run.communicate(timeout=PATIENCE)
    assert run.returncode == 0
    assert world.json("ps")["runs"] == []
    for name in ("latest", told["run"]["stem"]):
        said = world.prodigy("ps", name)
        assert said.returncode == 1
        assert "error: not-running" in said.stderr
    assert not list((world.home / "run").iterdir())


def test_what_a_killed_run_leaves_goes_when_somebody_looks(world: World) -> None:
    flow = world.workflow(FLOW.format(place=world.folder))
    run = world.start("run", flow, "--no-merge")
    eventually(lambda: (world.folder / "at-one").exists() and list((world.home / "run").iterdir()))
    run.kill()
    run.communicate(timeout=PATIENCE)
    assert list((world.home / "run").iterdir())
    assert world.json("ps")["runs"] == []
    assert not list((world.home / "run").iterdir())
