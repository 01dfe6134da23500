"""What worktrees share is seen from files as git itself sees it."""

from prodigy.git.shared import Commons, Shared, compare


async def test_both_ways_of_looking_agree(repo):
    """Where refs are not in files git is asked, and says the same."""
    repo("branch", "prodigy-x")
    repo("tag", "v1")
    repo.write("a", "changed\n")
    repo("stash", "push", "--quiet")
    from_files = await Commons(repo.git()).look()
    (repo.path / ".git/reftable").mkdir()
    by_git = await Commons(repo.git()).look()
    assert from_files == by_git
    assert from_files.refs == {"refs/heads/main": repo.head, "refs/tags/v1": repo.head}
    assert from_files.branches == {"main", "prodigy-x"}
    assert [entry.message for entry in from_files.stash] == [repo("stash", "list", "--format=%gs")]


async def test_every_kind_of_change_is_different(repo):
    commons = Commons(repo.git())

    async def seen(*change: str) -> Shared:
        repo(*change)
        return await commons.look()

    before = await commons.look()
    assert not compare(before, await seen("branch", "prodigy-agent"))
    for change in (("config", "a.b", "c"), ("tag", "new"), ("pack-refs", "--all", "--prune")):
        after = await seen(*change)
        assert bool(compare(before, after)) == (change[0] != "pack-refs"), change
        before = after
    repo.write("a", "changed\n")
    stashed = await seen("stash", "push", "--quiet")
    assert compare(before, stashed).pushed == stashed.stash
    assert compare(stashed, await seen("stash", "drop", "--quiet")).popped == stashed.stash
