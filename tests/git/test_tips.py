"""Branches are moved as git moves them, by git itself wherever files alone do not tell."""

import pytest

from prodigy.git import disks
from prodigy.git.cli import Git, GitFailed
from prodigy.git.tips import Tips
from tests.git.test_merge import Counting

REF = "refs/heads/session"


async def opened(repo, runner: Counting | None = None) -> Tips:
    """After the first move, which asks what holds for all."""
    repo("update-ref", REF, "HEAD")
    forge = await repo.forge(Git(runner or Counting(), str(repo.path), repo.env))
    assert await forge.tips.swap(REF, repo.head, repo("rev-parse", "HEAD~1"), "first")
    return forge.tips


def packed(repo) -> None:
    repo("pack-refs", "--all")


def symbolic(repo) -> None:
    repo("branch", "other", REF)
    repo("symbolic-ref", REF, "refs/heads/other")


def hooked(repo) -> None:
    repo.hook("reference-transaction", f"echo $1 >> '{repo.path}/.git/told'")


def plain(repo) -> None:
    del repo


@pytest.mark.parametrize("kind", [plain, packed, symbolic, hooked], ids=lambda kind: kind.__name__)
async def test_swapping(repo, kind):
    runner = Counting()
    tips = await opened(repo, runner)
    kind(repo)
    old, new = repo("rev-parse", "HEAD~1"), repo.head
    assert await tips.at(REF) == old
    assert not await tips.swap(REF, new, new, "not from here")
    assert await tips.at(REF) == old
    runner.verbs.clear()
    assert await tips.swap(REF, old, new, "m: why")
    assert runner.verbs == [] if kind is plain else "update-ref" in runner.verbs
    assert (await tips.at(REF), repo("rev-parse", REF)) == (new, new)
    assert (repo.path / ".git/told").exists() == (kind is hooked)
    assert repo("log", "-g", "-1", "--format=%gn <%ge> %gs %H", REF).removeprefix("Tester <tester@example.org> ") == f"m: why {new}"  # fmt: skip
    assert list((repo.path / ".git").rglob("*.lock")) == []
    assert repo("fsck", "--strict") == ""


async def test_the_log_reads_as_git_writes_it(repo):
    tips = await opened(repo)
    old, new = repo("rev-parse", "HEAD~1"), repo.head
    log = repo.path / ".git/logs" / REF
    await tips.swap(REF, old, new, "why")
    repo("update-ref", "-m", "why", REF, old, new)
    ours, gits = log.read_text().splitlines()[-2:]
    assert ours.split(" ")[2:4] == gits.split(" ")[2:4]
    assert ours.split(" ")[-1] == gits.split(" ")[-1]
    log.unlink()
    await tips.swap(REF, old, new, "why")
    assert not log.exists(), "a branch without a log gets none"


async def test_no_branch(repo):
    assert await (await opened(repo)).at("refs/heads/none") is None


async def test_a_lock_that_stays_is_reported_in_gits_words(repo, monkeypatch):
    from prodigy.git import patience

    monkeypatch.setattr(patience, "PAUSES", (0.0,))
    tips = await opened(repo)
    (repo.path / f".git/{REF}.lock").touch()
    with pytest.raises(GitFailed, match="lock"):
        await tips.swap(REF, repo("rev-parse", "HEAD~1"), repo.head, "m")
    assert (repo.path / f".git/{REF}.lock").exists(), "it is somebody else's"


@pytest.mark.parametrize("kind", [plain, packed], ids=lambda kind: kind.__name__)
async def test_what_a_branch_will_lead_to_is_on_disk_before_it_moves(repo, monkeypatch, kind):
    tips = await opened(repo)
    kind(repo)
    before, flushed = repo("rev-parse", REF), []
    monkeypatch.setattr(disks, "_flush", lambda _: flushed.append(repo("rev-parse", REF)))
    assert await tips.swap(REF, before, repo.head, "next")
    assert flushed == [before]
