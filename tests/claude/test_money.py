"""What the real CLI may spend, against a server that has a price for each reply."""

import json
import os
import signal

import pytest
from fakes.messages_api import Fault, MessagesApi, Reply, Scenario, Tool, Usage, bash
from worlds import PATIENCE, World, eventually

REPLY = Usage(10_000, 500)
PRICE = REPLY.cost("opus")
"""US dollars of a reply."""
PARALLEL = 3
AGENT = Scenario([*[Reply("I work.", [bash("echo on")], REPLY)] * 4, Reply("Done.", usage=REPLY)])


def flow(**options: object) -> str:
    work = {"claude": "[[work]] ${item}", **options}
    items = {"input": {"list": list("abcdef")}, "max_parallel": PARALLEL, "agent_template": [work]}
    return json.dumps({"mode": "mapreduce", "map": items})


def test_a_cap_is_passed_by_one_reply_of_each_agent_at_most(world: World, api: MessagesApi) -> None:
    """With more money it goes on to the end, and the bill is the server's.

    A conversation that is stopped at its very last reply says one more when it goes on; no other is bought twice.
    """
    api["work"] = AGENT
    cap = 0.62
    done = world.prodigy("run", world.workflow(flow()), "-y", "--budget", f"usd={cap}", timeout=300)
    assert done.returncode == 1, done.stderr
    assert "budget-exhausted" in done.stderr
    assert cap * 0.9 <= api.cost() <= cap + PARALLEL * PRICE
    [stopped] = world.json("status")["resumable"]
    assert (stopped["status"], stopped["exhausted"]) == ("budget-exhausted", "usd")
    assert stopped["cost_usd"] == pytest.approx(api.cost())

    report = world.json("resume", "latest", "-y", "--budget", "usd=5")
    assert (report["status"], report["items"]["done"]) == ("completed", 6)
    assert report["cost"]["usd"] == pytest.approx(api.cost())
    stopped_at_the_end = sum(event["reason"] == "budget" for event in world.events("claude_parked"))
    assert stopped_at_the_end <= PARALLEL
    assert api.cost() <= (30 + stopped_at_the_end) * PRICE + 1e-9
    [by_model] = report["cost"]["by_model"]
    assert (by_model["model"], by_model["usd"]) == ("claude-opus-5-5", pytest.approx(api.cost()))
    replies = len(api.ledger)
    assert report["cost"]["tokens"] == {
        "input": replies * 10_000,
        "output": replies * 500,
        "cache_read": 0,
        "cache_creation": 0,
    }


def test_a_subagent_of_another_model(world: World, api: MessagesApi) -> None:
    """Each model is booked what the server charged for it: in a launch that is killed, and in the one that goes on."""
    helper = {"description": "look", "prompt": "[[helper]] look", "subagent_type": "general-purpose"}
    ask = Tool("Agent", {**helper, "model": "sonnet"})
    gate = world.folder / "gate"
    wait = f"until test -e {gate}; do python3 -c 'import time; time.sleep(0.1)'; done"
    api["helper"] = Scenario([Reply("I look.", usage=Usage(3000, 300, 70, 9))])
    api["lead"] = Scenario(
        [Reply("I ask.", [ask], Usage(5000, 700)), Reply("I wait.", [bash(wait)], REPLY), Reply("Done.")],
        by_turn=True,
    )
    started = world.start("run", world.workflow('[{"claude": "[[lead]]"}]'), "--no-merge")
    api.await_requests(3)
    projects = world.folder / "claude/projects"
    eventually(lambda: any("I wait." in log.read_text() for log in projects.glob("*/*.jsonl")))
    started.kill()
    started.communicate(timeout=PATIENCE)
    world.at_rest()
    gate.touch()
    api["lead"] = Scenario([Reply("I ask again.", [ask]), Reply("Done.")])
    report = world.json("resume", "latest", "--no-merge")
    assert (report["status"], report["cost"]["launches"]) == ("completed", 2)
    charged: dict[str, float] = {}
    used: dict[str, int] = {}
    for entry in api.ledger:
        assert isinstance(entry.act, Reply)
        charged[entry.request.model] = charged.get(entry.request.model, 0) + entry.cost
        used[entry.request.model] = used.get(entry.request.model, 0) + sum(entry.act.usage)
    assert charged.keys() == {"claude-opus-5-5", "claude-sonnet-5-5"}
    told = report["cost"]["by_model"]
    assert {one["model"]: one["usd"] for one in told} == pytest.approx(charged)
    assert {one["model"]: one["tokens"] for one in told} == used
    assert report["cost"]["usd"] == pytest.approx(api.cost())


def test_the_cap_of_a_step(world: World, api: MessagesApi) -> None:
    """It is the step's own: reaching it fails the step, with no more than one reply beyond it."""
    api["work"] = AGENT
    steps = [{"claude": "[[work]] a", "claude_options": {"max_budget_usd": 0.12}}]
    done = world.prodigy("run", world.workflow(json.dumps(steps)), "--no-merge")
    assert done.returncode == 1
    [failed] = world.events("step_failed")
    assert failed["claude"]["terminal_reason"] == "budget_exhausted"
    assert failed["claude"]["cost_usd"] == pytest.approx(api.cost())
    assert 0.12 <= api.cost() <= 0.12 + PRICE
    assert not world.events("claude_parked")


@pytest.mark.parametrize("victim", ["claude", "worker", "coordinator"])
def test_a_reply_that_was_on_its_way_is_paid(world: World, api: MessagesApi, victim: str) -> None:
    """Whoever is killed while it is written: its input to the token, its output by what had come."""
    cut = Usage(30_000, 1, 7000, 800)
    words = "word " * 1800
    api["work"] = [Reply("I begin.", [bash("echo on")], REPLY), Fault("hang", True, cut, words)]
    started = world.start("run", world.workflow(flow_of_one()), "-y", "--json")
    api.await_requests(2)
    spawned = eventually(lambda: next(iter(world.events("step_spawned")), None))
    log = next(world.folder.rglob("*-claude.out"))
    eventually(lambda: '"shown":9000' in log.read_text())
    api["work"] = [Reply("Done.")]
    pids = {"claude": spawned["pid"], "worker": spawned["worker"], "coordinator": started.pid}
    os.kill(pids[victim], signal.SIGKILL)
    said, _ = started.communicate(timeout=PATIENCE)
    report = world.json("resume", "latest", "-y") if victim == "coordinator" else json.loads(said)
    assert report["status"] == "completed"
    on_its_way = cut._replace(output=len(words) // 3).cost("opus")
    assert report["cost"]["usd"] == pytest.approx(api.cost() + on_its_way)
    assert report["cost"]["estimated_usd"] == pytest.approx(PRICE + on_its_way)


def flow_of_one() -> str:
    policy = {"retry_config": {"attempts": 3, "backoff": "fixed", "initial_delay": "10ms"}}
    phase = {"input": {"list": ["a"]}, "agent_template": [{"claude": "[[work]] ${item}"}]}
    return json.dumps({"mode": "mapreduce", "map": phase, "error_policy": policy})
