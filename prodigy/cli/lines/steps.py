"""Lines about steps: what runs, what it printed, how it ended, and what it committed."""

from collections.abc import Iterator, Mapping
from typing import Final

from prodigy import events
from prodigy.cli.lines.line import (
    SHORT_SHA,
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
from prodigy.cli.printer import Level, Part, Span
from prodigy.cli.text import cells, counted, cut, duration, home_short, printable
from prodigy.events import Stream
from prodigy.job.state import JobState

_FIRST_LINES = 10
_LAST_LINES = 5
_WHOLE_UP_TO = 20
_BETWEEN: Final = frozenset({"asked", "check", "commit", "computed", "env", "items", "look", "timeout"})
"""Kinds of leaves that are no steps of the workflow's own."""
_VALUES: Final = frozenset({"asked", "computed"})
"""Those that only give values to texts: the step that cannot do without one tells it."""


def _step_intended(state: JobState, event: events.StepIntended, style: Style) -> Iterator[Told]:
    command = event.name or first_line(event.command)
    place = step_place(state, event, style)
    yield say(_level(event), Span(place, "accent"), _fitted(place, f" {event.kind}: {command}", style))
    if event.name:
        yield say(Level.VERBOSE, Span(f"    {first_line(event.command)}", "dim"))


def _fitted(place: str, text: str, style: Style) -> str:
    """As much of ``text`` as there is room for behind ``place``."""
    room = None if style.width is None else max(1, style.width - cells(printable(place)))
    return cut(printable(text), room, style.marks.ellipsis)


def _level(event: events.StepIntended | events.StepCompleted) -> Level:
    """What a person wrote is told; what agents do, and what Prodigy does for a step, when asked for."""
    return Level.NORMAL if event.item_id is None and event.kind not in _BETWEEN else Level.VERBOSE


def _step_completed(state: JobState, event: events.StepCompleted, style: Style) -> Iterator[Told]:
    log = event.claude.json_log_location if event.claude is not None else None
    how = f"Log: {home_short(log, style.home)}" if log else duration(event.duration_ms / 1000)
    took = f"Completed | {how}"
    if event.item_id is None:
        yield say(_level(event), Span(style.marks.done, "good"), *_among(state, event, style), f" {took}")
    else:
        mark = Span(f" {style.marks.done}", "good")
        yield say(Level.VERBOSE, Span(step_place(state, event, style), "accent"), mark, f" {took}")
    yield from _output(event.stdout)
    yield from _output(event.stderr)


def _step_failed(state: JobState, event: events.StepFailed, style: Style) -> Iterator[Told]:
    error = event.error
    says_why = event.kind == "claude" or error.exit_code is None
    how = error.message if says_why else f"exit {error.exit_code}"
    parts: tuple[Part, ...] = (
        Span(style.marks.failed, "bad"),
        *(() if event.item_id is not None else _among(state, event, style)),
        f" Failed ({first_line(how)})",
        log_part(_claude_log(event) or error.logs, style),
    )
    if event.item_id is None and event.kind not in _VALUES:
        yield say(Level.NORMAL, *parts)
    else:
        yield say(Level.VERBOSE, Span(f"{step_place(state, event, style)} ", "accent"), *parts)
    yield from _output(event.stdout)
    yield from _output(event.stderr)


def _among(state: JobState, event: events.StepEvent, style: Style) -> tuple[Part, ...]:
    """Which step ended, where others may run beside it."""
    return (Span(f" {step_place(state, event, style)}", "accent"),) if "foreach[" in event.step else ()


def _claude_log(event: events.StepFailed) -> tuple[str, ...]:
    """Where Claude's own account of a failed step is."""
    log = event.claude.json_log_location if event.claude is not None else None
    return (log,) if log else ()


def _output(stream: Stream) -> Iterator[Told]:
    """The first and the last lines of what a step printed."""
    lines = stream.tail.splitlines()
    if stream.cut:
        lines = ["(earlier output left out)", *lines[-_LAST_LINES:]]
    elif len(lines) > _WHOLE_UP_TO:
        left_out = f"({len(lines) - _FIRST_LINES - _LAST_LINES} lines left out)"
        lines = [*lines[:_FIRST_LINES], left_out, *lines[-_LAST_LINES:]]
    for line in lines:
        yield say(Level.OUTPUT, Span(f"    {line}", "dim"))


def _step_skipped(state: JobState, event: events.StepSkipped, style: Style) -> Iterator[Told]:
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    name = f" {event.name}" if event.name else ""
    yield say(level, Span(step_place(state, event, style), "accent"), f" skipped:{name} `when` is false")


def _step_retrying(state: JobState, event: events.StepRetrying, style: Style) -> Iterator[Told]:
    pause = f" in {duration(event.backoff_ms / 1000)}" if event.backoff_ms else ""
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    place, what = step_place(state, event, style), f" run {event.try_} follows{pause}: {event.message}"
    yield say(level, Span(place, "accent"), _fitted(place, what, style))


def _goal_seek_attempted(state: JobState, event: events.GoalSeekAttempted, style: Style) -> Iterator[Told]:
    attempt = f"attempt {event.number}" if event.number else "before the first attempt"
    score = f" {attempt}: score {event.score:g} of {event.threshold:g}"
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    yield say(level, Span(step_place(state, event, style), "accent"), score)


def _step_warned(state: JobState, event: events.StepWarned, style: Style) -> Iterator[Told]:
    place = Span(f" {step_place(state, event, style)}", "accent")
    yield say(Level.NORMAL, Span("warning:", "warning"), place, f" {event.message}")


def _step_detached(state: JobState, event: events.StepDetached, style: Style) -> Iterator[Told]:
    level = Level.NORMAL if event.until == "forever" else Level.VERBOSE
    until = "for good" if event.until == "forever" else f"until the {event.until} ends"
    place = Span(step_place(state, event, style), "accent")
    yield say(level, place, f" left running {until}: pid {event.pid}")


def _handler_started(state: JobState, event: events.HandlerStarted, style: Style) -> Iterator[Told]:
    yield say(
        Level.VERBOSE, Span(step_place(state, event, style), "accent"), f" {event.which}, round {event.round}"
    )


def _validation_scored(state: JobState, event: events.ValidationScored, style: Style) -> Iterator[Told]:
    place = Span(step_place(state, event, style), "accent")
    yield say(Level.VERBOSE, place, f" check {event.check}: {event.score:g} of {event.threshold:g} %")


def _commit_created(_: JobState, event: events.CommitCreated, __: Style) -> Iterator[Told]:
    who = " (by Prodigy, of what the step left)" if event.auto else ""
    files = f", {counted(len(event.files), 'file')}" if event.files else ""
    text = f"commit {event.sha[:SHORT_SHA]} {first_line(event.message)}{files}{who}"
    yield say(Level.VERBOSE, text)


def _work_rewound(state: JobState, event: events.WorkRewound, _: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else event.phase
    again = (
        f" {whose}: back at {event.head[:SHORT_SHA]}, {counted(len(event.forgotten), 'effect')} done again"
    )
    yield say(Level.NORMAL, Span("warning:", "warning"), again)


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.StepIntended: _step_intended,
    events.StepSpawned: nothing,
    events.StepDetached: _step_detached,
    events.StepCompleted: _step_completed,
    events.StepFailed: _step_failed,
    events.WorkRewound: _work_rewound,
    events.StepSkipped: _step_skipped,
    events.StepRetrying: _step_retrying,
    events.StepWarned: _step_warned,
    events.GoalSeekAttempted: _goal_seek_attempted,
    events.HandlerStarted: _handler_started,
    events.HandlerCompleted: nothing,
    events.LimitExceeded: nothing,
    events.ValidationScored: _validation_scored,
    events.CommitCreated: _commit_created,
}
