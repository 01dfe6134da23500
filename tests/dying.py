"""A small job that is killed at a named point and resumed, and what must be true afterwards.

The job has every phase, agents with lists within lists, a handler and a repeated goal; each of its steps tells a file
outside of git that it ran, which nothing can undo. It runs in a scratch repository with the real command line.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worlds import World, eventually, made_world

from prodigy.crash_points import VARIABLE

if TYPE_CHECKING:
    from subprocess import CompletedProcess

KILLED = 137, -9


@dataclass(frozen=True, order=True)
class Moment:
    """A point, and on which of its times the process that comes to it dies."""

    who: str
    point: str
    number: int

    def __str__(self) -> str:
        return f"{self.who} {self.point} {self.number}"


@dataclass
class CrashWorld(World):
    """A world whose runs note their points, and whose steps tell a log outside of git that they ran."""

    @property
    def log(self) -> Path:
        """Where the steps say that they ran."""
        return self.folder / "log"

    @property
    def points(self) -> Path:
        """Where the points are noted, and the plan stands."""
        return self.folder / "points"

    def attempt(self, *words: str, dying: Moment | None = None) -> "CompletedProcess[str]":
        """Run the command line to its end, with a plan for one of its processes."""
        self.points.mkdir(exist_ok=True)
        (self.points / "plan").unlink(missing_ok=True)
        if dying is not None:
            (self.points / "plan").write_text(str(dying))
        return self.prodigy(*words)

    def passed(self) -> list[tuple[str, str, str]]:
        """Every point that was passed: pid, who, point."""
        lines = (self.points / "passed").read_text().splitlines()
        return [(pid, who, point) for pid, who, point in map(str.split, lines)]

    def said(self) -> Counter[str]:
        """What the steps told the log."""
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def records(self) -> Iterator[dict[str, Any]]:
        """The records of all journals, as they are on disk."""
        for path in sorted(self.home.glob("events/*/*/events-*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                yield json.loads(line)


def crash_world(folder: Path, flow: str) -> tuple[CrashWorld, str]:
    """A new world, and its workflow file, in which ``LOG`` of ``flow`` is the log."""
    folder.mkdir(parents=True, exist_ok=True)
    made = made_world(folder)
    world = CrashWorld(folder, {**made.environ, VARIABLE: str(folder / "points")})
    return world, world.workflow((flow or FLOW).replace("LOG", str(world.log)))


@dataclass
class Model:
    """What the job leads to when nobody dies, and all its moments."""

    tree: str
    commits: int
    said: Counter[str]
    moments: list[Moment]

    @cached_property
    def points(self) -> list[Moment]:
        """The first moment of every point."""
        return [moment for moment in self.moments if moment.number == 1]


def uninterrupted(folder: Path, flow: str = "") -> Model:
    """Run the job undisturbed.

    Raises:
        AssertionError: it failed.
    """
    world, flow_file = crash_world(folder, flow)
    done = world.attempt("run", flow_file, "-y")
    assert done.returncode == 0, done.stderr
    times: Counter[tuple[str, str, str]] = Counter(world.passed())
    most: dict[tuple[str, str], int] = {}
    for (_, who, point), count in times.items():
        most[who, point] = max(count, most.get((who, point), 0))
    moments = [Moment(who, point, n) for (who, point), count in most.items() for n in range(1, count + 1)]
    model = Model(
        tree=world.git("rev-parse", "main^{tree}"),
        commits=commits(world),
        said=world.said(),
        moments=sorted(moments),
    )
    assert world.leftovers() == []
    shutil.rmtree(folder)
    return model


def commits(world: CrashWorld) -> int:
    """Commits of the target branch that are no merges: one for each step that changed something."""
    return int(world.git("rev-list", "--count", "--no-merges", "main"))


def die_and_resume(folder: Path, model: Model, moments: list[Moment], flow: str = "") -> bool:
    """Run the job, die at each of the moments in turn, resume, and judge; whether anybody died.

    Raises:
        AssertionError: something is lost, done twice, or left.
    """
    world, flow_file = crash_world(folder, flow)
    began, died = False, False
    told = ""
    for moment in [*moments, None]:
        words = ("resume", "-y") if began else ("run", flow_file, "-y")
        done = world.attempt(*words, dying=moment)
        told = f"{' '.join(words)} → {done.returncode}\n{done.stderr}"
        if moment is not None and not (world.points / "plan").exists():
            died = True
            assert done.returncode in {0, *KILLED}, told
        else:
            assert done.returncode == 0, told
        if list(world.records()):
            began = True
        else:  # nothing exists in git before the first record does
            assert world.leftovers() == [], told
            assert commits(world) == 1, told
    if not began:
        return died
    _judge(world, model, told)
    shutil.rmtree(folder)
    return died


def _judge(world: CrashWorld, model: Model, told: str) -> None:
    assert world.git("rev-parse", "main^{tree}") == model.tree, f"another tree\n{told}"
    assert commits(world) == model.commits, f"{commits(world)} commits instead of {model.commits}\n{told}"
    said = world.said()
    assert said.keys() == model.said.keys(), f"{said} instead of {model.said}\n{told}"
    allowed = _tries(world)
    for name, count in said.items():
        spare = allowed.get(name, 0)
        assert count <= model.said[name] + spare, f"{name} ran {count} times, {spare} cut off\n{told}"
    assert world.leftovers() == [], told
    assert world.git("status", "--porcelain") == "", told
    world.git("fsck", "--strict")
    eventually(lambda: not _told_of(world.folder))


def _told_of(folder: Path) -> list[int]:
    """Processes, zombies aside, whose environment names the folder: all that a run in it ever started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = str(folder).encode() in (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if told and state != "Z":
                found.append(int(entry.name))
    return found


def _tries(world: CrashWorld) -> Counter[str]:
    """How many times each leaf was cut off: intents without an outcome, by the word that its command says."""
    intents: dict[int, str] = {}
    for record in world.records():
        event = record["event"]
        match event["event_type"]:
            case "step_intended":
                intents[record["seq"]] = event.get("command", "")
            case "step_completed" | "step_failed" | "step_skipped":
                intents.pop(event.get("intent"), None)
    words = [
        command.split("say ", 1)[1].split()[0].strip("\"';")
        for command in intents.values()
        if "say " in command
    ]
    return Counter(words)


FLOW = """
grace: 300ms
mode: mapreduce
setup:
  - shell: 'say() { echo "$1" >> "LOG"; }; say setup1; echo 1 > setup.txt'
  - shell: 'say() { echo "$1" >> "LOG"; }; say setup2; echo 2 >> setup.txt'
map:
  input: {list: [a, b]}
  max_parallel: 2
  item_id: "${item}"
  agent_template:
    - shell: 'say() { echo "$1" >> "LOG"; }; say ${item}-first; echo ${item} > ${item}.txt'
    - foreach: [x, y]
      do:
        - shell: 'say() { echo "$1" >> "LOG"; }; say ${item_id}-${item}; echo ${item} >> ${item_id}.txt'
    - shell: 'say() { echo "$1" >> "LOG"; }; say ${item}-try; test -e ${item}.fixed'
      on_failure:
        - shell: 'say() { echo "$1" >> "LOG"; }; say ${item}-repair; touch ${item}.fixed'
    - goal_seek:
        goal: grow
        shell: 'say() { echo "$1" >> "LOG"; }; say ${item_id}-grow; echo more >> ${item_id}.grown'
        validate: 'echo "score: $(( $(wc -l < ${item_id}.grown) * 50 ))"'
        threshold: 100
        max_attempts: 3
    - write_file: {path: "out/${item}.json", content: {item: "${item}"}, format: json, create_dirs: true}
reduce:
  - shell: 'say() { echo "$1" >> "LOG"; }; say reduce; echo ${map.successful} > reduce.txt'
merge:
  - shell: 'say() { echo "$1" >> "LOG"; }; say merge; echo merge > merge.txt'
"""
