"""Regular expressions that users write: checked when a workflow is loaded, searched with a limit on their time.

Pure, apart from the clock inside the ``regex`` package, which is imported only when a pattern is used. Its default
rules are those of Python's ``re``, with more of Unicode. Groups cannot be called again by ``(?R)``, ``(?1)`` and the
like, because such patterns can fill the memory before their time is over.
"""

import re
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from prodigy.workflow.pattern_length import least_length
from prodigy.workflow.values import TemplateError

MAX_PATTERN: Final = 1_000
"""Characters of a pattern."""
MAX_LENGTH: Final = 100_000
"""Characters that the shortest text it matches may have."""
TIME_LIMIT: Final = 1.0
"""Seconds that one search may take."""
_SHOWN = 60
_GROUP_CALL = re.compile(r"\\.|(\(\?(?:R|[+-]?\d+|&\w+|P>\w+)\))", re.DOTALL)
"""An escaped character, or a call of a group."""


class BadPattern(TemplateError):
    """A text that is no usable pattern; ``position`` counts its characters from 0, if the place is known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__("bad-regex", message)
        self.position = position


class PatternTimeout(TemplateError):
    """A search took too long."""

    def __init__(self, pattern: str, limit: float) -> None:
        hint = "repeat what cannot match the same text in two ways, e.g. `a+` and not `(a+)+`"
        message = f"the search for `{_shortened(pattern)}` took more than {limit:g} s"
        super().__init__("regex-timeout", message, hint=hint)


class Match(Struct, frozen=True):
    """What a pattern found first."""

    whole: str
    groups: tuple[str | None, ...] = ()

    @property
    def value(self) -> str:
        """The first group if the pattern has any (empty if it took no part), else the whole match."""
        return (self.groups[0] or "") if self.groups else self.whole


def check_pattern(pattern: str) -> None:
    """Do nothing if ``pattern`` can be used.

    Raises:
        BadPattern: it is no regular expression, or too long.
    """
    _compiled(pattern)


def find_pattern(pattern: str, text: str, *, limit: float = TIME_LIMIT) -> Match | None:
    """The first place in ``text`` that matches; ``limit`` is in seconds.

    Raises:
        BadPattern: as ``check_pattern``.
        PatternTimeout: the search took longer than ``limit``.
    """
    found = _search(pattern, text, limit)
    return None if found is None else Match(found[0], found.groups())


def matches_pattern(pattern: str, text: str, *, limit: float = TIME_LIMIT, whole: bool = False) -> bool:
    """Whether any place in ``text`` matches, or ``text`` as a ``whole``; raises as ``find_pattern``."""
    return _search(pattern, text, limit, whole=whole) is not None


def _search(pattern: str, text: str, limit: float, *, whole: bool = False) -> Any:
    compiled = _compiled(pattern)
    search = compiled.fullmatch if whole else compiled.search
    try:
        return search(text, timeout=limit)
    except TimeoutError:
        raise PatternTimeout(pattern, limit) from None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"the pattern has {len(pattern)} characters, {MAX_PATTERN} are allowed")
    for found in _GROUP_CALL.finditer(pattern):
        if found[1]:
            raise BadPattern(f"`{found[1]}` is not supported in patterns", found.start())
    if least_length(pattern) > MAX_LENGTH:
        message = f"`{_shortened(pattern)}` asks for a text of more than {MAX_LENGTH:,} characters"
        raise BadPattern(message)
    import warnings

    import regex

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about sets that a later version of the package may read otherwise
            return regex.compile(pattern, cache_pattern=False)
    except RecursionError:
        raise BadPattern(f"`{_shortened(pattern)}` is nested too deep") from None
    except Exception as error:  # noqa: BLE001 - beside its own error the parser lets plain Python ones out
        message = getattr(error, "msg", None) or str(error) or "this is no regular expression"
        raise BadPattern(f"`{_shortened(pattern)}`: {message}", getattr(error, "pos", None)) from None


def _shortened(pattern: str) -> str:
    return pattern if len(pattern) <= _SHOWN else pattern[: _SHOWN - 1] + "…"
