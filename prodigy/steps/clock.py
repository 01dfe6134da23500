"""Time that does not pass while leave to launch Claude is waited for."""

from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType

import trio


class Clock:
    """Limits on time, of which one may be within another, that can all be stopped together."""

    def __init__(self) -> None:
        self._limits: dict[trio.CancelScope, float] = {}
        """Limits in force; while time stands still, with the seconds that are left of each."""
        self._stopped = 0

    @property
    def is_stopped(self) -> bool:
        """Whether time stands still."""
        return self._stopped > 0

    def limited(self, limit: float | None) -> "Limit":
        """A block that is cancelled after so many seconds of running time; ``None``: never."""
        return Limit(self._limits, float("inf") if limit is None else limit, stopped=self.is_stopped)

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Let no time pass during the block; blocks may overlap."""
        if not self._stopped:
            now = trio.current_time()
            for scope in self._limits:
                self._limits[scope] = scope.deadline - now
                scope.deadline = float("inf")
        self._stopped += 1
        try:
            yield
        finally:
            self._stopped -= 1
            if not self._stopped:
                now = trio.current_time()
                for scope, left in self._limits.items():
                    scope.deadline = now + left


class Limit:
    """A block that a clock limits; it gives the scope that is cancelled when its time is up."""

    def __init__(self, limits: dict[trio.CancelScope, float], seconds: float, *, stopped: bool) -> None:
        self._limits = limits
        self._seconds = seconds
        self._scope = trio.CancelScope()
        if not stopped:
            self._scope.deadline = trio.current_time() + seconds

    def __enter__(self) -> trio.CancelScope:
        """Begin."""
        self._limits[self._scope] = self._seconds
        return self._scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """End; a cancellation because the time was up ends here."""
        del self._limits[self._scope]
        return self._scope.__exit__(kind, error, trace)
