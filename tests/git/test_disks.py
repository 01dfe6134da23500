"""What was written is brought to disk, and whoever asks meanwhile shares the next turn."""

import errno
import threading
from pathlib import Path

import pytest
import trio

from prodigy.errors import RunError
from prodigy.git import disks
from prodigy.git.disks import Disks


class Slow:
    """Flushes that end when they are let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Semaphore(0)

    def __call__(self, place: str) -> None:
        self.begun.append(place)
        assert self.may_end.acquire(timeout=60)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(disks, "_flush", made)
    return made


async def until(condition) -> None:
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.001)


async def test_a_real_file_system(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    await Disks().flush(str(tmp_path), str(tmp_path / "a"))


async def test_a_place_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        await Disks().flush(str(tmp_path / "gone"))
    assert (caught.value.code, caught.value.where) == ("not-writable", str(tmp_path / "gone"))


async def test_a_disk_that_does_not_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(place: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", place)

    monkeypatch.setattr(disks, "_flush", full)
    with pytest.raises(RunError, match="No space left on device") as caught:
        await Disks().flush(str(tmp_path))
    assert caught.value.code == "not-writable"


async def test_places_of_one_file_system_take_one_turn(tmp_path: Path, slow: Slow) -> None:
    slow.may_end.release()
    await Disks().flush(str(tmp_path), str(tmp_path.parent))
    assert len(slow.begun) == 1


async def test_who_asks_meanwhile_shares_the_next_turn(tmp_path: Path, slow: Slow) -> None:
    """The turn that has begun may have passed by what they wrote."""
    asked, place, ended = Disks(), str(tmp_path), []

    async def ask(name: str) -> None:
        await asked.flush(place)
        ended.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "first")
        await until(lambda: slow.begun)
        for _ in range(3):
            nursery.start_soon(ask, "later")
        await trio.testing.wait_all_tasks_blocked()
        slow.may_end.release()
        await until(lambda: len(slow.begun) == 2)
        assert ended == ["first"]
        slow.may_end.release()
    assert (ended, len(slow.begun)) == (["first", "later", "later", "later"], 2)


async def test_a_turn_that_was_given_up_counts_for_nobody(tmp_path: Path, slow: Slow) -> None:
    asked, place = Disks(), str(tmp_path)
    async with trio.open_nursery() as nursery:
        impatient = trio.CancelScope()

        async def give_up() -> None:
            with impatient:
                await asked.flush(place)

        nursery.start_soon(give_up)
        await until(lambda: slow.begun)
        nursery.start_soon(asked.flush, place)
        await trio.testing.wait_all_tasks_blocked()
        impatient.cancel()
        slow.may_end.release(2)
    assert len(slow.begun) == 2
