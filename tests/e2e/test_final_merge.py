"""The final merge cannot surprise: whatever became of the target meanwhile, the user's tree is merged into or untouched."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from worlds import PATIENCE, World, eventually

FAKES = Path(__file__).parents[1] / "fakes"
PLAIN = "- shell: echo run > work.txt\n"
THEN = 'commands: [{{shell: echo run > work.txt}}, {{shell: "{script}", auto_commit: false}}]\n'


def after(world: World, script: str, more: str = "") -> str:
    """A workflow that does something to the user's repository when its work is done."""
    world.environ["REPO"] = str(world.repository)
    return world.workflow(THEN.format(script=script) + more)


def merged(world: World, branch: str = "main") -> bool:
    return "work.txt" in world.git("ls-tree", "--name-only", branch).split()


def session(world: World) -> str:
    return world.events("job_started")[0]["session_id"]  # type: ignore[no-any-return]


def refused(world: World, code: str, *words: str) -> str:
    """A run whose merge is refused: the checkout is byte for byte as it was, and the work waits."""
    before, head = world.checkout_digest(), world.git("rev-parse", "HEAD")
    done = world.prodigy("run", *words, "-y")
    assert done.returncode == 1, done.stderr
    assert f"error: {code}" in done.stderr
    assert (world.checkout_digest(), world.git("rev-parse", "HEAD")) == (before, head)
    assert world.git("show", f"prodigy-{session(world)}:work.txt") == "run"
    return done.stderr


# -- the target --------------------------------------------------------------------------------------------------------
def test_a_target_that_moved_gets_a_merge_commit(world: World) -> None:
    flow = after(world, "git -C $REPO commit -q --allow-empty -m theirs")
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 0, done.stderr
    assert merged(world)
    assert len(world.git("log", "-1", "--format=%P").split()) == 2
    assert "Prodigy-Job: " in world.git("log", "-1", "--format=%B")
    assert (world.git("status", "--porcelain"), world.leftovers()) == ("", [])


def test_a_target_that_was_deleted_has_a_stand_in(world: World) -> None:
    world.git("switch", "-q", "-c", "feature")
    flow = after(world, "git -C $REPO switch -q main; git -C $REPO branch -q -D feature")
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 0, done.stderr
    assert merged(world)
    [event] = [event for event in world.events("worktree_merged") if event["what"] == "final"]
    assert event["target_branch"] == "main"
    assert world.git("for-each-ref", "refs/prodigy") == "", "what is merged needs no rescue"


def test_a_feature_branch_is_merged_into_and_no_other(world: World) -> None:
    world.git("switch", "-q", "-c", "feature")
    done = world.prodigy("run", world.workflow(PLAIN), "-y")
    assert done.returncode == 0, done.stderr
    assert (merged(world, "feature"), merged(world)) == (True, False)


def test_from_a_detached_head_the_default_branch_is_merged_into(world: World) -> None:
    world.git("switch", "-q", "--detach")
    before = world.checkout_digest()
    done = world.prodigy("run", world.workflow(PLAIN), "-y")
    assert done.returncode == 0, done.stderr
    assert merged(world)
    assert world.checkout_digest() == before


def test_changes_elsewhere_in_the_checkout_stay(world: World) -> None:
    world.write("README.md", "mine\n")
    world.write("scrap.txt", "mine\n")
    done = world.prodigy("run", world.workflow(PLAIN), "-y")
    assert done.returncode == 0, done.stderr
    assert merged(world)
    assert world.git("status", "--porcelain").splitlines() == ["M README.md", "?? scrap.txt"]


@pytest.mark.parametrize("tracked", [True, False])
def test_changes_where_the_merge_would_write_refuse_it(world: World, tracked: bool) -> None:
    if tracked:
        world.write("work.txt", "before\n")
        world.commit()
    world.write("work.txt", "mine\n")
    refused(world, "local-changes", world.workflow(PLAIN))
    world.git("checkout", "-q", "work.txt") if tracked else (world.repository / "work.txt").unlink()
    assert world.prodigy("worktree", "merge", "-y").returncode == 0
    assert (merged(world), world.leftovers()) == (True, [])


def test_a_merge_by_steps_is_refused_at_once_on_a_machine_without_room(world: World) -> None:
    """Nobody would see what it waits for; the merge can be asked for again."""
    flow = world.workflow("commands: [{shell: echo run > work.txt}]\nmerge: [{shell: echo ok > ok.txt}]\n")
    assert world.prodigy("run", flow, "--no-merge").returncode == 0
    world.environ["PRODIGY__HOST__MIN_FREE_MEMORY"] = "100000GiB"
    done = world.prodigy("worktree", "merge", "-y")
    assert done.returncode == 1
    assert "too little memory for another agent" in done.stderr
    assert "`host.min_free_memory`" in done.stderr
    assert (merged(world), world.events("host_short")) == (False, [])
    world.environ["PRODIGY__HOST__MIN_FREE_MEMORY"] = "0"
    assert world.prodigy("worktree", "merge", "-y").returncode == 0
    assert merged(world)
    assert "ok.txt" in world.git("ls-tree", "--name-only", "main")


def test_a_target_in_another_worktree_is_merged_there_or_not_at_all(world: World) -> None:
    world.write("work.txt", "before\n")
    world.commit()
    other = world.folder / "other"
    flow = after(
        world,
        f"git -C $REPO switch -q -c aside; git -C $REPO worktree add -q {other} main; echo mine > {other}/work.txt",
    )
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 1
    assert "error: local-changes" in done.stderr
    assert str(other) in done.stderr
    assert (other / "work.txt").read_text() == "mine\n"
    subprocess.run(["git", "checkout", "-q", "work.txt"], cwd=other, env=world.environ, check=True)
    assert world.prodigy("worktree", "merge", "-y").returncode == 0
    assert (other / "work.txt").read_text() == "run\n"
    assert world.git("branch", "--show-current") == "aside"


def test_a_held_index_refuses_the_merge_and_says_so(world: World) -> None:
    lock = world.repository / ".git/index.lock"
    lock.touch()
    told = refused(world, "merge-failed", world.workflow(PLAIN))
    assert "index.lock" in told
    lock.unlink()
    assert world.prodigy("worktree", "merge", "-y").returncode == 0
    assert merged(world)


def test_without_a_terminal_nothing_is_merged_and_the_command_is_told(world: World) -> None:
    before = world.checkout_digest()
    done = world.prodigy("run", world.workflow(PLAIN))
    assert done.returncode == 0
    assert "prodigy worktree merge" in done.stdout
    assert world.events("merge_prompted")[0]["answer"] == "no-tty"
    assert world.checkout_digest() == before


MANY = """
mode: mapreduce
map:
  input: [a, b, c]
  max_parallel: 2
  agent_template:
    - shell: echo ${item} > ${item}.txt
reduce:
  - shell: cat ?.txt > all.txt
"""


def test_where_nothing_is_merged_yet_one_branch_and_one_worktree_stay(world: World) -> None:
    done = world.prodigy("run", world.workflow(MANY))
    assert done.returncode == 0, done.stderr
    branch, worktree, folder = world.leftovers()
    assert branch.startswith("prodigy-session-")
    assert worktree == "worktree"
    assert Path(folder).name == branch.removeprefix("prodigy-")
    assert world.prodigy("worktree", "merge", "-y").returncode == 0
    assert world.leftovers() == []
    assert world.git("show", "main:all.txt").split() == ["a", "b", "c"]


def test_what_failed_meanwhile_is_tried_again_in_new_worktrees(world: World) -> None:
    flow = MANY.replace(
        "echo ${item} >", f"test ${{item}} != b -o -e {world.folder}/healed && echo ${{item}} >"
    )
    done = world.prodigy("run", world.workflow(flow))
    assert done.returncode == 0, done.stderr
    assert not [name for name in world.leftovers() if "agent" in name or ".pool" in name]
    (world.folder / "healed").touch()
    assert world.prodigy("dlq", "retry", "latest", "--reduce", "-y").returncode == 0
    assert world.leftovers() == []
    assert world.git("show", "main:all.txt").split() == ["a", "b", "c"]


# -- conflicts ---------------------------------------------------------------------------------------------------------
CLASH = "cd $REPO; echo theirs > work.txt; git add work.txt; git commit -q -m theirs"


def test_a_conflict_is_a_clear_error(world: World) -> None:
    flow = after(world, CLASH)
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 1
    assert "error: merge-conflict" in done.stderr
    assert "work.txt" in done.stderr
    assert (world.repository / "work.txt").read_text() == "theirs\n"
    assert world.git("status", "--porcelain") == ""


def clashing(world: World, *lines: str) -> str:
    world.environ |= {
        "PATH": f"{FAKES}:{world.environ['PATH']}",
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
        "FAKE_CLAUDE_LOG": str(world.folder / "claude.log"),
    }
    world.write(".claude/commands/prodigy-merge-worktree.md", "".join(f"{line}\n" for line in lines))
    world.commit("how to resolve")
    return after(
        world,
        CLASH,
        "on_conflict: claude\nverify: [{shell: grep -q theirs work.txt && grep -q run work.txt}]\n",
    )


GOOD = "printf 'run\\ntheirs\\n' > work.txt; git add work.txt; git commit -q --no-edit"


def test_claude_resolves_a_conflict_with_the_target(world: World) -> None:
    done = world.prodigy("run", clashing(world, f"/sh {GOOD}"), "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "work.txt").read_text() == "run\ntheirs\n"
    [resolved] = world.events("conflict_resolved")
    assert (resolved["what"], world.git("rev-parse", "main")) == ("final", resolved["commit"])
    assert world.git("log", "-1", "--format=%s", "main^1") == "theirs"
    assert (world.git("status", "--porcelain"), world.leftovers()) == ("", [])


def test_what_claude_does_not_resolve_is_not_merged_and_can_be_tried_again(world: World) -> None:
    flow = clashing(world, "/sh git add -A; git commit -q --no-edit")
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 1
    assert "error: merge-conflict" in done.stderr
    assert "conflict markers were left: work.txt" in done.stderr
    assert (world.repository / "work.txt").read_text() == "theirs\n"
    world.write(".claude/commands/prodigy-merge-worktree.md", f"/sh {GOOD}\n")
    world.commit("a better way")
    done = world.prodigy("worktree", "merge", "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "work.txt").read_text() == "run\ntheirs\n"
    assert world.leftovers() == []


# -- merge steps and verify --------------------------------------------------------------------------------------------
def test_merge_steps_that_merge_themselves(world: World) -> None:
    steps = "merge: [{shell: git -C $REPO merge -q --no-ff -m mine $PRODIGY_MERGE_SOURCE}]\n"
    done = world.prodigy("run", after(world, "true", steps), "-y")
    assert done.returncode == 0, done.stderr
    assert world.git("log", "-1", "--format=%s") == "mine"
    assert world.events("worktree_merged")[-1]["strategy"] == "already"


def test_merge_steps_that_check_out_another_branch_change_nothing_about_the_merge(world: World) -> None:
    steps = "merge: [{shell: git switch -q -c prodigy-aside, auto_commit: false}]\n"
    done = world.prodigy("run", after(world, "true", steps), "-y")
    assert done.returncode == 0, done.stderr
    assert merged(world)
    assert world.git("worktree", "list", "--porcelain").count("worktree ") == 1


@pytest.mark.parametrize("part", ["merge", "verify"])
def test_a_step_that_fails_before_the_merge_prevents_it(world: World, part: str) -> None:
    told = refused(world, "merge-failed", after(world, "true", f"{part}: [{{shell: exit 3}}]\n"))
    assert "Nothing was merged" in told


@pytest.mark.parametrize("where", ["a step", "a hook"])
def test_the_merge_has_a_time_limit(world: World, where: str, tag: str) -> None:
    """``merge.timeout`` holds for the steps, and for what git and the user's hooks do after them."""
    script = f"exec -a {tag} sleep 600"
    step = script if where == "a step" else "true"
    hook = world.repository / ".git/hooks/pre-merge-commit"
    hook.write_text(f"#!/bin/bash\n{script if where == 'a hook' else ''}\n")
    hook.chmod(0o755)
    block = f'merge: {{timeout: 4s, commands: [{{shell: "bash -c \\"{step}\\""}}]}}\n'
    before = world.checkout_digest()
    flow = after(world, "git -C $REPO commit -q --allow-empty -m theirs", f"grace: 100ms\n{block}")
    done = world.prodigy("run", flow, "-y")
    assert done.returncode == 1, done.stderr
    assert "4 s" in done.stderr
    assert "error: merge-failed" in done.stderr
    assert (merged(world), world.checkout_digest().keys()) == (False, before.keys())
    assert world.git("status", "--porcelain") == ""
    assert world.events("merge_failed" if where == "a hook" else "phase_failed")
    hook.unlink()


def test_the_time_limit_of_a_merge_can_be_a_reference(world: World, tag: str) -> None:
    """For git and hooks as for the steps; without steps it is configured."""
    hook = world.repository / ".git/hooks/pre-merge-commit"
    hook.write_text(f"#!/bin/bash\nexec -a {tag} sleep 600\n")
    hook.chmod(0o755)
    block = 'grace: 100ms\nmerge: {timeout: "${LIMIT}", commands: [{shell: "true"}]}\n'
    flow = after(world, "git -C $REPO commit -q --allow-empty -m theirs", f"env: {{LIMIT: 3200ms}}\n{block}")
    done = world.prodigy("run", flow, "-y")
    assert "still ran after 3.2 s" in done.stderr
    world.environ["PRODIGY__MERGE__TIMEOUT"] = "3100ms"
    flow = after(world, "git -C $REPO commit -q --allow-empty -m theirs", "grace: 100ms\n")
    assert "still ran after 3.1 s" in world.prodigy("run", flow, "-y").stderr


def test_ctrl_c_while_merge_steps_run_leaves_the_target_and_a_resume_goes_on(world: World) -> None:
    gate = world.folder / "gate"
    wait = f"echo once >> {world.folder}/log; touch {gate}-reached; test -e {gate} || sleep 600"
    process = world.start("run", after(world, "true", f"grace: 200ms\nmerge: [{{shell: '{wait}'}}]\n"), "-y")
    eventually(lambda: Path(f"{gate}-reached").exists())
    before = world.checkout_digest()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (world.checkout_digest(), merged(world)) == (before, False)
    gate.touch()
    done = world.prodigy("resume", "-y")
    assert done.returncode == 0, done.stderr
    assert (merged(world), world.leftovers()) == (True, [])


# -- a merge that is killed --------------------------------------------------------------------------------------------
HOOK = b"pre-merge-commit"


def merge_pids(world: World) -> list[int]:
    """Git's own processes, and those of its hook, which becomes a `sleep 600`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                here = (entry / "cwd").readlink() == world.repository
            except OSError:
                continue
            if here and (words[:1] == [b"sleep"] or b"merge" in words or any(HOOK in word for word in words)):
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("again", [["resume", "-y"], ["worktree", "merge", "-y"]], ids=["resume", "merge"])
def test_a_merge_that_was_killed_in_the_checkout_is_noticed_and_made_anew(
    world: World, again: list[str]
) -> None:
    """Killed while a hook of the user's ran: files and index hold the merge, and git has no note of it."""
    reached = world.folder / "reached"
    flow = after(world, "git -C $REPO commit -q --allow-empty -m theirs")
    hook = world.repository / ".git/hooks/pre-merge-commit"
    hook.write_text(f"#!/bin/sh\ntouch {reached}\nexec sleep 600\n")
    hook.chmod(0o755)
    world.write("README.md", "mine\n")
    process = world.start("run", flow, "-y")
    eventually(reached.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    for pid in merge_pids(world):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not merge_pids(world))
    assert "work.txt" in world.git("diff", "--cached", "--name-only")
    hook.unlink()
    done = world.prodigy(*again)
    assert done.returncode == 0, done.stderr
    assert merged(world)
    assert len(world.git("log", "-1", "--format=%P").split()) == 2
    assert world.git("status", "--porcelain") == "M README.md"
    assert world.leftovers() == []
