"""What is told of a log of Claude: few lines for people, and counts."""

import json
from datetime import timedelta, timezone
from typing import Any

from prodigy.cli.claude_lines import claude_lines
from prodigy.cli.claude_summary import summarize, summary_lines
from prodigy.cli.terminal import ASCII
from prodigy.steps.claude_prices import Tokens
from prodigy.steps.claude_session import Entry, entry

TEXT = {"type": "text", "text": "I look.\nThen I write."}
CALL = {
    "type": "tool_use",
    "id": "t",
    "name": "Bash",
    "input": {"command": "git add a\ngit commit", "description": "x"},
}
ENTRIES: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init", "model": "m"},
    {"type": "user", "timestamp": "2026-11-22T10:00:00Z", "message": {"role": "user", "content": "do it"}},
    {"type": "assistant", "message": {"id": "1", "model": "m", "content": [TEXT, CALL]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": "fatal: no\nx", "is_error": True}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result", "content": [{"type": "text", "text": "fine"}]}]}},
    {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 2, "error_status": 529, "error": "overloaded"},
    {"type": "assistant", "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "API Error"}]}},
    {
        "type": "assistant",
        "timestamp": "2026-11-22T10:00:09Z",
        "message": {"id": "2", "model": "m", "content": [{"type": "text", "text": "Done."}]},
    },
    {
        "type": "result",
        "is_error": False,
        "result": "Done.",
        "num_turns": 2,
        "total_cost_usd": 0.015,
        "usage": {"input_tokens": 1000, "cache_read_input_tokens": 500, "output_tokens": 50},
    },
]  # fmt: skip


def read() -> list[Entry]:
    found = [entry(json.dumps(one).encode()) for one in ENTRIES]
    return [one for one in found if one is not None]


def text(parts: tuple[Any, ...]) -> str:
    return "".join(part if isinstance(part, str) else part.text for part in parts)


def test_lines_for_people() -> None:
    """Words, calls of tools in short, their errors, what the API refused, how it ended; not what it was told."""
    marks = ASCII
    lines = [text(line) for one in read() for line in claude_lines(one, marks)]
    assert lines == [
        "I look.",
        "Then I write.",
        f"  {marks.arrow} Bash git add a",
        f"  {marks.failed} fatal: no",
        "  request failed (529, overloaded), retry 1 of 2",
        "API Error",
        "Done.",
        f"  {marks.done} 2 turns | 1,500 tokens in, 50 out | $0.0150",
    ]


def test_what_a_log_holds() -> None:
    summary = summarize("/x.jsonl", read(), Tokens(1000, 50, 500), 0.015, 2)
    assert summary.entries == {"user": 3, "assistant": 3, "system": 2, "result": 1}
    assert summary.content == {"text": 4, "tool_result": 2, "tool_use": 1}
    assert (summary.tools, summary.tool_errors) == ({"Bash": 1}, 1)
    assert (summary.errors, summary.models) == (["API Error"], ["m"])
    assert (summary.first_at, summary.last_at) == ("2026-11-22T10:00:00Z", "2026-11-22T10:00:09Z")
    assert (summary.first_text, summary.last_text) == ("I look.\nThen I write.", "Done.")
    lines = [text(line) for line in summary_lines(summary, timezone(timedelta(hours=1)))]
    assert "time     2026-11-22 11:00:00 to 2026-11-22 11:00:09" in lines
    assert "tools    Bash 1; 1 failed" in lines
    assert "tokens   1,000 in, 50 out, 500 of the cache, in 2 replies" in lines
    assert "cost     $0.0150" in lines
    assert "error    API Error" in lines


def test_lines_that_are_no_entries() -> None:
    assert entry(b"warning: nothing") is None
    assert entry(b'{"type": "assis') is None
    assert entry(b'{"type": "assistant", "message": {"content": "plain"}}') is not None
