"""Nothing that a worktree held is lost, and nothing of it is touched by keeping it."""

from pathlib import Path

import pytest

from prodigy.git import rescue as module
from prodigy.git.rescue import Rescued, branches, kept_commits, rescue, rescue_strays, unmerged

REF = "refs/prodigy/rescue/job/item/1"


@pytest.fixture
def slot(repo, tmp_path):
    repo("worktree", "add", "--quiet", "-b", "prodigy-1", str(tmp_path / "slot"))
    return repo.other(tmp_path / "slot")


def private_state(slot) -> dict[str, bytes]:
    folder = Path(slot("rev-parse", "--absolute-git-dir"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


async def test_nothing_to_keep(slot):
    assert await rescue(slot.git(), REF, slot.head, "m") is None
    assert slot("for-each-ref", "refs/prodigy") == ""


async def test_older_than_the_base_is_nothing_to_keep(slot):
    base = slot.head
    slot("reset", "--quiet", "--hard", "HEAD~1")
    assert await rescue(slot.git(), REF, base, "m") is None


async def test_commits_are_kept(slot):
    base = slot.head
    tip = slot.commit(a="work\n")
    assert await rescue(slot.git(), REF, base, "m") == Rescued(REF, tip)
    assert slot("rev-parse", REF) == tip


async def test_uncommitted_files_are_kept_and_nothing_is_touched(slot, hostile):
    slot.commit_file(".gitignore", "*.log\n")
    base = slot.head
    slot.write("a", "changed\n")
    slot.write("staged", "s\n")
    slot("add", "staged")
    slot.write(hostile, "untracked\n")
    slot.write("x.log", "ignored\n")
    (slot.path / "b").unlink()
    before, status = private_state(slot), slot("status", "--porcelain", "-z")
    kept = await rescue(slot.git(), REF, base, "kept: ünï")
    assert private_state(slot) == before
    assert slot("status", "--porcelain", "-z") == status
    assert kept == Rescued(REF, slot("rev-parse", REF), uncommitted=True)
    assert slot("rev-parse", f"{REF}^") == base
    assert slot("log", "-1", "--format=%B", REF).strip() == "kept: ünï"
    listed = slot("ls-tree", "-r", "-z", "--name-only", REF).rstrip("\0").split("\0")
    assert sorted(listed) == sorted([".gitignore", "a", "deep/er/c", "staged", hostile])
    assert slot("show", f"{REF}:a") == "changed"


async def test_in_the_middle_of_a_conflict(slot):
    base = slot.head
    slot.commit(a="ours\n")
    slot("checkout", "--quiet", "--detach", base)
    slot.commit(a="theirs\n")
    slot("merge", "@{-1}", ok=False)
    before = private_state(slot)
    assert await rescue(slot.git(), REF, base, "m") is not None
    assert "<<<<<<<" in slot("show", f"{REF}:a")
    assert private_state(slot) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda private: (private / "index").write_bytes(b"DIRC torn"),
        lambda private: (private / "index").unlink(),
        lambda private: (private / "index.lock").touch(),
    ],
    ids=["torn", "missing", "locked"],
)
async def test_with_an_index_in_any_state(slot, spoil):
    """A torn index hides from git what is dirty, so everything is taken to be."""
    base = slot.head
    slot.write("a", "changed\n")
    spoil(Path(slot("rev-parse", "--absolute-git-dir")))
    assert await rescue(slot.git(), REF, base, "m") is not None
    assert slot("show", f"{REF}:a") == "changed"


async def test_on_a_branch_without_commits(slot):
    base = slot.head
    slot("checkout", "--quiet", "--orphan", "fresh")
    assert await rescue(slot.git(), REF, base, "m") is not None
    assert slot("rev-list", "--count", REF) == "1"


async def test_hooks_and_signing_have_no_say(repo, slot, configure):
    configure("commit.gpgSign=true", "gpg.program=/bin/false")
    for hook in ("pre-commit", "reference-transaction", "post-index-change"):
        repo.hook(hook, "exit 1")
    slot.write("a", "changed\n")
    assert await rescue(slot.git(), REF, slot.head, "m") is not None


async def test_without_an_identity(slot, nameless):
    slot.env = {**nameless, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}  # fmt: skip
    slot.write("a", "changed\n")
    assert await rescue(slot.git(), REF, slot.head, "m") is not None
    assert slot("log", "-1", "--format=%an <%ae>", REF) == "Prodigy <prodigy@localhost>"


async def test_a_taken_name_is_never_moved(slot):
    base = slot.head
    tips = [slot.commit(a=f"{number}\n") for number in range(3)]
    refs = []
    for tip in tips:
        slot("reset", "--quiet", "--hard", tip)
        kept = await rescue(slot.git(), REF, base, "m")
        again = await rescue(slot.git(), REF, base, "m")
        assert kept == again
        refs.append(kept.ref)
    assert refs == [REF, f"{REF}.2", f"{REF}.3"]
    assert [slot("rev-parse", ref) for ref in refs] == tips


async def test_a_repository_within_is_reported(slot):
    """Its files stay where they are; the caller is told that they are not in the ref."""
    slot("init", "--quiet", "inner")
    slot.other(slot.path / "inner").commit(x="1")
    slot("init", "--quiet", "unborn")
    slot.write("unborn/file")
    slot.write("mine")
    kept = await rescue(slot.git(), REF, slot.head, "m")
    assert sorted(kept.left_out) == ["inner/", "unborn/"]
    assert slot("show", f"{REF}:mine") == "content"


async def test_branches_and_their_tips(repo, slot):
    repo("branch", "with/slash")
    assert await branches(slot.git()) == dict.fromkeys(["main", "prodigy-1", "with/slash"], repo.head)


async def test_stray_branches_of_this_worktree_move_and_no_others(repo, slot, tmp_path):
    repo("branch", "older")
    before = await branches(slot.git())
    slot("checkout", "--quiet", "-b", "feature/ü")
    stray = slot.commit(a="stray\n")
    slot("checkout", "--quiet", "-b", "held")
    slot("checkout", "--quiet", "older")
    slot("checkout", "--quiet", "prodigy-1")
    repo("branch", "users-new")
    repo("worktree", "add", "--quiet", str(tmp_path / "neighbour"), "held")
    moved = await rescue_strays(slot.git(), before, "prodigy-1", f"{REF}.branches")
    assert moved == [Rescued(f"{REF}.branches/feature/ü", stray)]
    assert repo("rev-parse", f"{REF}.branches/feature/ü") == stray
    assert sorted(await branches(slot.git())) == ["held", "main", "older", "prodigy-1", "users-new"]
    assert await rescue_strays(slot.git(), before, "prodigy-1", f"{REF}.branches") == []


async def test_branches_of_other_agents_are_spared(repo, slot):
    """Whoever looks at another agent's work, or at what was merged, does not take it away."""
    before = await branches(slot.git())
    repo("branch", "prodigy-k7-agent-2-1")
    slot("checkout", "--quiet", "prodigy-k7-agent-2-1")
    slot("checkout", "--quiet", "prodigy-1")
    moved = await rescue_strays(slot.git(), before, "prodigy-1", f"{REF}.x", spared="prodigy-k7-agent-")
    assert moved == []
    assert repo("rev-parse", "--verify", "prodigy-k7-agent-2-1") == repo.head


async def test_names_run_out_at_some_point(slot, monkeypatch):
    from prodigy.errors import RunError

    monkeypatch.setattr(module, "_MAX_NAMES", 2)
    base = slot.head
    slot("update-ref", REF, base)
    slot.commit(a="x\n")
    with pytest.raises(RunError, match="no free name"):
        await rescue(slot.git(), REF, base, "m")


async def test_branches_that_are_not_merged(repo):
    """In the order asked for; what is merged, gone or never was is no work to keep."""
    merged = repo.head
    repo("branch", "merged")
    tips = {}
    for name in ("prodigy-2", "prodigy-1", "prodigy-10"):
        repo("switch", "--quiet", "--create", name, merged)
        tips[name] = repo.commit(a=f"{name}\n")
    repo("branch", "prodigy-1x", tips["prodigy-2"])
    asked = ["prodigy-10", "merged", "gone", "prodigy-1"]
    assert list((await unmerged(repo.git(), asked, merged)).items()) == [
        (name, tips[name]) for name in ("prodigy-10", "prodigy-1")
    ]
    assert await unmerged(repo.git(), [], merged) == {}


async def test_commits_that_are_kept_already(repo):
    """Of one run: the name of another may begin like it."""
    older, newer = repo.head, repo.commit(a="later\n")
    repo("update-ref", "refs/prodigy/rescue/job/item/1", older)
    repo("update-ref", "refs/prodigy/rescue/job-2/item/1", newer)
    assert await kept_commits(repo.git(), "refs/prodigy/rescue/job") == {older}
    assert await kept_commits(repo.git(), "refs/prodigy/rescue/none") == set()
