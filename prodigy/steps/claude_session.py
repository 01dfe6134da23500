"""The Claude CLI's own record of a conversation: where it is, what it says, and what the conversation cost.

One JSON object a line. Entries of the record and events of the CLI's stream have the same shape where it matters:
a ``type``, and a ``message`` with blocks of content.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from prodigy.events import ClaudeUse
from prodigy.steps.claude_prices import Tokens, price_of

SYNTHETIC = "<synthetic>"
"""Model of the messages that the CLI itself writes."""


class Block(Struct, frozen=True):
    """A part of a message: a text, a call of a tool, or what a tool gave."""

    type: str = ""
    text: str = ""
    name: str = ""
    input: dict[str, Any] = {}
    content: Any = None
    is_error: bool | None = None
    tool_use_id: str | None = None


class Usage(Struct, frozen=True):
    """Tokens of one reply."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation: dict[str, Any] | None = None

    def tokens(self) -> Tokens:
        """The same as they are priced."""
        long = (self.cache_creation or {}).get("ephemeral_1h_input_tokens", 0)
        return Tokens(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
            long if isinstance(long, int) else 0,
        )


class Message(Struct, frozen=True):
    """What was said, by the model or to it."""

    id: str | None = None
    model: str | None = None
    content: tuple[Block, ...] | str = ()
    usage: Usage | None = None

    def blocks(self) -> tuple[Block, ...]:
        """The content in parts."""
        return (Block(type="text", text=self.content),) if isinstance(self.content, str) else self.content


class Entry(Struct, frozen=True):
    """One line of a record or of a stream; what it does not say has its default."""

    type: str = ""
    subtype: str | None = None
    timestamp: str | None = None
    message: Message | None = None
    total_cost: float | None = msgspec.field(default=None, name="totalCostUSD")
    """In the record, when the CLI ended: US dollars of the whole conversation."""
    total_cost_usd: float | None = None
    """In the stream, of a result."""
    is_error: bool = False
    error: Any = None
    attempt: int | None = None
    max_retries: int | None = None
    error_status: int | None = None
    num_turns: int | None = None
    usage: Usage | None = None


_decoder = msgspec.json.Decoder(Entry)


def session_file(environment: Mapping[str, str], session_id: str) -> str | None:
    """The CLI's own record of a conversation that it began in this environment; ``None`` if there is none."""
    found = projects(environment).glob(f"*/{escape(session_id)}.jsonl")
    return next((str(file) for file in found), None)


def projects(environment: Mapping[str, str]) -> Path:
    """The folder of all its records."""
    chosen = environment.get("CLAUDE_CONFIG_DIR")
    folder = Path(chosen) if chosen else Path(environment.get("HOME") or "~", ".claude")
    return folder.expanduser() / "projects"


def entry(line: bytes) -> Entry | None:
    """A line read; ``None`` if it is no entry."""
    if not line.lstrip().startswith(b"{"):
        return None
    with suppress(msgspec.DecodeError, RecursionError):
        return _decoder.decode(line)
    return None


def entries(file: Path) -> Iterator[Entry]:
    """Every entry of a record or of a stream's log; what cannot be read is passed over."""
    with suppress(OSError), file.open("rb") as lines:
        for line in lines:
            if (found := entry(line)) is not None:
                yield found


class Spent(Struct, frozen=True, kw_only=True):
    """What a conversation used."""

    cost_usd: float = 0.0
    tokens: Tokens = Tokens()
    replies: int = 0
    model: str | None = None


def spent(file: Path) -> Spent:
    """What a conversation used by its record, those of its subagents included.

    The last sum that the CLI wrote counts, unless the model spoke after it; then its replies are priced.
    """
    summed: float | None = None
    replies: dict[str, Message] = {}
    for found in entries(file):
        if found.total_cost is not None:
            summed = found.total_cost
        elif _is_reply(found.message):
            summed = None
            _enter(replies, found.message)
    for other in file.with_suffix("").glob("subagents/*.jsonl"):
        for found in entries(other):
            _enter(replies, found.message)
    priced = [(reply.model, reply.usage.tokens()) for reply in replies.values() if reply.usage]
    cost = sum(price_of(model).of(tokens) for model, tokens in priced) if summed is None else summed
    whole = Tokens(
        *(sum(numbers) for numbers in zip(*(structs.astuple(each) for _, each in priced), strict=True))
    )
    return Spent(
        cost_usd=cost,
        tokens=whole,
        replies=len(replies),
        model=next((model for model, _ in reversed(priced)), None),
    )


def estimated(use: ClaudeUse, file: Path) -> ClaudeUse:
    """The use of a launch that gave no account of itself, with what its record adds up to."""
    found = spent(file)
    return structs.replace(
        use,
        model=use.model or found.model,
        cost_usd=found.cost_usd,
        input_tokens=found.tokens.input,
        output_tokens=found.tokens.output,
        cache_read_tokens=found.tokens.cache_read,
        cache_creation_tokens=found.tokens.cache_creation,
        turns=found.replies,
        estimated=True,
    )


def _is_reply(message: Message | None) -> bool:
    return message is not None and message.id is not None and message.usage is not None


def _enter(replies: dict[str, Message], message: Message | None) -> None:
    """Each block of a reply has an entry of its own, which repeats the usage of the whole; the last one is complete."""
    if message is not None and message.id is not None and message.usage and message.model != SYNTHETIC:
        replies[message.id] = message
