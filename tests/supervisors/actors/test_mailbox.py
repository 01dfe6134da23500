"""Bounds, order and ends of a mailbox."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisors._mailbox import Mailbox
from supervisors.errors import ActorStopped, MailboxFull
from supervisors.signals import Finished
from supervisors.specs import Overflow


def mailbox(capacity: int = 2, overflow: Overflow = Overflow.WAIT) -> Mailbox[int]:
    return Mailbox("a", capacity, overflow)


async def taken(box: Mailbox[int], count: int) -> list[int]:
    return [await anext(box) for _ in range(count)]


async def test_messages_keep_their_order() -> None:
    box = mailbox(capacity=5)
    for number in range(5):
        await box.put(number)
    assert len(box) == 5
    assert await taken(box, 5) == [0, 1, 2, 3, 4]


async def test_refuse_raises_when_full() -> None:
    """The message is not taken, and there is room again after a read."""
    box = mailbox(1, Overflow.REFUSE)
    await box.put(1)
    with pytest.raises(MailboxFull, match="mailbox of actor 'a' is full"):
        await box.put(2)
    assert await anext(box) == 1
    await box.put(3)
    assert await anext(box) == 3


async def test_wait_holds_senders_back_in_order() -> None:
    """Each read lets in one waiting sender, the longest waiting first."""
    box = mailbox(1)
    done: list[int] = []

    async def send(number: int) -> None:
        await box.put(number)
        done.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(send, number)
            await wait_all_tasks_blocked()
        assert done == [0]
        assert await anext(box) == 0
        await wait_all_tasks_blocked()
        assert done == [0, 1]
        assert await taken(box, 2) == [1, 2]


async def test_nobody_overtakes_a_sender_that_was_let_in() -> None:
    """The place freed for a waiting sender is taken, though it has not run yet."""
    box = mailbox(1)
    box.put_nowait(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.put, 2)
        await wait_all_tasks_blocked()
        assert await anext(box) == 1
        with pytest.raises(MailboxFull):
            box.put_nowait(3)
        assert await anext(box) == 2


async def test_a_cancelled_sender_leaves_no_trace(autojump_clock: MockClock) -> None:
    """Neither its message nor its claim to room."""
    box = mailbox(1)
    box.put_nowait(1)
    with trio.move_on_after(1) as scope:
        await box.put(2)
    assert scope.cancelled_caught
    assert await anext(box) == 1
    box.put_nowait(3)
    assert await anext(box) == 3
    assert len(box) == 0


async def test_a_cancelled_reader_loses_nothing(autojump_clock: MockClock) -> None:
    box = mailbox()
    with trio.move_on_after(1) as scope:
        await anext(box)
    assert scope.cancelled_caught
    box.put_nowait(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(box)
    assert scope.cancelled_caught
    assert await anext(box) == 1


async def test_end_stops_the_reader_and_keeps_the_messages() -> None:
    """The next reader sees them."""
    box = mailbox()
    box.put_nowait(1)
    box.end(drain=False)
    assert [message async for message in box] == []
    box.begin()
    assert await anext(box) == 1


async def test_end_wakes_a_waiting_reader() -> None:
    box = mailbox()
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            assert [message async for message in box] == []

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        box.end(drain=False)


async def test_drain_gives_what_was_queued_and_no_more() -> None:
    """Else steady senders would keep a stopping actor alive."""
    box = mailbox(capacity=9)
    box.put_nowait(1)
    box.put_nowait(2)
    box.end(drain=True)
    box.put_nowait(3)
    assert [message async for message in box] == [1, 2]
    assert len(box) == 1


async def test_close_turns_senders_away() -> None:
    """Those who come and those who wait; what was queued is dropped."""
    box = mailbox(1)
    box.put_nowait(1)
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ActorStopped):
                await box.put(2)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        box.close(Finished())
    with pytest.raises(ActorStopped, match="actor 'a' is gone"):
        box.put_nowait(3)
    assert len(box) == 0


async def test_a_sender_let_in_just_before_the_close_is_turned_away() -> None:
    """And counts no longer when the mailbox opens again."""
    box = mailbox(1)
    box.put_nowait(1)
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(ActorStopped):
                await box.put(2)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert await anext(box) == 1
        box.close(Finished())
    box.begin()
    box.put_nowait(3)
    assert await anext(box) == 3


async def test_drop_makes_room() -> None:
    """For senders that wait; equal messages that are not the very same stay."""
    box: Mailbox[list[int]] = Mailbox("a", 2, Overflow.WAIT)
    first, twin = [1], [1]
    box.put_nowait(first)
    box.put_nowait(twin)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.put, [2])
        await wait_all_tasks_blocked()
        box.drop([first])
    assert [await anext(box), await anext(box)] == [[1], [2]]


def test_a_mailbox_has_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match="room"):
        mailbox(0)
