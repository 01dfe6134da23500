"""What changed, as ``${step.…}`` and ``${git.…}`` tell it."""

from prodigy.git import changes, evidence
from prodigy.git.changes import Changes
from prodigy.git.evidence import CommitWish


async def test_between_two_commits(repo, hostile, configure):
    configure("diff.renames=copies", "diff.noprefix=true", "core.quotePath=true")
    base = repo.head
    repo.write("b", "changed\nand more\n")
    repo.write(hostile, "1\n2\n")
    repo("rm", "--quiet", "a")
    head = repo.commit()
    found = await changes.changes(repo.git(), base, head)
    assert (found.added, found.modified, found.deleted) == ((hostile,), ("b",), ("a",))
    assert found.insertions >= 3
    assert found.deletions >= 1
    assert set(found.files) == {"a", "b", hostile}


async def test_what_is_not_committed_counts_too(repo):
    base = repo.head
    repo.commit(c="1\n")
    repo.write("b", "changed\n")
    repo.write("new")
    repo("rm", "--quiet", "a")
    found = await changes.changes(repo.git(), base)
    assert (found.added, found.modified, found.deleted) == (("c", "new"), ("b",), ("a",))


async def test_nothing_changed(repo):
    assert await changes.changes(repo.git(), repo.head) == Changes()
    assert await changes.changes(repo.git(), repo.head, repo.head) == Changes()


async def test_a_binary_file_has_no_lines(repo):
    base = repo.head
    repo.write("image", b"\0\1\2")
    repo.commit()
    found = await changes.changes(repo.git(), base, repo.head)
    assert (found.added, found.insertions) == (("image",), 0)


async def test_standing(repo, hostile):
    repo.write("a", "staged\n")
    repo("add", "a")
    repo.write("b", "changed\n")
    repo.write(hostile)
    found = await changes.standing(repo.git())
    assert (found.staged, found.unstaged, found.untracked) == (("a",), ("b",), (hostile,))
    assert (found.branch, found.commit) == ("main", repo.head)
    assert repo.head.startswith(found.short_commit)
    repo("checkout", "--quiet", "--detach")
    assert (await changes.standing(repo.git())).branch is None


async def test_whole_messages(repo):
    base = repo.head
    repo.commit("first\n\nwith a body")
    repo.commit("second")
    assert await changes.messages(repo.git(), base, repo.head) == ("first\n\nwith a body", "second")
    assert await changes.messages(repo.git(), base, base) == ()


async def test_a_commit_of_some_files(repo, hostile):
    for name in ("x.py", "deep/y.py", "z.log", hostile):
        repo.write(name)
    repo("rm", "--quiet", "a")
    wish = CommitWish(include=("*.py", "a"), exclude=("deep/*",))
    before = repo.head
    sha = await evidence.auto_commit(repo.git(), "some", None, wish)
    assert sha is not None
    assert await evidence.files_changed(repo.git(), before, sha) == ["a", "x.py"]
    assert await evidence.auto_commit(repo.git(), "none", None, CommitWish(include=("*.none",))) is None


async def test_an_author_and_one_commit_of_many(repo):
    base = repo.head
    repo.commit("one", c="1\n")
    repo.commit("two", d="2\n")
    repo.write("e")
    wish = CommitWish(author="An Author <author@example.org>", onto=base)
    sha = await evidence.auto_commit(repo.git(), "all of it", None, wish)
    assert sha is not None
    assert [commit.subject for commit in await evidence.commits_between(repo.git(), base, sha)] == [
        "all of it"
    ]
    assert repo("log", "-1", "--format=%an <%ae>") == "An Author <author@example.org>"
    assert await evidence.files_changed(repo.git(), base, sha) == ["c", "d", "e"]
