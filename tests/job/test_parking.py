"""Agents without a place: who waits for what, and who returns first."""

from datetime import UTC, datetime

from prodigy.job.parking import Parking
from prodigy.job.state import JobState, Quota

OPUS, HAIKU = ("a", "opus"), ("a", "haiku")


def test_first_parked_first_back() -> None:
    parking = Parking(JobState())
    for item in ("i1", "i0", "i2"):
        parking.parked(item, OPUS)
    assert len(parking) == 3
    assert [parking.next(0) for _ in range(4)] == ["i1", "i0", "i2", None]


def test_while_blocked_nobody_returns_and_then_one_as_a_probe() -> None:
    parking = Parking(JobState())
    parking.blocked(OPUS, 50.0)
    parking.parked("i0", OPUS)
    parking.parked("i1", OPUS)
    assert (parking.next(49.0), parking.wakes_at) == (None, 50.0)
    assert (parking.next(50.0), parking.next(60.0), parking.wakes_at) == ("i0", None, None)
    parking.cleared(OPUS)
    assert parking.next(60.0) == "i1"


def test_a_probe_that_comes_to_nothing_makes_room_for_another() -> None:
    """It ended, it waits again, or it was turned away."""
    for what in ("left", "parked", "blocked"):
        parking = Parking(JobState())
        parking.blocked(OPUS, 50.0)
        parking.parked("i0", OPUS)
        parking.parked("i1", OPUS)
        assert parking.next(50.0) == "i0"
        match what:
            case "left":
                parking.left("i0")
            case "parked":
                parking.parked("i0", OPUS)
            case _:
                parking.blocked(OPUS, 70.0)
                assert parking.next(60.0) is None
        assert parking.next(70.0) == "i1"


def test_lanes_do_not_wait_for_each_other() -> None:
    parking = Parking(JobState())
    parking.blocked(OPUS, 50.0)
    parking.parked("i0", OPUS)
    parking.parked("i1", HAIKU)
    assert parking.next(1.0) == "i1"


def test_it_is_taken_up_as_it_is_recorded() -> None:
    until = datetime(2026, 11, 22, tzinfo=UTC)
    quota = Quota(account="a", model="opus", until=until)
    parking = Parking(JobState(parked_agents={"i3": OPUS, "i1": OPUS}, quotas=[quota]))
    assert "i3" in parking
    assert parking.next(until.timestamp() - 1) is None
    assert parking.next(until.timestamp()) == "i3"
    parking.left("i1")
    assert not parking
