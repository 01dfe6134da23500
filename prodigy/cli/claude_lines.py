"""What Claude says and does, in lines for people: from its stream of events as from its own log.

Pure. One entry gives few lines; what a tool gave is told only if it is an error.
"""

from collections.abc import Iterator
from typing import Any

from prodigy.cli.printer import Part, Span
from prodigy.cli.terminal import Marks
from prodigy.cli.text import cut, printable
from prodigy.steps.claude_session import SYNTHETIC, Block, Entry

_SHORT = 100
"""Cells of what a tool is called with."""
_TELLING = ("command", "file_path", "path", "pattern", "query", "url", "description", "prompt", "skill")
"""What of a tool's input says most, first ones first."""


def claude_lines(entry: Entry, marks: Marks) -> Iterator[tuple[Part, ...]]:
    """The lines that an entry is worth."""
    match entry.type:
        case "assistant" if entry.message is not None:
            for block in entry.message.blocks():
                yield from _said(block, marks, own=entry.message.model != SYNTHETIC)
        case "user" if entry.message is not None:
            for block in entry.message.blocks():
                if block.type == "tool_result" and block.is_error:
                    yield Span(f"  {marks.failed}", "bad"), f" {_short(_text(block.content), marks)}"
        case "system" if entry.subtype == "api_retry":
            why = f", {entry.error}" if isinstance(entry.error, str) else ""
            tried = f"request failed ({entry.error_status or 'no answer'}{why}), retry {entry.attempt}"
            yield (Span(f"  {tried} of {entry.max_retries}", "warning"),)
        case "result":
            yield from _result(entry, marks)


def _said(block: Block, marks: Marks, *, own: bool) -> Iterator[tuple[Part, ...]]:
    if block.type == "text":
        for line in block.text.splitlines():
            yield (Span(line, "plain" if own else "warning"),)
    elif block.type == "tool_use":
        yield (
            Span(f"  {marks.arrow} {block.name}", "accent"),
            f" {_short(_input(block.input), marks)}".rstrip(),
        )


def _result(entry: Entry, marks: Marks) -> Iterator[tuple[Part, ...]]:
    mark = Span(f"  {marks.failed}", "bad") if entry.is_error else Span(f"  {marks.done}", "good")
    words = [
        f"{entry.num_turns} turns" if entry.num_turns else "",
        "" if entry.usage is None else _used(entry),
    ]
    yield mark, " " + " | ".join(filter(None, words))


def _used(entry: Entry) -> str:
    assert entry.usage is not None
    used = entry.usage.tokens()
    read = used.input + used.cache_read + used.cache_creation
    cost = "" if entry.total_cost_usd is None else f" | ${entry.total_cost_usd:.4f}"
    return f"{read:,} tokens in, {used.output:,} out{cost}"


def _input(given: dict[str, Any]) -> str:
    """What a tool is called with, in few words."""
    return next((given[name] for name in _TELLING if isinstance(given.get(name), str)), "")


def _text(content: Any) -> str:
    """What a tool gave, as text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _short(text: str, marks: Marks) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return cut(printable(line), _SHORT, marks.ellipsis)
