"""Lines about dead letters: items that failed, and those that are tried again."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prodigy import events
from prodigy.cli.lines.line import Style, Teller, Told, item_name, log_part, nothing, say
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import counted
from prodigy.errors import ProdigyError
from prodigy.job.state import ItemState, JobState


def _dlq_item_added(state: JobState, event: events.DlqItemAdded, style: Style) -> Iterator[Told]:
    """A failed item, now or together with others: nothing is lost in between, for the queue remembers them."""
    if style.failures == 1 or event.item_id not in state.dead_letters:
        yield _failed_item(state, event.item_id, event.history, len(event.history), style)
        return
    if style.failures is not None and len(state.dead_letters) % style.failures == 0:
        yield from _last_failures(state, style.failures, style)


def _dlq_item_updated(state: JobState, event: events.DlqItemUpdated, style: Style) -> Iterator[Told]:
    yield _failed_item(state, event.item_id, event.history, event.failure_count, style)


def _dlq_retry_started(state: JobState, event: events.DlqRetryStarted, _: Style) -> Iterator[Told]:
    items = f" {counted(len(event.item_ids), 'item')}, {event.max_parallel} at a time, for {state.branch}"
    yield say(Level.NORMAL, Span("retry", "strong"), items)


def _dlq_items_reprocessed(_: JobState, event: events.DlqItemsReprocessed, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {retried_text(event)}"
    yield say(Level.NORMAL, Span("retry", "strong"), text)


def retried_text(event: events.DlqItemsReprocessed) -> str:
    """How the items of a retry ended, in words."""
    left = event.count - event.succeeded - event.failed
    parts = (
        f"{event.succeeded:,} done",
        f"{event.failed:,} failed again",
        f"{left:,} not started" if left else "",
    )
    return f"{', '.join(filter(None, parts))} (of {event.count:,})"


def failures_left(state: JobState, style: Style) -> Iterator[Told]:
    """Those failed items of a map phase that ended which were not told yet."""
    if style.failures != 1 and state.retry is None:
        number = len(state.dead_letters)
        yield from _last_failures(state, number if style.failures is None else number % style.failures, style)


def _last_failures(state: JobState, number: int, style: Style) -> Iterator[Told]:
    """Those that failed alike stand together, and only some of many are told."""
    alike: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for letter in state.dead_letters.latest(number):
        told = alike.setdefault(letter.error_signature, [])
        counts[letter.error_signature] += 1
        if style.samples is None or len(told) < style.samples:
            told.append(letter.item_id)
    for signature, item_ids in alike.items():
        for item_id in item_ids:
            history = _read(state.items[item_id], style)
            yield _failed_item(state, item_id, history, state.dead_letters[item_id].failure_count, style)
        if counts[signature] > len(item_ids):
            yield _alike(state, counts[signature] - len(item_ids), signature, style)


def _alike(state: JobState, number: int, signature: str, style: Style) -> Told:
    command = f"prodigy dlq list {state.short_name} --signature {signature}"
    return say(Level.NORMAL, Span(style.marks.failed, "bad"), f" {number:,} more failed alike: {command}")


def _read(item: ItemState, style: Style) -> Sequence[events.Attempt]:
    """Its failed attempts; a line that cannot be told whole is no reason to end a run."""
    try:
        return style.histories(item)
    except (ProdigyError, OSError):
        return ()


def _failed_item(
    state: JobState, item_id: str, history: Sequence[events.Attempt], count: int, style: Style
) -> Told:
    last, letter = history[-1] if history else None, state.dead_letters.get(item_id)
    words = (
        item_name(state, item_id),
        last.error_message if last else letter.message if letter is not None else "failed",
        f"{count} attempts" if count > 1 else "",
    )
    text = " | ".join(filter(None, words))
    claude = (last.json_log_location,) if last and last.json_log_location else ()
    log = log_part(claude or (last.logs if last else ()), style)
    return say(Level.NORMAL, Span(style.marks.failed, "bad"), f" {text}", log)


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.DlqItemAdded: _dlq_item_added,
    events.DlqItemUpdated: _dlq_item_updated,
    events.DlqItemRemoved: nothing,
    events.DlqItemsEvicted: nothing,
    events.DlqRetryStarted: _dlq_retry_started,
    events.DlqItemsReprocessed: _dlq_items_reprocessed,
}
