"""A run as rows of spans, in the trace event format that Perfetto and Chrome open.

Pure. A row for phases, one for merges, one for what everybody waited for, one for the steps of each phase without agents,
one for each slot of agents (a second one where steps of it overlap), and a track for each item with its waits. What was
cut off ends with the last record of the process that did it.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import UNSET, Struct, UnsetType

from prodigy import events
from prodigy.events import AnyEvent, Record, event_type
from prodigy.job.items import item_text

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INSTANTS: Final = (
    events.AgentRetrying,
    events.BudgetExhausted,
    events.BudgetWarned,
    events.CancelRequested,
    events.ChildRestarted,
    events.CircuitOpened,
    events.DlqItemAdded,
    events.JobPaused,
    events.JobResumed,
    events.LimitExceeded,
    events.MapHalted,
    events.WorkerLost,
)
"""What takes no time and is worth a mark."""
_PHASES: Final = "phases"
_MERGES: Final = "merges"
_WAITS: Final = "what everybody waits for"
_LONGEST: Final = 200
"""Characters of a text that is shown with a span."""
_StepEvent = events.StepIntended | events.StepCompleted | events.StepFailed | events.ClaudeCutOff
_AttemptEnd = events.AgentCompleted | events.AgentFailed | events.AgentInterrupted
_MergeEvent = events.MergeIntended | events.WorktreeMerged | events.MergeConflicted | events.MergeFailed


class TraceEvent(Struct, frozen=True, kw_only=True):
    """One entry of ``traceEvents``, in the order of their times, which are microseconds since the epoch.

    ``ph`` is ``B`` and ``E`` for the ends of a span in a row, ``b`` and ``e`` for those of one on the track of an item,
    ``i`` for an instant, ``C`` for a count and ``M`` for the name or place of a row.
    """

    name: str
    ph: Literal["B", "E", "b", "e", "i", "C", "M"]
    ts: int
    pid: int
    tid: int = 0
    cat: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    s: Literal["p"] | UnsetType = UNSET
    args: dict[str, Any] | UnsetType = UNSET


Key = tuple[
    Literal["phase", "wait", "agent", "worker", "step", "parked", "merge", "item", "track"], str | int
]


class _Span(Struct, frozen=True):
    """A span: in a row, or on the track of an item."""

    name: str
    place: str
    track: bool = False


class _Agent(Struct, frozen=True):
    """An attempt at an item."""

    item: str
    number: int
    row: str


class Tracer:
    """Takes the records of one run, in order.

    Args:
        process: the number that the run has among those of the file, from 1.
    """

    def __init__(self, process: int) -> None:
        self._process = process
        self._rows: dict[str, int] = {}
        self._open: dict[Key, _Span] = {}
        """In the order of their beginnings; those of one row lie in each other."""
        self._texts: dict[str, str] = {}
        self._agents: dict[str, _Agent] = {}
        self._now = 0

    def after(self, record: Record) -> Iterator[TraceEvent]:
        """What one more record adds."""
        event = record.event
        if isinstance(event, events.JobResumed):
            yield from self._interrupted()
        # The clock of a machine may be put back; spans would not lie in each other then.
        self._now = max(self._now, (record.timestamp - _EPOCH) // _MICROSECOND)
        yield from self._told(event, record.seq)
        if isinstance(event, _INSTANTS):
            yield self._entry(event_type(event), "i", s="p", args=_shown(event))

    def end(self) -> Iterator[TraceEvent]:
        """What is left to be said after the last record."""
        yield from self._cut_off(self._open)

    # -- events --------------------------------------------------------------------------------------------------------
    def _told(self, event: AnyEvent, seq: int) -> Iterator[TraceEvent]:
        match event:
            case events.JobStarted():
                name = f"{event.workflow_name} {event.job_id}"
                yield self._entry("process_name", "M", args={"name": name})
            case events.PhaseStarted():
                yield from self._begin(("phase", event.phase), _Span(event.phase, _PHASES))
            case events.PhaseCompleted() | events.PhaseFailed():
                yield from self._finish(("phase", event.phase), event)
            case events.StepIntended() | events.StepCompleted() | events.StepFailed() | events.ClaudeCutOff():
                yield from self._step(event, seq)
            case (
                events.MergeIntended()
                | events.WorktreeMerged()
                | events.MergeConflicted()
                | events.MergeFailed()
            ):
                yield from self._merge(event, seq)
            case _:
                yield from self._waited(event)
                yield from self._attempt(event)

    def _waited(self, event: AnyEvent) -> Iterator[TraceEvent]:
        """What begins and ends of waits for something outside of the run."""
        match event:
            case events.QuotaBlocked():
                what = event.model or event.account
                yield from self._begin(("wait", what), _Span(f"quota of Claude {what}".strip(), _WAITS))
            case events.QuotaCleared():
                yield from self._finish(("wait", event.model or event.account), event)
            case events.HostShort():
                yield from self._begin(("wait", event.what), _Span(f"{event.what} of the machine", _WAITS))
            case events.HostRecovered():
                yield from self._finish(("wait", event.what), event)
            case events.ClaudeParked() if step := self._open.get(("step", event.intent)):
                span = _Span(f"parked: {event.reason}", step.place)
                yield from self._begin(("parked", event.intent), span, event)
            case events.ClaudeIntended():
                yield from self._finish(("parked", event.intent))

    def _attempt(self, event: AnyEvent) -> Iterator[TraceEvent]:
        match event:
            case events.ItemSelected():
                self._texts[event.item_id] = item_text(event.item, event.item_id)
                yield from self._on_track(event.item_id, "waits for a place")
            case events.AgentStarted():
                agent = _Agent(event.item_id, event.attempt, f"slot {event.slot:02d}")
                self._agents[event.agent_id] = agent
                yield from self._at_work(event.agent_id, agent)
            case events.AgentCompleted():
                yield from self._at_rest(event, "waits for its merge" if event.commits else None)
            case events.AgentFailed() | events.AgentInterrupted():
                yield from self._at_rest(event, "waits for another try")
            case events.DlqItemAdded() | events.ItemSkipped() if event.item_id in self._texts:
                yield from self._on_track(event.item_id, None)

    def _step(self, event: _StepEvent, seq: int) -> Iterator[TraceEvent]:
        if not isinstance(event, events.StepIntended):
            yield from self._finish(("parked", event.intent))
            yield from self._finish(("step", event.intent), event)
            return
        row, agent = f"steps of {event.phase}", self._agents.get(event.agent_id or "")
        if event.agent_id is not None and agent is not None:
            row = agent.row
            yield from self._at_work(event.agent_id, agent)  # again, if its worker or everything was lost
            yield from self._finish(("worker", event.agent_id))
        yield from self._begin(("step", seq), _Span(f"{event.step} {event.kind}", self._free(row)), event)

    def _merge(self, event: _MergeEvent, seq: int) -> Iterator[TraceEvent]:
        item = event.item_id
        if isinstance(event, events.MergeIntended):
            name = f"into {event.target_branch}" if item is None else self._texts.get(item, item)
            yield from self._begin(("merge", seq), _Span(name, _MERGES), event)
            yield from self._on_track(item, "merge")
        else:
            yield from self._finish(("merge", event.intent), event)
            done = isinstance(event, events.WorktreeMerged)
            yield from self._on_track(item, None if done else "waits for another try")

    # -- agents and items ----------------------------------------------------------------------------------------------
    def _at_work(self, name: str, agent: _Agent) -> Iterator[TraceEvent]:
        if ("agent", name) not in self._open:
            text = self._texts.get(agent.item, agent.item)
            yield from self._begin(("agent", name), _Span(f"{text} #{agent.number}", agent.row))
            yield from self._begin(("worker", name), _Span("waits for a worker", agent.row))
            yield from self._on_track(agent.item, f"attempt {agent.number}")
            yield self._count()

    def _at_rest(self, event: _AttemptEnd, then: str | None) -> Iterator[TraceEvent]:
        span = self._open.get(("agent", event.agent_id))
        if span is not None:
            inside = [key for key, one in self._open.items() if one.place.startswith(span.place)]
            yield from self._cut_off(key for key in inside if key[0] in {"step", "parked", "worker"})
            yield from self._finish(("agent", event.agent_id), event)
            yield self._count()
        yield from self._on_track(event.item_id, then)

    def _count(self) -> TraceEvent:
        number = sum(kind == "agent" for kind, _ in self._open)
        return self._entry("agents at work", "C", args={"agents": number})

    def _on_track(self, item: str | None, name: str | None) -> Iterator[TraceEvent]:
        """What is true of an item from now on, in the place of what was; ``None``: it is settled, for now."""
        if item is not None and item in self._texts:
            yield from self._finish(("track", item))
            if name is None:
                yield from self._finish(("item", item))
            else:
                yield from self._begin(("item", item), _Span(self._texts[item], item, track=True))
                yield from self._begin(("track", item), _Span(name, item, track=True))

    # -- spans ---------------------------------------------------------------------------------------------------------
    def _begin(self, key: Key, span: _Span, event: AnyEvent | None = None) -> Iterator[TraceEvent]:
        if key not in self._open:
            self._open[key] = span
            yield from self._border(span, "B", {} if event is None else _shown(event))

    def _finish(self, key: Key, event: AnyEvent | None = None) -> Iterator[TraceEvent]:
        span = self._open.get(key)
        if span is None:
            return
        keys = list(self._open)
        later = keys[keys.index(key) + 1 :]
        yield from self._cut_off(one for one in later if self._open[one].place == span.place)
        del self._open[key]
        yield from self._border(span, "E", {} if event is None else _shown(event))

    def _interrupted(self) -> Iterator[TraceEvent]:
        """The process of then is gone; phases and items go on."""
        lost = [self._agents[str(name)].item for kind, name in self._open if kind == "agent"]
        yield from self._cut_off(key for key in self._open if key[0] not in {"phase", "item", "track"})
        for item in lost:
            yield from self._on_track(item, "waits for the run to go on")
        yield self._count()

    def _cut_off(self, keys: Iterable[Key]) -> Iterator[TraceEvent]:
        """Nobody does any more what has begun and not ended."""
        for key in reversed(list(keys)):
            yield from self._border(self._open.pop(key), "E", {} if key[0] == "item" else {"cut_off": True})

    def _border(self, span: _Span, side: Literal["B", "E"], args: dict[str, Any]) -> Iterator[TraceEvent]:
        if span.track:
            track = f"{self._process}/{span.place}"
            yield self._entry(span.name, "b" if side == "B" else "e", cat="item", id=track, args=args)
            return
        if span.place not in self._rows:
            row = self._rows[span.place] = len(self._rows) + 1
            yield self._entry("thread_name", "M", tid=row, args={"name": span.place})
            place = {"sort_index": _place(span.place)}
            yield self._entry("thread_sort_index", "M", tid=row, args=place)
        yield self._entry(span.name, side, tid=self._rows[span.place], args=args)

    def _free(self, row: str) -> str:
        """A row of this name in which no step is under way."""
        busy = {span.place for (kind, _), span in self._open.items() if kind == "step"}
        names = (row, *(f"{row}, beside it {number}" for number in range(1, len(busy) + 1)))
        return next(name for name in names if name not in busy)

    def _entry(self, name: str, ph: Any, **rest: Any) -> TraceEvent:
        return TraceEvent(name=name, ph=ph, ts=self._now, pid=self._process, **rest)


def _place(row: str) -> int:
    """Where a row stands: what is of the whole run first, then slots by their numbers."""
    first = (_PHASES, _WAITS, _MERGES)
    if row in first:
        return first.index(row)
    number = re.match(r"slot (\d+)", row)
    return len(first) if number is None else len(first) + int(number[1])


def _shown(event: AnyEvent) -> dict[str, Any]:
    """What an event tells besides where it belongs: numbers, and texts that are not long."""
    hidden = {"agent_id", "attempt", "intent", "item_id", "phase", "signature", "try_"}
    names = (name for name in event.__struct_fields__ if name not in hidden)
    told = {name: getattr(event, name) for name in names}
    told |= {"error": told["error"].message} if "error" in told and told["error"] is not None else {}
    return {
        name: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in told.items()
        if isinstance(value, str | int | float) and value != ""
    }
