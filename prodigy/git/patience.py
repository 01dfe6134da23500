"""Trying again while another git process holds a lock.

Git gives up on most locks at once. The user's editor, another run or a background fetch may hold one for a moment, so
a bounded number of tries is made; a lock that stays is reported with git's own words.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from prodigy.git.cli import GitFailed

T = TypeVar("T")

PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between tries; about three in all."""


async def patiently(act: Callable[[], Awaitable[T]]) -> T:
    """The result of ``act``, tried again while it fails on a lock.

    Raises:
        GitFailed: any other failure at once; a lock after the last try.
    """
    for pause in PAUSES:
        try:
            return await act()
        except GitFailed as failure:
            if not failure.result.lock_held:
                raise
        await trio.sleep(pause)
    return await act()
