"""What a launch showed of replies that its record lacks: read from its stream, and priced once."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import ClaudeMeter, ClaudeUse
from prodigy.steps.backend import Shown
from prodigy.steps.claude_prices import Tokens
from prodigy.steps.claude_session import account_of, estimated
from prodigy.steps.claude_shown import CHARACTERS, FIRST_REQUEST, Excerpt
from prodigy.steps.claude_stream import ClaudeStream

MODEL = "claude-sonnet-5-5"
USAGE = {"input_tokens": 1000, "output_tokens": 1, "cache_read_input_tokens": 2000}
REQUEST = {"type": "system", "subtype": "status", "status": "requesting"}
RETRY = {"type": "system", "subtype": "api_retry", "attempt": 1, "error_status": 529}
CARRIED = {"type": "user", "message": {"content": [{"type": "tool_result", "content": "x" * 300}]}}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "stream_event", "event": {"type": kind, **fields}, "parent_tool_use_id": None}


def start(name: str) -> dict[str, Any]:
    return event("message_start", message={"id": name, "model": MODEL, "usage": USAGE})


def piece(text: str) -> dict[str, Any]:
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def end(output: int) -> dict[str, Any]:
    return event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": output})


def printed(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def shown(*lines: dict[str, Any]) -> Shown:
    stream = ClaudeStream("s")
    stream.feed(printed(*lines))
    return stream.shown()


def spent(found: Shown, file: Path | None = None, before: ClaudeMeter | None = None) -> ClaudeUse:
    return estimated(ClaudeUse(session_id="s", model=MODEL, estimated=True), file, before, found)


def record(file: Path, **message: Any) -> Path:
    entry = {"type": "assistant", "message": {"id": "a", "model": MODEL, "usage": USAGE, **message}}
    file.write_text(json.dumps(entry) + "\n")
    return file


def test_a_reply_on_its_way_is_paid() -> None:
    """Its input as the API told it, its output by what came of it."""
    use = spent(shown(REQUEST, start("a"), piece("y" * 900)))
    assert (use.input_tokens, use.cache_read_tokens, use.output_tokens) == (1000, 2000, 900 // CHARACTERS)
    assert use.cost_usd == pytest.approx((1000 * 2 + 2000 * 0.1 + 300 * 10) / 1e6)
    assert use.by_model.keys() == {MODEL}
    assert use.estimated


def test_a_whole_reply_has_the_tokens_that_the_api_told() -> None:
    found = shown(REQUEST, start("a"), piece("y" * 900), end(77))
    assert found.replies["a"].tokens == Tokens(1000, 77, 2000)
    assert found.carried is None


def test_what_is_recorded_is_paid_once(tmp_path: Path) -> None:
    found = shown(REQUEST, start("a"), piece("y" * 900))
    whole = record(tmp_path / "whole", stop_reason="end_turn", usage={**USAGE, "output_tokens": 50})
    assert spent(found, whole).output_tokens == 50, "the record has the last word on a reply that ended"
    part = record(tmp_path / "part")
    use = spent(found, part)
    assert (use.input_tokens, use.output_tokens) == (1000, 300)


def test_a_request_without_a_reply_is_never_free(tmp_path: Path) -> None:
    """It carries what the one before it did, from the cache, and what tools gave since."""
    use = spent(shown(REQUEST, start("a"), end(500), CARRIED, REQUEST))
    more = len(json.dumps(CARRIED["message"]["content"])) // CHARACTERS  # type: ignore[index]
    assert (use.cache_read_tokens, use.cache_creation_tokens) == (2000 + 3500, more)

    first = spent(shown(REQUEST))
    assert first.cache_creation_tokens == FIRST_REQUEST
    file = record(tmp_path / "before", stop_reason="end_turn", usage={**USAGE, "output_tokens": 500})
    goes_on = spent(shown(REQUEST), file, account_of(file).meter)
    assert goes_on.cache_creation_tokens == 3500, (
        "of an earlier launch: nobody knows whether the cache still has it"
    )


def test_a_request_that_was_turned_away_is_free() -> None:
    assert shown(REQUEST, start("a"), end(5), CARRIED, REQUEST, RETRY).carried is None
    assert spent(shown(REQUEST, RETRY)).cost_usd == 0


def test_a_subagent_says_whole_blocks() -> None:
    """Without what the API says in between; it is not what the next request carries."""
    block = {
        "id": "b",
        "model": "claude-opus-5-5",
        "usage": USAGE,
        "content": [{"type": "text", "text": "z" * 60}],
    }
    found = shown(REQUEST, start("a"), end(5), {"type": "assistant", "message": block}, CARRIED, REQUEST)
    assert found.replies["b"].tokens.output >= 60 // CHARACTERS
    assert found.latest == "a"


def lines_of(sizes: list[int]) -> bytes:
    pieces = [piece("y" * size) for size in sizes]
    return printed(REQUEST, start("a"), event("content_block_start", index=0), *pieces)


@given(st.lists(st.integers(0, 9000), max_size=9), st.integers(1, 5000))
def test_the_log_says_nearly_what_the_stream_said(sizes: list[int], cut: int) -> None:
    """However the pipe cuts it: no piece is in it, and no more than 4 KiB of a reply are not told."""
    stream = lines_of(sizes) + b"plain words"
    excerpt = Excerpt()
    log = b"".join(excerpt(stream[at : at + cut]) for at in range(0, len(stream), cut))
    assert b"content_block" not in log
    assert log.endswith(b"plain words")
    live, later = ClaudeStream("s"), ClaudeStream("s")
    live.feed(stream)
    later.feed(log)
    one, other = (reader.shown().replies["a"].tokens.output for reader in (live, later))
    assert 0 <= one - other <= 4096 // CHARACTERS + 1


def test_only_pieces_are_left_out() -> None:
    """A reply that speaks of pieces is none."""
    spoken = {
        "type": "assistant",
        "message": {"id": "a", "model": MODEL, "content": [{"x": "content_block_delta"}]},
    }
    other = {"type": "stream_event", "event": {"type": "message_stop"}, "content_block_": 1}
    text = printed(spoken, other)
    assert Excerpt()(text) == text


def test_an_interrupted_launch_does_not_know_what_was_under_way() -> None:
    """Its sum lacks that, although it has the last word."""
    stream = ClaudeStream("s")
    stream.feed(printed(REQUEST, {"type": "result", "subtype": "error_during_execution", "is_error": True}))
    answer = stream.answer()
    assert answer is not None
    assert answer.is_interrupted
    assert stream.shown().carried == 0


@pytest.mark.parametrize("seen", [(REQUEST,), (REQUEST, start("z"), end(5), CARRIED, REQUEST)])
def test_a_request_whose_reply_only_the_record_has_is_paid_once(
    tmp_path: Path, seen: tuple[dict[str, Any], ...]
) -> None:
    """The CLI wrote it down; who read the stream was killed before it was shown."""
    file = record(tmp_path / "s.jsonl", stop_reason="end_turn")
    assert shown(*seen).carried is not None
    answered = spent(shown(*seen, start("a")), file)
    assert spent(shown(*seen), file).cost_usd == answered.cost_usd > 0
    assert spent(shown(*seen, start("a"), end(9), CARRIED, REQUEST), file).cost_usd > answered.cost_usd
