"""Rehearsals: whole runs whose Claude steps play a script, and everything around them is real."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from worlds import World, eventually

LINT = """
name: lint
mode: mapreduce
setup:
  - shell: printf '%s\\n' a b c d > items.txt
map:
  input: items.txt
  item_id: "${{item}}"
  max_parallel: 2
  agent_template:
    {before}- claude: "/prodigy-lint ${{item}}"
      {more}
"""
GOOD = '[{append: done.txt, text: "${item}\\n"}, {delete: done.txt}, {write: "${item}.txt", text: done}, {say: fine}]'


def script(world: World, text: str, name: str = "play.yml") -> str:
    return world.workflow(text, name)


def lint(world: World, more: str = "timeout: 240s", before: str = "") -> str:
    return world.workflow(LINT.format(more=more, before=before and f"- {before}\n    "), "lint.yml")


def rehearsed(
    world: World, text: str, *flags: str, more: str = "timeout: 240s", before: str = ""
) -> dict[str, Any]:
    play = script(world, text)
    done = world.prodigy(
        "run", lint(world, more, before), "--backend", "rehearsal", "--script", play, "--json", *flags
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def launches(world: World) -> list[Path]:
    return sorted(world.home.glob("state/*/mapreduce/jobs/*/rehearsal/*.jsonl"))


def test_a_run_without_claude(world: World) -> None:
    """Edits are committed and merged, costs add up, logs are there; there is no Claude in this world."""
    report = rehearsed(world, f"cost: 0.1\nscenes: [{{phase: map, acts: {GOOD}}}]", "-y")
    assert report["status"] == "completed"
    assert {(world.repository / f"{item}.txt").read_text() for item in "abcd"} == {"done"}
    assert report["cost"]["usd"] == pytest.approx(4 * 4 * 0.1)
    used = [
        event["claude"]["json_log_location"] for event in world.events("agent_completed") if "claude" in event
    ]
    logs = used or [event["json_log_location"] for event in world.events("agent_completed")]
    assert sorted(map(Path, logs)) == launches(world)
    [started] = world.events("job_started")
    assert started["backend"]["name"] == "rehearsal"


def test_failures_and_the_queue(world: World) -> None:
    """What a script lets fail is in the queue, and a healed one is played by the retry, and kept."""
    play = f"scenes: [{{item: b, acts: [{{fail: no such thing}}]}}, {{acts: {GOOD}}}]"
    report = rehearsed(world, play, "--no-merge")
    assert (report["items"]["done"], report["items"]["failed"]) == (3, 1)
    [letter] = world.json("dlq", "show", "latest")["items"]
    assert "no such thing" in letter["failure_history"][-1]["error_message"]
    assert Path(letter["failure_history"][-1]["json_log_location"]).is_file()
    healed = script(world, f"scenes: [{{acts: {GOOD}}}]", "healed.yml")
    done = world.prodigy("dlq", "retry", "latest", "--script", healed, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "b.txt").read_text() == "done"


def test_no_scene(world: World) -> None:
    """A launch that nothing was written for says so."""
    report = rehearsed(world, "scenes: [{item: x, acts: []}]", "--no-merge")
    assert report["items"]["failed"] == 4
    assert "No scene is for phase `map`, step `1`, item `a`, attempt 1" in json.dumps(report)


def test_a_limit_parks(world: World) -> None:
    """Who is turned away waits, fails nothing, and goes on where it was: nothing is said, done or paid twice."""
    acts = "[{say: begun, cost: 1}, {append: log.txt, text: x}, {rate_limit: 1s}, {append: log.txt, text: y}]"
    report = rehearsed(world, f"cost: 0\nscenes: [{{item: a, acts: {acts}}}, {{acts: {GOOD}}}]", "-y")
    assert report["items"]["done"] == 4
    assert len(world.events("claude_parked")) >= 1
    assert (world.repository / "log.txt").read_text() == "xy"
    assert report["cost"]["usd"] == pytest.approx(1)


def test_a_quota_of_the_run(world: World) -> None:
    report = rehearsed(world, f"quota: {{launches: 2, per: 3s}}\nscenes: [{{acts: {GOOD}}}]", "--no-merge")
    assert report["items"]["done"] == 4
    assert world.events("claude_parked")
    assert not world.events("agent_retrying")


def test_a_budget(world: World) -> None:
    """It ends the run, with one reply too many at most; more of it finishes the run."""
    report = rehearsed(world, f"cost: 0.1\nscenes: [{{acts: {GOOD}}}]", "--no-merge", "--budget", "usd=0.5")
    assert report["status"] == "budget-exhausted"
    assert 0 < report["cost"]["usd"] <= 0.7 + 1e-9
    done = world.prodigy("resume", "latest", "--budget", "usd=9", "--no-merge", "--json")
    report = json.loads(done.stdout)
    assert report["items"]["done"] == 4
    assert report["cost"]["usd"] >= 1.6 - 1e-9


@pytest.mark.parametrize("how", ["true", "stubborn"])
def test_a_hang_is_ended(world: World, how: str, tag: str) -> None:
    """When the step's time is up, even if it does not want to; no process is left."""
    play = f"scenes: [{{item: a, acts: [{{say: begun}}, {{run: 'sleep 1000 # {tag}'}}]}}, {{item: b, acts: [{{hang: {how}}}]}}, {{acts: {GOOD}}}]"
    limit = "{shell: 'case ${item} in a|b) echo 3;; *) echo 600;; esac', capture: limit}"
    report = rehearsed(world, play, "--no-merge", more='timeout: "${limit}"', before=limit)
    assert (report["items"]["done"], report["items"]["failed"]) == (2, 2)
    classes = {
        letter["failure_history"][-1]["error_type"] for letter in world.json("dlq", "show", "latest")["items"]
    }
    assert classes == {"timeout"}


def test_a_kill_and_a_resume(world: World, tag: str) -> None:
    """The run goes on with the same script, whose file may be gone; finished items are not played again."""
    gate = world.folder / "gate"
    play = script(
        world,
        f"cost: 0.1\nscenes: [{{item: c, acts: [{{say: begun}}, {{run: 'touch {gate}-reached; test -e {gate} || sleep 1000 # {tag}'}}, {{write: c.txt, text: done}}]}},"
        f" {{acts: {GOOD}}}]",
    )
    run = world.start("run", lint(world), "--script", play, "--no-merge")
    eventually(lambda: Path(f"{gate}-reached").exists() and len(world.events("agent_completed")) == 3)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    world.at_rest()
    before = len(launches(world))
    gate.touch()
    Path(play).unlink()
    done = world.prodigy("resume", "latest", "-y", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"]["done"] == 4
    assert (world.repository / "c.txt").read_text() == "done"
    assert len(launches(world)) == before, "the conversation that was cut off went on"
    assert len(launches(world)) == 4


def test_a_script_that_is_lost(world: World) -> None:
    """Whoever goes on with the run is told to give it again, and then it goes on."""
    play = script(world, "scenes: [{item: a, acts: [{fail: no}]}]\notherwise: [{say: ok}]")
    flow = world.workflow("name: one\ncommands:\n  - claude: first\n  - shell: test -e healed\n", "one.yml")
    assert world.prodigy("run", flow, "--script", play, "--no-merge").returncode == 1
    [kept] = world.home.glob("state/*/workflow/jobs/*/rehearsal-*.json")
    kept.unlink()
    assert world.json("resume", "latest", "--no-merge")["error"]["code"] == "rehearsal-lost"
    assert world.prodigy("resume", "latest", "--script", play, "--no-merge").returncode == 1
    assert kept.is_file()


def test_a_value(world: World) -> None:
    """A structured value is captured like that of a model."""
    flow = """
name: value
commands:
  - claude: score it
    claude_options: {json_schema: {type: object}}
  - shell: printf '%s' ${claude.structured.score} > score.txt
"""
    play = script(world, "otherwise: [{value: {score: 7}}, {say: ok}]")
    done = world.prodigy("run", world.workflow(flow), "--script", play, "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "score.txt").read_text() == "7"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--backend", "rehearsal"), "missing-argument"),
        (("--backend", "rehearsl"), "backend-unknown"),
        (("--backend", "claude", "--script", "play.yml"), "conflicting-flags"),
        (("--script", "nowhere.yml"), "storage-denied"),
        (("--script", "lint.yml"), "workflow-invalid"),
    ],
)
def test_bad_input(world: World, words: tuple[str, ...], code: str) -> None:
    """Refused before anything is made."""
    path = lint(world)
    words = tuple(path if word == "lint.yml" else word for word in words)
    done = world.prodigy("run", path, *words, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == code
    assert not (world.home / "state").exists()
