"""One contract, two who keep it: git itself, and libgit2 where that is exact."""

import subprocess
import sys

import pytest

from prodigy.git import evidence
from prodigy.git.evidence import Commit
from prodigy.git.objects import CommandLineObjects, LibraryObjects, Objects, open_objects
from prodigy.git.repository import discover


@pytest.fixture(params=["command-line", "library"])
def which(request) -> str:
    return str(request.param)


async def opened(repo, which: str) -> Objects:
    if which == "command-line":
        return CommandLineObjects(repo.git())
    found = open_objects(await discover(repo.git(), str(repo.path)), repo.git())
    assert isinstance(found, LibraryObjects)
    return found


async def test_ancestry(repo, which):
    objects, base = await opened(repo, which), repo.head
    ours = repo.commit()
    repo("checkout", "--quiet", "--detach", base)
    theirs = repo.commit("theirs")
    assert await objects.is_ancestor(base, ours)
    assert await objects.is_ancestor(ours, ours)
    assert not await objects.is_ancestor(ours, base)
    assert not await objects.is_ancestor(ours, theirs)
    assert await objects.merge_base(ours, theirs) == base
    repo("checkout", "--quiet", "--orphan", "fresh")
    assert await objects.merge_base(repo.commit("unrelated"), ours) is None


async def test_commits_between_oldest_first(repo, which):
    objects, base = await opened(repo, which), repo.head
    made = [
        Commit(repo.commit(message), subject)
        for message, subject in [
            ("plain", "plain"),
            ("ünï ☃\n\nbody", "ünï ☃"),
            ("two\nlines\n\nbody", "two lines"),
        ]
    ]
    assert await objects.commits_between(base, repo.head) == made
    assert await objects.commits_between(repo.head, repo.head) == []
    assert await objects.commits_between(repo.head, base) == []


async def test_commits_in_another_encoding(repo, which):
    base = repo.head
    repo("-c", "i18n.commitEncoding=latin1", "commit", "--quiet", "--allow-empty", "-F", "-", stdin="café".encode("latin1"))  # fmt: skip
    objects = await opened(repo, which)
    assert [commit.subject for commit in await objects.commits_between(base, repo.head)] == ["café"]


async def test_parents_come_before_their_children(repo, which):
    base = repo.head
    ours = repo.commit("ours", x="1\n")
    repo("checkout", "--quiet", "-b", "side", base)
    theirs = repo.commit("theirs", y="1\n")
    repo("merge", "--quiet", "-m", "both", ours)
    found = [commit.sha for commit in await (await opened(repo, which)).commits_between(base, repo.head)]
    assert found[-1] == repo.head
    assert set(found[:-1]) == {ours, theirs}


async def test_files_changed(repo, which, hostile, configure):
    configure("diff.renames=copies")
    base = repo.head
    repo.write(hostile, "new\n")
    repo("mv", "a", "moved")
    (repo.path / "b").chmod(0o755)
    repo.write("deep/er/c", "changed\n")
    head = repo.commit()
    objects = await opened(repo, which)
    expected = sorted([hostile, "a", "moved", "b", "deep/er/c"], key=str.encode)
    assert await objects.files_changed(base, head) == expected
    assert await objects.files_changed(head, head) == []


async def test_a_file_that_became_a_folder(repo, which):
    base = repo.head
    (repo.path / "a").unlink()
    repo.write("a/b", "1\n")
    head = repo.commit()
    assert await (await opened(repo, which)).files_changed(base, head) == ["a", "a/b"]


async def test_every_kind_of_change_deep_down(repo, which):
    """Added, deleted, made executable, turned from a file into a folder and back; as git has it, in its order."""
    for name in ("d/e/kept", "d/e/gone", "d/mode", "d.x", "swap", "back/one", "back/two"):
        repo.write(name, name)
    base = repo.commit()
    for name in ("d/e/gone", "swap", "back/one", "back/two"):
        (repo.path / name).unlink()
    (repo.path / "back").rmdir()
    (repo.path / "d/mode").chmod(0o755)
    for name in ("swap/a", "swap/b/c", "back", "d/e/new", "d-x"):
        repo.write(name, name)
    tip = repo.commit()
    objects = await opened(repo, which)
    for one, other in ((base, tip), (tip, base)):
        assert await objects.files_changed(one, other) == await evidence.files_changed(repo.git(), one, other)
    assert len(await objects.files_changed(base, tip)) == 10


async def test_a_commit_object(repo, which):
    objects, base = await opened(repo, which), repo.head
    other = repo.commit("other")
    tree = repo("rev-parse", f"{base}^{{tree}}")
    made = await objects.commit(tree, [base, other], "subject ü\n\nbody", {})
    shown = repo("log", "-1", "--format=%T%n%P%n%an <%ae>%n%cn <%ce>%n%B", made)
    assert shown.rstrip("\n") == f"{tree}\n{base} {other}\nTester <tester@example.org>\nTester <tester@example.org>\nsubject ü\n\nbody"  # fmt: skip
    repo("fsck", "--strict")
    now, zone = repo("log", "-1", "--format=%cd", "--date=raw", made).split()
    then, expected_zone = repo("log", "-1", "--format=%cd", "--date=raw", other).split()
    assert (abs(int(now) - int(then)) < 60, zone) == (True, expected_zone)


async def test_objects_made_by_others_meanwhile_are_seen(repo, which):
    objects, base = await opened(repo, which), repo.head
    await objects.is_ancestor(base, base)
    first = repo.commit("loose")
    assert await objects.is_ancestor(base, first)
    second = repo.commit("packed")
    repo("repack", "-adq")
    assert await objects.is_ancestor(first, second)


async def test_an_unknown_commit_is_an_error(repo, which):
    with pytest.raises(Exception, match=r"(?i)not|bad|match"):
        await (await opened(repo, which)).is_ancestor("0" * 39 + "1", repo.head)


async def test_where_libgit2_would_not_see_everything_git_answers(repo, tmp_path):
    async def kind(path) -> type:
        return type(open_objects(await discover(repo.git(), str(path)), repo.git()))

    repo("config", "uploadpack.allowFilter", "true")
    repo("clone", "--quiet", "--filter=blob:none", f"file://{repo.path}", str(tmp_path / "partial"))
    repo("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    repo("init", "--quiet", "--object-format=sha256", str(tmp_path / "sha256"))
    repo.other(tmp_path / "sha256").commit()
    for name in ("partial", "shallow", "sha256"):
        assert await kind(tmp_path / name) is CommandLineObjects
    assert await kind(repo.path) is LibraryObjects
    repo("replace", "HEAD", "HEAD~1")
    assert await kind(repo.path) is CommandLineObjects
    repo("pack-refs", "--all")
    assert await kind(repo.path) is CommandLineObjects


async def test_a_replaced_commit_is_answered_as_git_does(repo):
    tip, middle, first = repo.head, repo("rev-parse", "HEAD~1"), repo("rev-parse", "HEAD~2")
    repo("replace", "--graft", tip, first)
    objects = open_objects(await discover(repo.git(), str(repo.path)), repo.git())
    assert not await objects.is_ancestor(middle, tip)


def test_libgit2_is_loaded_late():
    code = "import sys, prodigy.git.objects, prodigy.git.merge, prodigy.git.final; assert 'pygit2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
