"""The last merge: into the user's branch, wherever it is, never over what the user has not committed."""

import os

import pytest
import trio

from prodigy.errors import RunError
from prodigy.git import final
from prodigy.git.cli import Git
from prodigy.git.final import FinalMerge, merge_into
from prodigy.git.local import TrioRunner
from prodigy.git.merge import Merged
from prodigy.git.repository import Target


def session(repo, base: str, **files: str) -> str:
    """The tip of a session branch with ``files`` on top of ``base``, made in a worktree of its own."""
    path = repo.path.parent / f"session-{len(list(repo.path.parent.iterdir()))}"
    repo("worktree", "add", "--quiet", "--detach", str(path), base)
    tip = repo.other(path).commit("session", **files)
    repo("worktree", "remove", "--force", str(path))
    return tip


async def code_of(repo, source: str, named: str | None = "main") -> RunError:
    with pytest.raises(RunError) as caught:
        await merge_into(await repo.forge(), source, named, "Merge the run")
    return caught.value


async def test_a_branch_that_nobody_looks_at_moves_alone(repo):
    base = repo.head
    repo("checkout", "--quiet", "-b", "elsewhere")
    tip = session(repo, base, a="run\n")
    before = repo.fingerprint()
    done = await merge_into(await repo.forge(), tip, "main", "m")
    assert done == FinalMerge(Target("main"), Merged(base, tip, "fast-forward"))
    assert repo("rev-parse", "main") == tip
    assert repo.fingerprint() == before


async def test_the_users_checkout_follows_a_fast_forward(repo):
    base = repo.head
    tip = session(repo, base, a="run\n", new="n\n")
    done = await merge_into(await repo.forge(), tip, "main", "m")
    assert done.merged == Merged(base, tip, "fast-forward")
    assert (repo.head, repo("status", "--porcelain"), (repo.path / "new").read_text()) == (tip, "", "n\n")


async def test_a_target_that_moved_gets_a_true_merge(repo):
    base = repo.head
    tip = session(repo, base, a="run\n")
    old = repo.commit(b="user\n")
    done = await merge_into(await repo.forge(), tip, "main", "Merge the run\n\nbody")
    assert done.merged == Merged(old, repo.head, "git")
    assert repo("log", "-1", "--format=%P%n%B").strip() == f"{old} {tip}\nMerge the run\n\nbody"
    assert (repo("status", "--porcelain"), (repo.path / "a").read_text()) == ("", "run\n")


async def test_merged_already(repo):
    base = repo.head
    tip = session(repo, base, a="run\n")
    repo("merge", "--quiet", tip)
    repo.write("a", "local\n")
    before = repo.fingerprint()
    assert (await merge_into(await repo.forge(), tip, "main", "m")).merged == Merged(tip, tip, "nothing")
    assert repo.fingerprint() == before


@pytest.mark.parametrize("diverged", [False, True])
async def test_local_changes_elsewhere_stay(repo, diverged):
    base = repo.head
    tip = session(repo, base, a="run\n")
    if diverged:
        repo.commit_file("users", "u\n")
    repo.write("b", "local\n")
    repo.write("untracked")
    await merge_into(await repo.forge(), tip, "main", "m")
    repo("merge-base", "--is-ancestor", tip, "main")
    assert repo("status", "--porcelain").split("\n") == ["M b", "?? untracked"] or repo("status", "--porcelain") == " M b\n?? untracked"  # fmt: skip
    assert (repo.path / "b").read_text() == "local\n"


@pytest.mark.parametrize("diverged", [False, True])
@pytest.mark.parametrize("kind", ["changed", "staged", "untracked", "ignored"])
async def test_local_changes_in_the_way_are_never_overwritten(repo, diverged, kind, configure):
    configure("merge.autoStash=true")
    base = repo.commit_file(".gitignore", "*.log\n")
    name = {"changed": "a", "staged": "a", "untracked": "new", "ignored": "x.log"}[kind]
    path = repo.path.parent / "agent"
    repo("worktree", "add", "--quiet", "--detach", str(path), base)
    repo.other(path).write(name, "run\n")
    repo.other(path)("add", "--force", name)
    tip = repo.other(path).commit()
    if diverged:
        repo.commit_file("users", "u\n")
    old = repo.head
    repo.write(name, "precious\n")
    if kind == "staged":
        repo("add", name)
    error = await code_of(repo, tip)
    assert error.code == "local-changes"
    assert name in (error.note or "")
    assert (repo.head, (repo.path / name).read_text()) == (old, "precious\n")
    assert not (repo.path / ".git/MERGE_HEAD").exists()
    assert repo("stash", "list") == ""


async def test_a_conflict_is_found_before_anything_is_touched(repo, hostile):
    base = repo.commit_file(hostile, "base\n")
    tip = session(repo, base, **{hostile: "run\n", "a": "run\n"})
    repo.commit("user", **{hostile: "user\n", "a": "user\n"})
    before = repo.fingerprint()
    error = await code_of(repo, tip)
    assert error.code == "merge-conflict"
    assert sorted((error.note or "").split("\n")) == sorted([*hostile.split("\n"), "a"])
    assert repo.fingerprint() == before


async def test_a_conflict_on_a_branch_that_nobody_looks_at(repo):
    base = repo.head
    tip = session(repo, base, a="run\n")
    old = repo.commit(a="user\n")
    repo("checkout", "--quiet", "--detach")
    assert (await code_of(repo, tip)).code == "merge-conflict"
    assert repo("rev-parse", "main") == old


MOVE = """
[ "$(cat ../moves 2> /dev/null | wc -l)" -lt {times} ] || exit 0
echo moved >> ../moves
unset GIT_INDEX_FILE
blob=$(echo theirs | git hash-object -w --stdin)
tree=$( (git ls-tree main | grep -v theirs; printf '100644 blob %s\\ttheirs.txt\\n' $blob) | git mktree)
git update-ref refs/heads/main $(git commit-tree -p main -m theirs $tree)
"""


async def test_a_target_that_is_moved_while_git_merges_loses_nothing(repo):
    """A hook of the merge moves the branch, between what we read and what git writes."""
    tip = session(repo, repo.head, a="run\n")
    repo.commit(b="user\n")
    repo.hook("pre-merge-commit", MOVE.format(times=1))
    repo.write("b", "local\n")
    await merge_into(await repo.forge(), tip, "main", "merge")
    assert repo("log", "--format=%s", "--first-parent", "main").splitlines()[:2] == ["merge", "theirs"]
    assert repo("log", "-1", "--format=%P", "main").split()[1] == tip
    assert (repo.path / "theirs.txt").read_text() == "theirs\n"
    assert (repo("status", "--porcelain"), (repo.path / "b").read_text()) == (" M b", "local\n")


async def test_a_target_that_never_stands_still_is_left_alone(repo):
    tip = session(repo, repo.head, new="run\n")
    repo.commit(b="user\n")
    repo.hook("pre-merge-commit", MOVE.format(times=99))
    error = await code_of(repo, tip)
    assert error.code == "merge-target-moved"
    assert repo("merge-base", "--is-ancestor", tip, "main", ok=False) == ""
    assert "new" not in repo("ls-tree", "--name-only", "main").split()
    assert repo("status", "--porcelain") == ""


@pytest.mark.parametrize("hook", ["pre-merge-commit", "commit-msg"])
async def test_a_refusing_hook_is_obeyed_and_its_merge_undone(repo, hook):
    base = repo.head
    tip = session(repo, base, a="run\n")
    old = repo.commit(b="user\n")
    repo.write("untracked")
    repo.hook(hook, "echo no merges on fridays >&2; exit 1")
    error = await code_of(repo, tip)
    assert error.code == "merge-failed"
    assert "fridays" in (error.note or "")
    assert (repo.head, repo("status", "--porcelain")) == (old, "?? untracked")
    assert not (repo.path / ".git/MERGE_HEAD").exists()


async def test_the_users_hooks_run(repo):
    repo.hook("post-merge", "touch merged")
    await merge_into(await repo.forge(), session(repo, repo.head, a="run\n"), "main", "m")
    assert (repo.path / "merged").exists()


async def test_settings_that_would_not_merge_are_overruled(repo, configure):
    configure("merge.ff=only", "core.editor=/bin/false")
    repo("config", "branch.main.mergeOptions", "--squash --no-commit")
    tip = session(repo, repo.head, a="run\n")
    repo.commit(b="user\n")
    done = await merge_into(await repo.forge(), tip, "main", "m")
    assert done.merged.strategy == "git"


@pytest.mark.parametrize("value", ["false", "no"])
async def test_a_user_who_wants_merge_commits_gets_one(repo, value):
    repo("config", "merge.ff", value)
    old, tip = repo.head, session(repo, repo.head, a="run\n")
    done = await merge_into(await repo.forge(), tip, "main", "m")
    assert done.merged == Merged(old, repo.head, "git")
    assert (repo("log", "-1", "--format=%P"), repo("status", "--porcelain")) == (f"{old} {tip}", "")


async def test_a_users_own_unfinished_merge_is_not_touched(repo):
    base = repo.head
    repo("checkout", "--quiet", "-b", "theirs")
    repo.commit(a="theirs\n")
    repo("checkout", "--quiet", "main")
    repo.commit(a="ours\n")
    repo("merge", "theirs", ok=False)
    before = repo.fingerprint()
    assert (await code_of(repo, session(repo, base, b="run\n"))).code == "merge-target-busy"
    assert repo.fingerprint() == before
    assert (repo.path / ".git/MERGE_HEAD").exists()


async def test_a_target_that_is_being_rebased(repo):
    base = repo.head
    repo("checkout", "--quiet", "-b", "theirs")
    repo.commit(a="theirs\n")
    repo("checkout", "--quiet", "main")
    repo.commit(a="ours\n")
    repo("rebase", "theirs", ok=False)
    before = repo("rev-parse", "main")
    assert (await code_of(repo, session(repo, base, b="run\n"))).code == "merge-target-busy"
    assert repo("rev-parse", "main") == before


async def test_a_broken_worktree_elsewhere_does_not_matter(repo, tmp_path):
    base = repo.head
    repo("worktree", "add", "--quiet", "--detach", str(tmp_path / "broken"))
    (tmp_path / "broken/.git").unlink()
    tip = session(repo, base, a="run\n")
    assert (await merge_into(await repo.forge(), tip, "main", "m")).merged.new == tip


async def test_a_linked_worktree_of_the_user_is_updated(repo, tmp_path):
    base = repo.head
    repo("worktree", "add", "--quiet", "-b", "feature", str(tmp_path / "linked"))
    before = repo.fingerprint()
    tip = session(repo, base, a="run\n")
    await merge_into(await repo.forge(), tip, "feature", "m")
    assert (tmp_path / "linked/a").read_text() == "run\n"
    assert repo.fingerprint() == before


async def test_a_worktree_whose_folder_is_gone_does_not_matter(repo, tmp_path):
    base = repo.head
    repo("worktree", "add", "--quiet", "-b", "feature", str(tmp_path / "linked"))
    (tmp_path / "linked").rename(tmp_path / "unmounted")
    tip = session(repo, base, a="run\n")
    assert (await merge_into(await repo.forge(), tip, "feature", "m")).merged.new == tip


async def test_a_deleted_target_falls_back(repo):
    tip = session(repo, repo.head, a="run\n")
    done = await merge_into(await repo.forge(), tip, "deleted", "m")
    assert done.target == Target("main", "branch deleted does not exist")
    assert repo("rev-parse", "main") == tip


async def test_no_branch_at_all(repo):
    tip = session(repo, repo.head, a="run\n")
    repo("checkout", "--quiet", "--detach")
    repo("branch", "-D", "main")
    assert (await code_of(repo, tip, None)).code == "merge-target-missing"


async def test_a_bare_repository(repo, tmp_path):
    base = repo.head
    bare = repo.other(tmp_path / "bare.git")
    repo("clone", "--quiet", "--bare", str(repo.path), str(bare.path))
    bare("worktree", "add", "--quiet", "-b", "session", str(tmp_path / "w"))
    tip = repo.other(tmp_path / "w").commit(a="run\n")
    done = await merge_into(await bare.forge(), tip, "main", "m")
    assert done.merged == Merged(base, tip, "fast-forward")


async def test_an_index_lock_that_stays_is_reported(repo, monkeypatch):
    from prodigy.git import patience

    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))
    base = repo.head
    tip = session(repo, base, a="run\n")
    (repo.path / ".git/index.lock").touch()
    error = await code_of(repo, tip)
    assert error.code == "merge-failed"
    assert "index.lock" in (error.note or "")
    assert (repo.head, (repo.path / "a").read_text()) == (base, "2\n")


async def test_without_an_identity(repo, nameless):
    tip = session(repo, repo.head, a="run\n")
    repo.commit(b="user\n")
    git = Git(TrioRunner(), str(repo.path), nameless)
    assert (await merge_into(await repo.forge(git), tip, "main", "m")).merged.strategy == "git"


async def test_paths_that_are_not_text_do_not_hide_a_conflict(repo):
    name = os.fsdecode(b"caf\xe9")
    base = repo.commit_file(name, "base\n")
    tip = session(repo, base, **{name: "run\n"})
    repo.commit_file(name, "user\n")
    assert (await code_of(repo, tip)).note == "caf\\xe9"


async def test_a_merge_that_does_not_end_is_ended_and_undone(repo):
    tip = session(repo, repo.head, a="run\n")
    old = repo.commit(b="user\n")
    repo.hook("pre-merge-commit", "exec sleep 600")
    with pytest.raises(RunError, match=r"still ran after 0\.5 s"):
        await merge_into(await repo.forge(), tip, "main", "m", patience=0.5)
    assert (repo.head, repo("status", "--porcelain"), (repo.path / "a").read_text()) == (old, "", "2\n")


async def test_a_cancelled_merge_is_undone(repo, monkeypatch):
    """A hook that never ends does not hold a cancelled merge for longer than its grace."""
    monkeypatch.setattr(final, "GRACE_S", 0.0)
    tip = session(repo, repo.head, a="run\n")
    old = repo.commit(b="user\n")
    started = repo.path.parent / "started"
    os.mkfifo(started)
    repo.hook("pre-merge-commit", f"echo > {started}; exec sleep 1000")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(merge_into, await repo.forge(), tip, "main", "m")
        async with await trio.open_file(started) as fifo:
            await fifo.read()
        assert (repo.path / "a").read_text() == "run\n"
        nursery.cancel_scope.cancel()
    assert (repo.head, repo("status", "--porcelain")) == (old, "")
    assert not (repo.path / ".git/MERGE_HEAD").exists()


async def test_a_merge_that_has_begun_is_ended_before_a_cancellation_counts(repo):
    tip = session(repo, repo.head, a="run\n")
    started, finish = repo.path.parent / "started", repo.path.parent / "finish"
    os.mkfifo(started)
    os.mkfifo(finish)
    repo.commit(b="user\n")
    repo.hook("pre-merge-commit", f"echo > {started}; cat {finish}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(merge_into, await repo.forge(), tip, "main", "m")
        async with await trio.open_file(started) as fifo:
            await fifo.read()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(finish.write_text, "go")
    assert repo("log", "-1", "--format=%P").split()[1] == tip
    assert repo("status", "--porcelain") == ""
