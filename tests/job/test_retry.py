"""Delays between runs, and which failures are tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import Failure
from prodigy.job.retry import delay, matches, next_delay, retries
from prodigy.workflow.model import Backoff, Retry, RetryOn

FAILED = Failure(error_class="command-failed", message="Exited with 7", exit_code=7)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff(kind="fixed", initial=2.0), [2, 2, 2, 2]),
        (Backoff(kind="linear", initial=1.0, increment=3.0), [1, 4, 7, 10]),
        (Backoff(kind="linear", initial=2.0), [2, 4, 6, 8]),
        (Backoff(), [1, 2, 4, 8, 16, 30, 30]),
        (Backoff(factor=3.0, initial=0.5, max_delay=None), [0.5, 1.5, 4.5, 13.5]),
        (Backoff(kind="fibonacci", initial=2.0), [2, 2, 4, 6, 10, 16, 26, 30]),
        (Backoff(kind="custom", delays=(5.0, 1.0, 2.0)), [5, 1, 2, 2, 2]),
        (Backoff(kind="fixed", initial=None), [0, 0]),
    ],
)
def test_how_delays_grow(backoff: Backoff, delays: list[float]) -> None:
    assert [delay(backoff, runs) for runs in range(1, len(delays) + 1)] == delays


def test_jitter_goes_both_ways_and_never_beyond_the_longest_delay() -> None:
    backoff = Backoff(kind="fixed", initial=10.0, jitter=0.3, max_delay=12.0)
    assert [delay(backoff, 1, u) for u in (0.0, 0.5, 1.0)] == [7.0, 10.0, 12.0]


@given(
    backoff=st.builds(
        Backoff,
        kind=st.sampled_from(["fixed", "linear", "exponential", "fibonacci", "custom"]),
        initial=st.floats(0, 1e6),
        increment=st.none() | st.floats(0, 1e6),
        factor=st.floats(0, 1e6),
        delays=st.lists(st.floats(0, 1e6), max_size=3).map(tuple),
        max_delay=st.none() | st.floats(0, 1e6),
        jitter=st.floats(0, 1),
    ),
    runs=st.integers(1, 2000),
    u=st.floats(0, 1, exclude_max=True),
)
def test_every_delay_is_within_its_bounds(backoff: Backoff, runs: int, u: float) -> None:
    found = delay(backoff, runs, u)
    assert 0 <= found <= (1e9 if backoff.max_delay is None else backoff.max_delay)  # type: ignore[operator]


def test_attempts_are_runs() -> None:
    retry = Retry(attempts=3)
    assert [next_delay(retry, runs, 0.0, FAILED) for runs in (1, 2, 3)] == [1.0, 2.0, None]
    assert next_delay(Retry(attempts=1), 1, 0.0, FAILED) is None


def test_a_delay_that_would_pass_the_budget_is_not_begun() -> None:
    retry = Retry(attempts=9, backoff=Backoff(kind="fixed", initial=2.0), budget=10.0)
    assert next_delay(retry, 1, 8.0, FAILED) == 2.0
    assert next_delay(retry, 1, 8.1, FAILED) is None


@pytest.mark.parametrize("error_class", ["undefined-variable", "bad-value", "internal"])
def test_what_no_further_run_can_mend_is_not_tried_again(error_class: str) -> None:
    failure = Failure(error_class=error_class, message="m")  # type: ignore[arg-type]  # one of the literals
    assert not retries(Retry(), failure)
    assert not retries(Retry(retry_on=(RetryOn(kind="pattern", pattern="m"),)), failure)


def failure(**fields: object) -> Failure:
    return Failure(**{"error_class": "command-failed", "message": "Exited with 1", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "said", "found"),
    [
        ("network", {"stderr_tail": "curl: (7) Failed to connect: Connection refused"}, True),
        ("network", {"stderr_tail": "Could not resolve host: example.org"}, True),
        ("network", {"stdout_tail": "Error: getaddrinfo ENOTFOUND api"}, True),
        ("network", {"stderr_tail": "syntax error near line 3"}, False),
        ("timeout", {"error_class": "timeout", "message": "Timed out after 3 s"}, True),
        ("timeout", {"stderr_tail": "read ETIMEDOUT"}, True),
        ("timeout", {"stderr_tail": "sometimes it outgrows"}, False),
        ("server_error", {"stderr_tail": "HTTP/1.1 503 Service Unavailable"}, True),
        ("server_error", {"stderr_tail": "status: 500"}, True),
        ("server_error", {"stdout_tail": "copied 512 files"}, False),
        ("rate_limit", {"stderr_tail": "429 Too Many Requests"}, True),
        ("rate_limit", {"stderr_tail": "API rate limit exceeded"}, True),
        ("rate_limit", {"stdout_tail": "14290 rows"}, False),
    ],
)
def test_kinds_of_failures(kind: str, said: dict[str, str], found: bool) -> None:
    assert matches(RetryOn(kind=kind), failure(**said)) is found  # type: ignore[arg-type]  # one of the literals


def test_patterns_and_exit_codes() -> None:
    assert matches(RetryOn(kind="pattern", pattern=r"lock(ed)?\b"), failure(stderr_tail="database is locked"))
    assert not matches(RetryOn(kind="pattern", pattern="locked"), failure(stderr_tail="gone"))
    assert matches(RetryOn(kind="exit_code", exit_codes=(7, 75)), FAILED)
    assert not matches(RetryOn(kind="exit_code", exit_codes=(75,)), FAILED)
    assert retries(
        Retry(retry_on=(RetryOn(kind="network"), RetryOn(kind="exit_code", exit_codes=(7,)))), FAILED
    )
