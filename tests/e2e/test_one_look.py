"""An agent's worktree is looked at once when its steps have ended, and what that found is all that is made new again."""

import json
from pathlib import Path

import pytest
from worlds import World

ITEMS = ("one", "two", "three")
FLOW = """
mode: mapreduce
map:
  input: [one, two, three]
  max_parallel: 1
  agent_template:
    - shell: |
        set -e
        test "$(cat one.txt two.txt three.txt)" = "$(printf 'seed\\nseed\\nseed')"
        test -z "$(git status --porcelain --ignored)"
        echo ${item} > ${item}.txt
        echo ${item} > new-${item}.txt
        git add --all
        git commit --quiet --message ${item}
        echo noise > noise.log; mkdir -p empty/deep
"""


def gits(trace: Path) -> list[list[str]]:
    """The words of every git that was started."""
    events = (json.loads(line) for file in trace.iterdir() for line in file.read_text().splitlines())
    return [event["argv"] for event in events if event["event"] == "start"]


def run(world: World, trace: Path, flow: str, post_commit: str | None = None) -> list[list[str]]:
    """Run three agents, one after the other in one worktree; every git that was started."""
    for name in ITEMS:
        world.write(f"{name}.txt", "seed\n")
    world.write(".gitignore", "*.log\n")
    world.commit()
    if post_commit is not None:
        hook = world.repository / ".git/hooks/post-commit"
        hook.write_text(f"#!/bin/sh\n{post_commit}\n")
        hook.chmod(0o755)
    trace.mkdir()
    world.environ["GIT_TRACE2_EVENT"] = str(trace)
    done = world.prodigy("run", world.workflow(flow), "-y")
    assert done.returncode == 0, done.stderr
    for name in ITEMS:
        assert (world.repository / f"{name}.txt").read_text() == f"{name}\n"
    return gits(trace)


def test_what_one_look_found_serves_the_next_agent(world: World, tmp_path: Path) -> None:
    """No git writes files that nobody touched, and none goes through all files a second time."""
    started = run(world, tmp_path / "trace", FLOW)
    assert sum("diff-files" in words for words in started) == 3
    assert not [words for words in started if "checkout-index" in words]
    assert sum(words[-2:] == ["--", "noise.log"] for words in started) == 3, "only git knows what is ignored"


@pytest.mark.parametrize("until", ["agent", "run"])
def test_what_is_left_running_may_write_when_nobody_looks(world: World, tmp_path: Path, until: str) -> None:
    """Also when somebody else works there by then."""
    left = (
        f"""    - {{shell: sleep 600, detach: {until}, when: "${{item}} == 'one'"}}\n    - shell: 'true'\n"""
    )
    started = run(world, tmp_path / "trace", FLOW + left)
    assert sum("checkout-index" in words for words in started) == (1 if until == "agent" else 2)


OF_COMMITS = {
    "nothing": ("", None, 0),
    "a hook": ("", "echo hooked > three.txt", 2),
    "another configuration": ("env: {GIT_CONFIG_NOSYSTEM: '0'}\n", None, 2),
}


@pytest.mark.parametrize("how", OF_COMMITS)
def test_what_a_commit_may_have_written_is_looked_for(world: World, tmp_path: Path, how: str) -> None:
    """The commit of what a step left comes after the look; only where no program runs at it, nothing is written."""
    words, hook, times = OF_COMMITS[how]
    flow = f"{words}{FLOW}    - shell: echo more > more-${{item}}.txt\n"
    flow = flow.replace("git commit", "git -c core.hooksPath=/dev/null commit")
    started = run(world, tmp_path / "trace", flow, hook)
    assert sum("checkout-index" in words for words in started) == times
