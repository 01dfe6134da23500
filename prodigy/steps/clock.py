"""The time of an agent: it does not pass while the agent waits for leave to launch Claude."""

from collections.abc import Generator
from contextlib import contextmanager

import trio


class Clock:
    """One limit on time that can be stopped."""

    def __init__(self) -> None:
        self._scope: trio.CancelScope | None = None
        self._stopped = 0
        self._left = 0.0

    def limited(self, limit: float | None) -> trio.CancelScope:
        """A scope that is cancelled after so many seconds of running time; ``None``: never."""
        self._scope = trio.move_on_after(float("inf") if limit is None else limit)
        return self._scope

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Let no time pass during the block; blocks may overlap."""
        scope = self._scope
        if scope is None:
            yield
            return
        if not self._stopped:
            self._left = scope.deadline - trio.current_time()
            scope.deadline = float("inf")
        self._stopped += 1
        try:
            yield
        finally:
            self._stopped -= 1
            if not self._stopped:
                scope.deadline = trio.current_time() + self._left
