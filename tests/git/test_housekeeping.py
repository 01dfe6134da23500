"""While a run holds it, git itself collects no garbage; who was killed, or somebody else, holds nobody up for long."""

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from prodigy.git.housekeeping import PATIENCE_S, GcHold


@pytest.fixture
def common(repo: Any) -> Path:
    return Path(repo.path, ".git")


def collects(repo: Any, *words: str) -> bool:
    """Whether git throws away an object that nothing leads to."""
    garbage = repo("hash-object", "-w", "--stdin", stdin=b"garbage")
    repo("gc", "--quiet", "--prune=now", *words, ok=False)
    return "garbage" not in repo("cat-file", "-p", garbage, ok=False)


def test_git_keeps_away_while_it_is_held_and_no_longer(repo: Any, common: Path) -> None:
    hold = GcHold(str(common))
    assert hold.renew()
    assert not collects(repo)
    assert (
        "gc is already running"
        in subprocess.run(
            ["git", "gc"], cwd=repo.path, env=repo.env, capture_output=True, text=True, check=False
        ).stderr
    )
    assert hold.renew()
    assert not collects(repo)
    hold.release()
    assert collects(repo)
    assert not (common / "gc.pid").exists()


async def test_another_run_is_not_waited_for(repo: Any, common: Path) -> None:
    """It keeps git away for both, and the later one takes over when it is gone."""
    other = GcHold(str(common))
    other.renew()
    held = (common / "gc.pid").read_text().replace(str(os.getpid()), str(os.getppid()))
    (common / "gc.pid").write_text(held)
    hold = GcHold(str(common))
    with trio.fail_after(PATIENCE_S - 1):
        await hold.take()
    assert (common / "gc.pid").read_text() == held
    assert not collects(repo)
    (common / "gc.pid").unlink()
    assert hold.renew()
    assert not collects(repo)


def test_renewing_makes_it_young_again(common: Path) -> None:
    hold = GcHold(str(common))
    hold.renew()
    os.utime(common / "gc.pid", (0, 0))
    assert hold.renew()
    assert (common / "gc.pid").stat().st_mtime > 0


def test_a_collection_that_runs_is_not_disturbed(common: Path) -> None:
    theirs = f"{os.getppid()} {socket.gethostname()}"
    (common / "gc.pid").write_text(theirs)
    hold = GcHold(str(common))
    assert not hold.renew()
    hold.release()
    assert (common / "gc.pid").read_text() == theirs


NOBODY = 2**22 + 1
"""No process gets such a number."""


@pytest.mark.parametrize("kind", ["dead", "old", "torn"])
def test_what_git_does_not_respect_is_replaced(common: Path, kind: str) -> None:
    pid = NOBODY if kind == "dead" else os.getppid()
    (common / "gc.pid").write_text("" if kind == "torn" else f"{pid} {socket.gethostname()}")
    if kind != "dead":
        os.utime(common / "gc.pid", (0, 0))
    assert GcHold(str(common)).renew()


def test_what_somebody_is_just_writing_is_not_replaced(common: Path) -> None:
    (common / "gc.pid").touch()
    os.utime(common / "gc.pid", (time.time() + 3600, time.time() + 3600))
    assert not GcHold(str(common)).renew()


def test_who_comes_between_the_look_and_the_hold_has_it(
    common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that begin at the same moment: neither removes the other's name."""
    assert GcHold(str(common)).renew()
    theirs = (common / "gc.pid").read_text()
    late = GcHold(str(common))
    monkeypatch.setattr(late, "_read", lambda: None)  # what it saw before they came
    assert not late.renew()
    assert (common / "gc.pid").read_text() == theirs


def test_another_machine_is_believed(common: Path) -> None:
    (common / "gc.pid").write_text(f"{NOBODY} elsewhere.example.org")
    assert not GcHold(str(common)).renew()


def test_a_repository_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    hold = GcHold(str(tmp_path / "gone"))
    assert not hold.renew()
    hold.release()
