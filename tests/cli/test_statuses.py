"""The word for where a run stands, and what it waits for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from stories import started

from prodigy import events
from prodigy.cli.statuses import status_text
from prodigy.job.fold import fold
from prodigy.job.summary import JobSummary, lived, summarize

NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
SOON = NOW + timedelta(hours=2)
STARTED = started(kind="workflow")
BLOCK = events.QuotaBlocked(account="a", model=None, until=SOON, known=True)
LOGIN = events.ClaudeParked(
    phase="steps",
    step="1",
    intent=2,
    reason="refused",
    cause="login",
    message="Not logged in",
    claude=events.ClaudeUse(session_id="s"),
)


def run(*happened: events.AnyEvent) -> JobSummary:
    records = (
        events.Record(v=1, seq=seq, id=UUID(int=seq), timestamp=NOW, correlation_id=UUID(int=7), event=event)
        for seq, event in enumerate((STARTED, *happened), 1)
    )
    return summarize(fold(records), "r")


@pytest.mark.parametrize(
    ("happened", "text"),
    [
        ((), "starting"),
        ((BLOCK,), "starting (quota until 10:15)"),
        ((BLOCK, events.JobPaused(reason="signal", signal=15)), "interrupted"),
        (
            (
                events.QuotaBlocked(account="a", model=None, until=SOON, given_up=True),
                events.JobPaused(reason="quota"),
            ),
            "paused (quota)",
        ),
        (
            (
                events.QuotaBlocked(account="a", model=None, until=SOON, known=True, given_up=True),
                events.JobPaused(reason="quota"),
            ),
            "paused (quota until 10:15)",
        ),
        ((LOGIN, events.JobPaused(reason="claude")), "paused (claude)"),
        ((events.JobPaused(reason="storage"),), "paused (storage)"),
        ((events.JobPaused(reason="budget"),), "budget-exhausted"),
        ((LOGIN, events.JobPaused(reason="claude"), events.JobResumed()), "starting"),
    ],
)
def test_words(happened: tuple[events.AnyEvent, ...], text: str) -> None:
    assert status_text(lived(run(*happened), 7), NOW) == text


def test_what_a_pause_is_for() -> None:
    paused = run(LOGIN, events.JobPaused(reason="claude")).pause
    assert paused is not None
    assert paused.message == "Claude does not work: Not logged in"
    assert run(LOGIN).pause is None


def test_the_day_is_told_of_times_that_are_not_today() -> None:
    later = events.QuotaBlocked(account="a", model=None, until=NOW + timedelta(days=2))
    assert status_text(lived(run(later), 7), NOW) == "starting (quota until Nov 24 08:15)"
