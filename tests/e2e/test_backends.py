"""A backend of another package, in whole runs: in the coordinator, in workers, and for whoever takes the run up."""

import json
import os
import signal
from pathlib import Path

import pytest
from worlds import World, eventually

FAKE = Path(__file__).parents[1] / "fakes/claude"
PACKAGE = f"""
from prodigy.steps.claude_cli import ClaudeCli

def made(settings):
    return ClaudeCli(("{FAKE}",))
"""


@pytest.fixture
def offered(world: World) -> Path:
    """The log of launches of a backend `other`; there is no `claude` in this world."""
    folder = world.folder / "packages"
    about = folder / "other_agent-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "other_agent.py").write_text(PACKAGE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other-agent\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[prodigy.backends]\nother = other_agent:made\n")
    log = world.folder / "launches"
    log.touch()
    world.environ |= {
        "PYTHONPATH": str(folder),
        "FAKE_CLAUDE_LOG": str(log),
        "CLAUDE_CONFIG_DIR": str(world.folder / "claude"),
    }
    return log


def test_it_is_launched_and_recorded(world: World, offered: Path) -> None:
    flow = world.workflow("name: one\ncommands:\n  - claude: /sh echo hi > made.txt\n")
    done = world.prodigy("run", flow, "--backend", "other", "-y")
    assert done.returncode == 0, done.stderr
    assert (world.repository / "made.txt").read_text() == "hi\n"
    assert world.events("job_started")[0]["backend"]["name"] == "other"
    assert len(offered.read_text().splitlines()) == 1


def test_whoever_takes_the_run_up_has_the_same(world: World, offered: Path, tag: str) -> None:
    gate = world.folder / "gate"
    wait = f"touch {gate}-reached; test -e {gate} || sleep 1000 # {tag}"
    flow = world.workflow(f"name: one\ncommands:\n  - claude: '/sh {wait}'\n  - claude: /say two\n")
    run = world.start("run", flow, "--backend", "other", "--no-merge")
    eventually(lambda: Path(f"{gate}-reached").exists())
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    world.at_rest()
    gate.touch()
    done = world.prodigy("resume", "latest", "--no-merge")
    assert done.returncode == 0, done.stderr
    launches = [json.loads(line) for line in offered.read_text().splitlines()]
    assert [bool(launch["options"].get("--resume")) for launch in launches] == [False, True, False]


def test_another_one_from_now_on(world: World, offered: Path) -> None:
    """A resume can go on with another backend, which then holds for the resumes after it."""
    flow = world.workflow(
        "name: one\ncommands:\n  - claude: first\n  - claude: /sh exit 0\n  - claude: /error no\n"
    )
    play = world.workflow("scenes: [{prompt: first, acts: [{say: ok}]}]", "play.yml")
    assert world.prodigy("run", flow, "--script", play, "--no-merge").returncode == 1
    assert offered.read_text() == ""
    assert world.prodigy("resume", "latest", "--backend", "other", "--no-merge").returncode == 1
    assert world.events("job_resumed")[-1]["backend"]["name"] == "other"
    assert len(offered.read_text().splitlines()) == 2
    assert world.prodigy("resume", "latest", "--no-merge").returncode == 1
    assert len(offered.read_text().splitlines()) == 3
