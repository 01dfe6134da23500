"""Refs read from files are what git lists."""

import pytest

from prodigy.git.locked_file import Replacement
from prodigy.git.refs import RefFiles, create_branch, keeps_files, move, point_head


def listed(repo) -> dict[str, str]:
    lines = repo("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


@pytest.fixture
def files(repo):
    return RefFiles(repo.path / ".git")


def loose(repo) -> None:
    repo("branch", "deep/er/ü")


def packed(repo) -> None:
    repo("branch", "one")
    repo("tag", "-a", "-m", "annotated", "v1")
    repo("pack-refs", "--all")


def moved_since_packing(repo) -> None:
    packed(repo)
    repo("branch", "--force", "one", repo.commit(a="later\n"))


def deleted_from_packed(repo) -> None:
    packed(repo)
    repo("branch", "-D", "one")


def symbolic(repo) -> None:
    repo("update-ref", "refs/remotes/origin/main", "HEAD")
    repo("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")


def dangling(repo) -> None:
    repo("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gone")


def in_a_circle(repo) -> None:
    repo("symbolic-ref", "refs/x/a", "refs/x/b")
    repo("symbolic-ref", "refs/x/b", "refs/x/a")


def locked(repo) -> None:
    (repo.path / ".git/refs/heads/main.lock").touch()


def broken(repo) -> None:
    (repo.path / ".git/refs/heads/torn").write_text("0123")


KINDS = [loose, packed, moved_since_packing, deleted_from_packed, symbolic, dangling, in_a_circle, locked, broken]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_as_git_lists_them(repo, files, kind):
    """Also by a reader that has read before, whatever it remembers."""
    assert files.read() == listed(repo)
    kind(repo)
    assert files.read() == listed(repo)
    assert RefFiles(repo.path / ".git").read() == listed(repo)


def test_refs_that_are_not_to_be_read_are_listed(repo):
    """They take no time however many they are, and nothing is said of what they name."""
    repo("branch", "ours-1")
    (repo.path / ".git/refs/heads/ours-1").chmod(0o000)
    found = RefFiles(repo.path / ".git", ("refs/heads/ours-",)).read()
    assert found == {"refs/heads/main": repo.head, "refs/heads/ours-1": ""}


def test_packed_refs_that_are_gone(repo, files):
    packed(repo)
    files.read()
    (repo.path / ".git/packed-refs").unlink()
    assert files.read() == {}


def test_a_repository_that_keeps_no_files(repo):
    assert keeps_files(repo.path / ".git")
    (repo.path / ".git/reftable").mkdir()
    assert not keeps_files(repo.path / ".git")


def test_a_branch_made_by_hand_is_one_for_git(repo):
    create_branch(repo.path / ".git", "made/by-hand", repo.head)
    assert repo("rev-parse", "refs/heads/made/by-hand") == repo.head
    assert repo("fsck", "--strict") == ""
    assert list((repo.path / ".git").rglob("*.lock")) == []


@pytest.mark.parametrize("kind", [packed, locked], ids=lambda kind: kind.__name__)
def test_a_name_that_is_taken_stays_as_it_is(repo, kind):
    """Whether it is loose, packed, or about to be written by somebody else."""
    kind(repo)
    before = listed(repo)
    for name in set(before) | {"refs/heads/main"}:
        if name.startswith("refs/heads/"):
            with pytest.raises(FileExistsError):
                create_branch(repo.path / ".git", name.removeprefix("refs/heads/"), "0" * 40)
    assert listed(repo) == before


def test_head_is_pointed_under_its_lock(repo):
    repo("branch", "other")
    point_head(str(repo.path / ".git"), "other", repo.head)
    assert repo("symbolic-ref", "HEAD") == "refs/heads/other"
    point_head(str(repo.path / ".git"), None, repo.head)
    assert repo("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"
    (repo.path / ".git/HEAD.lock").touch()
    with pytest.raises(FileExistsError):
        point_head(str(repo.path / ".git"), "main", repo.head)
    assert (repo.path / ".git/HEAD.lock").exists(), "it is somebody else's"


def test_a_lock_that_is_made_once_ours_is_gone_stays(repo, monkeypatch):
    """Whoever waited makes it as soon as the ref is moved; nobody else may hold it then."""
    branch, lock = repo.path / ".git/refs/heads/main", repo.path / ".git/refs/heads/main.lock"
    following = repo.commit(a="2\n")
    old = repo("rev-parse", f"{following}^")
    put = Replacement.put

    def put_and_be_followed(replacement: Replacement) -> None:
        put(replacement)
        lock.touch(exist_ok=False)

    monkeypatch.setattr(Replacement, "put", put_and_be_followed)
    assert move(repo.path / ".git", "refs/heads/main", following, old, b"who when\twhy")
    assert branch.read_text() == f"{old}\n"
    assert lock.exists()
