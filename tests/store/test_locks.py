"""Locks: one holder at a time, named to the others, gone with its process."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prodigy.errors import RunError
from prodigy.store.locks import FileLock, JobLock, SharedLock, held, holder, start_time, this_process

NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
HOLD = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from prodigy.store.locks import JobLock, SharedLock
lock = {make}
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "repo" / "job.lock"


def process_with(make: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(make=make)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def holding_process(path: Path) -> "subprocess.Popen[str]":
    since = "datetime(2026, 11, 22, 8, 15, tzinfo=UTC)"
    return process_with(f"JobLock.acquire(Path({str(path)!r}), since={since}, argv=('prodigy', 'run'))")


def end(child: "subprocess.Popen[str]") -> None:
    with child:
        child.kill()


def test_a_lock_that_nobody_took_has_no_holder(path: Path) -> None:
    assert holder(path) is None
    assert not path.exists()


def test_a_second_taker_is_told_who_the_first_is(path: Path) -> None:
    child = holding_process(path)
    try:
        with pytest.raises(RunError) as caught:
            JobLock.acquire(path, since=NOW)
        assert caught.value.code == "already-running"
        assert f"pid {child.pid} on " in caught.value.message
        assert caught.value.note == "command: prodigy run"
        found = holder(path)
        assert found is not None
        assert (found.pid, found.since, found.alive()) == (child.pid, NOW, True)
    finally:
        end(child)


def test_a_killed_holder_leaves_nothing_to_clean(path: Path) -> None:
    """The file still names it; the lock is free all the same."""
    end(holding_process(path))
    assert b'"pid"' in path.read_bytes()
    assert holder(path) is None
    JobLock.acquire(path, since=NOW).release()


def test_one_process_is_refused_by_its_own_lock_too(path: Path) -> None:
    with JobLock.acquire(path, since=NOW), pytest.raises(RunError, match="already-running"):
        JobLock.acquire(path, since=NOW)
    assert holder(path) is None


def test_a_holder_that_wrote_nothing_is_still_a_holder(path: Path) -> None:
    """Between the lock and the name inside there is an instant; a taker waits a little, then gives up."""
    with FileLock(path):
        path.write_bytes(b"")
        with pytest.raises(RunError, match="another process"):
            JobLock.acquire(path, since=NOW)
        found = holder(path)
        assert found is not None
        assert not found.alive()


def test_a_look_at_a_lock_does_not_take_it(path: Path) -> None:
    JobLock.acquire(path, since=NOW).release()
    assert holder(path) is None
    with JobLock.acquire(path, since=NOW):
        assert holder(path) is not None
        assert holder(path) is not None


def test_a_shared_lock_is_held_until_the_last_one_is_gone(path: Path) -> None:
    ours = SharedLock(path)
    child = process_with(f"SharedLock(Path({str(path)!r}))")
    ours.close()
    try:
        assert held(path)
    finally:
        end(child)
    assert not held(path)


def test_a_pid_alone_does_not_make_a_holder_alive() -> None:
    """A pid that was given to another process has another start time."""
    us = this_process(NOW)
    assert us.alive()
    assert not type(us)(pid=us.pid, start_time=us.start_time - 1, boot_id=us.boot_id).alive()
    assert not type(us)(pid=us.pid, start_time=us.start_time, boot_id="another").alive()


def test_a_process_that_does_not_exist_never_started() -> None:
    assert start_time(0) is None
