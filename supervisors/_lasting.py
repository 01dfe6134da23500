"""What goes on when the job that started it has ended, and ends with the process at the latest.

Rules:

- The slots of what lasts are the process's own: the end of a job, and its grace, mean nothing to them.
- They hang below the same zygote as all others: whoever kills this process ends them too.
- What is kept can fail, and then says so on standard error; it takes nobody along.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, Self, TypeVar

import trio

from supervisors._proctree import Grace
from supervisors.process_errors import SlotLost


class Slots(Protocol):
    """Where the trees of what lasts are started."""

    @property
    def grace(self) -> Grace:
        """How they end."""
        ...


S = TypeVar("S", bound=Slots)
S_contra = TypeVar("S_contra", bound=Slots, contravariant=True)


class Keep(Protocol[S_contra]):
    """Looks after something for as long as it lasts."""

    def __call__(self, slots: S_contra, *, task_status: trio.TaskStatus[Any]) -> Awaitable[None]:
        """Begin, call ``task_status.started`` with what the job is to know, go on until the end or cancelled."""
        ...


def ignore(_count: int) -> None:
    """Tell nobody."""


class Lasting(Generic[S]):
    """Tasks that belong to the process and not to a job.

    Args:
        slots: makes the slots that they use.

    Attributes:
        count: how many there are.
        changed: told the count when it has changed.
    """

    def __init__(self, slots: Callable[[Self], S]) -> None:
        self.count = 0
        self.changed: Callable[[int], None] = ignore
        self._slots = slots(self)
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._ended = trio.Event()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be there until stopped; returns when nothing is left."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self._nursery = None
            self._ended.set()

    async def start(self, keep: Keep[S]) -> Any:
        """Have something kept; what it says when it has begun.

        Raises:
            SlotLost: the process is ending.
            Exception: what ``keep`` raises before it has begun.
        """
        if self._nursery is None or self._scope.cancel_called:
            raise SlotLost("the process that would keep it is ending")
        return await self._nursery.start(self._keep, keep)

    def stop(self, grace: float) -> None:
        """End everything, its process trees with ``grace`` seconds between SIGTERM and SIGKILL; again to hurry."""
        self._slots.grace.seconds = grace
        self._scope.cancel()
        if grace <= 0:
            self._slots.grace.hurry()

    async def wait_ended(self) -> None:
        """Wait until nothing is left, after ``stop``."""
        await self._ended.wait()

    async def close(self) -> None:
        """End everything at once and wait for it, whatever cancels us."""
        self.stop(0.0)
        with trio.CancelScope(shield=True):
            await self.wait_ended()

    async def _keep(self, keep: Keep[S], *, task_status: trio.TaskStatus[Any]) -> None:
        begun = _Begun(task_status)
        self._count(1)
        try:
            await keep(self._slots, task_status=begun)
        except Exception as error:
            if not begun.told:
                raise
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.count += change
        self.changed(self.count)


class _Begun:
    """Passes on that a task has begun, and remembers it."""

    def __init__(self, status: trio.TaskStatus[Any]) -> None:
        self.told = False
        self._status = status

    def started(self, value: Any = None) -> None:
        """It has begun."""
        self.told = True
        self._status.started(value)
