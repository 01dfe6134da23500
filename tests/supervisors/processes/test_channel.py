"""Framed channels over a real socket pair."""

import socket
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from supervisors._channel import ROOM, Channel
from supervisors.process_errors import FrameError, FrameTooLarge


class Word(msgspec.Struct, tag=True):
    text: str


class Number(msgspec.Struct, tag=True):
    value: int


class Pair:
    """Two ends of one conversation, and the naked socket below the left one."""

    def __init__(self, **options: int) -> None:
        one, two = socket.socketpair()
        self.left = Channel[Word | Number, Word | Number](one, Word | Number, **options)
        self.right = Channel[Word | Number, Word | Number](two, Word | Number, **options)
        self.raw, self._other = one, two

    def close(self) -> None:
        self.raw.close()
        self._other.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with closing(Pair()) as pair:
        yield pair


async def test_messages_arrive_as_what_they_were(pair: Pair):
    await pair.left.send(Word("häßlich"))
    pair.left.post(Number(7))
    assert await pair.right.receive() == Word("häßlich")
    assert await pair.right.receive() == Number(7)


async def test_senders_wait_while_the_other_end_does_not_read(pair: Pair):
    """What is on its way stays bounded by the room, the socket's buffer and one message."""
    sent = 0
    message = Word("x" * 100_000)

    async def flood() -> None:
        nonlocal sent
        while True:
            await pair.left.send(message)
            sent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.left.write)
        nursery.start_soon(flood)
        await wait_all_tasks_blocked()
        stuck = sent
        assert stuck * 100_000 < ROOM + 1_000_000
        for _ in range(stuck + 5):
            assert await pair.right.receive() == message
        assert sent >= stuck
        nursery.cancel_scope.cancel()


async def test_a_cancelled_sender_leaves_no_half_frame(pair: Pair):
    """Behind whatever was cut off, the next message is whole."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.left.write)
        with trio.CancelScope() as scope:
            for _ in range(100):
                if len(pair.left._waiting) > ROOM:
                    scope.cancel()
                await pair.left.send(Word("y" * 150_000))
        assert scope.cancelled_caught
        pair.left.post(Number(1))
        while (received := await pair.right.receive()) != Number(1):
            assert received == Word("y" * 150_000)
        await pair.left.flush()
        nursery.cancel_scope.cancel()


async def test_the_end_of_the_other_end_is_the_end(pair: Pair):
    pair.left.post(Number(3))
    pair.left.close()
    assert await pair.right.receive() == Number(3)
    with pytest.raises(trio.EndOfChannel):
        await pair.right.receive()
    pair.right.post(Number(4))  # nobody hears it, and that is no error


async def test_an_end_inside_a_frame_is_an_error(pair: Pair):
    pair.raw.send(b"\0\0\0\7abc")
    pair.left.close()
    with pytest.raises(FrameError, match="inside a frame"):
        await pair.right.receive()


@pytest.mark.parametrize("garbage", [b"\0\0\0\1\xc1", b"\0\0\0\2\x81\xa1", b"\xff\xff\xff\xff", b"\0\0\0\0"])
async def test_what_is_no_message_is_an_error(pair: Pair, garbage: bytes):
    pair.raw.send(garbage)
    with pytest.raises(FrameError):
        await pair.right.receive()


async def test_a_message_over_the_limit_is_refused_where_it_is_sent():
    with closing(Pair(limit=100)) as pair:
        with pytest.raises(FrameTooLarge):
            pair.left.post(Word("z" * 200))
        pair.left.post(Number(5))
        assert await pair.right.receive() == Number(5)
