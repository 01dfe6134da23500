"""The API, or the CLI itself, works for nobody: the run rests at once, at no cost, and goes on when that is mended."""

import json
from collections.abc import Mapping

import pytest
from fakes.messages_api import MessagesApi, Refusal, Reply
from worlds import World

STARTS = 4
"""Launches that may start at the same time, as a rule."""
REQUESTS = 4
"""Of each at most: some of what is refused the CLI repeats whatever it is told."""
OF_THE_API: Mapping[str, tuple[Refusal, str]] = {
    "login": (Refusal(401), "Invalid API key"),
    "login, another": (
        Refusal(403, "OAuth token has been revoked. Please obtain a new token."),
        "OAuth token revoked",
    ),
    "credit": (
        Refusal(400, "Your credit balance is too low to access the Anthropic API."),
        "Credit balance is too low",
    ),
    "model": (Refusal(404), "issue with the selected model"),
}


def flow(world: World, items: int, **options: object) -> str:
    work = {"claude": "[[work]] ${item}", **options}
    phase = {"input": {"list": [f"i{number}" for number in range(items)]}, "max_parallel": 8}
    return world.workflow(json.dumps({"mode": "mapreduce", "map": {**phase, "agent_template": [work]}}))


def rests(world: World, path: str, cause: str, said: str) -> None:
    world.environ["CLAUDE_CODE_MAX_RETRIES"] = "0"
    done = world.prodigy("run", path, "-y")
    assert done.returncode == 1
    assert "error: claude-refused" in done.stderr, done.stderr
    assert said in done.stderr
    assert {event["cause"] for event in world.events("claude_parked")} == {cause}
    assert len(world.events("claude_intended")) <= STARTS
    assert not world.events("agent_failed")
    [run] = world.json("status")["resumable"]
    assert (run["status"], run["cost_usd"], run["dlq_count"]) == ("paused", 0.0, 0)


@pytest.mark.parametrize("cause", OF_THE_API)
def test_the_first_refusal_stops_all(world: World, api: MessagesApi, cause: str) -> None:
    refusal, said = OF_THE_API[cause]
    api["work"] = [refusal]
    rests(world, flow(world, 300 if cause == "login" else 20), cause.partition(",")[0], said)
    assert len(api.ledger) <= STARTS * REQUESTS
    assert api.cost() == 0


def test_nobody_is_logged_in_and_then_somebody_is(world: World, api: MessagesApi) -> None:
    """Conversations that were begun go on, no attempt is charged, and the bill is the server's."""
    api["work"] = [Reply("Done.")]
    key = world.environ.pop("ANTHROPIC_API_KEY")
    rests(world, flow(world, 6), "login", "Not logged in")
    assert api.ledger == []
    world.environ["ANTHROPIC_API_KEY"] = key
    report = world.json("resume", "latest", "-y")
    assert (report["status"], report["items"]["done"]) == ("completed", 6)
    assert {item["attempts"] for item in report["items"]["list"]} == {1}
    assert report["cost"]["usd"] == pytest.approx(api.cost())
    assert len(api.ledger) == 6


def test_an_option_that_the_cli_does_not_know(world: World, api: MessagesApi) -> None:
    """Such as one that only a newer one has."""
    options = {"extra_args": ["--of-the-next-release"]}
    rests(world, flow(world, 20, claude_options=options), "version", "unknown option '--of-the-next-release'")
    assert api.ledger == []


def test_another_model_is_named(world: World, api: MessagesApi) -> None:
    """Conversations that had begun with one that is not there go on with it."""
    api["work"] = [lambda asked: Reply("Done.") if "sonnet" in asked.model else Refusal(404)]
    path = flow(world, 3)
    world.environ["CLAUDE_CODE_MAX_RETRIES"] = "0"
    done = world.prodigy("run", path, "-y", "--model", "claude-nonsense-9")
    assert done.returncode == 1
    assert "name another model, with `--model`" in done.stderr
    report = world.json("resume", "latest", "-y", "--model", "sonnet")
    assert (report["status"], report["items"]["done"]) == ("completed", 3)
    assert report["cost"]["usd"] == pytest.approx(api.cost())
    [paid] = [one for one in report["cost"]["by_model"] if one["usd"]]
    assert paid["model"].startswith("claude-sonnet")
