"""Lines about what is around a run: the disk, the repository, workers and actors."""

from collections.abc import Iterator, Mapping
from typing import Final

from prodigy import events
from prodigy.cli.lines.line import Style, Teller, Told, nothing, say
from prodigy.cli.printer import Level, Span
from prodigy.cli.text import counted, home_short, readable_size
from prodigy.job.state import JobState

_SHOWN_NAMES = 10
_SHARED: Final = {
    "config": "the repository's configuration",
    "stash": "the stash",
    "refs": "refs",
    "checkout": "your checkout",
}


def _journal_truncated(_: JobState, event: events.JournalTruncated, style: Style) -> Iterator[Told]:
    text = f" the journal's last {event.bytes} bytes were cut off; kept in {home_short(event.kept_at, style.home)}"
    yield say(Level.NORMAL, Span("warning:", "warning"), text)


def _writing_refused(_: JobState, event: events.WritingRefused, style: Style) -> Iterator[Told]:
    text = f" {style.marks.dash} nothing can be written in {home_short(event.path, style.home)}: {event.reason}; the run stops"
    yield say(Level.NORMAL, Span("disk", "bad"), text)


def _rescued(_: JobState, event: events.WorktreeRescued, style: Style) -> Iterator[Told]:
    if event.submodule:
        whose = (
            f" {style.marks.dash} what {event.agent_id or 'the run'} made in the submodule {event.submodule}"
        )
        yield say(Level.NORMAL, Span("kept", "warning"), f"{whose} is in its repository, as {event.ref}")
        return
    yield say(Level.VERBOSE, f"unmerged work kept as {event.ref} ({event.reason})")


def _shared_changed(_: JobState, event: events.SharedStateChanged, style: Style) -> Iterator[Told]:
    who = "the run" if event.what == "checkout" else event.agent_id or event.phase
    more = len(event.names) - _SHOWN_NAMES
    names = ", ".join(event.names[:_SHOWN_NAMES]) + (f" and {more:,} more" if more > 0 else "")
    what = f" {style.marks.dash} {_SHARED[event.what]} changed while {who} ran: {names}"
    yield say(Level.NORMAL, Span("undone" if event.undone else "changed", "warning"), what)


def _worker_started(_: JobState, event: events.WorkerStarted, __: Style) -> Iterator[Told]:
    yield say(Level.NORMAL, Span(f"worker {event.worker}, pid {event.pid}", "dim"))


def _worker_lost(_: JobState, event: events.WorkerLost, __: Style) -> Iterator[Told]:
    affected = f"; {counted(len(event.agents), 'agent')} handed back" if event.agents else ""
    yield say(
        Level.NORMAL,
        Span("warning:", "warning"),
        f" worker {event.worker} (pid {event.pid}) was lost, {event.reason}{affected}",
    )


def _child_down(_: JobState, event: events.ChildDown, __: Style) -> Iterator[Told]:
    yield say(Level.VERBOSE, Span(f"actor {event.child} went down: {event.reason}", "dim"))


def _child_restarted(_: JobState, event: events.ChildRestarted, __: Style) -> Iterator[Told]:
    yield say(Level.VERBOSE, Span(f"actor {event.child} started again ({event.restarts})", "dim"))


def _host_short(_: JobState, event: events.HostShort, style: Style) -> Iterator[Told]:
    free = f"{readable_size(event.free)} free, less than {readable_size(event.floor)}"
    so = "the run rests" if event.given_up else "no agent starts"
    said = f" {style.marks.dash} {so}: {free} (`host.min_free_{event.what}`)"
    yield say(Level.NORMAL, Span(event.what, "warning"), said)


def _host_recovered(_: JobState, event: events.HostRecovered, style: Style) -> Iterator[Told]:
    yield say(
        Level.NORMAL, Span(event.what, "good"), f" {style.marks.dash} there is room again, agents start"
    )


TELLERS: Final[Mapping[type[events.Event], Teller]] = {
    events.JournalTruncated: _journal_truncated,
    events.WorktreeCreateIntended: nothing,
    events.WorktreeCreated: nothing,
    events.WorktreeCreateFailed: nothing,
    events.WorktreeLeased: nothing,
    events.WorktreeReleased: nothing,
    events.WorktreeRescued: _rescued,
    events.SharedStateChanged: _shared_changed,
    events.WorktreeRemoveIntended: nothing,
    events.WorktreeCleaned: nothing,
    events.WritingRefused: _writing_refused,
    events.ChildDown: _child_down,
    events.ChildRestarted: _child_restarted,
    events.Escalated: nothing,
    events.WorkerStarted: _worker_started,
    events.WorkerLost: _worker_lost,
    events.HostShort: _host_short,
    events.HostRecovered: _host_recovered,
}
