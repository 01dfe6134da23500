"""Pauses between restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors._backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 5.0), (5000, 5.0)]
)
def test_exponential_up_to_the_maximum(attempt: int, seconds: float) -> None:
    """Doubling, then the maximum, also where the power overflows."""
    assert Backoff(0.5, maximum=5.0).delay(attempt, 0.0) == seconds


def test_factor_one_is_a_fixed_pause() -> None:
    assert {Backoff(0.5, factor=1.0).delay(attempt, 0.0) for attempt in range(1, 50)} == {0.5}


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_takes_away_its_share_at_most(attempt: int, chance: float, jitter: float) -> None:
    """Never longer than without it, never shorter than what is not left to chance."""
    whole = Backoff().delay(attempt, 0.0)
    pause = Backoff(jitter=jitter).delay(attempt, chance)
    assert whole * (1 - jitter) * (1 - 1e-9) <= pause <= whole


@pytest.mark.parametrize(
    "settings", [{"initial": -1}, {"initial": 31}, {"factor": 0.5}, {"jitter": -0.1}, {"jitter": 1.1}]
)
def test_nonsense_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need"):
        Backoff(**settings)
