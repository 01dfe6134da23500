"""Lines about Claude: conversations that wait, limits, and what is spent."""

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from prodigy import events
from prodigy.cli.lines.line import (
    Style,
    Teller,
    Told,
    first_line,
    item_name,
    log_part,
    nothing,
    say,
    step_place,
)
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import counted, duration
from prodigy.job.state import JobState


def _claude_cut_off(state: JobState, event: events.ClaudeCutOff, style: Style) -> Iterator[Told]:
    log = event.claude.json_log_location
    cost = f"Claude was cut off | about ${event.claude.cost_usd:.2f}"
    if event.unfit is not None:
        cost = f"{cost} | it had succeeded, and is done again: {event.unfit}"
    text = f" {cost}" if event.began else " Claude was about to be launched | nothing to pay"
    place = Span(step_place(state, event, style), "accent")
    yield say(Level.VERBOSE, place, text, log_part((log,) if log else (), style))


def _claude_parked(state: JobState, event: events.ClaudeParked, style: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else event.phase
    why = "its reserve was used up" if event.reason == "budget" else first_line(event.message)
    text = f" {style.marks.dash} {whose}, step {event.step}: {why}; the conversation goes on later"
    yield say(Level.VERBOSE, Span("claude waits", "warning"), text)


def _quota_blocked(_: JobState, event: events.QuotaBlocked, style: Style) -> Iterator[Told]:
    until = event.until.astimezone(style.zone).strftime("%H:%M:%S")
    whose = f"{event.model or 'Claude'} is turned away"
    waiting = counted(event.parked, "conversation waits", "conversations wait")
    text = f" {style.marks.dash} {whose}; {waiting} until {until}"
    yield say(Level.NORMAL, Span("quota", "warning"), text)


def _quota_cleared(_: JobState, event: events.QuotaCleared, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {event.model or 'Claude'} answers again"
    yield say(Level.NORMAL, Span("quota", "good"), text)


def _parallelism_changed(_: JobState, event: events.ParallelismChanged, style: Style) -> Iterator[Told]:
    text = f"{event.model or 'Claude'}: up to {event.to} at a time {style.marks.dash} {event.reason}"
    yield say(Level.VERBOSE, Span(text, "dim"))


def _budget_set(_: JobState, event: events.BudgetSet, __: Style) -> Iterator[Told]:
    bounds = ", ".join(
        _bound(kind, cap) for kind in get_args(events.BudgetKind) if (cap := event.caps.of(kind)) is not None
    )
    yield say(Level.VERBOSE, Span(f"budget  {bounds}", "dim"))


def _bound(kind: events.BudgetKind, cap: float) -> str:
    match kind:
        case "usd":
            return f"${cap:.2f}"
        case "wall":
            return duration(cap)
        case _:
            return f"{cap:,.0f} {kind}"


def _budget_warned(_: JobState, event: events.BudgetWarned, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {spent(event)} used; no more items are started"
    yield say(Level.NORMAL, Span("budget", "warning"), text)


def _budget_exhausted(_: JobState, event: events.BudgetExhausted, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {spent(event)} used; the run stops"
    yield say(Level.NORMAL, Span("budget exhausted", "bad"), text)


def spent(event: events.BudgetWarned | events.BudgetExhausted) -> str:
    """How much of a budget is used: ``$4.52 of $5.00``."""
    match event.kind:
        case "usd":
            return f"${event.used:.2f} of {_bound(event.kind, event.cap)}"
        case "wall":
            return f"{duration(event.used)} of {_bound(event.kind, event.cap)}"
        case _:
            return f"{event.used:,.0f} of {_bound(event.kind, event.cap)}"


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.ClaudeIntended: nothing,
    events.ClaudeAnswered: nothing,
    events.ClaudeParked: _claude_parked,
    events.QuotaBlocked: _quota_blocked,
    events.QuotaCleared: _quota_cleared,
    events.ParallelismChanged: _parallelism_changed,
    events.ClaudeCutOff: _claude_cut_off,
    events.BudgetSet: _budget_set,
    events.BudgetWarned: _budget_warned,
    events.BudgetExhausted: _budget_exhausted,
}
