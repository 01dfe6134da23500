"""What steps change beside their worktree, in what they share with the user: told, and undone where that is exact."""

import json
import signal
from pathlib import Path
from typing import Any

from worlds import PATIENCE, World, eventually


def changes(world: World) -> list[tuple[str, tuple[str, ...], bool]]:
    return [
        (event["what"], tuple(event["names"]), event.get("undone", False))
        for event in world.events("shared_state_changed")
    ]


def stash(world: World, text: str) -> None:
    """An entry of the user's own."""
    world.write("README.md", text)
    world.git("stash", "push", "--quiet", "--message", text)


def run(world: World, text: str) -> Any:
    done = world.prodigy("run", world.workflow(text), "-y")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_run_that_keeps_to_itself_tells_nothing(world: World) -> None:
    stash(world, "mine")
    before = world.checkout_digest()
    run(world, "map: {input: [a, b], agent_template: [{shell: 'echo > ${item}'}]}\nreduce: [{shell: ls}]\n")
    assert changes(world) == []
    assert world.git("stash", "list", "--format=%gs") == "On main: mine"
    assert before["README.md"] == world.checkout_digest()["README.md"]


def test_configuration_is_put_back(world: World) -> None:
    """Byte for byte, with the names of the settings told and not their values."""
    config = world.repository / ".git/config"
    before = config.read_bytes()
    script = "git config user.name Robot; git config --add remote.x.url https://user:hidden@host"
    done = run(world, f"commands:\n  - shell: {script}\n  - shell: test $(git config user.name) = Robot\n")
    assert config.read_bytes() == before
    names = ("remote.x.url", "user.name")
    assert changes(world) == [("config", names, False), ("config", names, True)]
    assert "user.name" in done.stdout + done.stderr
    assert "hidden" not in "".join(map(str, world.events("shared_state_changed")))


def test_configuration_stays_while_other_agents_may_count_on_it(world: World) -> None:
    """It is put back when the last of them has ended."""
    before = (world.repository / ".git/config").read_bytes()
    flag, journal = world.folder / "flag", f"{world.home}/events/*/*/events-*.jsonl"
    run(
        world,
        "map:\n  input: [sets, reads]\n  max_parallel: 2\n  agent_template:\n"
        "    - shell: |\n"
        f"        if test ${{item}} = sets; then git config a.b c; touch {flag}; fi\n"
        f"        until test -e {flag}; do sleep 0.02; done\n"
        f"    - shell: test ${{item}} = sets || until grep -q agent_completed {journal}; do sleep 0.02; done\n"
        "    - shell: git config a.b\n"
        "reduce: [{shell: '! git config a.b'}]\n",
    )
    assert (world.repository / ".git/config").read_bytes() == before
    assert world.events("agent_failed") == []
    told = changes(world)
    assert told[0] == ("config", ("a.b",), False)
    assert told[-1] == ("config", ("a.b",), True)


def test_what_an_agent_leaves_on_the_stash_is_kept_and_taken_off(world: World) -> None:
    """The user's own entries stay where they are."""
    stash(world, "mine")
    run(
        world,
        "map:\n  input: [a]\n  agent_template:\n"
        "    - shell: echo changed > README.md; git stash push --quiet; echo more > new.txt\n",
    )
    assert world.git("stash", "list", "--format=%gs") == "On main: mine"
    (changed,) = changes(world)
    assert (changed[0], changed[2]) == ("stash", True)
    (kept,) = world.events("worktree_rescued")
    assert world.git("show", f"{kept['ref']}:README.md") == "changed"


def test_what_a_step_takes_off_the_stash_is_put_back(world: World) -> None:
    """In its order, with its words."""
    for text in ("one", "two"):
        stash(world, text)
    before = world.git("stash", "list", "--format=%H %gs")
    run(world, "commands:\n  - shell: git stash drop -q; git stash pop -q; git checkout -q HEAD README.md\n")
    assert world.git("stash", "list", "--format=%H %gs") == before
    assert changes(world) == [("stash", ("On main: one",), True), ("stash", ("On main: two",), True)]


def test_foreign_refs_are_told(world: World) -> None:
    """They are left alone: the user moves them as well."""
    run(world, "commands:\n  - shell: git tag v1; git update-ref refs/heads/topic HEAD\n")
    assert changes(world) == [("refs", ("refs/heads/topic", "refs/tags/v1"), False)]
    assert world.git("rev-parse", "v1") == world.git("rev-parse", "main")


def test_branches_that_an_agent_made_move_to_rescue_refs(world: World) -> None:
    """Also the one that it stands on; its work is merged nevertheless."""
    run(
        world,
        "map:\n  input: [a]\n  agent_template:\n"
        "    - shell: git checkout -q -b aside; echo 1 > aside.txt; git add .; git commit -qm aside\n"
        "    - shell: git checkout -q -b mine HEAD~; echo 1 > mine.txt\n",
    )
    assert world.git("branch", "--format=%(refname:short)").split() == ["main"]
    kept = {event["ref"].rpartition("/")[2]: event["sha"] for event in world.events("worktree_rescued")}
    assert set(kept) == {"aside", "mine"}
    assert world.git("show", f"{kept['aside']}:aside.txt") == "1"
    assert "mine.txt" in world.git("ls-tree", "--name-only", "main").split()
    assert changes(world) == []


def test_agents_that_follow_each_other_in_a_worktree_take_nothing_for_their_own(world: World) -> None:
    """Where an earlier agent stood is no branch that the next one made."""
    run(world, "map: {input: [a, b, c], max_parallel: 1, agent_template: [{shell: 'echo > ${item}'}]}\n")
    assert world.events("worktree_rescued") == []
    assert changes(world) == []


def test_configuration_is_put_back_when_a_run_is_interrupted(world: World, tag: str) -> None:
    before = (world.repository / ".git/config").read_bytes()
    flag = world.folder / "flag"
    script = f"git config a.b c; touch {flag}; exec -a {tag} sleep 600"
    process = world.start("run", world.workflow(f"commands: [{{shell: {script!r}, shell_program: bash}}]\n"))
    eventually(flag.exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (world.repository / ".git/config").read_bytes() == before
    assert changes(world) == [("config", ("a.b",), True)]


def test_what_became_of_the_checkout_is_told_at_the_end(world: World) -> None:
    """A step works in the user's checkout in the place of its own: a file, the index, HEAD."""
    world.write("dirty.txt", "mine\n")
    here = world.repository
    script = f"cd {here}; echo leaked > .env; echo more >> dirty.txt; git add .env; git commit -q --allow-empty -m x --only; true"
    done = world.prodigy("run", world.workflow(f"- shell: '{script}'\n"), "--no-merge")
    assert done.returncode == 0, done.stderr
    [told] = [event for event in world.events("shared_state_changed") if event["what"] == "checkout"]
    assert told["names"] == ["HEAD", ".env", "dirty.txt"]
    assert "your checkout changed while the run ran: HEAD, .env, dirty.txt" in done.stderr


def test_a_checkout_that_stays_as_it_is_is_not_told(world: World) -> None:
    world.write("dirty.txt", "mine\n")
    before = world.checkout_digest()
    done = world.prodigy("run", world.workflow("- shell: echo new > dirty.txt\n"), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert world.events("shared_state_changed") == []
    assert world.checkout_digest() == before


def test_the_checkout_is_looked_at_when_a_run_begins_and_when_it_ends(world: World, tmp_path: Path) -> None:
    """And at no other time: that may take seconds where there are many files."""
    trace = tmp_path / "trace"
    trace.mkdir()
    world.environ["GIT_TRACE2_EVENT"] = str(trace)
    world.write("dirty.txt", "mine\n")
    done = world.prodigy("run", world.workflow("- shell: 'true'\n"), "--no-merge")
    assert done.returncode == 0, done.stderr
    assert "1 uncommitted file is not part of this run" in done.stderr
    records = [json.loads(line) for file in trace.iterdir() for line in file.read_text().splitlines()]
    looks = [
        record
        for record in records
        if record["event"] == "def_repo" and record["worktree"] == str(world.repository)
    ]
    by_process = {record["sid"] for record in looks}
    statuses = [
        record
        for record in records
        if record["event"] == "start" and record["sid"] in by_process and "status" in record["argv"]
    ]
    assert len(statuses) == 2
