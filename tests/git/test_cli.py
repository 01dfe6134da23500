"""The command line front and the coordinator's runner."""

import os
import signal
from pathlib import Path

import pytest
import trio

from prodigy.errors import MachineError
from prodigy.git.cli import Git, GitFailed, GitResult
from prodigy.git.local import TrioRunner


async def test_output_and_code_come_back(repo):
    result = await repo.git().run("rev-parse", "HEAD")
    assert (result.code, result.text, result.stderr) == (0, repo.head, b"")


async def test_an_exit_code_without_meaning_raises(repo):
    with pytest.raises(GitFailed) as caught:
        await repo.git().run("rev-parse", "--verify", "nothing-of-that-name")
    assert caught.value.code == "git-failed"
    assert caught.value.result.code == 128
    assert "Needed a single revision" in caught.value.message
    assert caught.value.argv == ("rev-parse", "--verify", "nothing-of-that-name")


async def test_codes_with_a_meaning_are_results(repo):
    git = repo.git()
    assert (await git.run("rev-parse", "--verify", "-q", "nothing", ok=(0, 1))).code == 1
    assert (await git.run("no-such-verb", ok=None)).code == 1


async def test_standard_input_of_any_size_arrives(repo):
    data = os.urandom(1 << 20)
    sha = (await repo.git().run("hash-object", "-w", "--stdin", stdin=data)).text
    assert (await repo.git().run("cat-file", "blob", sha)).stdout == data


async def test_a_command_that_does_not_read_its_input_is_no_error(repo):
    assert (await repo.git().run("version", stdin=b"x" * (1 << 20))).code == 0


async def test_a_caller_inside_a_hook_does_not_redirect_us(repo, tmp_path):
    elsewhere = {"GIT_DIR": str(tmp_path / "x"), "GIT_WORK_TREE": "/", "GIT_INDEX_FILE": "/nowhere/index"}
    git = Git(TrioRunner(), str(repo.path), {**repo.env, **elsewhere, "GIT_COMMON_DIR": "/nowhere"})
    assert (await git.run("rev-parse", "--show-toplevel")).path == str(repo.path)


async def test_one_command_may_have_an_index_of_its_own(repo, tmp_path):
    await repo.git().run("read-tree", "HEAD", env={"GIT_INDEX_FILE": str(tmp_path / "index")})
    assert (tmp_path / "index").exists()


async def test_missing_git_is_explained(repo, tmp_path):
    git = Git(TrioRunner(), str(repo.path), {"PATH": str(tmp_path)})
    with pytest.raises(MachineError) as caught:
        await git.run("version")
    assert caught.value.code == "git-not-usable"


async def test_a_missing_folder_is_a_failed_command(repo, tmp_path):
    with pytest.raises(GitFailed, match="cannot change to"):
        await repo.git().at(str(tmp_path / "gone")).run("status")
    with pytest.raises(GitFailed, match="cannot change to"):
        await repo.git().at(str(repo.path / "a" / "below-a-file")).run("status")


async def test_a_worktree_without_its_link_never_falls_through_to_the_repository_above(repo):
    inner = repo.path / "inner"
    inner.mkdir()
    with pytest.raises(GitFailed, match="not a git repository"):
        await repo.git().inside(str(inner)).run("rev-parse", "HEAD")


async def test_the_users_settings_and_ours_reach_git(repo):
    git = repo.git().having("test.ours=1").under({"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "test.theirs", "GIT_CONFIG_VALUE_0": "2"})  # fmt: skip
    assert (await git.run("config", "test.ours")).text == "1"
    assert (await git.run("config", "test.theirs")).text == "2"
    assert (await git.run("config", "gc.auto")).text == "0"


async def test_a_background_child_that_holds_the_output_does_not_hold_the_command(repo, tmp_path):
    """The leader's exit ends a command; what a hook left behind may keep the pipes."""
    pid = tmp_path / "pid"
    repo.hook("pre-commit", f"sleep 1000 & echo $! > {pid}")
    await repo.git().run("commit", "--allow-empty", "-m", "x")
    os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_cancelling_ends_git_and_its_lock_files(repo, tmp_path):
    """SIGTERM comes first, so a git that holds a lock removes it."""
    started = tmp_path / "started"
    os.mkfifo(started)
    repo.write("a", "changed\n")
    repo.hook("pre-commit", f"echo > {started}; exec sleep 1000")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(repo.git().run, "commit", "-am", "x")
        async with await trio.open_file(started) as fifo:  # opens when the hook writes
            await fifo.read()
        assert (repo.path / ".git/index.lock").exists()
        nursery.cancel_scope.cancel()
    assert not (repo.path / ".git/index.lock").exists()


async def test_death_by_signal_has_a_code_of_its_own(repo):
    git = repo.git().having("alias.die=!kill -KILL $PPID; sleep 1000")
    assert (await git.run("die", ok=None)).code == 128 + signal.SIGKILL


def test_results_read_bytes_that_are_not_text():
    result = GitResult(0, b"caf\xe9\n", b"")
    assert result.text == "caf\\xe9"
    assert os.fsencode(result.path) == b"caf\xe9"
    assert GitResult(0, b"a\0b\n\0").fields == [b"a", b"b\n"]


def test_a_held_lock_is_recognised():
    held = b"fatal: Unable to create '/r/.git/index.lock': File exists.\n"
    assert GitResult(128, b"", held).lock_held
    assert GitResult(255, b"", b"error: could not lock config file .git/config: File exists").lock_held
    moved = b"fatal: update_ref failed: cannot lock ref 'refs/heads/x': is at 1 but expected 2"
    assert not GitResult(128, b"", moved).lock_held
    assert not GitResult(0, b"", held).lock_held


def test_workers_can_import_what_they_need_without_libgit2_and_trio():
    """Start-up time of each worker depends on it."""
    import subprocess
    import sys

    code = "import sys, prodigy.git.evidence; assert not {'trio', 'pygit2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
