"""All of it together: the user's checkout is byte for byte what it was, until the last merge."""

import os

from prodigy.git import evidence
from prodigy.git.checkout import look
from prodigy.git.final import merge_into
from prodigy.git.forge import open_forge
from prodigy.git.merge import Merged, merge
from prodigy.git.repository import discover, find_target
from prodigy.git.rescue import branches, rescue, rescue_strays
from prodigy.git.worktrees import Worktrees

AGENTS = 4


async def test_a_run_from_discovery_to_clean_up(repo, tmp_path):
    for name in ("a", "b"):
        os.utime(repo.path / name, (1, 1))  # the index is out of date: whoever refreshes it is found out
    repo.write("b", "the user's own change\n")
    repo.write("untracked")
    before = repo.fingerprint()
    git = repo.git()

    found = await discover(git, str(repo.path))
    assert len((await look(git)).files) == 2
    target = await find_target(git, found.branch)
    worktrees = Worktrees(git, tmp_path / "git.lock")
    forge = await open_forge(found, git, tmp_path / "git.lock", tmp_path / "bench")
    objects = forge.objects
    session = await worktrees.add(str(tmp_path / "session"), found.head, "prodigy-session")
    slot = await worktrees.add(str(tmp_path / "slot"), found.head)
    await worktrees.detach(session)
    known = await branches(git)
    for number in range(AGENTS):
        branch = f"prodigy-agent-{number}"
        await worktrees.reset(slot, found.head, branch)
        at = git.inside(slot.path)
        repo.other(slot.path).write(f"result-{number}", "done\n")
        head = await evidence.auto_commit(at, f"item {number}")
        assert await objects.files_changed(found.head, head) == [f"result-{number}"]
        repo.other(slot.path)("checkout", "--quiet", "-b", f"stray-{number}")
        repo.other(slot.path).write("half-done")
        assert await rescue(at, f"refs/prodigy/rescue/job/{number}/1", found.head, "m")
        repo.other(slot.path)("checkout", "--quiet", branch)
        assert (
            len(
                await rescue_strays(
                    at, [*known, *worktrees_own(number)], None, f"refs/prodigy/strays/{number}"
                )
            )
            == 1
        )
        done = await merge(forge, "refs/heads/prodigy-session", head, "m")
        assert isinstance(done, Merged)
    await worktrees.sync(session, "prodigy-session")
    assert repo.fingerprint() == before

    tip = await evidence.head(git.inside(session.path))
    await worktrees.remove(slot.path, await worktrees.branches("prodigy-agent-"))
    await worktrees.remove(session.path, ["prodigy-session"])
    assert repo.fingerprint() == before
    assert await branches(git) == {"main": found.head}

    await merge_into(forge, tip, target.branch, "m")
    assert sorted(file.name for file in repo.path.glob("result-*")) == [
        f"result-{number}" for number in range(AGENTS)
    ]
    assert (repo.path / "b").read_text() == "the user's own change\n"
    repo("fsck", "--strict")


def worktrees_own(number: int) -> list[str]:
    """The branches that the slot has been leased with so far."""
    return [f"prodigy-agent-{earlier}" for earlier in range(number + 1)]
