"""`worktree ls|merge|clean`: what a run left is shown, merged, removed, and never lost."""

import pytest
from worlds import World

PLAIN = "- shell: echo new > new.txt\n"
FAILING = "- shell: echo precious > precious.txt\n- shell: 'false'\n"


def test_merge_by_tail_prefix_and_latest(world: World) -> None:
    assert world.prodigy("run", world.workflow(PLAIN), "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    tail = session["session_id"][-6:]
    asked = world.prodigy("worktree", "merge", tail)
    assert asked.returncode == 0
    assert "declined" in asked.stdout
    done = world.prodigy("worktree", "merge", tail, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "new.txt").exists()
    assert world.leftovers() == []
    assert world.json("worktree", "merge", tail)["merges"][0]["result"] == "nothing"


def test_several_sessions_need_a_name_or_all(world: World) -> None:
    for name in ("one", "two"):
        flow = world.workflow(f"- shell: echo {name} > {name}.txt\n", f"{name}.yml")
        assert world.prodigy("run", flow, "--no-merge").returncode == 0
    refused = world.prodigy("worktree", "merge", "-y")
    assert refused.returncode == 2
    assert "ambiguous-run" in refused.stderr
    done = world.prodigy("worktree", "merge", "--all", "-y")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in world.repository.glob("*.txt")} == {"one.txt", "two.txt"}
    assert world.leftovers() == []


def test_a_conflict_leaves_everything_as_it_was_and_says_how_to_go_on(world: World) -> None:
    assert (
        world.prodigy("run", world.workflow("- shell: echo ours > README.md\n"), "--no-merge").returncode == 0
    )
    world.write("README.md", "theirs\n")
    world.commit()
    before = world.checkout_digest()
    done = world.prodigy("worktree", "merge", "latest", "-y")
    assert done.returncode == 1
    assert "merge-conflict" in done.stderr
    assert world.checkout_digest() == before
    assert world.git("status", "--porcelain") == ""
    assert len(world.json("worktree", "ls")["sessions"]) == 1


def test_local_changes_in_the_way_are_not_overwritten(world: World) -> None:
    assert (
        world.prodigy("run", world.workflow("- shell: echo ours > README.md\n"), "--no-merge").returncode == 0
    )
    world.write("README.md", "not committed\n")
    done = world.prodigy("worktree", "merge", "latest", "-y")
    assert done.returncode == 1
    assert "local-changes" in done.stderr
    assert (world.repository / "README.md").read_text() == "not committed\n"


def test_an_unfinished_run_is_merged_only_by_force(world: World) -> None:
    assert world.prodigy("run", world.workflow(FAILING)).returncode == 1
    refused = world.prodigy("worktree", "merge", "latest", "-y")
    assert refused.returncode == 2
    [session] = world.json("worktree", "ls")["sessions"]
    refused = world.prodigy("worktree", "merge", session["session_id"], "-y")
    assert "run-unfinished" in refused.stderr
    assert world.prodigy("worktree", "merge", session["session_id"], "-y", "--force").returncode == 0
    assert (world.repository / "precious.txt").exists()


@pytest.mark.parametrize("words", [(), ("latest",), ("--all",)])
def test_clean_never_removes_unmerged_work_unasked(world: World, words: tuple[str, ...]) -> None:
    assert world.prodigy("run", world.workflow(FAILING)).returncode == 1
    before = world.leftovers()
    done = world.prodigy("worktree", "clean", *words)
    assert done.returncode == (2 if words else 0)
    assert world.leftovers() == before


def test_even_forced_cleaning_keeps_the_work_under_a_ref(world: World) -> None:
    assert world.prodigy("run", world.workflow(FAILING)).returncode == 1
    dry = world.json("worktree", "clean", "latest", "-f", "--dry-run")
    assert dry["dry_run"] is True
    assert dry["bytes"] > 0
    assert world.leftovers() != []
    document = world.json("worktree", "clean", "latest", "-f")
    [removed] = document["removed"]
    [ref] = removed["rescue_refs"]
    assert world.git("show", f"{ref}:precious.txt") == "precious"
    assert world.leftovers() == []
    assert world.json("status")["resumable"] == []


def test_a_session_without_work_goes_without_a_question(world: World) -> None:
    assert world.prodigy("run", world.workflow("- shell: 'false'\n")).returncode == 1
    assert world.prodigy("worktree", "clean", "-f").returncode == 0
    assert world.leftovers() == []
