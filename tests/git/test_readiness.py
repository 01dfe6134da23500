"""A worktree is ready as long as its key files are the same and what its setup made is there."""

import shutil
from pathlib import Path

import pytest

from prodigy.errors import RunError
from prodigy.git.readiness import READY, is_ready, remember_ready, setup_key
from prodigy.git.worktrees import Worktrees


async def test_the_key_is_that_of_the_named_files(repo):
    key = await setup_key(repo.git(), ["*.lock", "deep/er/c"])
    repo.commit(a="changed\n")
    assert await setup_key(repo.git(), ["*.lock", "deep/er/c"]) == key
    repo.commit_file("deep/er/c", "changed\n")
    other = await setup_key(repo.git(), ["*.lock", "deep/er/c"])
    assert other != key
    repo.commit_file("sub/npm.lock", "1\n")
    assert await setup_key(repo.git(), ["*.lock", "deep/er/c"]) not in {key, other}


async def test_without_globs_nothing_counts(repo):
    key = await setup_key(repo.git(), [])
    repo.commit(a="changed\n")
    assert await setup_key(repo.git(), []) == key


async def test_ready_until_something_is_gone(repo, tmp_path: Path):
    repo.write(".gitignore", "modules/\n*.o\n")
    repo.commit()
    repo.write("modules/x")
    made = repo.write("main.o")
    folder = str(tmp_path)
    assert not is_ready(str(repo.path), folder, "k")
    await remember_ready(repo.git(), folder, "k")
    assert is_ready(str(repo.path), folder, "k")
    assert not is_ready(str(repo.path), folder, "other")
    shutil.rmtree(repo.path / "modules")
    assert not is_ready(str(repo.path), folder, "k")
    repo.write("modules/y")
    assert is_ready(str(repo.path), folder, "k")
    made.unlink()
    assert not is_ready(str(repo.path), folder, "k")


async def test_a_torn_mark_counts_for_nothing(repo, tmp_path: Path):
    await remember_ready(repo.git(), str(tmp_path), "k")
    (tmp_path / READY).write_bytes(b'{"key":"k"')
    assert not is_ready(str(repo.path), str(tmp_path), "k")


async def test_a_mark_that_cannot_be_written_is_an_error(repo, tmp_path: Path):
    with pytest.raises(RunError) as caught:
        await remember_ready(repo.git(), str(tmp_path / "nowhere"), "k")
    assert caught.value.code == "worktree-error"


async def test_the_mark_outlives_a_reset_and_not_the_worktree(repo, tmp_path: Path):
    worktrees = Worktrees(repo.git(), tmp_path / "locks/git.lock")
    path = str(tmp_path / "slot")
    made = await worktrees.add(path, repo.head, "prodigy-1")
    await remember_ready(repo.git().inside(path), made.git_dir, "k")
    await worktrees.reset(made, repo.head, "prodigy-2")
    assert is_ready(path, made.git_dir, "k")
    made = await worktrees.renew(path, repo.head, "prodigy-3")
    assert not is_ready(path, made.git_dir, "k")
