"""What a conversation cost, by the CLI's own record of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from prodigy.events import ClaudeAmount, ClaudeMeter, ClaudeUse
from prodigy.job.amounts import tally
from prodigy.steps.claude_session import account_of, estimated, session_file


def reply(id: str, output: int, *, model: str = "claude-sonnet-5-5", **usage: Any) -> dict[str, Any]:
    return {
        "type": "assistant",
        "message": {
            "id": id,
            "model": model,
            "content": [{"type": "text", "text": "x"}],
            "usage": {"input_tokens": 1_000_000, "output_tokens": output, **usage},
        },
    }


def record(file: Path, *entries: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return file


def test_replies_are_priced_once(tmp_path: Path) -> None:
    """A reply has an entry for each of its blocks; the last one has its whole usage."""
    file = record(tmp_path / "s.jsonl", reply("a", 1), reply("a", 100_000), reply("b", 0), {"type": "user"})
    found = account_of(file)
    assert found.cost_usd == pytest.approx(2 + 1 + 2)
    assert (found.meter.replies, found.tokens.input, found.tokens.output) == (2, 2_000_000, 100_000)


def test_the_cache_has_prices_of_its_own(tmp_path: Path) -> None:
    cache = {"cache_read_input_tokens": 1_000_000, "cache_creation_input_tokens": 2_000_000}
    long = {"cache_creation": {"ephemeral_1h_input_tokens": 1_000_000}}
    file = record(tmp_path / "s.jsonl", reply("a", 0, **cache, **long))
    assert account_of(file).cost_usd == pytest.approx(2 + 0.1 + 2.5 + 4)


def test_the_clis_own_sum_counts(tmp_path: Path) -> None:
    """What the model says after it is priced."""
    summed = {"type": "cost-state", "totalCostUSD": 7.5}
    assert account_of(record(tmp_path / "a.jsonl", reply("a", 0), summed)).cost_usd == 7.5
    assert account_of(record(tmp_path / "b.jsonl", summed, reply("a", 0))).cost_usd == pytest.approx(9.5)


def summed(dollars: float, tokens: int) -> dict[str, Any]:
    return {
        "type": "cost-state",
        "totalCostUSD": dollars,
        "modelUsage": {"claude-sonnet-5-5": {"inputTokens": tokens, "costUSD": dollars}},
    }


def test_a_launch_that_was_killed_is_in_no_sum(tmp_path: Path) -> None:
    """The next one goes on from the sum before it, and says so: its own part and that of the killed one both count."""
    file = record(tmp_path / "s.jsonl", reply("a", 0), reply("b", 0), reply("c", 0), summed(2, 1_000_000))
    assert account_of(file).cost_usd == pytest.approx(6)
    file = record(tmp_path / "t.jsonl", reply("a", 0), summed(2, 1_000_000), reply("b", 0))
    assert account_of(file).cost_usd == pytest.approx(4)


def test_a_launch_that_goes_on_is_told_from_those_before_it(tmp_path: Path) -> None:
    killed = [reply("a", 0), reply("b", 0)]
    before = account_of(record(tmp_path / "s.jsonl", *killed)).meter
    told = {"claude-sonnet-5-5": ClaudeAmount(cost_usd=4.0, input_tokens=2_000_000)}
    assert before == ClaudeMeter(told=tally(told), replies=2)

    def own(*entries: dict[str, Any]) -> tuple[float, int, int]:
        use = estimated(ClaudeUse(session_id="s"), record(tmp_path / "s.jsonl", *killed, *entries), before)
        return use.cost_usd, use.input_tokens, use.turns

    assert own() == (0.0, 0, 0)
    assert own(reply("c", 0)) == (2.0, 1_000_000, 1), "killed once more: its replies are priced"
    assert own(reply("c", 0), summed(1.75, 900_000)) == (1.75, 900_000, 1), "its own sum counts"


def test_subagents_are_paid_for(tmp_path: Path) -> None:
    file = record(tmp_path / "s.jsonl", reply("a", 0))
    record(tmp_path / "s/subagents/agent-1.jsonl", reply("b", 0, model="claude-fable-5-2"))
    assert account_of(file).cost_usd == pytest.approx(2 + 8)


def test_what_each_model_used(tmp_path: Path) -> None:
    """By the replies where the launch was killed, else by the sum."""
    file = record(tmp_path / "s.jsonl", reply("a", 0))
    record(tmp_path / "s/subagents/agent-1.jsonl", reply("b", 0, model="claude-fable-5-2"))
    of_sonnet = ClaudeAmount(cost_usd=2.0, input_tokens=1_000_000)
    of_fable = ClaudeAmount(cost_usd=8.0, input_tokens=1_000_000)
    use = estimated(ClaudeUse(session_id="s"), file)
    assert use.by_model == {"claude-sonnet-5-5": of_sonnet, "claude-fable-5-2": of_fable}
    assert (use.model, use.cost_usd) == ("claude-fable-5-2", 10.0)

    file = record(tmp_path / "t.jsonl", reply("a", 0), summed(1.75, 900_000))
    use = estimated(ClaudeUse(session_id="t"), file)
    assert use.by_model == {"claude-sonnet-5-5": ClaudeAmount(cost_usd=1.75, input_tokens=900_000)}


def test_the_clis_own_messages_are_free(tmp_path: Path) -> None:
    assert account_of(record(tmp_path / "s.jsonl", reply("a", 9, model="<synthetic>"))).cost_usd == 0


def test_an_estimate(tmp_path: Path) -> None:
    """It is marked as one; lines that were cut off are passed over."""
    file = record(tmp_path / "s.jsonl", reply("a", 100_000))
    file.write_text(file.read_text() + '{"type": "assis')
    use = estimated(ClaudeUse(session_id="s"), file)
    assert use == ClaudeUse(
        session_id="s",
        model="claude-sonnet-5-5",
        cost_usd=3.0,
        input_tokens=1_000_000,
        output_tokens=100_000,
        turns=1,
        by_model={
            "claude-sonnet-5-5": ClaudeAmount(cost_usd=3.0, input_tokens=1_000_000, output_tokens=100_000)
        },
        estimated=True,
    )


def test_where_a_record_is(tmp_path: Path) -> None:
    """In the folder that the environment names, below whatever folder the CLI chose."""
    made = record(tmp_path / "c/projects/-any-where/id.jsonl", {"type": "user"})
    assert session_file({"CLAUDE_CONFIG_DIR": str(tmp_path / "c"), "HOME": "/nobody"}, "id") == str(made)
    record(tmp_path / ".claude/projects/x/id.jsonl", {"type": "user"})
    assert session_file({"HOME": str(tmp_path)}, "id") == str(tmp_path / ".claude/projects/x/id.jsonl")
    assert session_file({"HOME": str(tmp_path)}, "other") is None


@pytest.mark.parametrize("content", [b"", bytes(191)])
def test_a_record_that_a_loss_of_power_left_without_content_is_none(tmp_path: Path, content: bytes) -> None:
    made = record(tmp_path / ".claude/projects/x/id.jsonl", {"type": "user"})
    made.write_bytes(content)
    assert session_file({"HOME": str(tmp_path)}, "id") is None
