"""Asking a service that may crash while it works on the answer."""

from collections.abc import Callable
from typing import TypeVar

from supervisors import ActorDied, ActorRef, Reply

M = TypeVar("M")
R = TypeVar("R")

PATIENCE = 3
"""How often a request is made again after the service crashed over it or beside it."""


async def persistently(service: ActorRef[M], make: Callable[[Reply[R]], M]) -> R:
    """Ask, and ask again the service's next incarnation; for requests that may be carried out twice.

    Raises:
        ActorDied: the service crashed each time.
        ActorStopped: the service is down for good.
    """
    for _ in range(PATIENCE - 1):
        try:
            return await service.ask(make, timeout=None)
        except ActorDied:
            continue
    return await service.ask(make, timeout=None)
