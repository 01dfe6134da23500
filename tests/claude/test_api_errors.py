"""What the API refuses, and how a connection can misbehave: each is a failure that says what it was.

The cases of a test are items of one run.
"""

import json
from collections.abc import Mapping
from typing import Any

from fakes.messages_api import Fault, MessagesApi, Refusal, Reply, Step
from worlds import World

REFUSALS: Mapping[str, tuple[Refusal, str]] = {
    "400": (Refusal(400, "max_tokens: too large"), "max_tokens: too large"),
    "500": (Refusal(500), "Internal server error"),
}
PASSING: Mapping[str, Step] = {
    "429": Refusal(429, headers={"retry-after": "1"}),
    "429-bare": Refusal(429),
    "529": Refusal(529),
    "reset": Fault("reset"),
    "reset-mid": Fault("reset", mid=True),
    "error-mid": Fault("error", mid=True),
}


def run(world: World, names: Mapping[str, Any], **options: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    """One item for each name, which is its scenario; what was said, and how the Claude step of each ended."""
    world.write("names.json", json.dumps(list(names)))
    world.commit()
    template = [{"claude": "do it [[${item}]]", **options}]
    flow = {
        "mode": "mapreduce",
        "map": {"input": "names.json", "max_parallel": 4, "agent_template": template},
    }
    done = world.prodigy("run", world.workflow(json.dumps(flow)), "--no-merge", "-v")
    assert done.returncode in {0, 1}, done.stderr
    items = {event["item_id"]: event["item"] for event in world.events("item_selected")}
    kinds = {"step_completed", "step_failed"}
    ended = [event for event in world.events() if event["event_type"] in kinds]
    return done.stderr, {items[event["item_id"]]: event for event in ended}


def test_refusals(world: World, api: MessagesApi) -> None:
    """Each fails its item with the API's words and status; nothing is charged, and the log is named."""
    for name, (refusal, _) in REFUSALS.items():
        api[name] = [refusal]
    world.environ["CLAUDE_CODE_MAX_RETRIES"] = "1"
    said, ended = run(world, REFUSALS)
    assert ended.keys() == REFUSALS.keys()
    for name, (refusal, told) in REFUSALS.items():
        error, use = ended[name]["error"], ended[name]["claude"]
        assert error["class"] == "claude-error", name
        assert told in error["message"], name
        assert use["api_error_status"] == refusal.status, name
        assert use.get("cost_usd", 0) == 0, name
        assert use["json_log_location"] in said.replace("~", world.environ["HOME"]), name


def test_what_passes_is_retried_by_the_cli(world: World, api: MessagesApi) -> None:
    for name, fault in PASSING.items():
        api[name] = [fault, Reply("Better now.")]
    _, ended = run(world, PASSING)
    assert [event["stdout"]["tail"] for event in ended.values()] == ["Better now."] * len(PASSING)
    assert len(api.ledger) == 2 * len(PASSING)


def test_the_cli_gives_up_after_few_retries(world: World, api: MessagesApi) -> None:
    """Left alone, it would go on for minutes."""
    api["500"] = [Refusal(500)]
    _, ended = run(world, {"500": None})
    assert ended["500"]["error"]["message"].startswith("Claude failed: API Error")
    assert len(api.ledger) == 3


def test_a_rate_limit_parks_the_conversation(world: World, api: MessagesApi) -> None:
    """The CLI does not wait for an hour; its conversation goes on after the pause, and no attempt is charged."""
    api["429"] = [Refusal(429, headers={"retry-after": "3600"}), Reply("Better now.")]
    said, ended = run(world, {"429": None})
    assert ended["429"]["stdout"]["tail"] == "Better now.", said
    [parked] = world.events("claude_parked")
    assert (parked["reason"], parked["claude"]["api_error_status"]) == ("quota", 429)
    begun, again = world.events("claude_intended")
    assert begun["session_id"] == again["session_id"] == ended["429"]["claude"]["session_id"]
    assert again["resumes"]
    assert len(api.ledger) == 2
    assert len(world.events("quota_blocked")) == 1
    assert world.events("quota_cleared")
    assert not world.events("agent_failed")


def test_silence(world: World, api: MessagesApi) -> None:
    """The CLI would wait for minutes; `idle_timeout` ends it."""
    api["before"], api["mid"] = [Fault("hang")], [Fault("hang", mid=True)]
    _, ended = run(world, {"before": None, "mid": None}, idle_timeout="10s")
    for event in ended.values():
        assert event["error"]["class"] == "timeout"
        assert event["error"]["message"] == "Silent for 10 s"
        assert event["claude"]["json_log_location"]


def test_a_connection_that_is_always_torn_down(world: World, api: MessagesApi) -> None:
    api["reset"] = [Fault("reset", mid=True)]
    world.environ["CLAUDE_CODE_MAX_RETRIES"] = "0"
    _, ended = run(world, {"reset": None})
    assert ended["reset"]["error"]["class"] == "claude-error"
    assert ended["reset"]["claude"]["terminal_reason"] == "api_error"
