"""What a log of Claude holds, counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from msgspec import Struct

from prodigy.cli.printer import Part, Span
from prodigy.cli.text import local_time
from prodigy.steps.claude_prices import Tokens
from prodigy.steps.claude_session import SYNTHETIC, Entry


class LogSummary(Struct, frozen=True, kw_only=True):
    """``prodigy.log-summary/1``: entries and parts of messages by type, calls by tool, and what it cost."""

    schema: str = "prodigy.log-summary/1"
    path: str
    entries: dict[str, int]
    content: dict[str, int]
    tools: dict[str, int]
    tool_errors: int
    errors: list[str]
    models: list[str]
    replies: int
    tokens: Tokens
    cost_usd: float
    first_at: str | None
    last_at: str | None
    first_text: str | None
    last_text: str | None


def summarize(
    path: str, entries: Iterable[Entry], tokens: Tokens, cost_usd: float, replies: int
) -> LogSummary:
    """Count the entries of one log; what was used comes in."""
    kinds: Counter[str] = Counter()
    content: Counter[str] = Counter()
    tools: Counter[str] = Counter()
    errors: list[str] = []
    models: dict[str, None] = {}
    times: list[str] = []
    texts: list[str] = []
    failed = 0
    for entry in entries:
        kinds[entry.type] += 1
        if entry.timestamp is not None:
            times = [*times[:1], entry.timestamp]
        if entry.message is None:
            continue
        blocks = entry.message.blocks()
        content.update(block.type for block in blocks)
        tools.update(block.name for block in blocks if block.type == "tool_use")
        failed += sum(block.is_error is True for block in blocks)
        if entry.type != "assistant":
            continue
        said = [block.text for block in blocks if block.type == "text" and block.text]
        if entry.message.model == SYNTHETIC:
            errors += said
        else:
            models |= {} if entry.message.model is None else {entry.message.model: None}
            texts = [*texts[:1], *said[-1:]] if texts else [*said[:1], *said[1:][-1:]]
    return LogSummary(
        path=path,
        entries=dict(kinds.most_common()),
        content=dict(content.most_common()),
        tools=dict(tools.most_common()),
        tool_errors=failed,
        errors=errors,
        models=list(models),
        replies=replies,
        tokens=tokens,
        cost_usd=cost_usd,
        first_at=times[0] if times else None,
        last_at=times[-1] if times else None,
        first_text=texts[0] if texts else None,
        last_text=texts[-1] if texts else None,
    )


def summary_lines(summary: LogSummary, zone: tzinfo | None = None) -> Iterator[tuple[Part, ...]]:
    """The same for people, with times in ``zone``."""
    used = summary.tokens
    cached = used.cache_read + used.cache_creation
    rows = (
        ("log", summary.path),
        ("time", f"{_moment(summary.first_at, zone)} to {_moment(summary.last_at, zone)}"),
        ("models", ", ".join(summary.models)),
        ("entries", _counts(summary.entries)),
        ("content", _counts(summary.content)),
        (
            "tools",
            _counts(summary.tools) + (f"; {summary.tool_errors} failed" if summary.tool_errors else ""),
        ),
        (
            "tokens",
            f"{used.input:,} in, {used.output:,} out, {cached:,} of the cache, in {summary.replies} replies",
        ),
        ("cost", f"${summary.cost_usd:.4f}"),
        *(("error", error) for error in summary.errors),
        ("first", _first_line(summary.first_text)),
        ("last", _first_line(summary.last_text)),
    )
    for name, text in rows:
        if text:
            yield Span(f"{name:<8}", "dim"), f" {text}"


def _moment(text: str | None, zone: tzinfo | None) -> str:
    """A time of the log; as it stands there, if it is none."""
    try:
        return local_time(datetime.fromisoformat(text or ""), zone)
    except ValueError:
        return text or "?"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _first_line(text: str | None) -> str:
    return next((line for line in (text or "").splitlines() if line.strip()), "")
