"""What a run waited for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prodigy.job.critical_path import Link, critical_path
from prodigy.job.state import FailedAttempt, ItemState, JobState, PhaseState, item_rows

START = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def item(index: int, began: float, took: float, *failed: tuple[float, float], **fields: Any) -> ItemState:
    """An item whose last attempt began and took so many seconds; ``failed`` are the ends and lengths of those before."""
    before = tuple(
        FailedAttempt(number, at(end), round(length * 1000)) for number, (end, length) in enumerate(failed, 1)
    )
    whole = {
        "status": "done",
        "attempts": len(before) + 1,
        "started_at": at(began),
        "duration_ms": round(1000 * (took + sum(length for _, length in failed))),
        "failed": before,
        **fields,
    }
    return ItemState(index=index, item_id=f"i{index}", packed="null", **whole)


def state(*items: ItemState) -> JobState:
    phases: Any = {
        "setup": PhaseState(status="completed", started_at=START, duration_ms=1000),
        "map": PhaseState(status="completed", started_at=at(1), duration_ms=9000),
        "reduce": PhaseState(status="completed", started_at=at(10), duration_ms=2000),
    }
    return JobState(phases=phases, items=item_rows(items))


def told(links: list[Link]) -> list[tuple[str, str | None, int | None]]:
    return [(link.phase, link.item_id, link.attempt) for link in links]


def test_the_chain_leads_back_from_the_item_that_ended_last() -> None:
    path = critical_path(state(item(0, 1, 4), item(1, 1, 2), item(2, 3.1, 1), item(3, 5, 5)))
    assert told(path) == [
        ("setup", None, None),
        ("map", "i0", 1),
        ("map", "i3", 1),
        ("reduce", None, None),
    ]
    assert [link.duration_ms for link in path] == [1000, 4000, 5000, 2000]


def test_an_attempt_that_failed_is_a_link_of_its_own() -> None:
    path = critical_path(state(item(0, 5, 5, (4.5, 3.5))))
    assert told(path)[1:3] == [("map", "i0", 1), ("map", "i0", 2)]
    assert [link.duration_ms for link in path][1:3] == [3500, 5000]


def test_attempts_that_take_no_time_are_no_circle() -> None:
    path = critical_path(state(item(0, 2, 0), item(1, 2, 0), item(2, 2, 0)))
    assert sorted(told(path)[1:4]) == [("map", "i0", 1), ("map", "i1", 1), ("map", "i2", 1)]


def test_a_map_without_items_is_a_link_by_itself() -> None:
    assert told(critical_path(state())) == [
        ("setup", None, None),
        ("map", None, None),
        ("reduce", None, None),
    ]
