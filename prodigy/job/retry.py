"""When a failed run is tried again, and after how long.

Pure: times are seconds, chance comes in as a number ``u`` from 0 up to 1. The same for the runs of a step and for the
attempts at an item. Values written as references have to be filled in before (``workflow.deferred``).
"""

import re
from typing import Final

from prodigy.events import ErrorClass, Failure
from prodigy.workflow.model import Backoff, Deferred, Retry, RetryOn
from prodigy.workflow.patterns import find_pattern

NEVER: Final[frozenset[ErrorClass]] = frozenset(
    {"undefined-variable", "bad-value", "bad-input", "input-not-found", "history-rewritten", "internal"}
)
"""Failures that the next run would meet again."""

_NETWORK = re.compile(
    r"network|connection (?:refused|reset|closed|aborted|timed out)|could not resolve|name resolution|unreachable"
    r"|no route to host|broken pipe|dns|socket hang up|econn\w+|enotfound|eai_again|tls handshake|ssl error",
    re.IGNORECASE,
)
_TIMEOUT = re.compile(r"\btime[d-]?[ -]?out\b|deadline exceeded|etimedout", re.IGNORECASE)
_SERVER_ERROR = re.compile(
    r"\b(?:http|status|code|error)\b\D{0,12}\b5\d\d\b|\b5\d\d\b (?:internal server error|bad gateway|service unavailable"
    r"|gateway time-?out)|internal server error|bad gateway|service unavailable|overloaded",
    re.IGNORECASE,
)
_RATE_LIMIT = re.compile(
    r"rate[ _-]?limit|too many requests|\b429\b|usage limit|quota exceeded", re.IGNORECASE
)
_WORDS: Final = {
    "network": _NETWORK,
    "timeout": _TIMEOUT,
    "server_error": _SERVER_ERROR,
    "rate_limit": _RATE_LIMIT,
}
_MOST: Final = 10.0**9
"""Seconds beyond which a delay no longer grows."""


def next_delay(retry: Retry, runs: int, spent: float, failure: Failure, u: float = 0.5) -> float | None:
    """Seconds to wait before the next run, or ``None`` if there is to be none.

    Args:
        retry: what the workflow asks for.
        runs: how many runs there were, the failed one included.
        spent: seconds of those runs and of the delays between them.
        failure: of the last run.
        u: chance, for the jitter.
    """
    if runs >= _given(retry.attempts) or not retries(retry, failure):
        return None
    wait = delay(retry.backoff, runs, u)
    if retry.budget is not None and spent + wait > _given(retry.budget):
        return None
    return wait


def delay(backoff: Backoff, runs: int, u: float = 0.5) -> float:
    """Seconds between run number ``runs`` (from 1) and the next one.

    Args:
        backoff: how delays grow.
        runs: how many runs there were.
        u: chance: 0 shortens by the whole jitter, 1 lengthens by it; ``max_delay`` holds all the same.
    """
    most = _MOST if backoff.max_delay is None else _given(backoff.max_delay)
    jittered = min(_grown(backoff, runs), most) * (1 + backoff.jitter * (2 * u - 1))
    return min(max(jittered, 0.0), most)


def retries(retry: Retry, failure: Failure) -> bool:
    """Whether a failure is of a kind that is tried again."""
    if failure.error_class in NEVER:
        return False
    return not retry.retry_on or any(matches(kind, failure) for kind in retry.retry_on)


def matches(kind: RetryOn, failure: Failure) -> bool:
    """Whether a failure is of one kind, by its class, its exit code and the tails of its output.

    Raises:
        TemplateError: a pattern that takes too long.
    """
    if kind.kind == "exit_code":
        return failure.exit_code in kind.exit_codes
    said = f"{failure.error_class}\n{failure.message}\n{failure.stderr_tail}\n{failure.stdout_tail}"
    if kind.kind == "pattern":
        return kind.pattern is not None and find_pattern(kind.pattern, said) is not None
    return _WORDS[kind.kind].search(said) is not None


def _grown(backoff: Backoff, runs: int) -> float:
    """The delay after so many runs, without bounds and chance."""
    initial = 0.0 if backoff.initial is None else _given(backoff.initial)
    match backoff.kind:
        case "fixed":
            return initial
        case "linear":
            increment = initial if backoff.increment is None else _given(backoff.increment)
            return initial + increment * (runs - 1)
        case "exponential":
            return _power(initial, _given(backoff.factor), runs - 1)
        case "fibonacci":
            return initial * _fibonacci(runs)
        case "custom":
            delays = backoff.delays or (initial,)
            return delays[min(runs, len(delays)) - 1]


def _power(initial: float, factor: float, times: int) -> float:
    try:
        return min(initial * factor**times, _MOST)
    except OverflowError:
        return _MOST


def _fibonacci(number: int) -> float:
    """The terms 1, 1, 2, 3, 5 and so on."""
    before, now = 0.0, 1.0
    for _ in range(number - 1):
        before, now = now, min(before + now, _MOST)
    return now


def _given(value: float | Deferred) -> float:
    assert not isinstance(value, Deferred), "deferred values are filled in before"
    return value
