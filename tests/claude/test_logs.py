"""`prodigy logs` over what the real CLI writes."""

import json

from fakes.messages_api import MessagesApi, Reply, Scenario, Usage, bash
from worlds import PATIENCE, World, eventually

SCENARIO = Scenario(
    [Reply("I try.", [bash("echo oops >&2; exit 3")], Usage(1000, 100)), Reply("It failed.")], by_turn=True
)


def test_the_logs_of_a_run(world: World, api: MessagesApi) -> None:
    api["try"] = SCENARIO
    flow = '[{"shell": "echo hello"}, {"claude": "[[try]]"}]'
    assert world.prodigy("run", world.workflow(flow), "--no-merge").returncode == 0
    [use] = [event["claude"] for event in world.events("step_completed") if event.get("claude")]
    log = use["json_log_location"]

    assert world.prodigy("logs", "--latest").stdout.strip() == log
    document = world.json("logs")
    assert document["schema"] == "prodigy.logs/1"
    [listed] = document["logs"]
    assert (listed["path"], listed["ok"], listed["step"]) == (log, True, "2")
    assert (listed["tokens"], listed["cost_usd"]) == (2150, use["cost_usd"])
    assert world.prodigy("logs", use["session_id"][:13], "--paths").stdout.strip() == log
    assert world.prodigy("logs", "--all", "--paths").stdout.strip() == log
    shell = world.prodigy("logs", "latest", "--kind", "shell", "--step", "1", "--paths").stdout.split()
    assert [path.rpartition("/")[2] for path in shell] == ["01-shell.out", "01-shell.err"]

    summary = world.json("logs", "latest", "--summary")
    assert summary["tools"] == {"Bash": 1}
    assert summary["tool_errors"] == 1
    assert summary["content"]["tool_result"] == 1
    assert (summary["first_text"], summary["last_text"]) == ("I try.", "It failed.")
    assert round(summary["cost_usd"], 9) == round(api.cost(), 9)

    assert world.json("logs", "--latest", "--summary") == summary

    told = world.prodigy("logs", "--latest", "--tail").stdout.splitlines()
    assert told[0] == "I try."
    assert told[1].endswith("Bash echo oops >&2; exit 3")
    assert "Exit code 3" in told[2]
    assert told[3] == "It failed."
    raw = world.prodigy("logs", "latest", "--tail", "--jsonl").stdout.splitlines()
    assert all(json.loads(line)["type"] for line in raw)


def test_following_a_launch(world: World, api: MessagesApi) -> None:
    """What Claude says comes while it works, and the verb ends when the step does."""
    gate = world.folder / "gate"
    wait = f"until test -e {gate}; do python3 -c 'import time; time.sleep(0.1)'; done"
    api["wait"] = Scenario([Reply("I wait.", [bash(wait)]), Reply("It is open.")], by_turn=True)
    run = world.start("run", world.workflow('[{"claude": "[[wait]]"}]'), "--no-merge")
    api.await_requests(1)
    eventually(lambda: world.prodigy("logs", "--latest").returncode == 0)
    tail = world.start("logs", "latest", "--tail")
    assert tail.stdout is not None
    assert tail.stdout.readline() == "I wait.\n"
    gate.touch()
    assert "It is open." in tail.stdout.read()
    assert tail.wait(PATIENCE) == 0
    assert run.communicate(timeout=PATIENCE) is not None
    assert run.returncode == 0
    tail.communicate()


def test_what_claude_does_is_told(world: World, api: MessagesApi) -> None:
    """At `-v`, or where the environment asks for it, whoever else is quiet; lines of agents begin with their item."""
    api["try"] = SCENARIO
    flow = {"mode": "mapreduce", "map": {"input": "items.json", "agent_template": [{"claude": "[[try]]"}]}}
    world.write("items.json", '["a"]')
    world.commit()
    path = world.workflow(json.dumps(flow))
    said = world.prodigy("run", path, "--no-merge", "-v").stderr.splitlines()
    [use] = [event["claude"] for event in world.events("step_completed") if event.get("claude")]
    told = [line for line in said if line.startswith("[a] ")]
    log = use["json_log_location"].replace(world.environ["HOME"], "~")
    lines = [
        "I try.",
        "  → Bash echo oops >&2; exit 3",
        "  ❌ Exit code 3",
        "It failed.",
    ]
    assert [line for line in told if line.removeprefix("[a] ") in lines] == [f"[a] {line}" for line in lines]
    assert told.count(f"[a] Claude JSON log: {log}") == 1
    assert any("2 turns" in line for line in told)

    world.environ["PRODIGY_CLAUDE_CONSOLE_OUTPUT"] = "true"
    assert "[a] I try." in world.prodigy("run", path, "--no-merge", "-q").stderr.splitlines()
    del world.environ["PRODIGY_CLAUDE_CONSOLE_OUTPUT"]
    assert "I try." not in world.prodigy("run", path, "--no-merge").stderr
