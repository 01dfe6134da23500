"""When a limit of the API ends, by the words in which that is told.

A time of day is the next one of its kind; without a zone it is one of this machine's. A word that is not understood
tells nothing.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_EPOCH: Final = re.compile(r"(?:limit reached\|\s*|resets?_?(?:at)?\W{1,4})(\d{10})\b", re.IGNORECASE)
"""Seconds since the epoch."""
_STAMP: Final = re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d))")
_DAY: Final = re.compile(r"\b(\d{4}-\d\d-\d\d)(?: at)? (\d\d:\d\d) ?(?:UTC|GMT)\b")
_AFTER: Final = re.compile(
    r"(?:retry[- ]after\W{1,3}|(?:try again|retry|resets?)\s+in\s+)((?:\d+\s*[a-z]*[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"(\d+)\s*([a-z]*)", re.IGNORECASE)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_CLOCK: Final = re.compile(
    r"resets?(?:\s+(?:at|on))?\s+"
    r"(?:(?P<month>[A-Z][a-z]{2})[a-z]*\.?\s+(?P<day>\d{1,2})(?:,|\s+at)?\s+(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap]m)?\b"
    r"(?:\s*\((?P<zone>[\w/+-]+)\))?",
    re.IGNORECASE,
)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NOON: Final = 12


def reset_time(said: str, now: datetime) -> datetime | None:
    """The moment that a message names; ``None`` if it names none. ``now`` is local, with its zone."""
    if (epoch := _EPOCH.search(said)) is not None:
        return datetime.fromtimestamp(int(epoch[1]), UTC)
    if (stamp := _STAMP.search(said)) is not None:
        with suppress(ValueError):
            return datetime.fromisoformat(stamp[1]).astimezone(UTC)
    if (day := _DAY.search(said)) is not None:
        with suppress(ValueError):
            return datetime.fromisoformat(f"{day[1]}T{day[2]}").replace(tzinfo=UTC)
    if (after := _AFTER.search(said)) is not None:
        seconds = sum(
            int(number) * _SECONDS.get(unit[:1].lower(), 0) for number, unit in _PART.findall(after[1])
        )
        return (now + timedelta(seconds=seconds)).astimezone(UTC) if seconds else None
    for clock in _CLOCK.finditer(said):
        with suppress(ValueError, KeyError, OSError):
            return _next(clock, now).astimezone(UTC)
    return None


def _next(clock: re.Match[str], now: datetime) -> datetime:
    """The first moment from now on at which a clock and a calendar show this."""
    zone = ZoneInfo(clock["zone"]) if clock["zone"] else now.tzinfo
    here = now.astimezone(zone)
    hour = int(clock["hour"])
    if clock["half"] and hour > _NOON:
        raise ValueError(hour)
    if clock["half"]:
        hour = hour % _NOON + (_NOON if clock["half"].lower() == "pm" else 0)
    at = here.replace(hour=hour, minute=int(clock["minute"] or 0), second=0, microsecond=0)
    if clock["month"] is None:
        return at if at > here else at + timedelta(days=1)
    at = at.replace(month=_MONTHS.index(clock["month"].lower()) + 1, day=int(clock["day"]))
    return at if at > here else at.replace(year=at.year + 1)
