"""The journal as a log: filters, spellings, limits."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prodigy.errors import UsageError
from prodigy.events import AnyEvent, Record, event_type
from prodigy.store.event_log import EVENT_TYPES, EventFilter, event_types, events_document

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


@pytest.fixture
def told(
    tmp_path: Path, tell: Callable[[Path, list[AnyEvent]], list[Record]], story: Callable[..., list[AnyEvent]]
) -> list[Record]:
    return tell(tmp_path / "journal", story())


def kinds(records: list[Record]) -> list[str]:
    return [event_type(record.event) for record in records]


@pytest.mark.parametrize(
    "spelt", ["dlq_item_added", "DlqItemAdded", "DLQItemAdded", "d_l_q_item_added", "dlq-item-added"]
)
def test_an_event_type_is_known_in_every_spelling(spelt: str) -> None:
    assert event_types([spelt]) == {"dlq_item_added"}


def test_every_event_type_is_known_in_camel_case() -> None:
    camel = {"".join(word.capitalize() for word in name.split("_")): name for name in EVENT_TYPES}
    assert {name: event_types([name]) for name in camel} == {name: {kind} for name, kind in camel.items()}


def test_an_unknown_event_type_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        event_types(["agent_finished"])
    assert caught.value.code == "bad-value"
    assert "`agent_" in str(caught.value.hint)


def test_the_newest_are_kept_in_order(told: list[Record]) -> None:
    document = events_document(told, EventFilter(limit=2))
    assert document.events == told[-2:]
    assert (document.total, document.shown) == (len(told), 2)
    assert events_document(told, EventFilter(limit=0)).events == told


def test_records_are_found_by_type_agent_and_phase(told: list[Record]) -> None:
    agents = frozenset({"agent_started", "agent_failed"})
    assert kinds(events_document(told, EventFilter(types=agents)).events) == [
        "agent_started",
        "agent_started",
        "agent_failed",
    ]
    of_agent = events_document(told, EventFilter(agent_id="agent-1-1")).events
    assert kinds(of_agent) == ["agent_started", "agent_failed"]
    assert kinds(events_document(told, EventFilter(phase="map")).events) == [
        "phase_started",
        "phase_completed",
    ]


@pytest.mark.parametrize("name", ["b", "src/b.py"])
def test_records_are_found_by_an_items_id_or_text(told: list[Record], name: str) -> None:
    found = kinds(events_document(told, EventFilter(item=name)).events)
    assert found == ["item_selected", "agent_started", "agent_failed", "dlq_item_added"]


def test_records_are_found_by_time(told: list[Record]) -> None:
    window = EventFilter(since=START + timedelta(seconds=3), until=START + timedelta(seconds=5))
    assert [record.seq for record in events_document(told, window).events] == [3, 4, 5]
