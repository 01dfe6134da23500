"""How long a command is waited for: to its time limit, or until it has said all that was wanted of it."""

from collections.abc import Callable
from typing import Final

import trio

Listener = Callable[[bytes], float | None]
"""Told each chunk of standard output as it comes; must not raise.

It says in how many seconds the command is to be ended if nothing more comes, or ``None`` while there is more to wait for.
"""
WITHOUT_END: Final = float("inf")


class Patience:
    """The deadline of one command, from now on.

    Args:
        timeout: seconds; ``None`` is without end.
        listen: says when the command has said enough.
    """

    def __init__(self, timeout: float | None, listen: Listener | None) -> None:
        self._limit = WITHOUT_END if timeout is None else trio.current_time() + timeout
        self._listen = listen
        self.scope = trio.CancelScope(deadline=self._limit)
        """Wait in this; it is cancelled when the time has come."""

    def heard(self, chunk: bytes) -> None:
        """Take what the command printed; what comes after the deadline no longer moves it."""
        if self._listen is None:
            return
        rest = self._listen(chunk)
        if not self.scope.cancel_called:
            enough = WITHOUT_END if rest is None else trio.current_time() + rest
            self.scope.deadline = min(self._limit, enough)

    @property
    def timed_out(self) -> bool:
        """Whether the limit ended the command."""
        return self.scope.cancelled_caught and self.scope.deadline == self._limit

    @property
    def satisfied(self) -> bool:
        """Whether the command was ended after it had said enough."""
        return self.scope.cancelled_caught and self.scope.deadline < self._limit
