"""Launches of Claude that were cut short by what is not their step's fault, and whose conversations go on later."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from prodigy.steps.backend import Call, Launched, Parked
from prodigy.steps.claude_refusals import refused
from prodigy.steps.claude_resets import reset_time

_OUT_OF_MONEY = "budget_exhausted"
_TURNED_AWAY = {429, 529}
"""Statuses of the API that say nothing about what was asked: too many requests, and overloaded."""
_USED_UP = re.compile(
    r"(?:usage|session|hour|weekly) limit reached|reached your specified \w* ?usage limit|hit your (?:[\w-]+ )*limit|rate_limit_error|overloaded_error",
    re.IGNORECASE,
)
_ACCOUNT = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
    "HOME",
)


def parked(launched: Launched, call: Call) -> Parked | None:
    """Whether a launch was cut short from outside; ``None``: it is the step's outcome."""
    answer = launched.answer
    if answer is None or not answer.is_error or launched.objection is not None:
        return None
    if answer.use.terminal_reason == _OUT_OF_MONEY and call.reserved:
        return Parked("budget", answer.text)
    if answer.use.api_error_status in _TURNED_AWAY or _USED_UP.search(answer.text):
        return Parked("quota", answer.text, _until(launched, answer.text))
    return refused(answer)


def account_of(environment: Mapping[str, str]) -> str:
    """A short digest of all that says whose quota a launch uses."""
    chosen = "\0".join(environment.get(name, "") for name in _ACCOUNT)
    return hashlib.blake2b(chosen.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()


def _until(launched: Launched, said: str) -> datetime | None:
    if launched.resets_at is not None:
        return datetime.fromtimestamp(launched.resets_at, UTC)
    return reset_time(said, datetime.now().astimezone())
