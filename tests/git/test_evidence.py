"""What a step did, and the commit of what it left."""

import pytest

from prodigy.git import evidence
from prodigy.git.cli import GitFailed
from prodigy.git.evidence import Commit, CommitRefused, History, Snapshot


async def test_a_clean_worktree(repo):
    assert await evidence.snapshot(repo.git()) == Snapshot(repo.head, "main", ())


async def test_everything_dirty_is_seen_in_one_call(repo, hostile, configure):
    configure("status.showUntrackedFiles=no", "status.renames=true", "status.relativePaths=false")
    repo("mv", "a", "moved")
    repo.write("b", "changed\n")
    repo.write(hostile, "new\n")
    repo.write(f"folder/{hostile}", "new\n")
    found = await evidence.snapshot(repo.git())
    assert sorted(found.dirty) == sorted(["a", "moved", "b", hostile, f"folder/{hostile}"])
    assert await evidence.status(repo.git()) == list(found.dirty)


async def test_ignored_files_count_only_when_asked(repo):
    repo.commit_file(".gitignore", "*.log\n")
    repo.write("x.log")
    assert (await evidence.snapshot(repo.git())).dirty == ()
    assert (await evidence.snapshot(repo.git(), ignored=True)).dirty == ("x.log",)


async def test_detached_unborn_and_unmerged(repo):
    repo("checkout", "--quiet", "-b", "side")
    repo.commit(a="side\n")
    repo("checkout", "--quiet", "main")
    repo.commit(a="main\n")
    repo("merge", "side", ok=False)
    assert (await evidence.snapshot(repo.git())).dirty == ("a",)
    repo("merge", "--abort")
    repo("checkout", "--quiet", "--detach")
    assert (await evidence.snapshot(repo.git())).branch is None
    repo("checkout", "--quiet", "--orphan", "fresh")
    found = await evidence.snapshot(repo.git())
    assert (found.head, found.branch) == (None, "fresh")


async def test_a_repository_within_ends_in_a_slash(repo):
    inner = repo.path / "inner"
    inner.mkdir()
    repo.other(inner)("init", "--quiet")
    repo.other(inner).commit(x="1")
    assert (await evidence.snapshot(repo.git())).dirty == ("inner/",)


async def test_commits_and_files_between(repo, hostile, configure):
    configure("log.showSignature=true", "format.pretty=oneline", "diff.renames=copies")
    base = repo.head
    first = repo.commit_file(hostile, "1\n", "first: ünï\nsecond line\n\nbody")
    repo("mv", "b", "moved")
    second = repo.commit("-second")
    git = repo.git()
    expected = [Commit(first, "first: ünï second line"), Commit(second, "-second")]
    assert await evidence.commits_between(git, base, second) == expected
    assert sorted(await evidence.files_changed(git, base, second)) == sorted([hostile, "b", "moved"])
    assert await evidence.commits_between(git, second, second) == []
    assert await evidence.files_changed(git, second, second) == []


async def test_history_says_what_came_and_whether_it_descends(repo, configure):
    configure("log.showSignature=true", "format.pretty=oneline")
    git, base = repo.git(), repo.head
    assert await evidence.history(git, base, base) == History((), descends=True)
    first, second = repo.commit(), repo.commit("-two")
    assert [commit.sha for commit in (await evidence.history(git, base, second)).commits] == [first, second]
    assert (await evidence.history(git, base, second)).descends
    repo("checkout", "--quiet", "-b", "rewritten", base)
    other = repo.commit(c="3")
    rewritten = await evidence.history(git, second, other)
    assert [commit.sha for commit in rewritten.commits] == [other]
    assert not rewritten.descends
    assert not (await evidence.history(git, second, base)).descends


async def test_one_commit_on_top_is_told_in_one_process(repo, hostile):
    """With the same words as where two processes tell it."""
    base = repo.head
    for number, name in enumerate((hostile, "\nfirst", "a")):
        repo.write(name, f"{number} {hostile}\n")
    (repo.path / "b").unlink()
    tip = repo.commit("Subject in\ntwo lines ü\n\nBody\n")
    told = await evidence.single(repo.git(), base, tip)
    assert told == (
        await evidence.history(repo.git(), base, tip),
        tuple(await evidence.files_changed(repo.git(), base, tip)),
    )
    empty = repo.commit()
    assert await evidence.single(repo.git(), tip, empty) == (
        await evidence.history(repo.git(), tip, empty),
        (),
    )


async def test_what_is_more_than_one_commit_on_top_is_left_to_others(repo):
    base = repo.head
    first = repo.commit(a="1\n")
    second = repo.commit(a="2\n")
    assert await evidence.single(repo.git(), base, second) is None, "there are two"
    assert await evidence.single(repo.git(), second, first) is None, "it was rewritten"
    repo("checkout", "--quiet", "-b", "side", base)
    repo.commit(b="side\n")
    repo("merge", "--quiet", "--no-edit", second)
    assert await evidence.single(repo.git(), second, repo.head) is None, "it is a merge"
    repo("checkout", "--quiet", "--orphan", "fresh")
    assert await evidence.single(repo.git(), base, repo.commit()) is None, "it descends from nothing"


async def test_ancestry(repo):
    git, base = repo.git(), repo.head
    tip = repo.commit()
    assert await evidence.head(git) == tip
    assert await evidence.is_ancestor(git, base, tip)
    assert await evidence.is_ancestor(git, tip, tip)
    assert not await evidence.is_ancestor(git, tip, base)
    with pytest.raises(GitFailed):
        await evidence.is_ancestor(git, "0" * 40, tip)


async def test_an_empty_commit_is_no_change(repo):
    base = repo.head
    empty = repo.commit("nothing")
    assert await evidence.files_changed(repo.git(), base, empty) == []


async def test_auto_commit_takes_changed_new_and_deleted_files(repo, hostile):
    base = repo.head
    repo.write(hostile, "new\n")
    repo.write("a", "changed\n")
    (repo.path / "b").unlink()
    sha = await evidence.auto_commit(repo.git(), "#1 ünï\n\n# kept\n\nProdigy-Item: x\n", {})
    assert sha == repo.head
    assert await evidence.status(repo.git()) == []
    assert repo("log", "-1", "--format=%B") == "#1 ünï\n\n# kept\n\nProdigy-Item: x\n"
    assert sorted(await evidence.files_changed(repo.git(), base, sha)) == sorted([hostile, "a", "b"])


async def test_nothing_to_commit(repo):
    before = repo.head
    assert await evidence.auto_commit(repo.git(), "x") is None
    assert repo.head == before


@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg"])
async def test_a_refusing_hook(repo, hook):
    before = repo.head
    repo.hook(hook, "echo 'line 3 is ugly' >&2; exit 1")
    repo.write("a", "changed\n")
    with pytest.raises(CommitRefused, match="line 3 is ugly") as caught:
        await evidence.auto_commit(repo.git(), "x")
    assert (caught.value.code, repo.head) == ("commit-failed", before)


async def test_a_hook_that_amends_is_believed(repo):
    repo.hook(
        "post-commit", "test -e .git/once || { touch .git/once; git commit --amend --quiet -m amended; }"
    )
    repo.write("a", "changed\n")
    assert await evidence.auto_commit(repo.git(), "x") == repo.head
    assert repo("log", "-1", "--format=%s") == "amended"


async def test_what_git_cannot_add_is_a_refusal(repo):
    """A repository without a commit inside the worktree cannot be added."""
    repo("init", "--quiet", "inner")
    with pytest.raises(CommitRefused, match="adding files failed"):
        await evidence.auto_commit(repo.git(), "x")


async def test_no_signature_is_asked_for(repo, configure):
    configure(
        "commit.gpgSign=true", "gpg.program=/bin/false", "commit.verbose=true", "core.editor=/bin/false"
    )
    repo.write("a", "changed\n")
    assert await evidence.auto_commit(repo.git(), "x") == repo.head


async def test_an_identity_for_those_without_one(repo, nameless):
    repo.env = {**nameless, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}  # fmt: skip
    repo.write("a", "changed\n")
    with pytest.raises(CommitRefused):
        await evidence.auto_commit(repo.git(), "x")
    ours = {f"GIT_{role}_{part}": "p" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    assert await evidence.auto_commit(repo.git(), "x", ours) == repo.head
    assert repo("log", "-1", "--format=%an %ce") == "p p"


async def test_a_file_name_that_is_not_utf8_can_be_shown(repo):
    import os

    (repo.path / os.fsdecode(b"caf\xe9")).write_text("x")
    assert await evidence.status(repo.git()) == ["caf\\xe9"]
