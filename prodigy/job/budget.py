"""Whether a launch of Claude may begin, by what the job may spend: reserve before, reconcile after.

Pure. Before a launch what it will cost is set apart: the step's own cap, else what nineteen of twenty launches cost so
far and a quarter more, else one dollar; the launch is told to stay below that. So what is spent and what is reserved together never pass
the cap, and the run overspends by one reply of each launch that is under way at most. A launch that does not fit waits
for others to end cheaper than was thought; where nobody runs any more, what is left is given to one launch at a time,
up to the soft limit; then the budget is exhausted.
"""

from typing import Final, get_args

from msgspec import Struct

from prodigy.events import BudgetExhausted, BudgetKind, BudgetWarned, Caps
from prodigy.job.state import Money

FIRST_USD = 1.0
"""What is reserved for a launch as long as nobody knows what one costs."""
LEAST_USD = 0.001
"""Less is not worth a launch."""
ROOM: Final = 1.25
"""How much more is reserved than launches usually cost: whoever is stopped at its last reply pays for another one."""
_OFTEN: Final = 0.95


class Grant(Struct, frozen=True):
    """The launch may begin, and cost so many US dollars; ``None``: there is no budget of that kind."""

    reserved_usd: float | None = None


class Wait(Struct, frozen=True):
    """Not before one that is under way has ended."""


def decide(
    caps: Caps, money: Money, wanted_usd: float | None = None, paid_usd: float = 0.0
) -> Grant | Wait | BudgetExhausted:
    """Whether the next launch may begin.

    Args:
        caps: what the job may use.
        money: what it has used.
        wanted_usd: what the step lets the launch cost.
        paid_usd: what its conversation has cost already: it was underrated, and gets as much once more.
    """
    full = _full(caps, money)
    if full is not None:
        return Wait() if money.under_way else _exhausted(caps, money, full)
    if caps.usd is None:
        return Grant()
    want = max(ROOM * _usual(money, 0) or FIRST_USD, paid_usd) if wanted_usd is None else wanted_usd
    left = caps.usd - money.usd - money.reserved
    if want <= left:
        return Grant(want)
    if money.under_way:
        return Wait()
    if money.usd < caps.soft * caps.usd and left >= LEAST_USD:
        return Grant(left)
    return _exhausted(caps, money, "usd")


def _full(caps: Caps, money: Money) -> BudgetKind | None:
    """Which count leaves no room for another launch, those under way included."""
    if caps.launches is not None and money.launches >= caps.launches:
        return "launches"
    expected = money.tokens + len(money.under_way) * _usual(money, 1)
    return "tokens" if caps.tokens is not None and expected >= caps.tokens else None


def warnings(caps: Caps, money: Money, wall: float) -> list[BudgetWarned]:
    """The soft limits that are reached and were not told yet; ``wall``: seconds that the job has run."""
    return [
        BudgetWarned(kind=kind, used=used, cap=cap, reserved=money.reserved if kind == "usd" else 0.0)
        for kind, used, cap in _uses(caps, money, wall)
        if used >= caps.soft * cap and kind not in money.warned
    ]


def out_of_time(caps: Caps, wall: float) -> BudgetExhausted | None:
    """The end of the job's time, if that has come."""
    if caps.wall is None or wall < caps.wall:
        return None
    return BudgetExhausted(kind="wall", used=wall, cap=caps.wall)


def drained(warned: BudgetWarned) -> BudgetExhausted:
    """What is recorded when all that ran has ended after a soft limit, and items are left."""
    return BudgetExhausted(kind=warned.kind, used=warned.used, cap=warned.cap, reserved=0.0)


def next_look(caps: Caps, wall: float) -> float | None:
    """In how many seconds time alone changes something; ``None``: it does not."""
    if caps.wall is None:
        return None
    ahead = [at - wall for at in (caps.soft * caps.wall, caps.wall) if at > wall]
    return min(ahead, default=None)


def _uses(caps: Caps, money: Money, wall: float) -> list[tuple[BudgetKind, float, float]]:
    used = {"usd": money.usd, "tokens": money.tokens, "launches": money.launches, "wall": wall}
    bounds = [(kind, caps.of(kind)) for kind in get_args(BudgetKind)]
    return [(kind, used[kind], cap) for kind, cap in bounds if cap is not None]


def _exhausted(caps: Caps, money: Money, kind: BudgetKind) -> BudgetExhausted:
    [(_, used, cap)] = [use for use in _uses(caps, money, 0.0) if use[0] == kind]
    return BudgetExhausted(kind=kind, used=used, cap=cap, reserved=money.reserved)


def _usual(money: Money, column: int) -> float:
    """What nineteen of twenty launches did not pass: dollars (0) or tokens (1)."""
    if not money.samples:
        return 0.0
    ordered = sorted(sample[column] for sample in money.samples)
    return ordered[min(len(ordered) - 1, int(_OFTEN * len(ordered)))]
