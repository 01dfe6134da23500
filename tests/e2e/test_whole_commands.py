"""``exec``, ``batch`` and ``goal-seek``: runs without a workflow file."""

import json
import os
import signal

import pytest
from worlds import World, eventually


# -- exec ----------------------------------------------------------------------------------------------------------------
def test_stdout_is_what_the_command_printed(world: World) -> None:
    """Nothing in it is a reference; without a commit nothing is asked, merged or left."""
    done = world.prodigy("exec", "printf 'one\\ntwo %s' \"${HOME##*/} ${item}.\"")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "one\ntwo user .\n"
    assert "nothing to merge" in done.stderr
    assert world.leftovers() == []


def test_a_long_output_is_whole(world: World) -> None:
    """Beyond what is kept of it in memory."""
    done = world.prodigy("exec", "seq 1 30000")
    assert done.stdout.splitlines() == [str(number) for number in range(1, 30001)]


def test_what_claude_answers(world: World) -> None:
    play = world.workflow("otherwise: [{say: first}, {say: the answer}]", "play.yml")
    done = world.prodigy("exec", "/ask something", "--script", play)
    assert (done.returncode, done.stdout) == (0, "the answer\n")
    [intended] = world.events("step_intended")
    assert (intended["kind"], intended["command"]) == ("claude", "/ask something")


def test_tries(world: World) -> None:
    """So many altogether, and the last one is what counts."""
    count = world.folder / "count"
    script = f"echo x >> {count}; test $(wc -l < {count}) = 3 && echo done > made.txt"
    assert world.prodigy("exec", script, "--retry", "2").returncode == 1
    count.unlink()
    done = world.prodigy("exec", script, "--retry", "3", "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "made.txt").read_text() == "done\n"


def test_time(world: World, tag: str) -> None:
    done = world.prodigy("exec", f"sleep 1000 # {tag}", "--timeout", "500ms", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["schema"] == "prodigy.report/1"
    assert world.events("step_failed")[-1]["error"]["class"] == "timeout"


# -- batch ---------------------------------------------------------------------------------------------------------------
def files(world: World) -> None:
    for name in ("src/a.py", "src/deep/b.py", "src/c d.py", "other.txt"):
        world.write(name, "x = 1\n")
    world.commit()


def test_every_file_that_matches(world: World) -> None:
    """Names with blanks are one word; untracked files are named, and left alone."""
    files(world)
    world.write("src/new.py", "y = 2\n")
    done = world.prodigy("batch", "src/**/*.py", "--command", "echo '# typed' >>", "-y", "--parallel", "2")
    assert done.returncode == 0, done.stderr
    assert "1 untracked file not run: src/new.py" in done.stderr
    for name in ("src/a.py", "src/deep/b.py", "src/c d.py"):
        assert (world.repository / name).read_text() == "x = 1\n# typed\n"
    assert (world.repository / "other.txt").read_text() == "x = 1\n"
    assert (world.repository / "src/new.py").read_text() == "y = 2\n"


def test_files_that_fail_wait_in_the_queue(world: World) -> None:
    files(world)
    count = world.folder / "count"
    command = f"echo ${{item}} >> {count}; test ${{item}} != src/a.py || test -e {world.folder}/healed"
    done = world.prodigy("batch", "src/*.py", "-c", command, "--retry", "2", "--strict", "--no-merge")
    assert done.returncode == 1
    assert sorted(count.read_text().split("\n"))[1:] == ["src/a.py", "src/a.py", "src/c d.py"]
    (world.folder / "healed").touch()
    assert world.prodigy("dlq", "retry", "latest", "--no-merge").returncode == 0
    assert world.json("dlq", "list")["items"] == []


def test_a_batch_is_resumed(world: World, tag: str) -> None:
    """Its workflow is kept with the run; finished files are not done again."""
    files(world)
    gate, count = world.folder / "gate", world.folder / "count"
    command = f"echo ${{item}} >> {count}; test ${{item}} != src/a.py || test -e {gate} || sleep 1000 # {tag}"
    run = world.start("batch", "src/**/*.py", "-c", f"{command}\n: ${{item}}", "--no-merge")
    eventually(lambda: count.exists() and len(count.read_text().splitlines()) == 3)
    eventually(lambda: len(world.events("agent_completed")) == 2)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    world.at_rest()
    gate.touch()
    done = world.prodigy("resume", "latest", "--no-merge", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"]["done"] == 3
    assert len(count.read_text().splitlines()) == 4


# -- goal-seek -----------------------------------------------------------------------------------------------------------
SCORE = 'echo "score: $(( $(wc -l < steps.txt) * 30 ))"'


def test_a_goal(world: World) -> None:
    """Attempts tell their score, and end when it is good enough."""
    done = world.prodigy(
        "goal-seek", "enough", "-c", "echo ${attempt} >> steps.txt", "--validate", SCORE, "-y"
    )
    assert done.returncode == 0, done.stderr
    assert (world.repository / "steps.txt").read_text() == "1\n2\n3\n"
    scores = [(event["number"], event["score"]) for event in world.events("goal_seek_attempted")]
    assert scores == [(1, 30), (2, 60), (3, 90)]
    assert "attempt 2: score 60 of 80" in done.stderr


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--fail-on-incomplete",), 1)])
def test_a_goal_that_is_missed(world: World, flags: tuple[str, ...], code: int) -> None:
    words = ("--goal", "more", "-c", "echo x >> steps.txt", "--validate", SCORE, "-m", "2", "-t", "90")
    done = world.prodigy("seek", *words, "--no-merge", *flags)
    assert done.returncode == code, done.stderr
    assert len(world.events("goal_seek_attempted")) == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("exec",), "missing-argument"),
        (("exec", "true", "--timeout", "0"), "bad-value"),
        (("exec", "true", "--retry", "0"), "bad-value"),
        (("exec", "true", "-y", "--no-merge"), "conflicting-flags"),
        (("batch", "*.nothing", "-c", "true"), "no-input"),
        (("batch", "README.md"), "missing-argument"),
        (("goal-seek", "-c", "true", "--validate", "true"), "missing-argument"),
        (("goal-seek", "a", "--goal", "b", "-c", "true", "--validate", "true"), "conflicting-flags"),
        (("goal-seek", "a", "-c", "true", "--validate", "true", "-t", "101"), "workflow-invalid"),
    ],
)
def test_bad_input(world: World, words: tuple[str, ...], code: str) -> None:
    """Refused before anything is made."""
    done = world.prodigy(*words, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == code
    assert not (world.home / "state").exists()
