"""Faults put into actors."""

from typing import Any

import pytest


def crash_once(
    monkeypatch: pytest.MonkeyPatch, where: type[Any], method: str, *, at: int = 1, after: bool = False
) -> list[int]:
    """The method raises at its call number ``at``, before or after it has done its work; the list grows with its calls."""
    original = getattr(where, method)
    calls: list[int] = []

    async def broken(self: Any, *words: Any, **options: Any) -> Any:
        calls.append(1)
        crashes = len(calls) == at
        result = None if crashes and not after else await original(self, *words, **options)
        if crashes:
            raise RuntimeError("put in by the test")
        return result

    monkeypatch.setattr(where, method, broken)
    return calls
