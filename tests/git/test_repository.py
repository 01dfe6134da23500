"""Finding the repository, and the branch that a run's work is for."""

import os

import pytest

from prodigy.errors import MachineError
from prodigy.git import repository
from prodigy.git.checkout import look
from prodigy.git.cli import Git
from prodigy.git.local import TrioRunner
from prodigy.git.repository import Target, discover, find_target, worktrees_of


async def code_of(git: Git, path: object) -> str:
    with pytest.raises(MachineError) as caught:
        await discover(git, str(path))
    return caught.value.code


async def test_a_plain_repository(repo):
    found = await discover(repo.git(), str(repo.path))
    assert found == repository.Repository(
        root=str(repo.path),
        checkout=str(repo.path),
        common_dir=str(repo.path / ".git"),
        head=repo.head,
        branch="main",
    )


async def test_from_a_folder_inside(repo):
    found = await discover(repo.git(), str(repo.path / "deep/er"))
    assert (found.root, found.checkout) == (str(repo.path), str(repo.path))


async def test_from_inside_the_git_folder(repo):
    found = await discover(repo.git(), str(repo.path / ".git"))
    assert (found.root, found.checkout, found.traits) == (str(repo.path), str(repo.path), frozenset())


@pytest.mark.parametrize("name", ["new\nline", " spaces ", "-dash", "ü☃", 'quo"te'])
async def test_from_a_linked_worktree_with_a_hostile_path(repo, tmp_path, name):
    path = tmp_path / name
    repo("worktree", "add", "--quiet", "-b", "side", "--", str(path))
    found = await discover(repo.git(), str(path))
    assert (found.root, found.checkout, found.branch) == (str(repo.path), str(path), "side")
    assert [entry.path for entry in await worktrees_of(repo.git())] == [str(repo.path), str(path)]


async def test_bare(repo, tmp_path):
    bare = tmp_path / "bare.git"
    repo("clone", "--quiet", "--bare", str(repo.path), str(bare))
    found = await discover(repo.git(), str(bare))
    assert (found.root, found.checkout, found.common_dir) == (str(bare), None, str(bare))
    assert (found.traits, found.branch, found.head) == ({"bare"}, "main", repo.head)


async def test_detached(repo):
    repo("checkout", "--quiet", "--detach")
    assert (await discover(repo.git(), str(repo.path))).branch is None


async def test_shallow_sparse_and_partial_are_told(repo, tmp_path):
    repo("config", "uploadpack.allowFilter", "true")
    repo(
        "clone",
        "--quiet",
        "--depth=1",
        "--filter=blob:none",
        "--sparse",
        f"file://{repo.path}",
        str(tmp_path / "c"),
    )
    found = await discover(repo.git(), str(tmp_path / "c"))
    assert found.traits == {"shallow", "sparse", "partial"}


async def test_sha256(repo, tmp_path):
    other = repo.other(tmp_path / "sha256")
    other.path.mkdir()
    other("init", "--quiet", "--object-format=sha256")
    other.commit()
    found = await discover(repo.git(), str(other.path))
    assert (found.object_format, len(found.head)) == ("sha256", 64)


async def test_no_repository(repo, tmp_path):
    assert await code_of(repo.git(), tmp_path) == "not-a-git-repository"
    assert await code_of(repo.git(), tmp_path / "missing") == "not-a-git-repository"


async def test_unborn_branch(repo, tmp_path):
    repo("init", "--quiet", str(tmp_path / "fresh"))
    assert await code_of(repo.git(), tmp_path / "fresh") == "unborn-branch"


async def test_git_missing(repo, tmp_path):
    assert await code_of(Git(TrioRunner(), "/", {"PATH": str(tmp_path)}), repo.path) == "git-not-usable"


@pytest.mark.parametrize(
    ("version", "usable"), [("2.38.9", False), ("1.99.0", False), ("2.39.0", True), ("3.0", True)]
)
async def test_old_git(repo, tmp_path, version, usable):
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho 'git version {version} (somebody'\\''s build)'\n")
    fake.chmod(0o755)
    git = Git(TrioRunner(), "/", {"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    if usable:
        await repository.require_git(git)
    else:
        assert await code_of(git, repo.path) == "git-not-usable"


async def test_a_repository_that_git_refuses_is_explained(repo):
    repo.write(".git/config", "[core]\n\trepositoryformatversion = 9\n")
    with pytest.raises(MachineError, match="git-not-usable") as caught:
        await discover(repo.git(), str(repo.path))
    assert "version" in (caught.value.note or "")


async def test_empty_home(repo, nameless):
    repo.env = nameless
    assert (await discover(repo.git(), str(repo.path))).branch == "main"


async def test_uncommitted_files_are_counted_and_nothing_is_touched(repo, configure, hostile):
    """The index keeps its bytes and its time, though its cached times are out of date."""
    configure("status.showUntrackedFiles=no", "status.renames=copies")
    repo.write(hostile, "new\n")
    repo.write("b", "changed\n")
    repo("mv", "a", "renamed")
    os.utime(repo.path / "deep/er/c", (1, 1))
    before = repo.fingerprint()
    assert len((await look(repo.git())).files) == 4
    assert repo.fingerprint() == before


async def test_the_named_branch_is_the_target(repo):
    repo("branch", "feature/x")
    assert await find_target(repo.git(), "feature/x") == Target("feature/x")


@pytest.mark.parametrize(
    ("branches", "configured", "remote", "expected"),
    [
        (["trunk", "main", "master"], "main", "trunk", "trunk"),
        (["trunk", "main", "master"], "trunk", None, "trunk"),
        (["main", "master"], "trunk", "gone", "main"),
        (["master"], "trunk", None, "master"),
        (["other"], "trunk", None, None),
    ],
)
async def test_the_fallback_order(repo, configure, branches, configured, remote, expected):
    repo("checkout", "--quiet", "--detach")
    repo("branch", "-D", "main")
    for branch in branches:
        repo("branch", branch)
    configure(f"init.defaultBranch={configured}")
    if remote is not None:
        repo("symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{remote}")
    assert await find_target(repo.git(), None) == Target(expected, "HEAD was detached")
    assert await find_target(repo.git(), "gone") == Target(expected, "branch gone does not exist")


async def test_a_tag_of_the_same_name_is_not_the_branch(repo):
    repo("tag", "release")
    repo("checkout", "--quiet", "--detach")
    assert (await find_target(repo.git(), "release")).branch == "main"
