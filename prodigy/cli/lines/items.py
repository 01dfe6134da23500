"""Lines about items: their attempts, how they ended, and why no more of them are started."""

from collections.abc import Iterator, Mapping
from typing import Final

from prodigy import events
from prodigy.cli.lines.line import Style, Teller, Told, item_name, log_part, nothing, say
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import counted, duration
from prodigy.job.items import item_text
from prodigy.job.state import ItemState, JobState


def _agent_started(state: JobState, event: events.AgentStarted, _: Style) -> Iterator[Told]:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    yield say(Level.VERBOSE, Span(f"[{item_name(state, event.item_id)}]", "accent"), f" started{again}")


def _agent_completed(state: JobState, event: events.AgentCompleted, style: Style) -> Iterator[Told]:
    if not event.commits:
        yield item_done(state.items[event.item_id], style)


def _agent_failed(state: JobState, event: events.AgentFailed, style: Style) -> Iterator[Told]:
    name = Span(f"[{item_name(state, event.item_id)}]", "accent")
    failed = f" attempt {event.attempt} failed: {event.error.message}"
    yield say(Level.VERBOSE, name, failed, log_part(event.error.logs, style))


def _agent_interrupted(state: JobState, event: events.AgentInterrupted, _: Style) -> Iterator[Told]:
    name = Span(f"[{item_name(state, event.item_id)}]", "accent")
    yield say(Level.VERBOSE, name, f" goes on in another worker: {event.reason}")


def _agent_parked(state: JobState, event: events.AgentParked, style: Style) -> Iterator[Told]:
    name = Span(f"[{item_name(state, event.item_id)}]", "accent")
    yield say(
        Level.VERBOSE, name, f" waits for Claude {style.marks.dash} another item has its place meanwhile"
    )


def _agent_returned(state: JobState, event: events.AgentReturned, _: Style) -> Iterator[Told]:
    name = Span(f"[{item_name(state, event.item_id)}]", "accent")
    yield say(Level.VERBOSE, name, " has a place again")


def _agent_retrying(state: JobState, event: events.AgentRetrying, _: Style) -> Iterator[Told]:
    pause = f" in {duration(event.backoff_ms / 1000)}" if event.backoff_ms else ""
    name = Span(f"[{item_name(state, event.item_id)}]", "accent")
    yield say(Level.VERBOSE, name, f" attempt {event.next_attempt} follows{pause}")


def _item_skipped(state: JobState, event: events.ItemSkipped, style: Style) -> Iterator[Told]:
    text = f" {item_name(state, event.item_id)} | skipped: {event.reason}"
    yield say(Level.NORMAL, Span(style.marks.failed, "warning"), text)


def _map_halted(_: JobState, event: events.MapHalted, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {event.message}; no more items are started"
    yield say(Level.NORMAL, Span("map", "strong"), text)


def _circuit_opened(_: JobState, event: events.CircuitOpened, style: Style) -> Iterator[Told]:
    pause = duration(event.pause_ms / 1000)
    text = (
        f" {style.marks.dash} {counted(event.failures, 'failure')} in a row; nothing is started for {pause}"
    )
    yield say(Level.NORMAL, Span("circuit open", "warning"), text)


def _circuit_closed(_: JobState, _event: events.CircuitClosed, style: Style) -> Iterator[Told]:
    yield say(Level.NORMAL, Span("circuit closed", "good"), f" {style.marks.dash} items are started again")


def item_done(item: ItemState, style: Style) -> Told:
    """The line of an item that succeeded: what it changed, how long it took, what it cost."""
    words = (
        item_text(item.item, item.item_id),
        counted(len(item.commits), "commit") if item.commits else "no change",
        duration(item.duration_ms / 1000),
        f"${item.cost_usd:.2f}" if item.cost_usd else "",
    )
    text = " | ".join(filter(None, words))
    log = log_part((item.json_log_location,) if item.json_log_location else (), style)
    return say(Level.NORMAL, Span(style.marks.done, "good"), f" {text}", log)


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.ItemSelected: nothing,
    events.ItemSkipped: _item_skipped,
    events.MapHalted: _map_halted,
    events.CircuitOpened: _circuit_opened,
    events.CircuitClosed: _circuit_closed,
    events.AgentStarted: _agent_started,
    events.AgentCompleted: _agent_completed,
    events.AgentFailed: _agent_failed,
    events.AgentInterrupted: _agent_interrupted,
    events.AgentRetrying: _agent_retrying,
    events.AgentParked: _agent_parked,
    events.AgentReturned: _agent_returned,
}
