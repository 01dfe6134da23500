"""Attempts that end in the middle of a step: what is told of them names that step, its logs and its Claude."""

import json
import os
import signal
from pathlib import Path

from worlds import World, eventually

FAKES = Path(__file__).parents[1] / "fakes"


def test_an_agent_whose_time_is_up_names_the_step_it_was_at(world: World) -> None:
    flow = """
    mode: mapreduce
    grace: 100ms
    map:
      input: {list: [a]}
      agent_timeout: 2s
      agent_template: [{foreach: [x], do: [{shell: echo begun; sleep 300}]}]
    """
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 1
    [failed] = world.events("agent_failed")
    error = failed["error"]
    assert (error["class"], error["step"]) == ("timeout", "1.foreach[0].1")
    assert error["stdout_tail"] == "begun\n"
    assert [Path(log).suffix for log in error["logs"]] == [".out", ".err"]
    [letter] = world.json("dlq", "show", "latest")["items"]
    assert letter["failure_history"][0]["step_failed"] == "1.foreach[0].1"


def test_an_attempt_that_lost_its_worker_names_the_claude_it_ran(world: World) -> None:
    log, gate = world.folder / "claude.log", world.folder / "gate"
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(log),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    flow = f"""
    mode: mapreduce
    map:
      input: {{list: [a]}}
      agent_template:
        - claude: /say first
        - claude: "/sh until test -e {gate}; do sleep 0.05; done"
    """
    with world.start("run", world.workflow(flow), "-y") as running:
        eventually(lambda: log.exists() and len(log.read_text().splitlines()) == 2)
        launched = eventually(
            lambda: [event for event in world.events("step_spawned") if event.get("claude_session")][1:]
        )
        os.kill(launched[0]["worker"], signal.SIGKILL)
        gate.touch()  # for the next attempt
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    [interrupted] = world.events("agent_interrupted")
    launches = [json.loads(line)["options"] for line in log.read_text().splitlines()]
    assert not world.events("agent_failed")
    [cut_off] = world.events("claude_cut_off")
    assert (cut_off["item_id"], cut_off["step"]) == (interrupted["item_id"], "2")
    conversation = launches[1]["--session-id"]
    assert Path(cut_off["claude"]["json_log_location"]).stem == conversation
    assert [launch.get("--resume") for launch in launches] == [None, None, conversation]
