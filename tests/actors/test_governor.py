"""When the governor looks again, though nobody has asked it to."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from prodigy.actors.governor import START_UP, Governor, Rules
from prodigy.actors.recorder import Ledger
from prodigy.job.budget import Caps
from prodigy.job.quota import Breaker

LOOKED = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
LANE = ("account", "model")


def governor(now: datetime, caps: Caps | None = None) -> Governor:
    """One for whom it is that time by now."""
    rules = Rules(caps=lambda: caps or Caps(), most=10, starts=2)
    return Governor(rules, cast("Any", None), Ledger(), lambda: now)


@pytest.mark.parametrize(("passed", "wait"), [(0.0, 5.0), (2.0, 3.0), (5.0, 0.0), (60.0, 0.0)])
def test_what_became_due_while_it_looked_is_looked_at(passed: float, wait: float) -> None:
    """Looking takes time: others are recorded meanwhile."""
    now, until = LOOKED + timedelta(seconds=passed), LOOKED + timedelta(seconds=5)
    blocked = governor(now)
    blocked._waiting.append(cast("Any", object()))
    blocked._lanes[LANE] = Breaker(10, until.timestamp())
    assert blocked._patience(LOOKED) == wait
    starting = governor(now)
    starting._waiting.append(cast("Any", object()))
    starting._starting[1] = until.timestamp() - START_UP
    assert starting._patience(LOOKED) == wait


def test_what_was_due_when_it_looked_is_not_looked_at_again() -> None:
    blocked = governor(LOOKED)
    blocked._waiting.append(cast("Any", object()))
    blocked._lanes[LANE] = Breaker(10, LOOKED.timestamp())
    assert blocked._patience(LOOKED) is None


def test_who_has_nobody_waiting_waits_for_the_bound_of_time_alone() -> None:
    idle = governor(LOOKED, Caps(wall=100.0, soft=0.5))
    idle._lanes[LANE] = Breaker(10, LOOKED.timestamp() + 5)
    assert idle._patience(LOOKED) == 50.0
