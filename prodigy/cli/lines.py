"""A run told line by line: what each record of the journal says to a person, and how loudly.

Pure: a record, the state after it, and how to write it come in; lines come out. At the default level a record gives
at most one line; a run of 10,000 items gives one line per item, and a summary only when both half a minute and a
tenth of the items passed since the last one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, get_args

import msgspec

from prodigy import events
from prodigy.cli.printer import Level, Part, Span
from prodigy.cli.terminal import Marks
from prodigy.cli.text import about, cells, counted, cut, duration, home_short, printable
from prodigy.events import Phase, Record, Stream
from prodigy.job.items import item_text
from prodigy.job.iterations import path_within
from prodigy.job.state import ItemState, JobState
from prodigy.job.summary import eta_ms, item_counts

_SUMMARY_EVERY = timedelta(seconds=30)
_SUMMARY_SHARE = 0.1
_FIRST_LINES = 10
_LAST_LINES = 5
_WHOLE_UP_TO = 20
_SHORT_SHA = 10
_SHOWN_NAMES = 10


class Told(NamedTuple):
    """One line, and the level from which on it is said."""

    level: Level
    parts: tuple[Part, ...]


class Style(NamedTuple):
    """How to write: the marks, what ``~`` stands for, how many steps each phase has, where known, and when to tell failures."""

    marks: Marks
    home: str | None = None
    steps: Mapping[Phase, int] = {}
    failures: int | None = 1
    """After how many failed items they are told; ``None``: when the map phase ends."""
    width: int | None = None
    """Cells that a step's command may take with what stands before it; ``None``: however long it is."""


class Milestone(NamedTuple):
    """When the last summary was told, and how many items had ended then."""

    at: datetime
    ended: int = 0


Teller = Callable[[JobState, Any, Style], Iterator[Told]]


def told(state: JobState, record: Record, style: Style) -> Iterator[Told]:
    """The lines that ``record`` is worth, the quietest level first; ``state`` is the one after it."""
    yield from TELLERS[type(record.event)](state, record.event, style)
    yield _line(Level.EVERYTHING, Span(_raw(record), "dim"))


def summary(state: JobState, now: datetime, last: Milestone) -> tuple[Told | None, Milestone]:
    """A line about the whole map phase, if it is time for one."""
    counts = item_counts(state)
    ended = counts.done + counts.failed + counts.skipped
    due = now - last.at >= _SUMMARY_EVERY and ended - last.ended >= _SUMMARY_SHARE * counts.total
    if not counts.total or not due:
        return None, last
    eta = eta_ms(state)
    left = f"eta {about(eta / 1000)}" if eta is not None else ""
    numbers = (
        f"{ended:,}/{counts.total:,} ended",
        f"{counts.failed:,} failed" if counts.failed else "",
        f"{counts.running:,} running",
        left,
    )
    return _line(Level.NORMAL, Span(" | ".join(filter(None, numbers)), "dim")), Milestone(now, ended)


def _line(level: Level, *parts: Part) -> Told:
    return Told(level, parts)


def _raw(record: Record) -> str:
    return f"#{record.seq} {msgspec.json.encode(record.event).decode()}"


def _nothing(_state: JobState, _event: events.Event, _style: Style) -> Iterator[Told]:
    """Said by another record, or of no use to a person."""
    return iter(())


# -- going on ------------------------------------------------------------------------------------------------------
def _job_resumed(state: JobState, event: events.JobResumed, _: Style) -> Iterator[Told]:
    done = state.counts["done"] + state.counts["failed"] + state.counts["skipped"]
    items = f", {done:,} of {counted(state.total, 'item')} ended before" if state.total else ""
    cut = f", {counted(event.intents_open, 'effect')} cut off" if event.intents_open else ""
    if event.item_ids:
        cut += f", {counted(len(event.item_ids), 'dead letter')} once more"
    if event.workflow_sha256 is not None:
        cut += f", with the workflow as it is now ({event.workflow_sha256[:_SHORT_SHA]})"
    yield _line(Level.NORMAL, Span("resumed", "strong"), f" in {state.phase or 'the beginning'}{items}{cut}")


def _journal_truncated(_: JobState, event: events.JournalTruncated, style: Style) -> Iterator[Told]:
    text = f" the journal's last {event.bytes} bytes were cut off; kept in {home_short(event.kept_at, style.home)}"
    yield _line(Level.NORMAL, Span("warning:", "warning"), text)


def _work_rewound(state: JobState, event: events.WorkRewound, _: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else event.phase
    again = (
        f" {whose}: back at {event.head[:_SHORT_SHA]}, {counted(len(event.forgotten), 'effect')} done again"
    )
    yield _line(Level.NORMAL, Span("warning:", "warning"), again)


# -- phases --------------------------------------------------------------------------------------------------------
def _phase_started(state: JobState, event: events.PhaseStarted, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        if state.selected and state.retry is None:
            yield _map_line(state)
    elif event.phase != "steps":
        steps = style.steps.get(event.phase)
        yield _line(Level.NORMAL, Span(event.phase, "strong"), f": {counted(steps, 'step')}" if steps else "")


def _items_selected(state: JobState, event: events.ItemsSelected, _: Style) -> Iterator[Told]:
    if "map" in state.phases:
        yield _map_line(state)
    if not event.matched:
        yield _line(Level.NORMAL, Span("warning:", "warning"), " `json_path` matches nothing in the input")
    for reason, count in event.skipped_by.items():
        yield _line(Level.VERBOSE, f"{counted(count, 'item')} left out by `{reason}`")


def _map_line(state: JobState) -> Told:
    items = f": {counted(state.total, 'item')}, up to {state.max_parallel} at a time"
    return _line(Level.NORMAL, Span("map", "strong"), items)


def _phase_completed(state: JobState, event: events.PhaseCompleted, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        yield from _failures_left(state, style)


def _phase_failed(state: JobState, event: events.PhaseFailed, style: Style) -> Iterator[Told]:
    if event.phase == "map":
        yield from _failures_left(state, style)
    parts = (f" {event.phase} | {event.error.message}", _log_part(event.error.logs, style))
    yield _line(Level.NORMAL, Span(style.marks.failed, "bad"), *parts)


def _phase_skipped(_: JobState, event: events.PhaseSkipped, style: Style) -> Iterator[Told]:
    yield _line(Level.NORMAL, Span(event.phase, "strong"), f": skipped {style.marks.dash} {event.reason}")


def _iteration_started(state: JobState, event: events.IterationStarted, _: Style) -> Iterator[Told]:
    assert state.started is not None
    values, most = len(state.started.arguments), state.started.iterations
    words = [f"of at most {most * max(1, values)}"] if most > 1 else [f"of {values}"]
    words += [f"| {event.arg}"] if event.arg is not None else []
    yield _line(Level.NORMAL, Span(f"iteration {event.n}", "strong"), f" {' '.join(words)}")


def _iteration_completed(_: JobState, event: events.IterationCompleted, style: Style) -> Iterator[Told]:
    name = f" {f'iteration {event.n}' if event.arg is None else event.arg} |"
    if event.error is None:
        done = f"{name} {counted(event.commits, 'commit')} | {duration(event.duration_ms / 1000)}"
        yield _line(Level.VERBOSE, Span(style.marks.done, "good"), done)
        return
    log = _log_part(event.error.logs, style)
    yield _line(Level.NORMAL, Span(style.marks.failed, "bad"), f"{name} {event.error.message}", log)


# -- steps ---------------------------------------------------------------------------------------------------------
def _step_intended(state: JobState, event: events.StepIntended, style: Style) -> Iterator[Told]:
    command = event.name or _first_line(event.command)
    place = _place(state, event, style)
    yield _line(_level(event), Span(place, "accent"), _fitted(place, f" {event.kind}: {command}", style))
    if event.name:
        yield _line(Level.VERBOSE, Span(f"    {_first_line(event.command)}", "dim"))


def _fitted(place: str, text: str, style: Style) -> str:
    """As much of ``text`` as there is room for behind ``place``."""
    room = None if style.width is None else max(1, style.width - cells(printable(place)))
    return cut(printable(text), room, style.marks.ellipsis)


BETWEEN: Final = frozenset({"asked", "check", "commit", "computed", "env", "items", "look", "timeout"})
"""Kinds of leaves that are no steps of the workflow's own."""
VALUES: Final = frozenset({"asked", "computed"})
"""Those that only give values to texts: the step that cannot do without one tells it."""


def _level(event: events.StepIntended | events.StepCompleted) -> Level:
    """What a person wrote is told; what agents do, and what Prodigy does for a step, when asked for."""
    return Level.NORMAL if event.item_id is None and event.kind not in BETWEEN else Level.VERBOSE


def _place(state: JobState, event: events.StepEvent, style: Style) -> str:
    """``[2/4]``, within a handler ``[2/4 on_failure#1.1]``, in an agent ``[src/a.py 2]``."""
    number, _, inside = path_within(event.step).partition(".")
    total = style.steps.get(event.phase)
    words = (
        _item_name(state, event.item_id) if event.item_id else "",
        f"{number}/{total}" if total else number,
        inside,
    )
    return f"[{' '.join(filter(None, words))}]"


def _step_completed(state: JobState, event: events.StepCompleted, style: Style) -> Iterator[Told]:
    log = event.claude.json_log_location if event.claude is not None else None
    how = f"Log: {home_short(log, style.home)}" if log else duration(event.duration_ms / 1000)
    took = f"Completed | {how}"
    if event.item_id is None:
        yield _line(_level(event), Span(style.marks.done, "good"), *_among(state, event, style), f" {took}")
    else:
        mark = Span(f" {style.marks.done}", "good")
        yield _line(Level.VERBOSE, Span(_place(state, event, style), "accent"), mark, f" {took}")
    yield from _output(event.stdout)
    yield from _output(event.stderr)


def _step_failed(state: JobState, event: events.StepFailed, style: Style) -> Iterator[Told]:
    error = event.error
    says_why = event.kind == "claude" or error.exit_code is None
    how = error.message if says_why else f"exit {error.exit_code}"
    parts: tuple[Part, ...] = (
        Span(style.marks.failed, "bad"),
        *(() if event.item_id is not None else _among(state, event, style)),
        f" Failed ({_first_line(how)})",
        _log_part(_claude_log(event) or error.logs, style),
    )
    if event.item_id is None and event.kind not in VALUES:
        yield _line(Level.NORMAL, *parts)
    else:
        yield _line(Level.VERBOSE, Span(f"{_place(state, event, style)} ", "accent"), *parts)
    yield from _output(event.stdout)
    yield from _output(event.stderr)


def _among(state: JobState, event: events.StepEvent, style: Style) -> tuple[Part, ...]:
    """Which step ended, where others may run beside it."""
    return (Span(f" {_place(state, event, style)}", "accent"),) if "foreach[" in event.step else ()


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
        yield _line(Level.OUTPUT, Span(f"    {line}", "dim"))


def _claude_cut_off(state: JobState, event: events.ClaudeCutOff, style: Style) -> Iterator[Told]:
    log = event.claude.json_log_location
    text = f" Claude was cut off | about ${event.claude.cost_usd:.2f}"
    place = Span(_place(state, event, style), "accent")
    yield _line(Level.VERBOSE, place, text, _log_part((log,) if log else (), style))


def _step_skipped(state: JobState, event: events.StepSkipped, style: Style) -> Iterator[Told]:
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    name = f" {event.name}" if event.name else ""
    yield _line(level, Span(_place(state, event, style), "accent"), f" skipped:{name} `when` is false")


def _step_retrying(state: JobState, event: events.StepRetrying, style: Style) -> Iterator[Told]:
    pause = f" in {duration(event.backoff_ms / 1000)}" if event.backoff_ms else ""
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    place, what = _place(state, event, style), f" run {event.try_} follows{pause}: {event.message}"
    yield _line(level, Span(place, "accent"), _fitted(place, what, style))


def _goal_seek_attempted(state: JobState, event: events.GoalSeekAttempted, style: Style) -> Iterator[Told]:
    attempt = f"attempt {event.number}" if event.number else "before the first attempt"
    score = f" {attempt}: score {event.score:g} of {event.threshold:g}"
    level = Level.NORMAL if event.item_id is None else Level.VERBOSE
    yield _line(level, Span(_place(state, event, style), "accent"), score)


def _step_warned(state: JobState, event: events.StepWarned, style: Style) -> Iterator[Told]:
    place = Span(f" {_place(state, event, style)}", "accent")
    yield _line(Level.NORMAL, Span("warning:", "warning"), place, f" {event.message}")


def _step_detached(state: JobState, event: events.StepDetached, style: Style) -> Iterator[Told]:
    level = Level.NORMAL if event.until == "forever" else Level.VERBOSE
    until = "for good" if event.until == "forever" else f"until the {event.until} ends"
    place = Span(_place(state, event, style), "accent")
    yield _line(level, place, f" left running {until}: pid {event.pid}")


def _handler_started(state: JobState, event: events.HandlerStarted, style: Style) -> Iterator[Told]:
    yield _line(
        Level.VERBOSE, Span(_place(state, event, style), "accent"), f" {event.which}, round {event.round}"
    )


def _validation_scored(state: JobState, event: events.ValidationScored, style: Style) -> Iterator[Told]:
    place = Span(_place(state, event, style), "accent")
    yield _line(Level.VERBOSE, place, f" check {event.check}: {event.score:g} of {event.threshold:g} %")


def _commit_created(_: JobState, event: events.CommitCreated, __: Style) -> Iterator[Told]:
    who = " (by Prodigy, of what the step left)" if event.auto else ""
    files = f", {counted(len(event.files), 'file')}" if event.files else ""
    text = f"commit {event.sha[:_SHORT_SHA]} {_first_line(event.message)}{files}{who}"
    yield _line(Level.VERBOSE, text)


# -- items ---------------------------------------------------------------------------------------------------------
def _agent_started(state: JobState, event: events.AgentStarted, _: Style) -> Iterator[Told]:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    yield _line(Level.VERBOSE, Span(f"[{_item_name(state, event.item_id)}]", "accent"), f" started{again}")


def _agent_completed(state: JobState, event: events.AgentCompleted, style: Style) -> Iterator[Told]:
    if not event.commits:
        yield _item_done(state.items[event.item_id], style)


def _agent_failed(state: JobState, event: events.AgentFailed, style: Style) -> Iterator[Told]:
    name = Span(f"[{_item_name(state, event.item_id)}]", "accent")
    failed = f" attempt {event.attempt} failed: {event.error.message}"
    yield _line(Level.VERBOSE, name, failed, _log_part(event.error.logs, style))


def _agent_interrupted(state: JobState, event: events.AgentInterrupted, _: Style) -> Iterator[Told]:
    name = Span(f"[{_item_name(state, event.item_id)}]", "accent")
    yield _line(Level.VERBOSE, name, f" goes on in another worker: {event.reason}")


def _agent_retrying(state: JobState, event: events.AgentRetrying, _: Style) -> Iterator[Told]:
    pause = f" in {duration(event.backoff_ms / 1000)}" if event.backoff_ms else ""
    name = Span(f"[{_item_name(state, event.item_id)}]", "accent")
    yield _line(Level.VERBOSE, name, f" attempt {event.next_attempt} follows{pause}")


def _merged(state: JobState, event: events.WorktreeMerged, style: Style) -> Iterator[Told]:
    if event.what == "agent" and event.item_id is not None:
        yield _item_done(state.items[event.item_id], style)
    target = f"{event.target_branch} {style.marks.arrow} {event.new[:_SHORT_SHA]}"
    yield _line(Level.VERBOSE, Span(f"merged: {target} ({event.strategy})", "dim"))


def _merge_conflicted(state: JobState, event: events.MergeConflicted, _: Style) -> Iterator[Told]:
    quiet = Level.VERBOSE if event.what == "agent" else Level.NORMAL
    whose = _item_name(state, event.item_id) if event.item_id else "the session"
    paths = ", ".join(event.paths)
    yield _line(quiet, Span("conflict", "warning"), f" between {whose} and {event.target_branch} in {paths}")


def _conflict_foreseen(state: JobState, event: events.ConflictForeseen, style: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id)
    if not event.paths:
        text = f" {style.marks.dash} what {whose} made can be merged again"
        yield _line(Level.VERBOSE, Span("conflict gone", "good"), text)
        return
    text = f" between {whose}, which is at work, and {event.target_branch} in {', '.join(event.paths)}"
    yield _line(Level.VERBOSE, Span("conflict ahead", "warning"), text)


def _resolution_started(state: JobState, event: events.ConflictResolutionStarted, _: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else "the session"
    paths = ", ".join(event.paths)
    what = f" {whose} and {event.target_branch} in {paths}: Claude resolves it"
    yield _line(Level.NORMAL, Span("conflict", "warning"), " between", what)


def _conflict_resolved(state: JobState, event: events.ConflictResolved, style: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else "the session"
    text = f" {style.marks.dash} {whose}, by Claude; checked, commit {event.commit[:_SHORT_SHA]}"
    yield _line(Level.NORMAL, Span("conflict resolved", "good"), text)


def _resolution_failed(
    state: JobState, event: events.ConflictResolutionFailed, style: Style
) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else "the session"
    what = f" {style.marks.dash} {whose}: {event.error.message}"
    yield _line(Level.NORMAL, Span("conflict stays", "bad"), what, _log_part(event.error.logs, style))


def _merge_failed(state: JobState, event: events.MergeFailed, _: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else "the session"
    yield _line(Level.NORMAL, Span("merge failed", "bad"), f" for {whose}: {event.message}")


def _dlq_item_added(state: JobState, event: events.DlqItemAdded, style: Style) -> Iterator[Told]:
    """A failed item, now or together with others: nothing is lost in between, for the state remembers them."""
    if style.failures == 1 or event.item_id not in state.dead_letters:
        yield _failed_item(state, event.item_id, event.history, style)
        return
    if style.failures is not None and len(state.dead_letters) % style.failures == 0:
        yield from _last_failures(state, style.failures, style)


def _dlq_item_updated(state: JobState, event: events.DlqItemUpdated, style: Style) -> Iterator[Told]:
    yield _failed_item(state, event.item_id, state.items[event.item_id].history, style)


def _dlq_retry_started(state: JobState, event: events.DlqRetryStarted, _: Style) -> Iterator[Told]:
    items = f" {counted(len(event.item_ids), 'item')}, {event.max_parallel} at a time, for {state.branch}"
    yield _line(Level.NORMAL, Span("retry", "strong"), items)


def _dlq_items_reprocessed(_: JobState, event: events.DlqItemsReprocessed, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {retried_text(event)}"
    yield _line(Level.NORMAL, Span("retry", "strong"), text)


def retried_text(event: events.DlqItemsReprocessed) -> str:
    """How the items of a retry ended, in words."""
    left = event.count - event.succeeded - event.failed
    parts = (
        f"{event.succeeded:,} done",
        f"{event.failed:,} failed again",
        f"{left:,} not started" if left else "",
    )
    return f"{', '.join(filter(None, parts))} (of {event.count:,})"


def _failures_left(state: JobState, style: Style) -> Iterator[Told]:
    """Those failed items of a map phase that ended which were not told yet."""
    if style.failures != 1 and state.retry is None:
        number = len(state.dead_letters)
        yield from _last_failures(state, number if style.failures is None else number % style.failures, style)


def _last_failures(state: JobState, number: int, style: Style) -> Iterator[Told]:
    letters = list(state.dead_letters.values())
    for letter in letters[len(letters) - number :]:
        yield _failed_item(state, letter.item_id, letter.failure_history, style)


def _failed_item(state: JobState, item_id: str, history: Sequence[events.Attempt], style: Style) -> Told:
    last = history[-1] if history else None
    words = (
        _item_name(state, item_id),
        last.error_message if last else "failed",
        f"{len(history)} attempts" if len(history) > 1 else "",
    )
    text = " | ".join(filter(None, words))
    claude = (last.json_log_location,) if last and last.json_log_location else ()
    log = _log_part(claude or (last.logs if last else ()), style)
    return _line(Level.NORMAL, Span(style.marks.failed, "bad"), f" {text}", log)


def _item_skipped(state: JobState, event: events.ItemSkipped, style: Style) -> Iterator[Told]:
    text = f" {_item_name(state, event.item_id)} | skipped: {event.reason}"
    yield _line(Level.NORMAL, Span(style.marks.failed, "warning"), text)


def _map_halted(_: JobState, event: events.MapHalted, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {event.message}; no more items are started"
    yield _line(Level.NORMAL, Span("map", "strong"), text)


def _circuit_opened(_: JobState, event: events.CircuitOpened, style: Style) -> Iterator[Told]:
    pause = duration(event.pause_ms / 1000)
    text = (
        f" {style.marks.dash} {counted(event.failures, 'failure')} in a row; nothing is started for {pause}"
    )
    yield _line(Level.NORMAL, Span("circuit open", "warning"), text)


def _circuit_closed(_: JobState, _event: events.CircuitClosed, style: Style) -> Iterator[Told]:
    yield _line(Level.NORMAL, Span("circuit closed", "good"), f" {style.marks.dash} items are started again")


def _claude_parked(state: JobState, event: events.ClaudeParked, style: Style) -> Iterator[Told]:
    whose = _item_name(state, event.item_id) if event.item_id else event.phase
    why = "its reserve was used up" if event.reason == "budget" else _first_line(event.message)
    text = f" {style.marks.dash} {whose}, step {event.step}: {why}; the conversation goes on later"
    yield _line(Level.VERBOSE, Span("claude waits", "warning"), text)


def _quota_blocked(_: JobState, event: events.QuotaBlocked, style: Style) -> Iterator[Told]:
    until = event.until.astimezone().strftime("%H:%M:%S")
    whose = f"{event.model or 'Claude'} is turned away"
    text = f" {style.marks.dash} {whose}; {counted(event.parked, 'conversation')} wait until {until}"
    yield _line(Level.NORMAL, Span("quota", "warning"), text)


def _quota_cleared(_: JobState, event: events.QuotaCleared, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {event.model or 'Claude'} answers again"
    yield _line(Level.NORMAL, Span("quota", "good"), text)


def _parallelism_changed(_: JobState, event: events.ParallelismChanged, style: Style) -> Iterator[Told]:
    text = f"{event.model or 'Claude'}: up to {event.to} at a time {style.marks.dash} {event.reason}"
    yield _line(Level.VERBOSE, Span(text, "dim"))


def _budget_set(_: JobState, event: events.BudgetSet, __: Style) -> Iterator[Told]:
    bounds = ", ".join(
        _bound(kind, cap) for kind in get_args(events.BudgetKind) if (cap := event.caps.of(kind)) is not None
    )
    yield _line(Level.VERBOSE, Span(f"budget  {bounds}", "dim"))


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
    yield _line(Level.NORMAL, Span("budget", "warning"), text)


def _budget_exhausted(_: JobState, event: events.BudgetExhausted, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} {spent(event)} used; the run stops"
    yield _line(Level.NORMAL, Span("budget exhausted", "bad"), text)


def _writing_refused(_: JobState, event: events.WritingRefused, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} nothing can be written in {home_short(event.path, style.home)}: {event.reason}; the run stops"
    yield _line(Level.NORMAL, Span("disk", "bad"), text)


def spent(event: events.BudgetWarned | events.BudgetExhausted) -> str:
    """How much of a budget is used: ``$4.52 of $5.00``."""
    match event.kind:
        case "usd":
            return f"${event.used:.2f} of {_bound(event.kind, event.cap)}"
        case "wall":
            return f"{duration(event.used)} of {_bound(event.kind, event.cap)}"
        case _:
            return f"{event.used:,.0f} of {_bound(event.kind, event.cap)}"


def _item_done(item: ItemState, style: Style) -> Told:
    words = (
        item_text(item.item, item.item_id),
        counted(len(item.commits), "commit") if item.commits else "no change",
        duration(item.duration_ms / 1000),
        f"${item.cost_usd:.2f}" if item.cost_usd else "",
    )
    text = " | ".join(filter(None, words))
    log = _log_part((item.json_log_location,) if item.json_log_location else (), style)
    return _line(Level.NORMAL, Span(style.marks.done, "good"), f" {text}", log)


def _item_name(state: JobState, item_id: str) -> str:
    item = state.items.get(item_id)
    return item_text(item.item, item_id) if item else item_id


# -- the end, and what goes wrong around the run -------------------------------------------------------------------
def _cancel_requested(_: JobState, event: events.CancelRequested, style: Style) -> Iterator[Told]:
    grace = f"; steps have {duration(event.grace_ms / 1000)} to end" if event.grace_ms else ""
    yield _line(Level.NORMAL, Span("stopping", "warning"), f" {style.marks.dash} asked by {event.by}{grace}")


def _rescued(_: JobState, event: events.WorktreeRescued, style: Style) -> Iterator[Told]:
    if event.submodule:
        whose = (
            f" {style.marks.dash} what {event.agent_id or 'the run'} made in the submodule {event.submodule}"
        )
        yield _line(Level.NORMAL, Span("kept", "warning"), f"{whose} is in its repository, as {event.ref}")
        return
    yield _line(Level.VERBOSE, f"unmerged work kept as {event.ref} ({event.reason})")


_SHARED: Final = {
    "config": "the repository's configuration",
    "stash": "the stash",
    "refs": "refs",
    "checkout": "your checkout",
}


def _shared_changed(_: JobState, event: events.SharedStateChanged, style: Style) -> Iterator[Told]:
    who = "the run" if event.what == "checkout" else event.agent_id or event.phase
    more = len(event.names) - _SHOWN_NAMES
    names = ", ".join(event.names[:_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    what = f" {style.marks.dash} {_SHARED[event.what]} changed while {who} ran: {names}"
    yield _line(Level.NORMAL, Span("undone" if event.undone else "changed", "warning"), what)


def _worker_started(_: JobState, event: events.WorkerStarted, __: Style) -> Iterator[Told]:
    yield _line(Level.NORMAL, Span(f"worker {event.worker}, pid {event.pid}", "dim"))


def _worker_lost(_: JobState, event: events.WorkerLost, __: Style) -> Iterator[Told]:
    affected = f"; {counted(len(event.agents), 'agent')} handed back" if event.agents else ""
    yield _line(
        Level.NORMAL,
        Span("warning:", "warning"),
        f" worker {event.worker} (pid {event.pid}) was lost, {event.reason}{affected}",
    )


def _child_down(_: JobState, event: events.ChildDown, __: Style) -> Iterator[Told]:
    yield _line(Level.VERBOSE, Span(f"actor {event.child} went down: {event.reason}", "dim"))


def _child_restarted(_: JobState, event: events.ChildRestarted, __: Style) -> Iterator[Told]:
    yield _line(Level.VERBOSE, Span(f"actor {event.child} started again ({event.restarts})", "dim"))


def _log_part(logs: tuple[str, ...], style: Style) -> Part:
    """The log to look into: what went to stderr, if that is among them; never cut."""
    if not logs:
        return ""
    log = next((path for path in logs if path.endswith(".err")), logs[-1])
    return f" | Log: {home_short(log, style.home)}"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.JobStarted: _nothing,
    events.JobResumed: _job_resumed,
    events.JournalTruncated: _journal_truncated,
    events.JobPaused: _nothing,
    events.JobCompleted: _nothing,
    events.JobFailed: _nothing,
    events.CheckpointCreated: _nothing,
    events.CheckpointLoaded: _nothing,
    events.CheckpointFailed: _nothing,
    events.CancelRequested: _cancel_requested,
    events.PhaseStarted: _phase_started,
    events.PhaseCompleted: _phase_completed,
    events.PhaseFailed: _phase_failed,
    events.PhaseSkipped: _phase_skipped,
    events.IterationStarted: _iteration_started,
    events.IterationCompleted: _iteration_completed,
    events.ItemSelected: _nothing,
    events.ItemsSelected: _items_selected,
    events.ItemSkipped: _item_skipped,
    events.MapHalted: _map_halted,
    events.CircuitOpened: _circuit_opened,
    events.CircuitClosed: _circuit_closed,
    events.AgentStarted: _agent_started,
    events.AgentCompleted: _agent_completed,
    events.AgentFailed: _agent_failed,
    events.AgentInterrupted: _agent_interrupted,
    events.AgentRetrying: _agent_retrying,
    events.StepIntended: _step_intended,
    events.StepSpawned: _nothing,
    events.StepDetached: _step_detached,
    events.ClaudeIntended: _nothing,
    events.ClaudeAnswered: _nothing,
    events.ClaudeParked: _claude_parked,
    events.QuotaBlocked: _quota_blocked,
    events.QuotaCleared: _quota_cleared,
    events.ParallelismChanged: _parallelism_changed,
    events.ClaudeCutOff: _claude_cut_off,
    events.BudgetSet: _budget_set,
    events.BudgetWarned: _budget_warned,
    events.BudgetExhausted: _budget_exhausted,
    events.StepCompleted: _step_completed,
    events.StepFailed: _step_failed,
    events.WorkRewound: _work_rewound,
    events.StepSkipped: _step_skipped,
    events.StepRetrying: _step_retrying,
    events.StepWarned: _step_warned,
    events.GoalSeekAttempted: _goal_seek_attempted,
    events.HandlerStarted: _handler_started,
    events.HandlerCompleted: _nothing,
    events.LimitExceeded: _nothing,
    events.ValidationScored: _validation_scored,
    events.CommitCreated: _commit_created,
    events.WorktreeCreateIntended: _nothing,
    events.WorktreeCreated: _nothing,
    events.WorktreeCreateFailed: _nothing,
    events.WorktreeLeased: _nothing,
    events.WorktreeReleased: _nothing,
    events.WorktreeRescued: _rescued,
    events.SharedStateChanged: _shared_changed,
    events.WorktreeRemoveIntended: _nothing,
    events.WorktreeCleaned: _nothing,
    events.MergeIntended: _nothing,
    events.WorktreeMerged: _merged,
    events.MergeConflicted: _merge_conflicted,
    events.MergeFailed: _merge_failed,
    events.ConflictForeseen: _conflict_foreseen,
    events.WritingRefused: _writing_refused,
    events.ConflictResolutionStarted: _resolution_started,
    events.ConflictResolved: _conflict_resolved,
    events.ConflictResolutionFailed: _resolution_failed,
    events.MergePrompted: _nothing,
    events.DlqItemAdded: _dlq_item_added,
    events.DlqItemUpdated: _dlq_item_updated,
    events.DlqItemRemoved: _nothing,
    events.DlqItemsEvicted: _nothing,
    events.DlqRetryStarted: _dlq_retry_started,
    events.DlqItemsReprocessed: _dlq_items_reprocessed,
    events.ChildDown: _child_down,
    events.ChildRestarted: _child_restarted,
    events.Escalated: _nothing,
    events.WorkerStarted: _worker_started,
    events.WorkerLost: _worker_lost,
}
"""Every event has its teller; a new event without one fails a test."""
