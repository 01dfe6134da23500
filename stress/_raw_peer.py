"""``python -m stress._raw_peer DESCRIPTOR COUNT``: asks over a socket with nothing but trio, msgspec and a length.

What one writes by hand: typed messages, framed, over trio's own streams on both sides, and nobody watches.
"""

import socket
import sys
import time

import msgspec
import trio

HEADER = 4


class Question(msgspec.Struct, frozen=True, tag="question"):
    """A number that wants one more."""

    number: int


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """One more."""

    number: int


class Frames:
    """Framed messages of one type over one socket."""

    def __init__(self, sock: socket.socket, incoming: type[Question | Answer]) -> None:
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        self.encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(incoming).decode
        self.buffer = bytearray()

    async def send(self, message: Question | Answer) -> None:
        """Send one."""
        content = self.encode(message)
        await self.stream.send_all(len(content).to_bytes(HEADER, "big") + content)

    async def receive(self) -> Question | Answer | None:
        """Wait for one; ``None`` at the end."""
        while len(self.buffer) < HEADER or len(self.buffer) < HEADER + self.size():
            data = await self.stream.receive_some(65_536)
            if not data:
                return None
            self.buffer += data
        end = HEADER + self.size()
        content = bytes(self.buffer[HEADER:end])
        del self.buffer[:end]
        return self.decode(content)

    def size(self) -> int:
        """Bytes of the frame at hand."""
        return int.from_bytes(self.buffer[:HEADER], "big")


async def ask(frames: Frames, count: int) -> float:
    """Seconds for so many questions, one after the other."""
    began = time.perf_counter()
    for number in range(count):
        await frames.send(Question(number))
        assert await frames.receive() == Answer(number + 1)
    return time.perf_counter() - began


async def answer(frames: Frames) -> None:
    """Answer until there are no more questions."""
    while (question := await frames.receive()) is not None:
        await frames.send(Answer(question.number + 1))


async def main(descriptor: int, count: int) -> None:
    """Warm up, ask, and print how many seconds it took."""
    frames = Frames(socket.socket(fileno=descriptor), Answer)
    await ask(frames, count // 10)
    print(await ask(frames, count))


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), int(sys.argv[2]))
