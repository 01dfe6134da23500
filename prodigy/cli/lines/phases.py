"""Lines about a run as a whole: how it goes on, its phases and rounds, and that it is asked to stop."""

from collections.abc import Iterator, Mapping
from typing import Final

from prodigy import events
from prodigy.cli.lines.letters import failures_left
from prodigy.cli.lines.line import SHORT_SHA, Style, Teller, Told, log_part, nothing, say
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import counted, duration
from prodigy.job.state import JobState


def _job_resumed(state: JobState, event: events.JobResumed, _: Style) -> Iterator[Told]:
    done = state.counts["done"] + state.counts["failed"] + state.counts["skipped"]
    items = f", {done:,} of {counted(state.total, 'item')} ended before" if state.total else ""
    cut = f", {counted(event.intents_open, 'effect')} cut off" if event.intents_open else ""
    if event.item_ids:
        cut += f", {counted(len(event.item_ids), 'dead letter')} once more"
    if event.workflow_sha256 is not None:
        cut += f", with the workflow as it is now ({event.workflow_sha256[:SHORT_SHA]})"
    yield say(Level.NORMAL, Span("resumed", "strong"), f" in {state.phase or 'the beginning'}{items}{cut}")


def _phase_started(state: JobState, event: events.PhaseStarted, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        if state.selected and state.retry is None:
            yield _map_line(state)
    elif event.phase != "steps":
        steps = style.steps.get(event.phase)
        yield say(Level.NORMAL, Span(event.phase, "strong"), f": {counted(steps, 'step')}" if steps else "")


def _items_selected(state: JobState, event: events.ItemsSelected, _: Style) -> Iterator[Told]:
    if "map" in state.phases:
        yield _map_line(state)
    if not event.matched:
        yield say(Level.NORMAL, Span("warning:", "warning"), " `json_path` matches nothing in the input")
    for reason, count in event.skipped_by.items():
        yield say(Level.VERBOSE, f"{counted(count, 'item')} left out by `{reason}`")


def _map_line(state: JobState) -> Told:
    items = f": {counted(state.total, 'item')}, up to {state.max_parallel} at a time"
    return say(Level.NORMAL, Span("map", "strong"), items)


def _phase_completed(state: JobState, event: events.PhaseCompleted, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        yield from failures_left(state, style)


def _phase_failed(state: JobState, event: events.PhaseFailed, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        yield from failures_left(state, style)
    parts = (f" {event.phase} | {event.error.message}", log_part(event.error.logs, style))
    yield say(Level.NORMAL, Span(style.marks.failed, "bad"), *parts)


def _phase_skipped(_: JobState, event: events.PhaseSkipped, style: Style) -> Iterator[Told]:
    yield say(Level.NORMAL, Span(event.phase, "strong"), f": skipped {style.marks.dash} {event.reason}")


def _iteration_started(state: JobState, event: events.IterationStarted, _: Style) -> Iterator[Told]:
    assert state.started is not None
    values, most = len(state.started.arguments), state.started.iterations
    words = [f"of at most {most * max(1, values)}"] if most > 1 else [f"of {values}"]
    words += [f"| {event.arg}"] if event.arg is not None else []
    yield say(Level.NORMAL, Span(f"iteration {event.n}", "strong"), f" {' '.join(words)}")


def _iteration_completed(_: JobState, event: events.IterationCompleted, style: Style) -> Iterator[Told]:
    name = f" {f'iteration {event.n}' if event.arg is None else event.arg} |"
    if event.error is None:
        done = f"{name} {counted(event.commits, 'commit')} | {duration(event.duration_ms / 1000)}"
        yield say(Level.VERBOSE, Span(style.marks.done, "good"), done)
        return
    log = log_part(event.error.logs, style)
    yield say(Level.NORMAL, Span(style.marks.failed, "bad"), f"{name} {event.error.message}", log)


def _cancel_requested(_: JobState, event: events.CancelRequested, style: Style) -> Iterator[Told]:
    grace = f"; steps have {duration(event.grace_ms / 1000)} to end" if event.grace_ms else ""
    yield say(Level.NORMAL, Span("stopping", "warning"), f" {style.marks.dash} asked by {event.by}{grace}")


def _job_paused(state: JobState, _: events.JobPaused, style: Style) -> Iterator[Told]:
    """Failures that were kept for the end of the map phase are told now: it may be long until that comes."""
    phase = state.phases.get("map")
    if phase is not None and phase.status == "running":
        yield from failures_left(state, style)


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.JobStarted: nothing,
    events.JobResumed: _job_resumed,
    events.JobPaused: _job_paused,
    events.JobCompleted: nothing,
    events.JobFailed: nothing,
    events.CheckpointCreated: nothing,
    events.CheckpointLoaded: nothing,
    events.CheckpointFailed: nothing,
    events.CancelRequested: _cancel_requested,
    events.PhaseStarted: _phase_started,
    events.PhaseCompleted: _phase_completed,
    events.PhaseFailed: _phase_failed,
    events.PhaseSkipped: _phase_skipped,
    events.IterationStarted: _iteration_started,
    events.IterationCompleted: _iteration_completed,
    events.ItemsSelected: _items_selected,
}
