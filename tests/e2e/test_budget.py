"""Runs that may spend so much and no more: they stop in order, and go on with a higher cap."""

import json
import re
from pathlib import Path

import pytest
from worlds import World

FAKES = Path(__file__).parents[1] / "fakes"
REPLY = 0.10

FLOW = """
mode: mapreduce
map:
  input: {list: [a, b, c, d, e, f]}
  max_parallel: 2
  agent_template:
    - claude: |
        /replies 2 0.10
        /sh echo ${item} > ${item}.txt
"""


@pytest.fixture
def priced(world: World) -> World:
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(world.folder / "claude.log"),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    return world


def launches(world: World) -> list[dict[str, str]]:
    log = world.folder / "claude.log"
    return [json.loads(line)["options"] for line in log.read_text().splitlines()]


def bill(world: World) -> float:
    """What the conversations cost by their own logs."""
    files = (world.folder / "claude").glob("projects/*/*.jsonl")
    return REPLY * sum(file.read_text().count('"type": "assistant"') for file in files)


def test_a_run_stops_at_its_budget_and_goes_on_with_a_higher_one(priced: World) -> None:
    done = priced.prodigy("run", priced.workflow(FLOW), "-y", "--budget", "usd=0.75")
    assert done.returncode == 1, done.stderr
    assert "budget-exhausted" in done.stderr
    assert priced.json("status")["resumable"][0]["status"] == "budget-exhausted"
    assert bill(priced) <= 0.75 + 2 * REPLY
    assert all(float(launch["--max-budget-usd"]) <= 0.75 + REPLY for launch in launches(priced))
    [stopped] = priced.json("status")["resumable"]
    assert stopped["budget"]["usd"] == 0.75
    assert stopped["cost_usd"] == pytest.approx(bill(priced))
    assert f"${bill(priced):.2f} of $0.75" in priced.prodigy("status").stdout
    assert (stopped["exhausted"], stopped["next"]) == (
        "usd",
        f"prodigy resume {stopped['stem'][-6:]} --budget usd=…",
    )
    assert stopped["next"] in priced.prodigy("status").stdout
    assert stopped["next"] in done.stderr
    assert re.search(r"all 6 items cost about \$\d\.\d\d", done.stderr)
    told = priced.prodigy("report", "latest").stdout
    assert "budget-exhausted" in told
    assert not re.search(r"^\w+ +running", told, re.MULTILINE), "nothing runs in a run that has stopped"
    report = priced.json("resume", "latest", "-y", "--budget", "usd=5")
    assert report["cost"]["budget"]["usd"] == 5
    [step] = report["cost"]["by_step"]
    assert (step["phase"], step["step"], step["usd"]) == ("map", "1", pytest.approx(1.20))
    assert (report["status"], report["items"]["done"]) == ("completed", 6)
    assert report["cost"]["usd"] == pytest.approx(1.20)
    assert bill(priced) == pytest.approx(1.20)
    assert [event["charged_to"] for event in priced.events("agent_retrying")] == []
    assert {f"{name}.txt" for name in "abcdef"} <= {file.name for file in priced.repository.iterdir()}


def test_a_conversation_that_outgrows_its_reserve_goes_on_in_the_same_step(priced: World) -> None:
    flow = """
    - claude: /replies 1 0.10
    - claude: /replies 5 0.10
    """
    done = priced.prodigy("run", priced.workflow(flow), "-y", "--budget", "usd=5")
    assert done.returncode == 0, done.stderr
    parked = priced.events("claude_parked")
    assert parked
    assert {event["reason"] for event in parked} == {"budget"}
    second = {event["session_id"] for event in priced.events("claude_intended") if event["step"] == "2"}
    assert len(second) == 1
    assert bill(priced) == pytest.approx(0.6)


def test_launches_are_counted(priced: World) -> None:
    done = priced.prodigy("run", priced.workflow(FLOW), "-y", "--budget", "launches=4,soft=1")
    assert done.returncode == 1
    assert len(launches(priced)) == 4
    [exhausted] = priced.events("budget_exhausted")
    assert (exhausted["kind"], exhausted["used"], exhausted["cap"]) == ("launches", 4, 4)
    assert priced.prodigy("resume", "latest", "-y", "--budget", "launches=6").returncode == 0
    assert len(launches(priced)) == 6


def test_at_the_soft_limit_what_runs_comes_to_its_end(priced: World) -> None:
    done = priced.prodigy("run", priced.workflow(FLOW), "-y", "--budget", "usd=40,soft=0.01")
    assert done.returncode == 1
    [warned] = priced.events("budget_warned")
    assert warned["cap"] == 40
    begun = {event["item_id"] for event in priced.events("agent_started")}
    ended = {event["item_id"] for event in priced.events("agent_completed")}
    assert begun == ended
    assert 2 <= len(begun) < 6


@pytest.mark.parametrize("wall", ["2s", "1ms"], ids=["while a step runs", "before a step runs"])
def test_the_time_of_a_run_is_bounded(priced: World, wall: str) -> None:
    flow = f"""
    budget: {{wall: {wall}}}
    commands: [shell: sleep 600]
    """
    done = priced.prodigy("run", priced.workflow(flow), "-y")
    assert done.returncode == 1
    [exhausted] = priced.events("budget_exhausted")
    assert exhausted["kind"] == "wall"


def test_a_bound_that_is_none(world: World) -> None:
    done = world.prodigy("run", world.workflow("- shell: 'true'"), "--budget", "euro=5")
    assert done.returncode == 2
    assert "euro=5" in done.stderr


def test_what_comes_after_the_phases_fails_without_money(priced: World) -> None:
    flow = """
    commands: [{claude: /replies 1 0.10}]
    on_success: [{claude: /replies 1 0.10}]
    """
    done = priced.prodigy("run", priced.workflow(flow), "-y", "--budget", "launches=1,soft=1")
    assert done.returncode == 0, done.stderr
    [failed] = priced.events("phase_failed")
    assert (failed["phase"], len(launches(priced))) == ("on_success", 1)


def test_a_merge_that_had_no_money_is_made_with_more(priced: World) -> None:
    flow = {"commands": [{"claude": "/sh echo one > one.txt"}], "merge": [{"claude": "/say merged"}]}
    done = priced.prodigy("run", priced.workflow(json.dumps(flow)), "-y", "--budget", "launches=1")
    tail = priced.events("job_started")[0]["job_id"][-6:]
    assert done.returncode == 1
    assert f"`prodigy resume {tail} --budget …` gives more" in done.stderr
    assert priced.prodigy("worktree", "merge", "-y").returncode == 1, "it still has none"
    done = priced.prodigy("resume", tail, "-y", "--budget", "launches=2")
    assert done.returncode == 0, done.stderr
    assert len(launches(priced)) == 2
    assert "one.txt" in priced.git("ls-tree", "--name-only", "main")


def test_what_a_retry_of_dead_letters_may_spend(priced: World) -> None:
    """Its cap is of the whole job, and more than the workflow's."""
    gate = priced.folder / "gate"
    flow = f"""
    mode: mapreduce
    budget: {{launches: 2}}
    map:
      input: {{list: [a, b]}}
      agent_template:
        - shell: test -e {gate} || exit 1
        - claude: /replies 1 0.10
        - claude: /replies 1 0.10
    """
    assert priced.prodigy("run", priced.workflow(flow), "--no-merge").returncode == 1
    gate.touch()
    done = priced.prodigy("dlq", "retry", "latest", "-y", "--budget", "launches=3,soft=1")
    assert done.returncode == 1, done.stderr
    assert "3 of 3 launches used" in done.stderr
    assert len(launches(priced)) == 3
    assert priced.json("resume", "latest", "-y", "--budget", "launches=8")["status"] == "completed"
    assert len(launches(priced)) == 4
