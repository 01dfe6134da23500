"""Eight resumes of one run at the same moment: one proceeds, seven name it and exit with 1; every effect happens once.

``STRESS_SCALE`` 1 is 100 rounds. What failed is kept and named.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

KIND = "stress"
ROUNDS = 100
RACERS = 8

_WAIT = 'touch "{0}/at-{1}"; while [ -e "{0}/hold-{1}" ]; do sleep 0.02; done'
_FLOW = """
grace: 100ms
mode: mapreduce
map:
  input: {{list: [a, b, c]}}
  item_id: "${{item}}"
  agent_template:
    - shell: 'echo ${{item}} >> "{place}/ran"; echo ${{item}} > ${{item}}.txt'
reduce:
  - shell: '{wait}; echo reduce >> "{place}/ran"; echo done > reduce.txt'
"""
_ONCE = {"a": 1, "b": 1, "c": 1, "reduce": 1}


def main() -> int:
    """0 if in every round exactly one proceeded."""
    rounds = max(1, round(ROUNDS * float(os.environ.get("STRESS_SCALE", "1"))))
    folder = Path(tempfile.mkdtemp(prefix="prodigy-racers-"))
    failed = 0
    for number in range(rounds):
        place = folder / f"round-{number}"
        fault = _round(place)
        if fault is None:
            shutil.rmtree(place)
        else:
            failed += 1
            print(f"   FAIL round {number} in {place}: {fault}", flush=True)
    print(f"   {rounds} rounds of {RACERS} resumes, {failed} violations")
    if not failed:
        folder.rmdir()
    return 1 if failed else 0


def _round(place: Path) -> str | None:
    """What was wrong, if anything was."""
    world = _World(place)
    (place / "hold-reduce").touch()
    first = world.start("run", str(world.flow), "-y")
    _until(lambda: (place / "at-reduce").exists() or first.poll() is not None)
    first.kill()
    first.communicate()
    (place / "at-reduce").unlink()
    racers = [world.start("resume", "latest", "-y", "--json") for _ in range(RACERS)]
    _until(
        lambda: (
            ((place / "at-reduce").exists() and sum(racer.poll() is None for racer in racers) == 1)
            or all(racer.poll() is not None for racer in racers)
        )
    )
    (place / "hold-reduce").unlink()
    said = [(racer, racer.communicate()[0]) for racer in racers]
    winners = [racer for racer, _ in said if racer.returncode == 0]
    if len(winners) != 1:
        return f"exit codes {[racer.returncode for racer in racers]}"
    named = f"pid {winners[0].pid} on {os.uname().nodename} since "
    for racer, text in said:
        if racer is not winners[0]:
            error = json.loads(text)["error"]
            if racer.returncode != 1 or error["code"] != "already-running" or named not in error["message"]:
                return f"exit code {racer.returncode}: {error}"
    ran = Counter((place / "ran").read_text().split())
    files = world.git("ls-tree", "--name-only", "main").split()
    merges = world.journal().count('"event_type":"worktree_merged"')
    if ran != _ONCE or len(files) != len(_ONCE) + 1 or merges != len(_ONCE):
        return f"ran {dict(ran)}, {files}, {merges} merges"
    return None


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it never happened")
        time.sleep(0.01)


class _World:
    """A repository of one commit and an empty home."""

    def __init__(self, place: Path) -> None:
        self.repository = place / "project"
        self.repository.mkdir(parents=True)
        self.flow = place / "workflow.yml"
        self.flow.write_text(_FLOW.format(place=place, wait=_WAIT.format(place, "reduce")))
        who = {f"GIT_{role}_{part}": "Ann" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        own = {"HOME": str(place), "PRODIGY_HOME": str(place / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
        self.environ = {"PATH": os.environ["PATH"], **own, **who}
        self.git("init", "--quiet", "--initial-branch=main")
        (self.repository / "README.md").write_text("# Project\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", "first")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.repository, env=self.environ, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "prodigy", *words],
            cwd=self.repository,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def journal(self) -> str:
        return "".join(
            path.read_text() for path in self.repository.parent.glob("home/events/*/*/events-*.jsonl")
        )
