"""The worker's end of the sockets to its zygote and to the reapers: JSON messages with descriptors beside them."""

import socket
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import trio

from supervisors._reaper import Decoder, encode

CHUNK = 65_536

Request = Mapping[str, object]
"""What we ask, as keyword and values: ``json`` and not msgspec writes it, for text that is not UTF-8."""


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """The zygote has forked a reaper."""

    id: int
    pid: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The zygote could not fork."""

    id: int
    errno: int
    message: str


class Discarded(msgspec.Struct, frozen=True, tag="discarded"):
    """A reaper is dead, and so is whatever it left."""

    id: int


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A reaper has started a command."""

    pid: int
    start_time: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A reaper could not start a command."""

    errno: int
    message: str


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """A command has ended and nothing of it is left."""

    code: int | None
    signal: int | None
    user_cpu: float
    system_cpu: float
    max_rss: int
    left_over: int


Reply = Forked | Refused | Discarded | Started | Failed | Exited

_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


class ControlSocket:
    """One conversation with a zygote or a reaper; the other side's end is ``trio.EndOfChannel``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = Decoder()
        self._sending = trio.Lock()
        self._arrived: deque[bytes] = deque()

    def alive(self) -> bool:
        """Whether the other side is still there, while it has nothing to say."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def quiet(self) -> bool:
        """Whether nothing has arrived that nobody has received, and the other side is still there."""
        if self._arrived:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def post(self, request: Request) -> None:
        """Send a short request at once; to somebody who is gone it means nothing, and reading tells."""
        try:
            self._socket.send(encode(dict(request)))
        except OSError:
            self.close()

    async def send(self, request: Request, descriptors: Sequence[int] = ()) -> None:
        """Send a request of any length, with descriptors.

        Raises:
            trio.EndOfChannel: the other side is gone.
        """
        data = memoryview(encode(dict(request)))
        async with self._sending:
            while data:
                try:
                    sent = socket.send_fds(self._socket, [data], descriptors)
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._socket)
                except OSError as error:
                    raise trio.EndOfChannel from error
                else:
                    data, descriptors = data[sent:], ()

    async def receive(self) -> Reply:
        """Wait for the next message.

        Raises:
            trio.EndOfChannel: the other side is gone.
        """
        while not self._arrived:
            try:
                data = self._socket.recv(CHUNK)
            except BlockingIOError:
                await self._readable()
                continue
            except OSError as error:
                raise trio.EndOfChannel from error
            if not data:
                raise trio.EndOfChannel
            self._arrived.extend(self._decoder.feed(data))
        return _replies.decode(self._arrived.popleft())

    def close(self) -> None:
        """Hang up: a reaper then kills what is below it and exits."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def _readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._socket)
        except trio.ClosedResourceError as error:
            raise trio.EndOfChannel from error
