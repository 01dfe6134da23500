"""A run that is stopped or killed while Claude's tools work: nothing goes on, nothing is paid twice."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from claude.pinned import CLI
from fakes.messages_api import MessagesApi, Reply, Scenario, Usage, bash
from worlds import PATIENCE, World, eventually, pids_with

BUSY = Usage(5000, 700, 900, 300)
"""Of the reply that calls the tool."""


def asked_once_more(usage: Usage, launches: int = 1) -> float:
    """What bill and ledger may differ by, in US dollars: a tool that is ended first may let Claude ask once more before it ends."""
    return launches * Usage(0, 0, cache_read=sum(usage), cache_written=1000).cost("opus")


def busy(tag: str) -> str:
    """A command that leaves a process in a session of its own and one that lost its parent, then works on."""
    sleep = f"exec -a {tag} python3 -c 'import time; time.sleep(7777)' {tag}"
    return f'setsid bash -c "{sleep}" & (bash -c "{sleep}" & ); bash -c "{sleep}"'


def run_until_busy(world: World, api: MessagesApi, tag: str) -> subprocess.Popen[str]:
    api["busy"] = Scenario(
        [Reply("I work.", [bash(busy(tag))], BUSY), Reply("Done.", usage=Usage(100, 5))], by_turn=True
    )
    flow = {
        "mode": "mapreduce",
        "setup": [{"shell": "printf 'a\\nb\\n' > names.txt"}],
        "map": {"input": "names.txt", "agent_template": [{"claude": "[[busy]] ${item}"}]},
    }
    started = world.start("run", world.workflow(json.dumps(flow)), "--no-merge")
    eventually(lambda: len(pids_with(tag)) >= 6)
    eventually(lambda: len(written_down(world)) == 2)  # the CLI does so a moment after it starts a tool
    return started


def written_down(world: World) -> list[Path]:
    """The conversations of which the CLI has written down what their first reply cost."""
    logs = (world.folder / "claude").glob("projects/*/*.jsonl")
    return [log for log in logs if '"usage"' in log.read_text()]


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=str,
)
def test_no_process_outlives_the_run(
    world: World, api: MessagesApi, tag: str, sent: signal.Signals, code: int
) -> None:
    """Not even tools in sessions of their own; after `resume` the bill is what the server charged."""
    started = run_until_busy(world, api, tag)
    started.send_signal(sent)
    started.communicate(timeout=PATIENCE)
    assert started.returncode == code
    eventually(lambda: not pids_with(tag))
    cli = str(world.folder / "claude")
    eventually(lambda: not any(cli in environment for environment in environments("claude")))

    api["busy"] = Scenario([Reply("All done.", usage=Usage(90_000, 9000))])  # more than all before it
    resumed = world.prodigy("resume", "latest", "--json")
    assert resumed.returncode == 0, resumed.stderr
    more = asked_once_more(BUSY, launches=2)
    assert json.loads(resumed.stdout)["cost"]["usd"] == pytest.approx(api.cost(), abs=more)


def environments(name: str) -> Iterator[str]:
    """Of every process with this name."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "comm").read_text().strip() == name:
                    yield (folder / "environ").read_text(errors="replace")
            except OSError:
                continue


def test_a_launch_whose_time_is_up(world: World, api: MessagesApi, tag: str) -> None:
    """It is priced from its own log and marked as estimated; its tools are gone."""
    api["busy"] = Scenario([Reply("I work.", [bash(busy(tag))], BUSY), Reply("Done.", usage=Usage(100, 5))])
    flow = json.dumps([{"claude": "[[busy]]", "timeout": "30s"}])
    done = world.prodigy("run", world.workflow(flow), "--no-merge", "--json")
    assert done.returncode == 1
    assert not pids_with(tag)
    [failed] = world.events("step_failed")
    assert failed["error"]["class"] == "timeout"
    assert failed["claude"]["estimated"] is True
    assert failed["claude"]["cost_usd"] == pytest.approx(api.cost(), abs=asked_once_more(BUSY))
    assert api.cost() >= BUSY.cost("opus")
    cost = json.loads(done.stdout)["cost"]
    assert cost["usd"] == cost["estimated_usd"] == failed["claude"]["cost_usd"]


def test_a_task_in_the_background_that_never_ends(world: World, api: MessagesApi, tag: str) -> None:
    """The result is told, and the CLI would stay for ten minutes: it may linger for so long, then its tree is ended."""
    world.environ["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] = "0"
    world.environ["PRODIGY__CLAUDE__LINGER"] = "2s"
    task = bash(f"exec -a {tag} python3 -c 'import time; time.sleep(7777)' {tag}", run_in_background=True)
    api["serve"] = Scenario([Reply("I serve.", [task]), Reply("It serves.")], by_turn=True)
    done = world.prodigy("run", world.workflow('[{"claude": "[[serve]]"}]'), "--no-merge", timeout=300)
    assert done.returncode == 0, done.stderr
    assert not pids_with(tag)
    [ended] = [event for event in world.events("step_completed") if event["kind"] == "claude"]
    assert ended["stdout"]["tail"] == "It serves."
    assert ended["claude"]["cost_usd"] == pytest.approx(api.cost())
    assert "estimated" not in ended["claude"]


def test_a_hang_after_the_result(world: World, api: MessagesApi, tag: str) -> None:
    """Here it is a hook of the session's end; whatever it is, the result counts and nothing is left running."""
    world.environ["PRODIGY__CLAUDE__LINGER"] = "10s"
    hang = f"touch {world.folder}/ending; exec -a {tag} python3 -c 'import time; time.sleep(7777)' {tag}"
    hook = {"type": "command", "command": hang}
    options = {
        "settings": {
            "hooks": {"SessionEnd": [{"hooks": [{**hook, "timeout": 600}]}]},
            "env": {"CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS": "600000"},
        }
    }
    flow = json.dumps([{"claude": "hello", "claude_options": options}])
    done = world.prodigy("run", world.workflow(flow), "--no-merge", timeout=300)
    assert done.returncode == 0, done.stderr
    assert (world.folder / "ending").exists()
    assert not pids_with(tag)
    [ended] = [event for event in world.events("step_completed") if event["kind"] == "claude"]
    assert ended["stdout"]["tail"] == "Hello."
    assert ended["claude"]["cost_usd"] == pytest.approx(api.cost())


def test_a_result_that_was_told_is_not_bought_again(world: World, api: MessagesApi) -> None:
    """Claude had ended when the run was killed: what it did and said counts, and the API is not asked again."""
    gate = world.folder / "gate"
    wrapper = world.folder / "bin/claude"
    wrapper.parent.mkdir()
    wait = f'test "$1" != --print || until test -e {gate}; do sleep 0.1; done'
    wrapper.write_text(f'#!/bin/sh\n"{CLI}" "$@" && {{ {wait}; }}\n')
    wrapper.chmod(0o755)
    world.environ["PATH"] = f"{wrapper.parent}:{world.environ['PATH']}"
    api["work"] = Scenario(
        [
            Reply("I work.", [bash("echo hi > note.txt && git add . && git commit -qm 'by claude'")]),
            Reply("Done."),
        ],
        by_turn=True,
    )
    started = world.start("run", world.workflow('[{"claude": "[[work]]", "commit_required": true}]'), "-y")
    eventually(lambda: any('"result"' in log.read_text() for log in world.home.glob("logs/**/*-claude.out")))
    started.kill()
    started.communicate(timeout=PATIENCE)
    gate.touch()
    report = world.json("resume", "latest", "-y")
    assert (report["status"], report["cost"]["launches"], len(api.ledger)) == ("completed", 1, 2)
    assert report["cost"]["usd"] == pytest.approx(api.cost())
    assert report["cost"]["estimated_usd"] == 0
    assert "by claude" in world.git("log", "--format=%s").splitlines()


@pytest.mark.parametrize("is_mapped", [False, True])
def test_claude_is_told_where_its_edits_are(world: World, api: MessagesApi, is_mapped: bool) -> None:
    """Killed in the middle of a tool, its worktree is brought back: the conversation goes on, and gets them from there."""
    held = "echo mine > made.txt && until test -e gate; do python3 -c 'import time; time.sleep(0.1)'; done"
    fetch = "git checkout $(git for-each-ref --format='%(refname)' refs/prodigy/rescue) -- made.txt"
    api["work"] = Scenario([Reply("I work.", [bash(held)]), Reply("I look.", [bash(fetch)]), Reply("Done.")])
    steps = [{"claude": "[[work]]", "commit_required": True}]
    mapped = {"mode": "mapreduce", "map": {"input": {"list": ["a"]}, "agent_template": steps}}
    started = world.start("run", world.workflow(json.dumps(mapped if is_mapped else steps)), "-y")
    eventually(lambda: list(world.home.glob("worktrees/**/made.txt")))
    started.kill()
    started.communicate(timeout=PATIENCE)
    report = world.json("resume", "latest", "-y")
    assert (report["status"], report["cost"]["launches"]) == ("completed", 2)
    [rescued] = world.events("worktree_rescued")
    first, again = world.events("claude_intended")
    assert again["resumes"]
    assert first["session_id"] == again["session_id"]
    [record] = (world.folder / "claude/projects").glob(f"*/{again['session_id']}.jsonl")
    assert f"git diff HEAD {rescued['ref']}" in record.read_text()
    assert world.git("show", "main:made.txt") == "mine"
