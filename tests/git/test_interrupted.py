"""A final merge that was killed anywhere is undone exactly, and what is not of it stays."""

import os
import subprocess
from collections.abc import Callable

import pytest

from prodigy.errors import RunError
from prodigy.git import interrupted
from prodigy.git.final import merge_into
from prodigy.git.interrupted import undo_interrupted

MESSAGE = "Merge the run\n\nProdigy-Job: j\n"


@pytest.fixture
def run(repo):
    """The tip of a run that changed, added and removed files, while the user went on."""
    base = repo.commit(kept="one\n", gone="gone\n", user="mine\n")
    repo("checkout", "--quiet", "-b", "session")
    repo("rm", "--quiet", "gone")
    tip = repo.commit(kept="two\n", added="new\n")
    repo("checkout", "--quiet", "main")
    assert repo.head == base
    repo.commit(other="meanwhile\n")
    repo.write("user", "mine, changed\n")
    repo.write("scrap", "untracked\n")
    return tip


def look(repo) -> tuple[str, str, dict[str, bytes]]:
    files = {
        path.name: path.read_bytes() for path in repo.path.iterdir() if path.is_file() and path.name != ".git"
    }
    return repo.head, repo("status", "--porcelain"), files


def base_of(repo, tip: str) -> str:
    return repo("rev-parse", f"{tip}^")


@pytest.fixture(params=[b"", bytes(4)], ids=["empty", "zeros"])
def without_content(repo, request) -> Callable[..., None]:
    """As after a loss of power that came before these files were brought to disk."""

    def leave(*names: str) -> None:
        for name in names:
            repo.write(name, request.param)

    return leave


async def undo(repo, tip: str) -> None:
    await undo_interrupted((await repo.forge()).git.at(str(repo.path)), tip, MESSAGE, base_of(repo, tip))


async def test_an_index_that_holds_the_merge(repo, run):
    """Killed while a hook ran: git has no note of the merge then."""
    before = look(repo)
    repo("merge", "--quiet", "--no-commit", "--no-ff", "-m", MESSAGE, run)
    (repo.path / ".git/MERGE_HEAD").unlink(missing_ok=True)
    assert look(repo) != before
    await undo(repo, run)
    assert look(repo) == before


async def test_a_merge_that_waits_for_its_commit(repo, run):
    before = look(repo)
    repo("merge", "--quiet", "--no-commit", "--no-ff", "-m", MESSAGE, run)
    await undo(repo, run)
    assert look(repo) == before


async def test_a_merge_of_the_users_is_left_alone(repo, run):
    repo("merge", "--quiet", "--no-commit", "--no-ff", "-m", "by hand", run)
    before = look(repo)
    await undo(repo, run)
    assert look(repo) == before
    with pytest.raises(RunError) as caught:
        await merge_into(await repo.forge(), run, "main", MESSAGE, interrupted=base_of(repo, run))
    assert caught.value.code == "merge-target-busy"
    assert look(repo) == before


@pytest.mark.parametrize("done", [("kept",), ("added",), ("gone",), ("kept", "added", "gone")])
async def test_files_that_were_written_before_the_index(repo, run, done: tuple[str, ...]):
    before = look(repo)
    if "kept" in done:
        repo.write("kept", "two\n")
    if "added" in done:
        repo.write("added", "new\n")
    if "gone" in done:
        (repo.path / "gone").unlink()
    (repo.path / ".git/index.lock").touch()
    await undo(repo, run)
    assert look(repo) == before
    assert not (repo.path / ".git/index.lock").exists()


@pytest.mark.parametrize("noted", [True, False])
async def test_an_index_that_holds_it_while_files_lost_their_content(repo, run, noted, without_content):
    before = look(repo)
    repo("merge", "--quiet", "--no-commit", "--no-ff", "-m", MESSAGE, run)
    without_content("kept", "added")
    if not noted:
        (repo.path / ".git/MERGE_HEAD").unlink()
    await undo(repo, run)
    assert look(repo) == before


async def test_files_that_were_written_before_the_index_and_lost_their_content(repo, run, without_content):
    before = look(repo)
    without_content("kept", "added")
    await undo(repo, run)
    assert look(repo) == before


async def test_what_came_to_its_end_and_lost_the_content_of_files(repo, run, without_content):
    repo("merge", "--quiet", "--no-ff", "-m", MESSAGE, run)
    before = look(repo)
    without_content("kept", "added")
    await undo(repo, run)
    assert look(repo) == before


async def test_files_that_the_user_emptied_stay_so(repo, run, without_content):
    repo("merge", "--quiet", "--no-ff", "-m", MESSAGE, run)
    without_content("user", "other", "scrap")
    before = look(repo)
    await undo(repo, run)
    assert look(repo) == before


async def test_a_fast_forward_that_was_cut_off(repo, run):
    repo("checkout", "--quiet", "-B", "main", "session~1", "--force")
    before = look(repo)
    repo("read-tree", "-m", "-u", "HEAD", run)
    assert look(repo) != before
    await undo(repo, run)
    assert look(repo) == before
    done = await merge_into(await repo.forge(), run, "main", MESSAGE, interrupted=base_of(repo, run))
    assert done.merged.strategy == "fast-forward"


async def test_what_came_to_its_end_is_left_alone(repo, run):
    repo("merge", "--quiet", "--no-ff", "-m", MESSAGE, run)
    before = look(repo)
    await undo(repo, run)
    assert look(repo) == before


async def test_what_differs_from_both_is_not_ours(repo, run):
    repo.write("kept", "three\n")
    before = look(repo)
    await undo(repo, run)
    assert look(repo) == before


async def test_a_git_that_is_at_work_is_not_disturbed(repo, run):
    lock = repo.path / ".git/index.lock"
    with lock.open("w"), pytest.raises(RunError) as caught:
        await undo(repo, run)
    assert caught.value.code == "merge-target-busy"
    assert lock.exists()


@pytest.mark.parametrize("name", ["index", "HEAD", "ORIG_HEAD", "refs/heads/main"])
async def test_locks_that_a_merge_left_when_it_ended_with_the_machine(repo, run, name):
    lock = repo.path / f".git/{name}.lock"
    lock.touch()
    base = base_of(repo, run)
    await merge_into(await repo.forge(), run, "main", MESSAGE, interrupted=base)
    assert not lock.exists()
    assert repo("merge-base", "main", run) == run


async def test_locks_of_others_stay(repo, run):
    lock = repo.path / ".git/refs/heads/session.lock"
    lock.touch()
    await undo(repo, run)
    assert lock.exists()


async def test_a_merge_that_outlived_its_run_is_waited_for(repo, run, monkeypatch, tmp_path):
    monkeypatch.setattr(interrupted, "LOOKS", 3)
    hook = repo.path / ".git/hooks/pre-merge-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/reached; until test -e {tmp_path}/gate; do sleep 0.02; done\n"
    )
    hook.chmod(0o755)
    words = ["git", "merge", "--quiet", "--no-ff", "-m", MESSAGE, run]
    merging = subprocess.Popen(words, cwd=repo.path, env=repo.env)  # noqa: ASYNC220 - it starts at once
    try:
        while not (tmp_path / "reached").exists():
            os.sched_yield()
        with pytest.raises(RunError) as caught:
            await undo(repo, run)
        assert caught.value.code == "merge-target-busy"
    finally:
        (tmp_path / "gate").touch()
        assert merging.wait() == 0
    await undo(repo, run)
    assert repo("log", "-1", "--format=%P").split()[1] == run
