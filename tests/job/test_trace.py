"""A run as spans: they lie in each other, in the order of time, and end when what they tell of ends."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from stories import STEM, half, whole

from prodigy import events
from prodigy.events import AnyEvent, Record
from prodigy.job.trace import TraceEvent, Tracer

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "store" / "golden" / "every-record.jsonl"
EVERY = [msgspec.json.decode(line, type=Record).event for line in GOLDEN.read_bytes().splitlines()]


def records(story: Sequence[AnyEvent], seconds: Iterable[float] | None = None) -> list[Record]:
    times = seconds or range(len(story))
    return [
        Record(
            v=1,
            seq=number,
            id=UUID(int=number),
            timestamp=START + timedelta(seconds=second),
            correlation_id=UUID(int=0),
            event=event,
            batch=number,
        )
        for number, (event, second) in enumerate(zip(story, times, strict=True), 1)
    ]


def traced(story: Sequence[AnyEvent], seconds: Iterable[float] | None = None) -> list[TraceEvent]:
    tracer = Tracer(1)
    found = [entry for record in records(story, seconds) for entry in tracer.after(record)]
    return [*found, *tracer.end()]


def spans(entries: Sequence[TraceEvent]) -> list[tuple[str, str, float, float, bool]]:
    """Row, name, beginning and end in seconds, and whether it was cut off; checks that spans of a row lie in each other."""
    rows = {
        entry.tid: str(entry.args["name"]) for entry in entries if entry.name == "thread_name" and entry.args
    }
    open_: dict[str, list[TraceEvent]] = {}
    found = []
    assert [entry.ts for entry in entries] == sorted(entry.ts for entry in entries)
    for entry in entries:
        if entry.ph in {"B", "b"}:
            open_.setdefault(_place(entry, rows), []).append(entry)
        elif entry.ph in {"E", "e"}:
            place = _place(entry, rows)
            begun = open_[place].pop()
            assert begun.name == entry.name
            times = ((one.ts / 1e6) - START.timestamp() for one in (begun, entry))
            found.append((place, entry.name, *times, bool(entry.args and "cut_off" in entry.args)))
    assert not any(open_.values())
    return found


def _place(entry: TraceEvent, rows: dict[int, str]) -> str:
    return str(entry.id) if entry.ph in {"b", "e"} else rows[entry.tid]


def step(seq: int, *, path: str = "1", agent: str | None = "agent-0-1") -> events.StepIntended:
    return events.StepIntended(
        phase="map", step=path, item_id="a", agent_id=agent, kind="shell", command="make"
    )


def done(intent: int, *, path: str = "1") -> events.StepCompleted:
    return events.StepCompleted(
        phase="map", step=path, item_id="a", agent_id="agent-0-1", kind="shell", intent=intent, duration_ms=1
    )


def test_phases_attempts_and_items() -> None:
    """An item's track holds what it waited for; one that failed for good ends in the queue."""
    found = spans(traced(whole(STEM, "lint")))
    assert ("phases", "map", 1, 11, False) in found
    assert ("slot 00", "src/a.py #1", 5, 6, False) in found
    assert [span[1:4] for span in found if span[0] == "1/a"] == [
        ("waits for a place", 2, 5),
        ("attempt 1", 5, 6),
        ("waits for its merge", 6, 7),
        ("src/a.py", 2, 7),
    ]
    assert [span[1] for span in found if span[0] == "1/b"][1:3] == ["attempt 1", "waits for another try"]


def test_steps_lie_in_their_attempt_after_the_wait_for_a_worker() -> None:
    story = [*half(STEM, "lint")[:6], step(7), done(7), step(9, path="2"), *half(STEM, "lint")[6:]]
    assert [span[1:4] for span in spans(traced(story)) if span[0] == "slot 00"] == [
        ("waits for a worker", 5, 6),
        ("1 shell", 6, 7),
        ("2 shell", 8, 9),
        ("src/a.py #1", 5, 9),
    ], "the last one has no end of its own: it ends with its attempt"


def test_steps_at_the_same_time_have_rows_of_their_own() -> None:
    story = [*half(STEM, "lint")[:6], step(7), step(8, path="2"), done(7), done(8, path="2")]
    rows = {span[1]: span[0] for span in spans(traced(story))}
    assert (rows["1 shell"], rows["2 shell"]) == ("slot 00", "slot 00, beside it 1")


def test_what_a_killed_process_did_ends_with_its_last_record() -> None:
    """The attempt goes on, its first step after that begins it anew; the item and the phase never stopped."""
    story = [*half(STEM, "lint")[:6], step(7), events.JobResumed(), step(9), done(9)]
    found = spans(traced(story, [0, 1, 2, 3, 4, 5, 6, 3600, 3601, 3602]))
    assert ("slot 00", "1 shell", 6, 6, True) in found
    assert ("slot 00", "src/a.py #1", 5, 6, True) in found
    assert ("slot 00", "1 shell", 3601, 3602, False) in found
    assert [span[1:4] for span in found if span[0] == "1/a"] == [
        ("waits for a place", 2, 5),
        ("attempt 1", 5, 6),
        ("waits for the run to go on", 6, 3601),
        ("attempt 1", 3601, 3602),
        ("src/a.py", 2, 3602),
    ]


def test_a_parked_conversation_is_seen_in_its_step() -> None:
    parked = events.ClaudeParked(
        phase="map",
        step="1",
        item_id="a",
        agent_id="agent-0-1",
        intent=7,
        reason="quota",
        claude=events.ClaudeUse(session_id="s"),
    )
    again = events.ClaudeIntended(
        phase="map", step="1", item_id="a", agent_id="agent-0-1", intent=7, session_id="s"
    )
    found = spans(traced([*half(STEM, "lint")[:6], step(7), parked, again, done(7)]))
    assert ("slot 00", "parked: quota", 7, 8, False) in found


def test_a_clock_that_is_put_back() -> None:
    found = spans(
        traced(whole(STEM, "lint"), [0, 1, 2, 3, 4, 5, 2, 1, 7, 8, 9, 10, 11, 12][: len(whole(STEM, "lint"))])
    )
    assert all(ended >= began for _, _, began, ended, _ in found)


@given(st.lists(st.sampled_from(EVERY), max_size=60))
def test_spans_lie_in_each_other_whatever_is_recorded(story: list[AnyEvent]) -> None:
    entries = traced(story)
    spans(entries)
    assert len(msgspec.json.decode(msgspec.json.encode(entries))) == len(entries)
