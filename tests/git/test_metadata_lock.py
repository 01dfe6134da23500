"""One holder at a time, over tasks and over processes; waiting can be given up."""

import fcntl
import os
from pathlib import Path

import pytest
import trio
import trio.testing

from prodigy.git.metadata_lock import MetadataLock


def is_free(path: Path) -> bool:
    """Whether somebody else could take the lock now."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


async def test_the_file_is_private_and_the_lock_ends_with_the_block(tmp_path):
    path = tmp_path / "locks/repo/git.lock"
    async with MetadataLock(path).held():
        assert not is_free(path)
    assert is_free(path)
    assert oct(path.stat().st_mode & 0o777) == "0o600"


async def test_the_lock_ends_with_an_error_too(tmp_path):
    path = tmp_path / "git.lock"
    with pytest.raises(ValueError, match="x"):
        async with MetadataLock(path).held():
            raise ValueError("x")
    assert is_free(path)


@pytest.mark.parametrize("shared", [True, False], ids=["one-object", "one-each"])
async def test_one_holder_at_a_time(tmp_path, shared):
    path = tmp_path / "git.lock"
    one = MetadataLock(path)
    inside = 0
    turns = 0

    async def hold() -> None:
        nonlocal inside, turns
        async with (one if shared else MetadataLock(path)).held():
            inside += 1
            assert inside == 1
            await trio.lowlevel.checkpoint()
            inside -= 1
            turns += 1

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(hold)
    assert turns == 20


async def test_a_wait_that_is_given_up_leaves_nothing_locked(tmp_path):
    """The thread that waited gets the lock after its task is gone, and lets go of it: later holders get their turn."""
    path = tmp_path / "git.lock"
    lock = MetadataLock(path)
    async with MetadataLock(path).held(), trio.open_nursery() as nursery:
        nursery.start_soon(_enter, lock)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with trio.fail_after(120):
        for _ in range(3):
            async with lock.held():
                assert not is_free(path)


async def _enter(lock: MetadataLock) -> None:
    async with lock.held():
        raise AssertionError("never got here")
