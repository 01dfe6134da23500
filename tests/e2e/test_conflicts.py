"""What becomes of work that collides: resolved by Claude and checked, run again, or put into the dead letter queue."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from worlds import PATIENCE, World, eventually

FAKES = Path(__file__).parents[1] / "fakes"
COMMAND = ".claude/commands/prodigy-merge-worktree.md"
GOOD = (
    "{ git show HEAD:shared.txt; git show MERGE_HEAD:shared.txt; } | sort -u > both;"
    " mv both shared.txt; git add shared.txt; git commit -q --no-edit"
)
FLOW = """
name: clash
mode: mapreduce
grace: 200ms
{options}
map:
  input: {{list: [a, b]}}
  max_parallel: 2
  agent_template:
    - shell: echo ${{item}} > shared.txt
"""


def flow(world: World, options: str = "on_conflict: claude") -> str:
    return world.workflow(FLOW.format(options=options))


@pytest.fixture
def launches(world: World) -> Path:
    """A world whose Claude is the fake one; what it was launched with goes to this file."""
    log = world.folder / "claude.log"
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "FAKE_CLAUDE_LOG": str(log),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    world.write("shared.txt", "start\n")
    world.commit()
    return log


def resolver(world: World, *lines: str) -> None:
    """What Claude does when it is asked to resolve a conflict."""
    world.write(COMMAND, "".join(f"{line}\n" for line in lines))
    world.commit("how to resolve")


def launched(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def lines_of(world: World) -> list[str]:
    return sorted((world.repository / "shared.txt").read_text().split())


# -- resolved --------------------------------------------------------------------------------------------------------
def test_claude_resolves_and_both_sides_are_merged(world: World, launches: Path) -> None:
    resolver(world, "/cost 0.25", f"/sh {GOOD}")
    done = world.prodigy("run", flow(world), "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b"]
    [conflict] = world.events("merge_conflicted")
    assert (conflict["policy"], conflict["paths"]) == ("claude", ["shared.txt"])
    first, second = [event for event in world.events("worktree_merged") if event["what"] == "agent"]
    assert (first["strategy"], second["strategy"]) == ("fast-forward", "claude")
    [resolved] = world.events("conflict_resolved")
    assert world.git("rev-parse", f"{resolved['commit']}^1", f"{resolved['commit']}^2").split() == [
        resolved["onto"],
        resolved["source"],
    ]
    message = world.git("log", "-1", "--format=%B", resolved["commit"])
    item = conflict["item_id"]
    assert f"Prodigy-Item: {item}" in message
    assert "$0.25" in done.stderr
    [launch] = launched(launches)
    assert launch["prompt"].startswith("/prodigy-merge-worktree HEAD is what the workflow clash has merged")
    assert "shared.txt" in launch["prompt"]
    assert "conflict resolved" in done.stderr
    assert world.leftovers() == []


def test_where_the_repository_has_no_command_the_packaged_one_is_used(world: World, launches: Path) -> None:
    done = world.prodigy("run", flow(world), "-y")
    assert done.returncode == 0, done.stderr
    first, *_ = launched(launches)
    assert "# Resolve a merge" in first["prompt"]
    assert "Files in conflict: shared.txt." in first["prompt"]
    assert "$ARGUMENTS" not in first["prompt"]
    assert not first["prompt"].startswith("---")


def test_without_a_word_about_conflicts_a_workflow_with_claude_steps_has_claude_resolve_them(
    world: World, launches: Path
) -> None:
    resolver(world, f"/sh {GOOD}")
    done = world.prodigy("run", flow(world, 'on_failure: [{claude: "/say no"}]'), "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b"]
    assert len(world.events("conflict_resolved")) == 1


def test_several_conflicts_are_resolved_one_after_the_other(world: World, launches: Path) -> None:
    resolver(world, f"/sh {GOOD}")
    text = FLOW.format(options="on_conflict: claude").replace("[a, b]", "[a, b, c, d]")
    done = world.prodigy("run", world.workflow(text.replace("max_parallel: 2", "max_parallel: 4")), "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b", "c", "d"]
    assert len(launched(launches)) == 3
    assert world.leftovers() == []


# -- refused ---------------------------------------------------------------------------------------------------------
BAD = {
    "leaves markers": ("git add -A; git commit -q --no-edit", "conflict markers were left"),
    "moves markers elsewhere": (
        "git mv -f shared.txt other.txt; git add -A; git commit -q --no-edit",
        "conflict markers were left",
    ),
    "does not commit": ("echo both > shared.txt; git add -A", "the merge was not committed"),
    "commits one parent": (
        "echo both > shared.txt; git add -A; rm $(git rev-parse --git-path MERGE_HEAD); git commit -qm both",
        "not one merge of the two sides",
    ),
    "resets the branch": (
        "git reset -q --hard HEAD~1; git commit -q --allow-empty -m new",
        "does not descend",
    ),
    "leaves files": (f"{GOOD}; echo junk > junk.txt", "were left uncommitted"),
    "goes to a branch": (f"{GOOD}; git switch -q -c prodigy-elsewhere", "switched to the branch"),
    "moves a branch": (
        f"git branch -f side HEAD~1; {GOOD}",
        "a ref was moved beside the merge: refs/heads/side",
    ),
    "makes a branch": (
        f"{GOOD}; git branch elsewhere",
        "a ref was moved beside the merge: refs/heads/elsewhere",
    ),
    "gives up": ("git merge --abort", "the merge was not committed"),
    "crashes": ("kill -9 $PPID", "gave no result"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_a_good_merge_is_refused_and_the_item_is_run_again(
    world: World, launches: Path, what: str
) -> None:
    world.git("branch", "side")
    script, why = BAD[what]
    resolver(world, f"/sh {script}")
    done = world.prodigy("run", flow(world), "-y")
    assert done.returncode == 0, done.stderr
    [failed] = world.events("conflict_resolution_failed")
    assert why in failed["error"]["message"]
    assert failed["error"]["class"] == "merge-conflict"
    [again] = world.events("agent_retrying")
    assert (again["charged_to"], again["item_id"]) == ("conflict", failed["item_id"])
    [left] = lines_of(world)  # the second attempt began with the first item's work, and wrote over it
    assert left in "ab"
    assert "conflict stays" in done.stderr
    made = [event for event in world.events("worktree_rescued") if event.get("item_id") == failed["item_id"]]
    assert world.git("show", f"{made[0]['ref']}:shared.txt") == left
    assert set(world.leftovers()) <= {"prodigy-elsewhere"}


def test_a_resolution_that_verify_does_not_pass_is_not_merged(world: World, launches: Path) -> None:
    """One that drops a side looks like a good merge to git."""
    drop = "git checkout -q --ours shared.txt; git add -A; git commit -q --no-edit"
    resolver(world, f"/sh {drop}")
    verify = "on_conflict: claude\nverify: [{shell: grep -q a shared.txt && grep -q b shared.txt}]"
    done = world.prodigy("run", flow(world, verify), "--no-merge")
    assert done.returncode == 0, done.stderr
    [failed] = world.events("conflict_resolution_failed")
    assert "not resolved: Exited with 1" in failed["error"]["message"]
    assert failed["error"]["step"] == "1"
    assert failed["rescue_ref"].startswith("refs/prodigy/rescue/")
    assert world.events("conflict_resolved") == []


def test_a_resolution_that_keeps_both_sides_passes_verify(world: World, launches: Path) -> None:
    resolver(world, f"/sh {GOOD}")
    verify = (
        "on_conflict: claude\nverify: [{shell: grep -q a shared.txt && grep -q b shared.txt; touch junk}]"
    )
    done = world.prodigy("run", flow(world, verify), "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b"]


def test_claude_that_hangs_is_ended(world: World, launches: Path) -> None:
    resolver(world, "/hang")
    done = world.prodigy("run", flow(world, "on_conflict: claude\nidle_timeout: 1s"), "-y")
    assert done.returncode == 0, done.stderr
    [failed] = world.events("conflict_resolution_failed")
    assert "1 s" in failed["error"]["message"]
    assert len(world.events("agent_retrying")) == 1


def test_a_session_branch_that_claude_moved_goes_back(world: World, launches: Path) -> None:
    branch = "$(git for-each-ref --format='%(refname:short)' 'refs/heads/prodigy-session-*')"
    resolver(world, f"/sh {GOOD}; git commit -q --allow-empty -m sly; git branch -f {branch} HEAD")
    done = world.prodigy("run", flow(world), "-y")
    assert done.returncode == 0, done.stderr
    [failed] = world.events("conflict_resolution_failed")
    assert "was moved" in failed["error"]["message"] or "not one merge" in failed["error"]["message"]
    assert any(event["ref"].endswith("/-/moved") for event in world.events("worktree_rescued"))
    assert "sly" not in world.git("log", "--format=%s", "main")
    assert len(world.events("worktree_merged")) == 3


# -- the other policies ------------------------------------------------------------------------------------------------
def test_dlq_buries_what_collides(world: World, launches: Path) -> None:
    resolver(world, f"/sh {GOOD}")
    done = world.prodigy("run", flow(world, "on_conflict: dlq"), "-y")
    assert done.returncode == 0, done.stderr
    [letter] = world.json("dlq", "show", "latest")["items"]
    [attempt] = letter["failure_history"]
    assert attempt["error_type"] == "merge-conflict"
    assert world.git("show", f"{attempt['rescue_ref']}:shared.txt") == letter["item"]
    assert world.events("merge_conflicted")[0]["policy"] == "dlq"
    assert launched(launches) == []


def test_rerun_runs_the_item_once_more(world: World, launches: Path) -> None:
    resolver(world, f"/sh {GOOD}")
    done = world.prodigy("run", flow(world, "on_conflict: rerun"), "-y")
    assert done.returncode == 0, done.stderr
    assert world.events("merge_conflicted")[0]["policy"] == "rerun"
    assert [event["charged_to"] for event in world.events("agent_retrying")] == ["conflict"]
    assert launched(launches) == []
    assert len(world.git("for-each-ref", "refs/prodigy/rescue/").splitlines()) == 1


def test_work_that_collides_again_and_is_not_resolved_again_is_buried(world: World, launches: Path) -> None:
    """Each attempt collides with a commit that somebody makes on the session branch meanwhile."""
    resolver(world, "/error no idea")
    text = FLOW.format(options="on_conflict: claude").replace(
        "- shell: echo ${item} > shared.txt",
        '- shell: |\n        until [ $PRODIGY_ATTEMPT = 1 ] || [ ${item} = a ] || test -e "$GATE/$PRODIGY_ITEM_INDEX"; do sleep 0.02; done\n        echo ${item}-$PRODIGY_ATTEMPT > shared.txt',
    )
    text = text.replace("[a, b]", "[a, b, c]").replace("max_parallel: 2", "max_parallel: 3")
    gate = world.folder / "gate"
    gate.mkdir()
    world.environ["GATE"] = str(gate)
    process = world.start("run", world.workflow(text), "-y")
    eventually(lambda: world.journals() and len(world.events("agent_retrying")) >= 1)
    for index in (0, 1, 2):
        (gate / str(index)).touch()
    _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    for event in world.events("conflict_resolution_failed"):
        assert "Claude failed: no idea" in event["error"]["message"]
    merged = [event for event in world.events("worktree_merged") if event["what"] == "agent"]
    assert len(merged) + len(world.events("dlq_item_added")) == 3


# -- foretold --------------------------------------------------------------------------------------------------------
AHEAD = """
name: ahead
mode: mapreduce
map:
  input: [a, b]
  max_parallel: 2
  agent_template:
    - shell: echo ${item} > shared.txt
    - shell: test ${item} = a || until test -e "$GATE/1"; do sleep 0.02; done
    - shell: test ${item} = a || echo a > shared.txt
    - shell: test ${item} = a || until test -e "$GATE/2"; do sleep 0.02; done
on_conflict: dlq
"""


def test_an_agent_at_work_is_told_that_it_collides_and_that_it_does_no_more(
    world: World, launches: Path
) -> None:
    """The second item is held until the first one is merged; then it makes the same change."""
    gate = world.folder / "gate"
    gate.mkdir()
    world.environ["GATE"] = str(gate)
    process = world.start("run", world.workflow(AHEAD), "--no-merge", "-v")
    try:
        eventually(lambda: world.journals() and world.events("conflict_foreseen"))
        (gate / "1").touch()
        eventually(lambda: len(world.events("conflict_foreseen")) > 1)
    finally:
        (gate / "1").touch()
        (gate / "2").touch()
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    ahead, gone = world.events("conflict_foreseen")
    [first, _] = world.events("worktree_merged")
    assert (ahead["paths"], ahead["onto"]) == (["shared.txt"], first["new"])
    assert ahead["item_id"] == gone["item_id"] != first["item_id"]
    assert world.git("log", "-1", "--format=%s", ahead["source"])
    assert "paths" not in gone
    assert "conflict ahead between b, which is at work, and" in told
    assert "conflict gone" in told
    assert world.events("merge_conflicted") == []


# -- interruptions -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_cut_off_while_claude_resolves_goes_on(
    world: World, launches: Path, how: signal.Signals
) -> None:
    gate = world.folder / "gate"
    resolver(world, f"/sh {GOOD}; touch {gate}-reached; test -e {gate} || sleep 600")
    process = world.start("run", flow(world), "-y")
    eventually(lambda: Path(f"{gate}-reached").exists())
    os.kill(process.pid, how)
    process.communicate(timeout=PATIENCE)
    world.at_rest()
    assert world.git("log", "-1", "--format=%s", "main") == "how to resolve"
    gate.touch()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b"]
    assert len(world.events("conflict_resolution_started")) == 2
    merged = [event["item_id"] for event in world.events("worktree_merged") if event["what"] == "agent"]
    assert len(merged) == len(set(merged)) == 2
    assert any("interrupted" in event["reason"] for event in world.events("worktree_rescued"))
    assert world.leftovers() == []


def test_a_recorded_resolution_is_not_paid_for_twice(world: World, launches: Path) -> None:
    """Killed while the result is verified: Claude's work is recorded, and still stands."""
    gate = world.folder / "gate"
    resolver(world, f"/sh {GOOD}")
    wait = f"touch {gate}-reached; test -e {gate} || sleep 600"
    process = world.start("run", flow(world, f"on_conflict: claude\nverify: [{{shell: '{wait}'}}]"), "-y")
    eventually(lambda: Path(f"{gate}-reached").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    world.at_rest()
    gate.touch()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert lines_of(world) == ["a", "b"]
    assert len(launched(launches)) == 1
    assert len(world.events("conflict_resolved")) == 1
    assert world.leftovers() == []
