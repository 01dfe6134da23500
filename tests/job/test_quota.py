"""The breaker of an account and model: one probe while limited, a ramp afterwards, hardly a request too many."""

import heapq
import itertools
import random
from dataclasses import dataclass

import pytest

from prodigy.job.quota import JITTER, LONGEST, MARGIN, PAUSE, Block, Breaker


def blocked(at: float = 100.0, until: float | None = None) -> Breaker:
    breaker = Breaker(most=8)
    breaker.began(1)
    assert breaker.turned_away(1, at, until, 0.5) is not None
    return breaker


def test_everything_flows_until_somebody_is_turned_away() -> None:
    breaker = Breaker(most=2)
    for launch in range(5):
        assert breaker.admits(0.0)
        breaker.began(launch)
    assert breaker.turned_away(3, 10.0, None, 0.5) == Block(10.0 + PAUSE, 1)
    assert breaker.mode == "blocked"
    assert not breaker.admits(10.0 + PAUSE - 0.1)


def test_one_probe_at_a_time() -> None:
    breaker = blocked()
    assert breaker.admits(100.0 + PAUSE)
    breaker.began(2)
    assert breaker.mode == "probing"
    assert not breaker.admits(1e9)
    breaker.ended(2)  # cut off without an answer
    assert breaker.admits(1e9)


def test_a_probe_that_is_turned_away_makes_the_pause_longer() -> None:
    breaker, at = blocked(), 100.0
    pauses = []
    for launch in range(2, 12):
        at = breaker.until or 0.0
        breaker.began(launch)
        block = breaker.turned_away(launch, at, None, 0.5)
        assert block is not None
        assert block.row == launch
        pauses.append(block.until - at)
    assert pauses[:3] == [2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert pauses[-1] == LONGEST


def test_the_time_that_the_api_named_counts() -> None:
    breaker = blocked(until=5000.0)
    assert breaker.until == 5000.0 + MARGIN / 2
    first, last = (blocked_with(u) for u in (0.0, 1.0))
    assert (first, last) == (100 + PAUSE * (1 - JITTER), 100 + PAUSE * (1 + JITTER))


def blocked_with(u: float) -> float:
    breaker = Breaker(most=8)
    breaker.began(1)
    block = breaker.turned_away(1, 100.0, None, u)
    assert block is not None
    return block.until


def test_those_that_were_on_their_way_change_nothing() -> None:
    breaker = Breaker(most=8)
    for launch in (1, 2, 3):
        breaker.began(launch)
    assert breaker.turned_away(1, 100.0, None, 0.5) is not None
    assert breaker.turned_away(2, 101.0, None, 0.5) is None
    assert not breaker.answered(3)
    assert breaker.mode == "blocked"
    later = breaker.turned_away(3, 102.0, 900.0, 0.0)
    assert later == Block(900.0, 1)  # now it is known until when


def test_after_the_probe_it_ramps_up() -> None:
    breaker = Breaker(most=40)
    for launch in range(20):
        breaker.began(launch)
    for launch in range(20):
        breaker.turned_away(launch, 100.0, None, 0.5)
    breaker.began(20)
    assert breaker.answered(20)
    assert breaker.mode == "flowing"
    widths = [breaker.width]
    for launch in range(21, 60):
        breaker.began(launch)
        breaker.answered(launch)
        breaker.ended(launch)
        widths.append(breaker.width)
    assert widths[:4] == [2, 3, 4, 5]
    assert widths == sorted(widths)
    assert widths[-1] < 20  # slowly above half of what went well before


def test_it_comes_back_as_wide_as_its_user_wants() -> None:
    """Never wider than there are launches at a time, and not before the probe is answered."""
    for least, width in ((1, 2), (5, 5), (40, 8)):
        breaker = Breaker(most=8, until=50.0, row=2, width=2, least=least)
        breaker.began(1)
        assert not breaker.admits(60.0)
        assert breaker.answered(1)
        assert breaker.width == width
    assert Breaker(8, width=2, least=4).width == 4


def test_it_is_taken_up_as_it_was() -> None:
    assert not Breaker(8, until=50.0, row=2).admits(49.0)
    probe = Breaker(8, until=50.0, row=2)
    probe.began(1)
    block = probe.turned_away(1, 60.0, None, 0.5)
    assert block == Block(60.0 + 4 * PAUSE, 3)
    assert Breaker(8, width=3).width == 3


@dataclass
class Tally:
    requests: int = 0
    turned_away: int = 0
    most_probes: int = 0


def simulated(seed: int, bucket: float, rate: float, took: float, most: int = 50, items: int = 1000) -> Tally:
    """A job against an API with a token bucket, in virtual time, with four starts at a time."""
    chance, number = random.Random(seed), itertools.count()  # noqa: S311 - not for secrets
    breaker, tally = Breaker(most), Tally()
    now = filled = 0.0
    tokens, waiting, done = bucket, items, 0
    ahead: list[tuple[float, int, bool]] = []
    starting: set[int] = set()
    under_way: set[int] = set()
    probes = 0
    while done < items:
        while waiting and len(under_way) < most and len(starting) < 4 and breaker.admits(now):
            launch = next(number)
            probes = probes + 1 if breaker.mode != "flowing" else 0
            tally.most_probes = max(tally.most_probes, probes)
            breaker.began(launch)
            starting.add(launch)
            under_way.add(launch)
            waiting -= 1
            heapq.heappush(ahead, (now + chance.uniform(0.5, 1.5), launch, True))
        until = breaker.until
        if until is not None and until > now and (not ahead or until < ahead[0][0]):
            now = until
            continue
        now, launch, asks = heapq.heappop(ahead)
        tokens, filled = min(bucket, tokens + rate * (now - filled)), now
        if not asks:
            breaker.ended(launch)
            under_way.discard(launch)
            done += 1
            continue
        tally.requests += 1
        starting.discard(launch)
        if tokens >= 1:
            tokens -= 1
            if breaker.answered(launch):
                probes = 0
            heapq.heappush(ahead, (now + took * chance.uniform(0.5, 1.5), launch, False))
        else:
            tally.turned_away += 1
            under_way.discard(launch)
            waiting += 1
            if breaker.turned_away(launch, now, None, chance.random()) is not None:
                probes = 0
    return tally


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("bucket", "rate", "took"),
    [(20, 2.0, 5.0), (20, 2.0, 60.0), (20, 0.5, 20.0), (5, 1.0, 5.0), (50, 10.0, 60.0)],
)
def test_a_thousand_items_need_hardly_a_request_too_many(
    seed: int, bucket: float, rate: float, took: float
) -> None:
    tally = simulated(seed, bucket, rate, took)
    assert tally.requests == 1000 + tally.turned_away
    assert tally.requests <= 1.05 * 1000
    assert tally.most_probes <= 1
