"""`worktree clean-orphaned`: what no journal claims goes, everything else stays, and no work is lost."""

import shutil
from pathlib import Path

from worlds import World

MAP = """
mode: mapreduce
map:
  input: ["a", "b"]
  agent_template:
    - shell: echo "${item}" > "${item}.txt"
"""


def unclaimed(world: World, *words: str) -> list[str]:
    return [one["what"] for one in world.json("worktree", "clean-orphaned", *words)["removed"]]


def orphaned(world: World) -> tuple[str, Path]:
    """A run whose journal somebody deleted; its session branch and worktree."""
    assert world.prodigy("run", world.workflow(MAP), "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    shutil.rmtree(world.journals()[-1].parent)
    return session["branch_name"], Path(session["worktree_path"])


def test_what_a_journal_claims_stays(world: World) -> None:
    """Session, branches and what they hold; slots that nobody leases any more are of no use to anyone."""
    assert world.prodigy("run", world.workflow(MAP), "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    before = world.git("for-each-ref")
    assert all("/.pool/" in path for path in unclaimed(world, "-f"))
    assert world.git("for-each-ref") == before
    assert Path(session["worktree_path"], "a.txt").exists()
    assert unclaimed(world, "-f") == []


def test_work_that_is_nowhere_else_is_asked_about_and_kept(world: World) -> None:
    branch, worktree = orphaned(world)
    (worktree / "loose.txt").write_text("not committed\n")
    before = world.leftovers()
    refused = world.prodigy("worktree", "clean-orphaned")
    assert refused.returncode == 2
    assert "confirmation-needed" in refused.stderr
    dry = world.json("worktree", "clean-orphaned", "--dry-run")
    assert {one["what"] for one in dry["removed"]} >= {branch, str(worktree)}
    assert dry["bytes"] > 0
    assert world.leftovers() == before
    document = world.json("worktree", "clean-orphaned", "-f")
    refs = {one["what"]: one["rescue_refs"] for one in document["removed"]}
    assert world.git("show", f"{refs[branch][0]}:a.txt") == "a"
    assert world.git("show", f"{refs[str(worktree)][0]}:loose.txt") == "not committed"
    assert world.leftovers() == []
    assert unclaimed(world, "-f") == []


def test_what_is_merged_needs_no_question(world: World) -> None:
    branch, _ = orphaned(world)
    world.git("merge", "--quiet", branch)
    done = world.prodigy("worktree", "clean-orphaned")
    assert done.returncode == 0, done.stderr
    assert world.leftovers() == []


def test_only_names_of_ours_and_only_the_run_that_is_meant(world: World) -> None:
    """Branches of the user, of other runs, and one that is checked out elsewhere stay."""
    branch, worktree = orphaned(world)
    kept = ["prodigy-feature", "prodigy-session-mine", f"{branch}-more", "prodigy-abc123-agent"]
    for name in kept:
        world.git("branch", name)
    held = "prodigy-zzzzzz-agent-1-1"
    world.git("worktree", "add", "--quiet", "-b", held, str(world.folder / "mine"))
    assert unclaimed(world, "-f", "qqqqqq") == []
    document = world.json("worktree", "clean-orphaned", "-f", branch)
    assert branch in {one["what"] for one in document["removed"]}
    document = world.json("worktree", "clean-orphaned", "-f")
    assert [one["what"] for one in document["kept"]] == [held]
    left = world.git("branch", "--list", "prodigy-*", "--format=%(refname:short)").split()
    assert sorted(left) == sorted([*kept, held])
    assert not worktree.exists()


def test_a_folder_that_git_has_forgotten_is_kept_as_a_tree(world: World) -> None:
    branch, worktree = orphaned(world)
    (worktree / "loose.txt").write_text("precious\n")
    link = (worktree / ".git").read_text().removeprefix("gitdir: ").strip()
    shutil.rmtree(link)
    document = world.json("worktree", "clean-orphaned", "-f")
    refs = {one["what"]: one["rescue_refs"] for one in document["removed"]}
    assert world.git("show", f"{refs[str(worktree)][0]}:loose.txt") == "precious"
    assert world.git("show", f"{refs[branch][0]}:b.txt") == "b"
    assert world.leftovers() == []


def test_a_registration_whose_folder_is_gone_is_taken_off_the_list(world: World) -> None:
    branch, worktree = orphaned(world)
    shutil.rmtree(worktree)
    assert set(unclaimed(world, "-f")) >= {branch, str(worktree)}
    assert world.leftovers() == []


def test_slots_that_no_agent_holds_are_orphans_of_a_run_that_ended(world: World) -> None:
    """A folder in the pool of a session that is still there, which its journal does not lease."""
    assert world.prodigy("run", world.workflow(MAP), "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    worktree = Path(session["worktree_path"])
    slot = worktree.parent / ".pool" / worktree.name / "slot-77"
    world.git("worktree", "add", "--quiet", "--detach", str(slot))
    (slot / "left.txt").write_text("left\n")
    document = world.json("worktree", "clean-orphaned", "-f")
    refs = {one["what"]: one["rescue_refs"] for one in document["removed"]}
    assert world.git("show", f"{refs[str(slot)][0]}:left.txt") == "left"
    assert not slot.exists()
    assert worktree.is_dir()
    assert world.prodigy("worktree", "merge", "latest", "-y").returncode == 0
    assert world.leftovers() == []
