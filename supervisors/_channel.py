"""A framed, typed channel over a connected stream socket.

Rules:

- A message is written at once as far as the socket takes it; the rest is written by the task that runs ``write``. So
  a cancelled sender never leaves half a frame behind.
- ``send`` waits while more than ``room`` bytes are on their way; ``post`` does not, and is for small messages that
  must not wait behind large ones' senders.
- One task receives. What is no frame, or no message of the declared type, is ``FrameError``; after it the channel is
  of no use.
"""

import socket
from collections import deque
from typing import Any, Generic, TypeVar

import msgspec
import trio

from supervisors._codec import Codec
from supervisors._frames import FRAME_LIMIT, FrameReader, frame

ROOM = 1024 * 1024
"""Bytes on their way from which on senders wait."""
CHUNK = 65_536
"""Bytes handed to or taken from the socket at once."""

Incoming = TypeVar("Incoming")
Outgoing = TypeVar("Outgoing")


class Channel(Generic[Incoming, Outgoing]):
    """One end of a conversation in frames.

    Args:
        sock: connected; the channel owns it from now on.
        incoming: the type of what arrives, a union of tagged structs.
        limit: bytes that one frame may hold, in either direction.
        room: bytes on their way from which on ``send`` waits.
    """

    def __init__(
        self, sock: socket.socket, incoming: Any, *, limit: int = FRAME_LIMIT, room: int = ROOM
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._limit = limit
        self._room = room
        self._incoming = Codec[Incoming](incoming)
        self._encode = msgspec.msgpack.Encoder().encode
        self._reader = FrameReader(limit)
        self._arrived: deque[bytes] = deque()
        self._waiting = bytearray()
        self._broken = False
        self._work = trio.Event()
        self._senders = trio.lowlevel.ParkingLot()
        self._flushers = trio.lowlevel.ParkingLot()

    def post(self, message: Outgoing) -> None:
        """Send without waiting; to an end that is gone it means nothing, and receiving tells.

        Raises:
            FrameTooLarge: the message is over the limit; nothing was sent.
        """
        data = frame(self._encode(message), self._limit)
        if self._broken:
            return
        sent = 0 if self._waiting else self._write_some(data)
        if sent < len(data) and not self._broken:
            self._waiting += data[sent:]
            self._work.set()

    async def send(self, message: Outgoing) -> None:
        """Send as soon as there is room; cancelled means not sent.

        Raises:
            FrameTooLarge: as ``post``.
        """
        await trio.lowlevel.checkpoint()
        while len(self._waiting) > self._room:
            await self._senders.park()
        self.post(message)

    async def write(self) -> None:
        """Write what the socket did not take at once; runs as long as the channel does."""
        while True:
            await self._work.wait()
            while self._waiting:
                await trio.lowlevel.wait_writable(self._socket)
                del self._waiting[: self._write_some(bytes(self._waiting[:CHUNK]))]
                if len(self._waiting) <= self._room:
                    self._senders.unpark_all()
            self._flushers.unpark_all()
            self._work = trio.Event()

    async def flush(self) -> None:
        """Wait until everything is on its way, while another task runs ``write``."""
        while self._waiting:
            await self._flushers.park()

    async def receive(self) -> Incoming:
        """Wait for the next message.

        Raises:
            trio.EndOfChannel: the other end has closed after a whole frame.
            FrameError: what arrived is no frame or no message.
        """
        while not self._arrived:
            data = await self._read_some()
            if not data:
                self._reader.finish()
                raise trio.EndOfChannel
            self._arrived.extend(self._reader.feed(data))
        return self._incoming.decode(self._arrived.popleft())

    def close(self) -> None:
        """Hang up; what is still on its way is lost."""
        self._break()
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    def _write_some(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._break()
            return 0

    async def _read_some(self) -> bytes:
        waited = False
        while True:
            try:
                data = self._socket.recv(CHUNK)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._socket)
                waited = True
            except OSError:  # reset: as good as closed
                return b""
            else:
                if not waited:  # a flood must not keep others from running
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return data

    def _break(self) -> None:
        self._broken = True
        self._waiting.clear()
        self._senders.unpark_all()
        self._flushers.unpark_all()
