"""Reading how good a result is from what a check printed, and seeing when it no longer gets better.

Pure. Scores are percentages from 0 to 100.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

SCORE_KEYS = ("score", "completion_percentage")
SETTLED_AFTER = 3
"""So many scores in a row, the last ones, say whether anything still moves."""
SETTLED_WITHIN = 2.0
"""Points between the lowest and the highest of them."""

_NUMBER = r"(?<!\d)(-?\d{1,9}(?:\.\d{1,9})?)"
_GAP = r"\s{0,9}"
_SPOKEN = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"\bscore\b[\"']?{_GAP}[:=]{_GAP}[\"']?{_NUMBER}",
        rf"{_NUMBER}{_GAP}%",
        rf"{_NUMBER}{_GAP}/{_GAP}100\b",
        rf"{_NUMBER}\s{{1,9}}out\s{{1,9}}of\s{{1,9}}100\b",
    )
)
_FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINE_OF_BRACE = re.compile(r"^[ \t]*\{", re.MULTILINE)
_MOST_STARTS = 100
"""Lines with an opening brace that are tried as the beginning of JSON."""


def score_of(text: str, exit_code: int | None) -> float:
    """The score that a check's output states, else 100 or 0 by its exit code.

    Args:
        text: what it printed: JSON with ``score`` or ``completion_percentage``, or a text with ``score: N``, ``N%``,
            ``N/100`` or ``N out of 100``; the first of these forms that occurs counts.
        exit_code: ``None`` if it ended otherwise than by exiting.
    """
    told = stated(json_object(text, SCORE_KEYS), SCORE_KEYS)
    if told is None:
        told = next((float(found[1]) for form in _SPOKEN if (found := form.search(text))), None)
    return capped(told) if told is not None else 100.0 if exit_code == 0 else 0.0


def stated(value: Mapping[str, Any] | None, keys: Sequence[str]) -> float | None:
    """The number under the first of ``keys`` that holds one, also as text and with a percent sign."""
    for key in keys:
        number = _number((value or {}).get(key))
        if number is not None:
            return number
    return None


def capped(score: float) -> float:
    """A score within 0 and 100."""
    return max(0.0, min(100.0, score))


def converged(scores: Sequence[float]) -> bool:
    """Whether the last three scores lie within two points, so that further attempts promise nothing."""
    last = scores[-SETTLED_AFTER:]
    return len(last) == SETTLED_AFTER and max(last) - min(last) <= SETTLED_WITHIN


def json_object(text: str, keys: Sequence[str]) -> dict[str, Any] | None:
    """The JSON object that a text is, or that stands in it among other words and has one of ``keys``.

    Looked for in this order: the whole text, fenced blocks from the last one on, lines from the last one on, and
    everything up to the last brace from the first one or from a line that begins with one.
    """
    whole = _decoded(text)
    if isinstance(whole, dict):
        return whole
    if whole is not None or "{" not in text:
        return None
    for part in _parts(text):
        value = _decoded(part) if part.lstrip().startswith("{") else None
        if isinstance(value, dict) and any(key in value for key in keys):
            return value
    return None


def _parts(text: str) -> Iterator[str]:
    yield from reversed(_FENCED.findall(text))
    yield from reversed(text.splitlines())
    end = text.rfind("}") + 1
    starts = [
        text.index("{"),
        *(line.end() - 1 for line in islice(_LINE_OF_BRACE.finditer(text), _MOST_STARTS)),
    ]
    yield from (text[start:end] for start in starts)


def _decoded(text: str) -> Any:
    """The JSON value that a text is; ``None`` for all other texts."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value.strip().removesuffix("%"))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return 100.0 if value > 0 else 0.0
    return number if math.isfinite(number) else None
