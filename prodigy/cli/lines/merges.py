"""Lines about merges, and what stands in their way."""

from collections.abc import Iterator, Mapping
from typing import Final

from prodigy import events
from prodigy.cli.lines.items import item_done
from prodigy.cli.lines.line import SHORT_SHA, Style, Teller, Told, item_name, log_part, nothing, say
from prodigy.cli.printer import Level, Span
from prodigy.job.state import JobState


def _merged(state: JobState, event: events.WorktreeMerged, style: Style) -> Iterator[Told]:
    if event.what == "agent" and event.item_id is not None:
        yield item_done(state.items[event.item_id], style)
    target = f"{event.target_branch} {style.marks.arrow} {event.new[:SHORT_SHA]}"
    yield say(Level.VERBOSE, Span(f"merged: {target} ({event.strategy})", "dim"))


def _merge_conflicted(state: JobState, event: events.MergeConflicted, _: Style) -> Iterator[Told]:
    quiet = Level.VERBOSE if event.what == "agent" else Level.NORMAL
    whose = item_name(state, event.item_id) if event.item_id else "the session"
    paths = ", ".join(event.paths)
    yield say(quiet, Span("conflict", "warning"), f" between {whose} and {event.target_branch} in {paths}")


def _conflict_foreseen(state: JobState, event: events.ConflictForeseen, style: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id)
    if not event.paths:
        text = f" {style.marks.dash} what {whose} made can be merged again"
        yield say(Level.VERBOSE, Span("conflict gone", "good"), text)
        return
    text = f" between {whose}, which is at work, and {event.target_branch} in {', '.join(event.paths)}"
    yield say(Level.VERBOSE, Span("conflict ahead", "warning"), text)


def _resolution_started(state: JobState, event: events.ConflictResolutionStarted, _: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else "the session"
    paths = ", ".join(event.paths)
    what = f" {whose} and {event.target_branch} in {paths}: Claude resolves it"
    yield say(Level.NORMAL, Span("conflict", "warning"), " between", what)


def _conflict_resolved(state: JobState, event: events.ConflictResolved, style: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else "the session"
    text = f" {style.marks.dash} {whose}, by Claude; checked, commit {event.commit[:SHORT_SHA]}"
    yield say(Level.NORMAL, Span("conflict resolved", "good"), text)


def _resolution_failed(
    state: JobState, event: events.ConflictResolutionFailed, style: Style
) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else "the session"
    what = f" {style.marks.dash} {whose}: {event.error.message}"
    yield say(Level.NORMAL, Span("conflict stays", "bad"), what, log_part(event.error.logs, style))


def _merge_failed(state: JobState, event: events.MergeFailed, _: Style) -> Iterator[Told]:
    whose = item_name(state, event.item_id) if event.item_id else "the session"
    yield say(Level.NORMAL, Span("merge failed", "bad"), f" for {whose}: {event.message}")


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.MergeIntended: nothing,
    events.WorktreeMerged: _merged,
    events.MergeConflicted: _merge_conflicted,
    events.MergeFailed: _merge_failed,
    events.ConflictForeseen: _conflict_foreseen,
    events.ConflictResolutionStarted: _resolution_started,
    events.ConflictResolved: _conflict_resolved,
    events.ConflictResolutionFailed: _resolution_failed,
    events.MergePrompted: nothing,
}
