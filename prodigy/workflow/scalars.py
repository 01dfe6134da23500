"""What a scalar of the language may look like: durations, sizes, numbers, booleans.

Pure: text in, value out, ``ScalarError`` with the diagnostic's code where the text is something else.
"""

import math
import re

from prodigy.workflow.model import Deferred

INTEGER_DIGITS = 18
_SHORTEST_PLURAL = 3

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_DURATION = re.compile(rf"\s*(?:{_NUMBER}\s*[a-z]+\s*)+", re.ASCII)
_PART = re.compile(rf"({_NUMBER})\s*([a-z]+)", re.ASCII)
_SIGNED = re.compile(rf"[-+]?{_NUMBER}(?:e[-+]?\d+)?", re.ASCII)
_SIZE = re.compile(rf"({_NUMBER})\s*([a-z]*)", re.ASCII)
_INTEGER = re.compile(rf"[-+]?\d{{1,{INTEGER_DIGITS}}}", re.ASCII)
REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_]\w*", re.ASCII)
"""What makes a typed value one that is only known at run time, like ``"${LIMIT}"``."""
NO_LIMIT = "none"
LEAST_LIMIT = 0.001
"""The shortest time limit, in seconds: 0 would let nothing run."""

_UNITS = {
    "ms": 0.001, "msec": 0.001, "millisecond": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86400.0, "day": 86400.0,
}  # fmt: skip
_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_PREFIXES = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class ScalarError(ValueError):
    """A text that is not a value of the wanted type."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def duration(text: str, least: float | None = None, *, milliseconds: bool = False) -> float:
    """Seconds: ``90``, ``500ms``, ``1.5m``, ``1h30m``, ``1h 30m``, ``2 days``.

    Args:
        text: what is written.
        least: the shortest one that is accepted; never below zero.
        milliseconds: whether a number without a unit counts those.
    """
    lowered = text.strip().lower()
    if _SIGNED.fullmatch(lowered):
        seconds = float(lowered) / (1000 if milliseconds else 1)
    elif _DURATION.fullmatch(lowered):
        seconds = sum(float(number) * _unit(unit) for number, unit in _PART.findall(lowered))
    else:
        raise ScalarError("bad-duration", "a duration looks like `30`, `500ms`, `10s`, `1h30m` or `2d`")
    if seconds < 0:
        raise ScalarError("bad-value", "a duration cannot be negative")
    if not math.isfinite(seconds):
        raise ScalarError("bad-duration", "this duration is beyond all bounds")
    if least is not None and seconds < least:
        raise ScalarError("bad-value", f"must be at least {least:g} s")
    return seconds


def size(text: str) -> int:
    """Bytes: ``4096``, ``10k``, ``512MB``, ``2GiB``; SI prefixes count thousands, binary ones 1,024s."""
    match = _SIZE.fullmatch(text.strip().lower())
    unit = match[2].removesuffix("b") if match else "?"
    factor = _PREFIXES.get(unit) or _BINARY_PREFIXES.get(unit)
    if match is None or factor is None or not math.isfinite(float(match[1]) * factor):
        raise ScalarError("bad-size", "a size looks like `4096`, `10k`, `512MB` or `2GiB`")
    return math.floor(float(match[1]) * factor)


def integer(text: str, minimum: int, maximum: int | None = None) -> int:
    """A whole number between the two, both included."""
    if not _INTEGER.fullmatch(text.strip()):
        raise ScalarError("wrong-type", "expected a whole number")
    number = int(text)
    _check_range(number, minimum, maximum)
    return number


def number(text: str, least: float | None = None, most: float | None = None) -> float:
    """A number between the two, both included."""
    if not _SIGNED.fullmatch(text.strip().lower()) or not math.isfinite(float(text)):
        raise ScalarError("wrong-type", "expected a number")
    _check_range(float(text), least, most)
    return float(text)


def share(text: str) -> float:
    """A part of a whole, 0 to 1: ``0.25`` or ``25%``."""
    stripped = text.strip()
    if stripped.endswith("%"):
        return number(stripped[:-1], 0, 100) / 100
    return number(stripped, 0, 1)


def boolean(text: str) -> bool:
    """``true`` or ``false``, in any case; YAML 1.1's ``yes`` and ``on`` are words like any other."""
    lowered = text.strip().lower()
    if lowered not in {"true", "false"}:
        raise ScalarError("wrong-type", "expected `true` or `false`")
    return lowered == "true"


def resolved(value: Deferred, text: str) -> float | None:
    """What a deferred value is, now that its references are filled in.

    Args:
        value: what was written.
        text: its source with every reference replaced.

    Returns:
        Seconds, bytes (``int``) or a number, as ``value.kind`` says; ``None`` for no limit.

    Raises:
        ScalarError: the text is not of that kind, or less than ``value.least``.
    """
    least = value.least
    match value.kind:
        case "duration":
            return None if is_unlimited(text) else duration(text, least)
        case "size":
            return None if is_unlimited(text) else size(text)
        case "integer":
            return integer(text, -(10**INTEGER_DIGITS) if least is None else math.ceil(least))
        case "number":
            return number(text, least)


def is_unlimited(text: str) -> bool:
    """Whether a text says that there is no limit."""
    return text.strip().lower() == NO_LIMIT


def _check_range(value: float, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        raise ScalarError("bad-value", f"must be at least {least:g}")
    if most is not None and value > most:
        raise ScalarError("bad-value", f"must be at most {most:g}")


def _unit(word: str) -> float:
    singular = word if word in _UNITS or len(word) < _SHORTEST_PLURAL else word.removesuffix("s")
    if singular not in _UNITS:
        raise ScalarError("bad-duration", f"`{word}` is no unit of time: use ms, s, m, h or d")
    return _UNITS[singular]
