"""Questions to a live run, and whom it answers."""

import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from prodigy.actors.control import answer_questions
from prodigy.store.control import ActorStanding, Standing, WorkerStanding, address_of, ask, remove_deserted
from prodigy.store.locks import JobLock

NOW = datetime(2026, 11, 23, tzinfo=UTC)
STANDING = Standing(
    seq=7,
    tree=ActorStanding(
        name="job",
        kind="Supervisor",
        state="running",
        mailbox=0,
        restarts=0,
        last_error=None,
        children=[
            ActorStanding(name="run", kind="Run", state="running", mailbox=2, restarts=1, last_error="odd")
        ],
    ),
    workers=[WorkerStanding(1, 4711, ready=True, agents=("agent-0-1",))],
)


async def serving(path: Path, nursery: trio.Nursery) -> None:
    """Begin to answer; done when somebody was answered."""
    nursery.start_soon(answer_questions, path, lambda: STANDING)
    with trio.fail_after(120):
        while await answer_of(path) is None:
            await trio.sleep(0.001)


async def answer_of(path: Path) -> Standing | None:
    return await trio.to_thread.run_sync(ask, path)


async def test_who_asks_is_answered_whole(tmp_path: Path) -> None:
    """Also where the folder's name is longer than an address may be; only the user can reach it."""
    path = tmp_path / ("long" * 40) / "run" / "x.sock"
    async with trio.open_nursery() as nursery:
        await serving(path, nursery)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert await answer_of(path) == STANDING
        assert await answer_of(path) == STANDING
        nursery.cancel_scope.cancel()
    assert not path.exists()
    assert await answer_of(path) is None


@pytest.mark.parametrize("said", [b"nonsense\n", b'{"ask":"money"}\n', b"{" * 9000, b""])
async def test_nonsense_is_no_matter_of_the_run_s(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "x.sock"
    async with trio.open_nursery() as nursery:
        await serving(path, nursery)

        def talk() -> bytes:
            with address_of(path) as address, socket.socket(socket.AF_UNIX) as line:
                line.connect(address)
                try:
                    line.sendall(said)
                    line.shutdown(socket.SHUT_WR)
                    return line.recv(100)
                except ConnectionError:
                    return b""

        assert await trio.to_thread.run_sync(talk) == b""
        assert await answer_of(path) == STANDING
        nursery.cancel_scope.cancel()


async def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert path.exists()
    assert await answer_of(path) is None
    async with trio.open_nursery() as nursery:
        await serving(path, nursery)
        nursery.cancel_scope.cancel()


async def test_a_run_goes_on_without_a_socket(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("no folder")
    await answer_questions(tmp_path / "run" / "x.sock", lambda: STANDING)
    assert os.listdir(tmp_path) == ["run"]  # noqa: PTH208 - names are enough


def left_socket(home: Path, stem: str) -> Path:
    path = home / "run" / f"{stem}.sock"
    path.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as left, address_of(path) as address:
        left.bind(address)
    return path


def test_sockets_whose_run_nobody_works_at_are_removed(tmp_path: Path) -> None:
    """Whether the lock of the run is free, names a dead process, or is gone; that of a live run stays."""
    free, killed, gone, live = (left_socket(tmp_path, stem) for stem in ("free", "killed", "gone", "live"))
    locks = tmp_path / "locks" / "repo"
    JobLock.acquire(locks / "workflow-free.lock", since=NOW).release()
    take = f"JobLock.acquire(Path({str(locks / 'mapreduce-killed.lock')!r}), since=datetime.now(UTC))"
    imports = "import os, signal; from datetime import UTC, datetime; from pathlib import Path"
    program = f"{imports}; from prodigy.store.locks import JobLock; held = {take}; os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert (locks / "mapreduce-killed.lock").read_text()
    with JobLock.acquire(tmp_path / "locks" / "other" / "workflow-live.lock", since=NOW):
        remove_deserted(tmp_path)
        assert [path.exists() for path in (free, killed, gone, live)] == [False, False, False, True]
    remove_deserted(tmp_path)
    assert not live.exists()


def test_what_else_lies_beside_the_sockets_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "odd.sock"
    folder.mkdir(parents=True)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    remove_deserted(tmp_path)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["notes.txt", "odd.sock"]
