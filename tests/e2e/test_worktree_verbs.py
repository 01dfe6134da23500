"""`worktree ls|merge|clean`: what a run left is shown, merged, removed, and never lost."""

import os
import signal
from pathlib import Path

import pytest
from worlds import World, eventually

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


def test_all_takes_unfinished_runs_by_force_alone(world: World) -> None:
    flow = world.workflow("- shell: echo one > one.txt\n", "one.yml")
    assert world.prodigy("run", flow, "--no-merge").returncode == 0
    assert world.prodigy("run", world.workflow(FAILING)).returncode == 1
    done = world.prodigy("worktree", "merge", "--all", "-y")
    assert done.returncode == 0, done.stderr
    assert not (world.repository / "precious.txt").exists()
    assert world.prodigy("worktree", "merge", "--all", "-y").stdout.startswith("No session waits")
    done = world.prodigy("worktree", "merge", "--all", "--force", "-y")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in world.repository.glob("*.txt")} == {"one.txt", "precious.txt"}
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


MAP = """
mode: mapreduce
map:
  input: ["a", "b"]
  max_parallel: 2
  agent_template:
    - shell: 'echo "${item}" > "${item}.txt"; echo $$ >> STARTED; sleep 300'
"""


def interrupted(world: World) -> str:
    """A run that was killed while two agents worked, with what they had not committed; its session."""
    running = world.start("run", world.workflow(MAP.replace("STARTED", str(world.folder / "started"))))
    eventually(
        lambda: (
            (world.folder / "started").exists() and len((world.folder / "started").read_text().split()) == 2
        )
    )
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    world.at_rest()
    [session] = world.json("worktree", "ls")["sessions"]
    return str(session["session_id"])


def test_what_agents_left_in_the_middle_goes_alone_and_is_kept(world: World) -> None:
    """`--mapreduce`: slots go, the session and its branch stay, and the run can still be gone on with."""
    session = interrupted(world)
    pool = next(world.home.glob("worktrees/*/.pool"))
    refused = world.prodigy("worktree", "clean", "--mapreduce")
    assert refused.returncode == 0
    assert "not merged" in refused.stdout
    assert pool.exists()
    document = world.json("worktree", "clean", "--mapreduce", "-f")
    [removed] = document["removed"]
    assert removed["what"] == session
    assert removed["bytes"] > 0
    assert not pool.exists()
    kept = {world.git("ls-tree", "--name-only", ref) for ref in removed["rescue_refs"]}
    assert kept == {"README.md\na.txt", "README.md\nb.txt"}
    [still] = world.json("worktree", "ls")["sessions"]
    assert Path(still["worktree_path"]).is_dir()
    assert world.json("status")["resumable"] != []


def test_details_are_measured(world: World) -> None:
    flow = world.workflow("- shell: echo $ARG > $ARG.txt\n")
    assert world.prodigy("run", flow, "--args", "one", "--no-merge").returncode == 0
    [plain] = world.json("worktree", "ls")["sessions"]
    assert (plain["ahead"], plain["dirty"], plain["bytes"], plain["slots"]) == (1, False, None, None)
    Path(plain["worktree_path"], "loose.txt").write_text("0123456789")
    [found] = world.json("worktree", "ls", "-d")["sessions"]
    assert found["dirty"] is True
    assert found["bytes"] > 10
    assert found["slots"] == []
    assert found["workflow_args"] == ["one"]
    assert found["total_steps"] == 1
    shown = world.prodigy("worktree", "ls", "-d").stdout
    assert "workflow.yml one" in " ".join(shown.split())
    world.git("merge", "--quiet", plain["branch_name"])
    assert world.json("worktree", "ls")["sessions"][0]["ahead"] == 0


def test_what_was_merged_by_hand_goes_without_a_question(world: World) -> None:
    assert world.prodigy("run", world.workflow(PLAIN), "--no-merge").returncode == 0
    [session] = world.json("worktree", "ls")["sessions"]
    assert world.json("worktree", "clean")["removed"] == []
    world.git("merge", "--quiet", session["branch_name"])
    assert [one["what"] for one in world.json("worktree", "clean", "--merged-only")["removed"]] == [
        session["session_id"]
    ]
    assert world.leftovers() == []


def test_clean_takes_only_what_is_old_enough_and_named(world: World) -> None:
    """`--older-than`, `--job-id`, and the old name of the verb."""
    for name in ("one", "two"):
        assert world.prodigy("run", world.workflow("- shell: 'false'\n", f"{name}.yml")).returncode == 1
    two, one = (session["session_id"] for session in world.json("worktree", "ls")["sessions"])
    assert world.json("worktree", "clean", "-f", "--older-than", "1d")["removed"] == []
    job = one.replace("session-", "workflow-")
    assert [gone["what"] for gone in world.json("worktree", "cleanup", "--job-id", job, "-f")["removed"]] == [
        one
    ]
    assert [left["session_id"] for left in world.json("worktree", "ls")["sessions"]] == [two]


def test_a_running_session_is_never_cleaned(world: World) -> None:
    flow = world.workflow(f"- shell: echo x > new.txt; touch {world.folder}/up; sleep 300\n")
    running = world.start("run", flow)
    try:
        eventually((world.folder / "up").exists)
        before = world.leftovers()
        for words in ((), ("--all", "-f"), ("latest", "-f"), ("--mapreduce", "-f")):
            assert world.json("worktree", "clean", *words)["removed"] == []
        assert world.json("worktree", "clean-orphaned", "-f")["removed"] == []
        assert world.leftovers() == before
    finally:
        os.kill(running.pid, signal.SIGTERM)
        running.communicate()


def test_one_session_that_cannot_be_cleaned_does_not_keep_the_others(world: World) -> None:
    for name in ("one", "two"):
        assert world.prodigy("run", world.workflow("- shell: 'false'\n", f"{name}.yml")).returncode == 1
    first, second = world.journals()
    lines = first.read_bytes().splitlines(keepends=True)
    first.write_bytes(lines[0] + b"{}\n" + b"".join(lines[2:]))
    document = world.json("worktree", "clean", "-f")
    assert [one["what"] for one in document["removed"]] == [
        second.parent.name.replace("workflow-", "session-")
    ]
    [kept] = document["kept"]
    assert kept["why"].startswith("journal-corrupt")
