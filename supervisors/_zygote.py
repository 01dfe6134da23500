"""The worker's side of its zygote: asks for reapers, and for proof that one is gone.

Rules: one task reads the answers (``serve``); everybody else waits for the answer with his number.
"""

import itertools
import socket

import trio

from supervisors._control import ControlSocket, Discarded, Exited, Failed, Forked, Refused, Request, Started
from supervisors._exits import wait_exit
from supervisors._spawn import SpawnedZygote
from supervisors.process_errors import SlotLost, SpawnFailed

DISCARD_LIMIT = 10.0
"""Seconds within which a discarded reaper and what it left must be dead, unless the kernel holds one of them."""


Answer = Forked | Refused | Discarded


class ReaperLine:
    """A line to one reaper.

    Attributes:
        pid: of the reaper.
        control: the conversation.
        idle: whether it runs nothing and is known to answer.
    """

    def __init__(self, pid: int, control: ControlSocket) -> None:
        self.pid = pid
        self.control = control
        self.idle = True

    def alive(self) -> bool:
        """Whether the reaper still lives; only for an idle one."""
        return self.control.alive()


class Zygote:
    """A zygote that has been started, and what is asked of it."""

    def __init__(self, spawned: SpawnedZygote) -> None:
        self.process = spawned.process
        self._control = ControlSocket(spawned.control)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, trio.MemorySendChannel[Answer]] = {}
        self._lost = False

    async def serve(self) -> None:
        """Hand out answers until the zygote is gone; then everybody who waits gets ``SlotLost``."""
        try:
            while True:
                match await self._control.receive():
                    case (Forked(id=number) | Refused(id=number) | Discarded(id=number)) as reply:
                        if (waiting := self._waiting.pop(number, None)) is not None:
                            waiting.send_nowait(reply)
                    case Started() | Failed() | Exited():  # pragma: no cover: reapers say these
                        break
        except trio.EndOfChannel:
            pass
        finally:
            self._lost = True
            for waiting in self._waiting.values():
                waiting.close()
            self._waiting.clear()

    async def fork(self) -> ReaperLine:
        """Have a new reaper.

        Raises:
            SpawnFailed: the system has no process or descriptor left.
            SlotLost: the zygote is gone.
        """
        try:
            ours, its = socket.socketpair()
        except OSError as error:
            raise SpawnFailed(error.errno or 0, str(error)) from error
        control = ControlSocket(ours)
        try:
            with its:
                reply = await self._ask({"op": "fork"}, (its.fileno(),))
        except BaseException:
            control.close()
            raise
        if isinstance(reply, Forked):
            return ReaperLine(reply.pid, control)
        control.close()
        if isinstance(reply, Refused):
            raise SpawnFailed(reply.errno, reply.message)
        raise SlotLost("the zygote gave an answer to something else")

    async def discard(self, line: ReaperLine) -> bool:
        """Kill a reaper; whether it and everything below it is known to be dead now."""
        line.control.close()
        with trio.move_on_after(DISCARD_LIMIT, shield=True):
            try:
                await self._ask({"op": "discard", "reaper": line.pid})
            except SlotLost:
                return False
            return True
        return False

    async def close(self) -> None:
        """Hang up and wait until the zygote and all its reapers are gone, which they are soon."""
        self._control.close()
        with trio.move_on_after(DISCARD_LIMIT, shield=True):
            await wait_exit(self.process)

    async def _ask(self, request: Request, descriptors: tuple[int, ...] = ()) -> Answer:
        if self._lost:
            raise SlotLost("the zygote is gone")
        number = next(self._numbers)
        self._waiting[number], answer = trio.open_memory_channel[Answer](1)
        try:
            await self._control.send({"id": number, **request}, descriptors)
            return await answer.receive()
        except trio.EndOfChannel as error:
            raise SlotLost("the zygote is gone") from error
        finally:
            self._waiting.pop(number, None)
