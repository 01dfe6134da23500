"""Budgets: reserved before, reconciled after, never overspent by more than a reply of each launch under way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import BudgetExhausted, Caps
from prodigy.job.budget import FIRST_USD, ROOM, Grant, Wait, decide, drained, next_look, out_of_time, warnings
from prodigy.job.state import Money

REPLY = 0.07
"""US dollars of one reply: a launch notices its cap only after one."""


class Till:
    """Launches that reply at one price until they are done or have reached their cap."""

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.money = Money()
        self.numbers = 0

    def ask(self, wanted: float | None) -> Grant | Wait | BudgetExhausted:
        decision = decide(self.caps, self.money, wanted)
        if isinstance(decision, Grant):
            self.numbers += 1
            self.money.launches += 1
            self.money.under_way[self.numbers] = decision.reserved_usd or 0.0
        return decision

    def end(self, number: int, replies: int) -> None:
        reserved = self.money.under_way.pop(number)
        enough = int(reserved / REPLY) + 1
        cost = min(replies, enough) * REPLY
        self.money.usd += cost
        self.money.samples.append((cost, 10))


@given(
    st.floats(0.1, 30),
    st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.sampled_from([None, 0.2, 2.0])), max_size=120),
)
def test_it_is_overspent_by_one_reply_of_each_launch_at_most(
    cap: float, story: list[tuple[bool, int, float | None]]
) -> None:
    till = Till(Caps(usd=cap))
    most = 0
    for ends, number, wanted in story:
        under_way = sorted(till.money.under_way)
        if ends and under_way:
            till.end(under_way[number % len(under_way)], number + 1)
        else:
            till.ask(wanted)
        most = max(most, len(till.money.under_way))
        assert till.money.usd + till.money.reserved <= cap + REPLY * till.numbers + 1e-9
        if not till.money.under_way:
            assert till.money.usd <= cap + REPLY * till.numbers + 1e-9


@given(st.floats(0.1, 30), st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_one_after_the_other_overspends_by_one_reply_in_all(cap: float, launches: list[int]) -> None:
    till = Till(Caps(usd=cap))
    for replies in launches:
        decision = till.ask(None)
        if isinstance(decision, BudgetExhausted):
            break
        till.end(till.numbers, replies)
    assert till.money.usd <= cap + REPLY


@given(st.lists(st.integers(1, 40), min_size=20, max_size=60))
def test_nobody_waits_for_ever(launches: list[int]) -> None:
    """With nobody under way the answer is yes or the end."""
    till = Till(Caps(usd=3.0, tokens=500, launches=40))
    for replies in launches:
        decision = till.ask(None)
        assert not isinstance(decision, Wait)
        if isinstance(decision, Grant):
            till.end(till.numbers, replies)


def test_what_is_reserved() -> None:
    caps = Caps(usd=10)
    assert decide(caps, Money()) == Grant(FIRST_USD)
    assert decide(caps, Money(), wanted_usd=0.3) == Grant(0.3)
    known = Money(samples=[(cost / 100, 1) for cost in range(1, 101)])
    assert decide(caps, known) == Grant(ROOM * 0.96)
    assert decide(caps, known, paid_usd=2.5) == Grant(2.5)  # it was underrated
    assert decide(Caps(), known) == Grant(None)


def test_a_launch_that_does_not_fit_waits_for_those_under_way() -> None:
    caps = Caps(usd=1.5)
    assert decide(caps, Money(under_way={1: 1.0})) == Wait()
    assert decide(caps, Money(usd=0.6)) == Grant(pytest.approx(0.9))
    assert decide(caps, Money(usd=1.4)) == BudgetExhausted(kind="usd", used=1.4, cap=1.5)


def test_counts() -> None:
    assert decide(Caps(launches=3), Money(launches=2)) == Grant()
    assert decide(Caps(launches=3), Money(launches=3, under_way={1: 0.0})) == Wait()
    assert decide(Caps(launches=3), Money(launches=3)) == BudgetExhausted(kind="launches", used=3, cap=3)
    busy = Money(tokens=80, under_way={1: 0.0}, samples=[(0.1, 30)])
    assert decide(Caps(tokens=100), busy) == Wait()
    assert decide(Caps(tokens=200), busy) == Grant()
    assert decide(Caps(tokens=100), Money(tokens=100)) == BudgetExhausted(kind="tokens", used=100, cap=100)


def test_soft_limits_are_told_once() -> None:
    caps, money = Caps(usd=10, launches=10, wall=100), Money(usd=9.0, launches=3)
    [warned] = warnings(caps, money, wall=50)
    assert (warned.kind, warned.used, warned.cap) == ("usd", 9.0, 10)
    money.warned["usd"] = warned
    assert [one.kind for one in warnings(caps, money, wall=90)] == ["wall"]
    assert drained(warned) == BudgetExhausted(kind="usd", used=9.0, cap=10)


def test_time() -> None:
    caps = Caps(wall=100)
    assert next_look(caps, 10) == 80
    assert next_look(caps, 95) == 5
    assert next_look(caps, 100) is None
    assert out_of_time(caps, 99.9) is None
    assert out_of_time(caps, 100) == BudgetExhausted(kind="wall", used=100, cap=100)
    assert next_look(Caps(usd=1), 5) is None
