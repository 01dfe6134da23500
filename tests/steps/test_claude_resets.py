"""The words in which limits say when they end."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.steps.claude_resets import reset_time

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=timezone(timedelta(hours=1)))
"""13:00 in UTC."""


def at(day: int, hour: int, minute: int = 0, *, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("Claude AI usage limit reached|1795360000", datetime.fromtimestamp(1795360000, UTC)),
        ('{"resets_at": 1795360000}', datetime.fromtimestamp(1795360000, UTC)),
        ("You've hit your limit · resets 3pm (Europe/Berlin)", at(22, 14)),
        ("You've hit your limit · resets 1pm (Europe/Berlin)", at(23, 12)),
        ("Your limit will reset at 9:30am (America/New_York).", at(22, 14, 30)),
        ("5-hour limit reached ∙ resets 12am", at(22, 23)),
        ("weekly limit reached ∙ resets 12pm (UTC)", at(23, 12)),
        ("resets 16:45", at(22, 15, 45)),
        ("resets Nov 24, 9am (UTC)", at(24, 9)),
        ("resets November 24 at 9:15pm (UTC)", at(24, 21, 15)),
        ("resets Jan 2, 8am (UTC)", at(2, 8, month=1, year=2027)),
        ("429: retry-after: 90", at(22, 13, 1) + timedelta(seconds=30)),
        ("Rate limited, try again in 2 hours and 5 minutes", at(22, 15, 5)),
        ("please retry in 45s", at(22, 13) + timedelta(seconds=45)),
        (
            "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
            at(1, 0, month=12),
        ),
        ("available again 2026-11-22T18:00:00+02:00", at(22, 16)),
    ],
)
def test_words(said: str, when: datetime) -> None:
    assert reset_time(said, NOW) == when


@pytest.mark.parametrize(
    "said",
    [
        "",
        "API Error: 429 rate limited",
        "resets soon",
        "resets 31pm",
        "resets Foo 3, 9am",
        "resets 3pm (Mars/Base)",
    ],
)
def test_words_that_tell_nothing(said: str) -> None:
    assert reset_time(said, NOW) is None


@given(st.text() | st.from_regex(r"resets? (at |in )?[A-Za-z]{0,3} ?\d{0,12}[ap]?m? ?\(?[A-Z]{0,3}\)?"))
def test_any_words_are_survived(said: str) -> None:
    """And no moment of day is behind us."""
    found = reset_time(said, NOW)
    assert found is None or found.tzinfo is not None
