"""What launches of Claude that are under way have used by now: by their own records, looked at now and then.

Only for the screen: what a launch has used is recorded at its end, by its own word.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import trio

from prodigy.events import ClaudeIntended, ClaudeMeter, ClaudeUse
from prodigy.job.amounts import tokens
from prodigy.job.state import JobState

_PAUSE: Final = 3.0
"""Seconds between two looks, at least."""
_REST: Final = 30
"""So many times as long as a look took is the pause after it: records may be large, and there may be hundreds."""

Spent = Callable[[ClaudeUse, ClaudeMeter | None], ClaudeUse]
"""What a launch has used by the record of its conversation, and what that said before it."""


class Running(NamedTuple):
    """What all launches together have used that have no end yet: US dollars, at list prices, and tokens."""

    usd: float = 0.0
    tokens: int = 0


NOBODY: Final = Running()


class UnderWay:
    """Knows what running launches have used.

    Args:
        spent: asks the backend.
    """

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._used: dict[int, ClaudeUse] = {}

    def used(self, state: JobState) -> Running:
        """Of the launches that are under way; of those nobody has looked at yet, nothing."""
        known = [self._used[launch] for launch in state.launches if launch in self._used]
        return Running(sum(use.cost_usd for use in known), sum(map(tokens, known)))

    async def follow(self, read_state: Callable[[], JobState]) -> None:
        """Look again and again until cancelled."""
        while True:
            began = trio.current_time()
            launches = dict(read_state().launches)
            if launches:
                self._used = await trio.to_thread.run_sync(self._look, launches, abandon_on_cancel=True)
            await trio.sleep(max(_PAUSE, _REST * (trio.current_time() - began)))

    def _look(self, launches: Mapping[int, ClaudeIntended]) -> dict[int, ClaudeUse]:
        found: dict[int, ClaudeUse] = {}
        for intent, launch in launches.items():
            with suppress(OSError):
                begun = ClaudeUse(session_id=launch.session_id, model=launch.model)
                found[intent] = self._spent(begun, launch.meter)
        return found
