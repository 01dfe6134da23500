"""What commands print, on its way from their pipes to logs and memory."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from trio.abc import ReceiveStream

from prodigy.steps.durable import Texts
from supervisors import SlotLost

T = TypeVar("T")
Sink = Callable[[bytes], object]

CHUNK = 64 * 1024


class Kept:
    """What a command prints, for captures: each stream, and both in the order in which they came.

    Args:
        most: bytes of a stream; what goes beyond is only counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._out, self._err, self._both = bytearray(), bytearray(), bytearray()
        self._cut = False
        self.size = 0
        """Bytes of both streams."""

    def out(self, chunk: bytes) -> None:
        """Take some standard output."""
        self._take(self._out, chunk)

    def err(self, chunk: bytes) -> None:
        """Take some standard error."""
        self._take(self._err, chunk)

    def texts(self) -> Texts:
        """Everything, decoded with replacement."""
        out, err, both = (data.decode("utf-8", "replace") for data in (self._out, self._err, self._both))
        return Texts(stdout=out, stderr=err, both=both, cut=self._cut)

    def _take(self, stream: bytearray, chunk: bytes) -> None:
        self.size += len(chunk)
        if len(stream) + len(chunk) <= self._most:
            stream += chunk
            self._both += chunk
        else:
            self._cut = True


async def read_until(wait: Callable[[], Awaitable[T]], *streams: tuple[ReceiveStream, Sink]) -> T:
    """Read streams to their ends while ``wait`` waits for the tree's; its result, or what it raises."""
    lost: SlotLost | None = None
    async with trio.open_nursery() as readers:
        for stream, sink in streams:
            readers.start_soon(_pump, stream, sink)
        try:
            ended = await wait()
        except SlotLost as error:  # raised outside the nursery, which would wrap it in a group
            lost = error
    if lost is not None:
        raise lost
    return ended


async def _pump(stream: ReceiveStream, sink: Sink) -> None:
    while chunk := await stream.receive_some(CHUNK):
        sink(bytes(chunk))


def to_all(*sinks: Sink | None) -> Sink:
    """A sink that passes each chunk on to several."""
    heard = [sink for sink in sinks if sink is not None]

    def tell(chunk: bytes) -> None:
        for sink in heard:
            sink(chunk)

    return tell
