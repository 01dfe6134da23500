"""What a loss of power leaves half written is put right: files that are there by name, and hold nothing."""

from pathlib import Path

import pytest

from prodigy.git.mending import mend
from prodigy.git.repository import discover
from prodigy.git.rescue import rescue
from prodigy.git.worktrees import Worktrees

JOB = "mapreduce-20260101-000000-k7m2pq"
BRANCH = "prodigy-k7m2pq-agent-1-1"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "locks/git.lock"


@pytest.fixture
def slot(repo, tmp_path: Path):
    """A worktree on a branch of ours, on which a commit of its agent's is whole."""
    repo("worktree", "add", "--quiet", "-b", BRANCH, str(tmp_path / "slot-01"))
    scratch = repo.other(tmp_path / "slot-01")
    scratch.commit(a="whole\n")
    return scratch


async def mended(repo, lock: Path, job: str | None = None) -> None:
    await mend(repo.git(), await discover(repo.git(), str(repo.path)), lock, job)


def hollow(repo, commits: str) -> None:
    """Let the newest objects of commits hold nothing: they were never brought to disk."""
    for line in repo("rev-list", "--objects", commits).splitlines():
        empty(repo, line[:40])


def empty(repo, sha: str) -> None:
    file = repo.path / ".git/objects" / sha[:2] / sha[2:]
    file.chmod(0o644)
    file.write_bytes(b"")


def tip(repo, ref: str = f"refs/heads/{BRANCH}") -> str | None:
    return repo("rev-parse", "--verify", "--quiet", ref, ok=False) or None


async def test_nothing_is_wrong(repo, slot, lock):
    slot.write("b", "uncommitted\n")
    before = slot.fingerprint(), slot.head, repo("count-objects")
    await mended(repo, lock)
    assert (slot.fingerprint(), slot.head, repo("count-objects")) == before


async def test_a_branch_goes_back_to_what_is_whole(repo, slot, lock):
    whole = slot.head
    slot.commit(a="lost\n")
    hollow(repo, f"{whole}..{slot.commit(c='lost too')}")
    await mended(repo, lock, JOB)
    assert tip(repo) == whole
    assert repo("fsck", "--connectivity-only", "--no-reflogs", "--no-dangling") == ""


async def test_one_whose_blob_alone_is_lost(repo, slot, lock):
    whole, lost = slot.head, slot.commit(a="lost\n")
    empty(repo, repo("rev-parse", f"{lost}:a"))
    await mended(repo, lock, JOB)
    assert tip(repo) == whole


async def test_what_was_lost_can_be_written_again(repo, slot, lock):
    """Git takes an object that is there by name for written."""
    lost = slot.commit(a="again\n")
    hollow(repo, f"{lost}^..{lost}")
    await mended(repo, lock, JOB)
    slot("reset", "--quiet", "--hard")
    again = slot.commit(a="again\n")
    assert slot("show", f"{again}:a") == "again"


async def test_branches_of_other_runs_are_theirs_to_look_at(repo, slot, lock):
    lost = slot.commit(a="lost\n")
    hollow(repo, f"{lost}^..{lost}")
    await mended(repo, lock, "mapreduce-20260101-000000-x9y8z7")
    assert tip(repo) == lost


async def test_what_a_git_is_writing_stays(repo, lock):
    (repo.path / ".git/objects/ab").mkdir(exist_ok=True)
    being_written = repo.path / ".git/objects/ab/tmp_obj_6JV6vj"
    being_written.touch()
    await mended(repo, lock)
    await mended(repo, lock, JOB)
    assert being_written.exists()


async def test_a_hollow_branch_has_a_log(repo, slot, lock):
    whole = slot.head
    (repo.path / ".git/refs/heads" / BRANCH).write_bytes(b"")
    await mended(repo, lock)
    assert tip(repo) == whole


async def test_one_without_a_log_goes(repo, slot, lock):
    for file in ("refs", "logs/refs"):
        (repo.path / ".git" / file / "heads" / BRANCH).write_bytes(b"")
    await mended(repo, lock)
    assert tip(repo) is None
    assert "broken" not in repo("for-each-ref")
    repo("branch", BRANCH)


async def test_branches_of_the_user_stay_as_they_are(repo, lock):
    repo("branch", "mine")
    (repo.path / ".git/refs/heads/mine").write_bytes(b"")
    await mended(repo, lock)
    assert (repo.path / ".git/refs/heads/mine").read_bytes() == b""


async def test_hollow_refs_of_what_was_rescued_go(repo, lock):
    ref = f"refs/prodigy/rescue/{JOB}/i/1"
    repo("update-ref", ref, "HEAD")
    repo("update-ref", f"{ref}.2", "HEAD")
    (repo.path / ".git" / ref).write_bytes(b"")
    await mended(repo, lock)
    assert (tip(repo, ref), tip(repo, f"{ref}.2")) == (None, repo.head)


@pytest.mark.parametrize("name", ["commondir", "gitdir"])
async def test_a_worktree_that_is_none_does_not_stop_git(repo, slot, lock, name):
    (repo.path / ".git/worktrees/slot-01" / name).write_bytes(b"")
    await mended(repo, lock)
    assert repo("worktree", "list", "--porcelain").count("worktree ") == 1


@pytest.mark.parametrize(
    "moves",
    [(), ("checkout", "--detach"), ("checkout", "-b", "own"), ("checkout", "--detach", "HEAD~1")],
    ids=" ".join,
)
async def test_a_hollow_head_is_where_it_was(repo, slot, lock, moves):
    if moves:
        slot(*moves, "--quiet")
    slot.commit(a="later\n")
    head = repo.path / ".git/worktrees/slot-01/HEAD"
    before = slot.head, slot("symbolic-ref", "-q", "HEAD", ok=False)
    head.write_bytes(b"")
    await mended(repo, lock)
    assert slot.head == before[0]
    assert slot("symbolic-ref", "-q", "HEAD", ok=False) == (before[1] if moves else "")


async def test_a_hollow_head_without_a_history(repo, slot, lock):
    """Nobody knows where it was; what lies in the worktree can be rescued."""
    for name in ("HEAD", "logs/HEAD"):
        (repo.path / ".git/worktrees/slot-01" / name).write_bytes(b"")
    await mended(repo, lock)
    assert slot("status", "--porcelain", "a") == "A  a"
    assert (await rescue(slot.git(), "refs/x", repo.head, "kept")) is not None
    assert repo("show", "refs/x:a") == "whole"


async def test_worktrees_of_the_user_stay(repo, lock, tmp_path):
    repo("worktree", "add", "--quiet", str(tmp_path / "mine"))
    (repo.path / ".git/worktrees/mine/HEAD").write_bytes(b"")
    await mended(repo, lock)
    assert (repo.path / ".git/worktrees/mine").exists()


async def test_an_index_that_names_what_is_lost_is_made_anew(repo, slot, lock):
    slot.write("a", "staged\n")
    slot("add", "a")
    sha = slot("rev-parse", ":a")
    (repo.path / ".git/objects" / sha[:2] / sha[2:]).unlink()
    worktrees = Worktrees(repo.git(), lock)
    await worktrees.mend(worktrees.open(str(slot.path)), BRANCH)
    assert slot("status", "--porcelain") == " M a"
    slot.commit()
    assert slot("show", "HEAD:a") == "staged"


@pytest.mark.parametrize("content", [b"", b"torn"])
async def test_an_index_that_git_cannot_read(repo, slot, lock, content):
    slot.write("a", "changed\n")
    (repo.path / ".git/worktrees/slot-01/index").write_bytes(content)
    worktrees = Worktrees(repo.git(), lock)
    await worktrees.mend(worktrees.open(str(slot.path)), BRANCH)
    assert slot("status", "--porcelain") == " M a"


async def test_an_unfinished_merge_stays_one(repo, slot, lock):
    repo.commit(a="theirs\n")
    slot("merge", "main", ok=False)
    before = slot("status", "--porcelain")
    worktrees = Worktrees(repo.git(), lock)
    await worktrees.mend(worktrees.open(str(slot.path)), BRANCH)
    assert before == "UU a" == slot("status", "--porcelain")


async def test_zeros_in_place_of_objects_of_a_run_that_is_taken_up_again(repo, slot, lock):
    """Where a file system brings the size of a file to disk before its content."""
    whole, lost = slot.head, slot.commit(a="lost\n")
    for sha in (lost, repo("rev-parse", f"{lost}:a")):
        file = repo.path / ".git/objects" / sha[:2] / sha[2:]
        file.chmod(0o644)
        file.write_bytes(bytes(file.stat().st_size))
    await mended(repo, lock, JOB)
    assert tip(repo) == whole
    slot("reset", "--quiet", "--hard")
    assert slot("show", f"{slot.commit(a='lost')}:a") == "lost"


async def test_locks_on_the_refs_of_a_run_that_is_taken_up_again(repo, slot, lock):
    own = [f"refs/heads/{BRANCH}", f"refs/heads/prodigy-session-{JOB}", f"refs/prodigy/rescue/{JOB}/i/1"]
    others = ["refs/heads/main", "refs/prodigy/rescue/another/i/1", "refs/heads/prodigy-x9y8z7-agent-1-1"]
    files = {ref: repo.path / ".git" / f"{ref}.lock" for ref in own + others}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    await mended(repo, lock)
    assert all(file.exists() for file in files.values())
    await mended(repo, lock, JOB)
    assert [ref for ref, file in files.items() if not file.exists()] == own


async def test_a_branch_that_leads_to_another_stays(repo, slot, lock):
    ref = "refs/heads/prodigy-k7m2pq-agent-2-1"
    repo("symbolic-ref", ref, f"refs/heads/{BRANCH}")
    await mended(repo, lock)
    assert repo("symbolic-ref", ref) == f"refs/heads/{BRANCH}"


async def test_nobody_waits_for_a_branch_that_is_locked(repo, slot, lock):
    whole = slot.head
    (repo.path / ".git/refs/heads" / BRANCH).write_bytes(b"")
    held = repo.path / ".git/refs/heads" / f"{BRANCH}.lock"
    held.touch()
    await mended(repo, lock)
    assert tip(repo) is None
    held.unlink()
    await mended(repo, lock)
    assert tip(repo) == whole
