"""What users and other gits do to a repository while agents work: nothing is lost, and nothing of the user's changes."""

from pathlib import Path
from typing import Any

import pytest
from worlds import World

FLOW = """
mode: mapreduce
map:
  input: [a, b, c]
  max_parallel: 1
  agent_template:
    - shell: |
        if [ ${item} = b ]; then
          MISCHIEF
        fi
        echo ${item} > ${item}.txt
reduce:
  - shell: cat a.txt b.txt c.txt > all.txt
"""
SESSION = "$(git branch --list 'prodigy-session-*' --format='%(refname:short)')"


def run(world: World, mischief: str) -> Any:
    """Three agents, one after the other, of which the second does something to the repository."""
    before = world.checkout_digest()
    done = world.prodigy("run", world.workflow(FLOW.replace("MISCHIEF", mischief)), "--no-merge")
    assert world.checkout_digest() == before
    return done


def merged(world: World) -> str:
    """What reduce made of all items, on the session branch."""
    [session] = world.json("worktree", "ls")["sessions"]
    return world.git("show", f"{session['branch_name']}:all.txt")


def mischiefs(world: World) -> dict[str, str]:
    git = f"git -C {world.repository}"
    return {
        "session worktree deleted": f"rm -rf {world.home}/worktrees/*/session-*",
        "session branch checked out by the user": f"{git} worktree add -q -f {world.folder}/mine {SESSION}",
        "housekeeping": f"{git} gc -q --prune=now; {git} worktree prune; {git} fetch -q .; {git} pack-refs --all",
        "locks of the user's": f"touch {world.repository}/.git/index.lock",
        "the target moves": f"{git} update-ref refs/heads/main"
        f" $({git} commit-tree -p main -m mine 'main^{{tree}}')",
    }


@pytest.mark.parametrize(
    "name",
    [
        "session worktree deleted",
        "session branch checked out by the user",
        "housekeeping",
        "locks of the user's",
        "the target moves",
    ],
)
def test_the_run_ends_well_all_the_same(world: World, name: str) -> None:
    done = run(world, mischiefs(world)[name])
    assert done.returncode == 0, done.stderr
    assert merged(world).split() == ["a", "b", "c"]
    (world.repository / ".git/index.lock").unlink(missing_ok=True)
    if (world.folder / "mine").exists():
        world.git("worktree", "remove", "--force", str(world.folder / "mine"))
    assert world.prodigy("worktree", "merge", "latest", "-y").returncode == 0
    assert (world.repository / "all.txt").exists()
    assert world.leftovers() == []


def test_git_collects_no_garbage_while_a_run_works(world: World) -> None:
    """What it would delete may be needed the moment after it was found to be garbage."""
    done = run(world, f"git -C {world.repository} gc --prune=now 2>&1 | grep -q 'already running' || exit 1")
    assert done.returncode == 0, done.stderr
    assert world.events("agent_failed") == []
    assert not (world.repository / ".git/gc.pid").exists()
    world.git("gc", "--quiet", "--prune=now")
    assert merged(world).split() == ["a", "b", "c"]


def test_a_worktree_deleted_under_its_agent_fails_that_agent_alone(world: World) -> None:
    """Its folder goes with all it holds; the slot is made anew for the next one."""
    done = run(world, 'rm -rf "$PWD"; exit 1')
    assert done.returncode == 1
    assert "all.txt" not in world.git("ls-tree", "--name-only", "HEAD").split()
    [letter] = world.json("dlq", "list")["items"]
    assert letter["text"] == "b"
    [session] = world.json("worktree", "ls")["sessions"]
    assert {"a.txt", "c.txt"} <= set(world.git("ls-tree", "--name-only", session["branch_name"]).split())


def test_a_lock_that_stays_on_the_session_branch_is_told_and_can_be_gone_on_from(world: World) -> None:
    """No merge can be made; the work waits under refs, and a retry takes it from there once the lock is gone."""
    heads = world.repository / ".git/refs/heads"
    flag = world.folder / "once"
    done = run(world, f"test -e {flag} || {{ touch {flag}; touch {heads}/{SESSION}.lock; }}")
    assert done.returncode == 1
    assert "error: step-failed" in done.stderr or "error: git-failed" in done.stderr
    [lock] = heads.glob("*.lock")
    for event in world.events("worktree_rescued"):
        assert world.git("cat-file", "-t", event["ref"]) == "commit"
    Path(lock).unlink()
    for _ in range(3):
        status = world.json("status")
        unfinished = [*status["resumable"], *status["waiting"]]
        if not unfinished:
            break
        verb = ("dlq", "retry") if unfinished[0]["dlq_count"] else ("resume",)
        world.prodigy(*verb, "latest", "--no-merge")
    assert world.json("status")["resumable"] == []
    assert merged(world).split() == ["a", "b", "c"]


_SPOILED = """
mode: mapreduce
map:
  input: [gone, garbled]
  item_id: "${item}"
  agent_template:
    - shell: echo ${item} > ${item}.txt
    - when: "${item} == 'gone'"
      shell: test -e "$HEALED" || rm -r "$PWD"
    - when: "${item} == 'garbled'"
      shell: test -e "$HEALED" || echo nonsense > .git
"""


def test_agents_that_spoil_their_worktrees_lose_nothing_and_can_be_tried_again(world: World) -> None:
    """What they had committed is kept, they alone are to blame, and a retry is in nobody's way."""
    world.environ["HEALED"] = str(world.folder / "healed")
    failed = world.prodigy("run", world.workflow(_SPOILED), "--no-merge")
    assert failed.returncode == 1
    letters = {letter["item_id"]: letter for letter in world.json("dlq", "show", "latest")["items"]}
    errors = {name: letter["failure_history"][0] for name, letter in letters.items()}
    assert {error["error_type"] for error in errors.values()} == {"worktree-error"}
    assert "Its worktree is gone" in errors["gone"]["error_message"]
    assert "could not be rescued and stays in" in errors["garbled"]["error_message"]
    assert world.git("show", f"{errors['gone']['rescue_ref']}:gone.txt") == "gone"
    (world.folder / "healed").touch()
    again = world.prodigy("dlq", "retry", "latest", "-y")
    assert again.returncode == 0, again.stderr
    assert world.git("show", "main:gone.txt") == "gone"
    assert world.git("show", "main:garbled.txt") == "garbled"
