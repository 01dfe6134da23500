"""What a command writes: one end of a pipe, whose reader somebody may listen to."""

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import TypeAlias

import trio

Listener: TypeAlias = Callable[[int], None]


def ignore(_size: int) -> None:
    """Listen to nothing."""


class OutputStream(trio.abc.ReceiveStream):
    """The output of a command, at most a pipe's content ahead of whoever reads it.

    Args:
        descriptor: to read from; the stream owns it from now on.

    Attributes:
        listener: told how many bytes have just been read; must not raise.
    """

    def __init__(self, descriptor: int) -> None:
        self._pipe = trio.lowlevel.FdStream(descriptor)
        self.listener: Listener = ignore

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; none at the end.

        Args:
            max_bytes: as many at most; ``None`` leaves the choice to us.

        Raises:
            trio.ClosedResourceError: the stream was closed.
            trio.BusyResourceError: another task reads.
        """
        data = await self._pipe.receive_some(max_bytes)
        self.listener(len(data))
        return data

    async def aclose(self) -> None:
        """Close our end; a command that goes on writing is told by SIGPIPE."""
        await self._pipe.aclose()

    def fileno(self) -> int:
        """The descriptor; -1 once closed."""
        return self._pipe.fileno()

    def unread(self) -> bool:
        """Whether something waits to be read."""
        if self.fileno() < 0:
            return False
        (size,) = struct.unpack("i", fcntl.ioctl(self.fileno(), termios.FIONREAD, b"\0" * 4))
        return bool(size)
