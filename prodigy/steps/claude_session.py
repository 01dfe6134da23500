"""The Claude CLI's own record of a conversation: where it is, what it says, and what the conversation cost.

One JSON object a line. Entries of the record and events of the CLI's stream have the same shape where it matters:
a ``type``, and a ``message`` with blocks of content.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import reduce
from glob import escape
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from prodigy.events import ClaudeAmount, ClaudeMeter, ClaudeTally, ClaudeUse
from prodigy.job.amounts import NOTHING, beyond, merged, plus, tally
from prodigy.steps.backend import NOTHING_SHOWN, Said, Shown
from prodigy.steps.claude_prices import Tokens, price_of
from prodigy.steps.claude_shown import FIRST_REQUEST, Context, Usage, unrecorded

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


class ModelUsage(Struct, frozen=True):
    """What one model used, in a sum."""

    cost: float = msgspec.field(default=0.0, name="costUSD")
    input: int = msgspec.field(default=0, name="inputTokens")
    output: int = msgspec.field(default=0, name="outputTokens")
    cache_read: int = msgspec.field(default=0, name="cacheReadInputTokens")
    cache_creation: int = msgspec.field(default=0, name="cacheCreationInputTokens")

    def amount(self) -> ClaudeAmount:
        """The same as it is recorded."""
        return ClaudeAmount(
            cost_usd=self.cost,
            input_tokens=self.input,
            output_tokens=self.output,
            cache_read_tokens=self.cache_read,
            cache_creation_tokens=self.cache_creation,
        )


class Message(Struct, frozen=True):
    """What was said, by the model or to it."""

    id: str | None = None
    model: str | None = None
    content: tuple[Block, ...] | str = ()
    usage: Usage | None = None
    stop_reason: str | None = None
    """Why the reply ended; ``None`` while it is written."""

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
    """In the record, when the CLI ended: US dollars of the whole conversation, but for launches that were killed."""
    model_usage: dict[str, ModelUsage] = msgspec.field(default_factory=dict, name="modelUsage")
    """The same by model."""
    total_cost_usd: float | None = None
    """In the stream, of a result."""
    is_error: bool = False
    error: Any = None
    attempt: int | None = None
    max_retries: int | None = None
    error_status: int | None = None
    num_turns: int | None = None
    usage: Usage | None = None

    def tally(self) -> ClaudeTally:
        """The sum that the CLI wrote."""
        by_model = {model: usage.amount() for model, usage in self.model_usage.items()}
        return structs.replace(tally(by_model), cost_usd=self.total_cost or 0.0)


_decoder = msgspec.json.Decoder(Entry)


def session_file(environment: Mapping[str, str], session_id: str) -> str | None:
    """The CLI's own record of a conversation that it began in this environment; ``None`` if there is none.

    A loss of power may have left one that says nothing.
    """
    found = projects(environment).glob(f"*/{escape(session_id)}.jsonl")
    return next((str(file) for file in found if _says_something(file)), None)


def _says_something(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as opened:
        return bool(opened.read(1).strip(b"\0"))
    return False


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


class Account(Struct, frozen=True, kw_only=True):
    """What a conversation used by its record, its subagents included."""

    meter: ClaudeMeter
    is_summed: bool
    """Whether the model has said nothing since the CLI wrote its last sum."""
    cost_usd: float
    """Of all its launches: what the CLI summed up, and the price of what it did not."""
    tokens: Tokens
    """Of all replies."""
    model: str | None
    recorded: Mapping[str, Tokens | None]
    """Tokens of each reply; ``None`` of those that are whole."""
    context: Context


def account_of(file: Path) -> Account:
    """Read a conversation's record.

    A launch that was killed wrote no sum, and those after it begin with the sum of those before it. So between two sums
    counts what the CLI has added, or what the replies there cost, if that is more.
    """
    summed, cost, has_sum = ClaudeTally(), 0.0, False
    replies: dict[str, Message] = {}
    unsummed: dict[str, Message] = {}
    for found in entries(file):
        if found.total_cost is not None:
            cost += max(found.total_cost - summed.cost_usd, _price(unsummed))
            summed, has_sum = found.tally(), True
            unsummed = {}
        elif (reply := _reply(found.message)) is not None:
            replies[reply.id or ""] = unsummed[reply.id or ""] = reply
    of_subagents = {
        reply.id or "": reply
        for other in file.with_suffix("").glob("subagents/*.jsonl")
        for found in entries(other)
        if (reply := _reply(found.message)) is not None
    }
    every = replies | of_subagents
    return Account(
        meter=ClaudeMeter(summed=summed, told=tally(_by_model(every)), replies=len(every)),
        is_summed=has_sum and not unsummed,
        cost_usd=cost + _price(unsummed) + (0.0 if has_sum else _price(of_subagents)),
        tokens=_tokens(every),
        model=next((reply.model for reply in reversed(every.values())), None),
        recorded={name: None if reply.stop_reason else _used(reply) for name, reply in every.items()},
        context=_context(file, replies),
    )


def _context(file: Path, replies: dict[str, Message]) -> Context:
    """What the next request carries: what the last one did, or as much as the record holds before there is any."""
    latest = next(reversed(replies.values()), None)
    if latest is not None:
        return Context(_used(latest).context(), latest.model, latest.id)
    with suppress(OSError):
        return Context(max(FIRST_REQUEST, file.stat().st_size // 4))
    return Context()


def estimated(
    use: ClaudeUse, file: Path | None, before: ClaudeMeter | None = None, shown: Shown = NOTHING_SHOWN
) -> ClaudeUse:
    """The use of a launch that gave no account of itself: what its conversation's record has of it, and what it showed.

    Args:
        use: what is known of the launch.
        file: the record, if there is one.
        before: what it said before the launch; ``None``: the launch began it.
        shown: what was seen of replies; what the record has of these is paid once.
    """
    account = None if file is None else account_of(file)
    if account is not None:
        before = before or ClaudeMeter()
        use = _recorded(use, account, before)
        if account.meter.replies > before.replies and account.context.latest not in shown.replies:
            shown = structs.replace(shown, carried=None)  # the record has the reply that the stream waits for
    recorded, context = ({}, Context()) if account is None else (account.recorded, account.context)
    return _with(use, unrecorded(shown, recorded, structs.replace(context, model=context.model or use.model)))


def _recorded(use: ClaudeUse, account: Account, before: ClaudeMeter) -> ClaudeUse:
    meter = account.meter
    whole, known = (meter.summed, before.summed) if account.is_summed else (meter.told, before.told)
    use = structs.replace(use, **structs.asdict(whole), model=use.model or account.model, estimated=True)
    return structs.replace(beyond(known, use), turns=max(0, meter.replies - before.replies))


def _with(use: ClaudeUse, more: Iterable[Said]) -> ClaudeUse:
    """With what these cost by the list."""
    for said in more:
        added = _priced(said.model, said.tokens)
        if added == NOTHING:
            continue
        by_model = merged(use.by_model, {said.model or "": added})
        use = structs.replace(use, **structs.asdict(plus(use, added)), by_model=by_model, estimated=True)
    return use


def _reply(message: Message | None) -> Message | None:
    """What the model said.

    Each block of a reply has an entry of its own, which repeats the usage of the whole; the last one is complete.
    """
    if message is None or message.id is None or message.usage is None or message.model == SYNTHETIC:
        return None
    return message


def _price(replies: Mapping[str, Message]) -> float:
    """US dollars, by the list."""
    return sum(price_of(reply.model).of(_used(reply)) for reply in replies.values())


def _used(reply: Message) -> Tokens:
    return Tokens() if reply.usage is None else reply.usage.tokens()


def _tokens(replies: Mapping[str, Message]) -> Tokens:
    every = [structs.astuple(_used(reply)) for reply in replies.values()]
    return Tokens(*map(sum, zip(*every, strict=True)))


def _by_model(replies: Mapping[str, Message]) -> dict[str, ClaudeAmount]:
    """What the replies of each model cost by the list."""
    own: dict[str, dict[str, Message]] = {}
    for name, reply in replies.items():
        own.setdefault(reply.model or "", {})[name] = reply
    return {
        model: reduce(plus, (_priced(reply.model, _used(reply)) for reply in said.values()))
        for model, said in own.items()
    }


def _priced(model: str | None, tokens: Tokens) -> ClaudeAmount:
    """What so many tokens of a model are by the list."""
    return ClaudeAmount(
        cost_usd=price_of(model).of(tokens),
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cache_read,
        cache_creation_tokens=tokens.cache_creation,
    )
