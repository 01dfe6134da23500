"""Jobs that are killed at named points and taken up again, and what must be true afterwards.

A job is a workflow and what its user says one after the other: `run`, `dlq retry`, `worktree merge`. Each of its steps
tells a file outside of git that it ran, which nothing can undo. All happens in a scratch repository with the real
command line. ``mortal_jobs`` has the jobs.

Models can be pickled: what a job does, where it is not text, is functions of modules.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from worlds import World, eventually, made_world, told_of

from prodigy.crash_points import VARIABLE
from prodigy.job.standing import HARMLESS

KILLED = 137, -9
_SAYS = re.compile(r"\bsay ([\w-]+)")
FAKES = Path(__file__).parent / "fakes"
Recorded = dict[str, Any]
"""An event of a journal, as it is on disk."""


@dataclass(frozen=True, order=True)
class Moment:
    """A point in one of a job's acts, and on which of its times the process that comes to it dies."""

    act: int
    who: str
    point: str
    number: int

    @property
    def plan(self) -> str:
        """How the processes are told."""
        return f"{self.who} {self.point} {self.number}"

    def __str__(self) -> str:
        return f"{self.act} {self.plan}"


@dataclass
class CrashWorld(World):
    """A world whose runs note their points, and whose steps tell a log outside of git that they ran.

    What is not the run's own lies beside the world's folder, so that whatever befalls that, it is known what happened.
    """

    @property
    def whole(self) -> Path:
        """The folder of everything."""
        return self.folder.parent

    @property
    def log(self) -> Path:
        """Where the steps say that they ran."""
        return self.whole / "log"

    @property
    def ill(self) -> Path:
        """As long as this exists, items that can fail do."""
        return self.whole / "ill"

    @property
    def points(self) -> Path:
        """Where the points are noted, and the plan stands."""
        return self.whole / "points"

    def attempt(self, *words: str, dying: Moment | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the command line to its end, with a plan for one of its processes."""
        self.intend(dying)
        return self.prodigy(*words)

    def intend(self, dying: Moment | None) -> None:
        """Make a plan for one of the processes that start next, or none."""
        self.points.mkdir(exist_ok=True)
        (self.points / "plan").unlink(missing_ok=True)
        if dying is not None:
            (self.points / "plan").write_text(dying.plan)

    def died(self, dying: Moment | None) -> bool:
        """Whether somebody has, as the plan was."""
        return dying is not None and not (self.points / "plan").exists()

    def passed(self) -> list[tuple[str, str, str]]:
        """Every point that was passed since this was asked last: pid, who, point."""
        lines = (self.points / "passed").read_text().splitlines()
        (self.points / "passed").unlink()
        return [(pid, who, point) for pid, who, point in map(str.split, lines)]

    def said(self) -> Counter[str]:
        """What the steps told the log."""
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def recorded(self) -> Iterator[tuple[int, Recorded]]:
        """The numbers and events of all journals, as they are on disk."""
        for path in sorted(self.home.glob("events/*/*/events-*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                record = json.loads(line)
                yield record["seq"], record["event"]

    def unsound(self) -> str:
        """What git finds wrong in the repository; objects and refs without content, if it finds nothing."""
        command = ["git", "fsck", "--strict", "--no-dangling", "--no-progress"]
        done = subprocess.run(
            command, cwd=self.repository, env=self.environ, capture_output=True, text=True, check=False
        )
        parts = (self.repository / ".git" / part for part in ("objects", "refs"))
        files = (path for part in parts for path in part.rglob("*"))
        hollow = [str(path) for path in files if path.is_file() and not path.stat().st_size]
        return done.stderr if done.returncode else "\n".join(hollow)

    def queue(self) -> dict[str, int]:
        """The items of the dead letter queue, as its files tell them, and how often each failed."""
        letters = (json.loads(path.read_bytes()) for path in self.home.glob("dlq/*/*/items/*.json"))
        return {letter["item_id"]: letter["failure_count"] for letter in letters}


def _always(_: Recorded) -> bool:
    return True


def _nothing(_: CrashWorld) -> None:
    return


@dataclass(frozen=True)
class Act:
    """One command of a job's user, said again or taken up until it comes to its end.

    Attributes:
        words: the command; ``FLOW`` stands for the workflow's file.
        again: the command that goes on with it.
        begun: whether it left an event, after which it is gone on with.
        before: what the user does first.
        mortal: whether it is killed.
    """

    words: str
    again: str = "resume latest -y"
    begun: Callable[[Recorded], bool] = _always
    before: Callable[[CrashWorld], object] = _nothing
    mortal: bool = True


@dataclass(frozen=True)
class Job:
    """A workflow, in which ``LOG`` and ``ILL`` stand for a world's files, and what is done with it."""

    name: str
    flow: str
    acts: Sequence[Act] = (Act("run FLOW -y"),)

    def world(self, folder: Path) -> tuple[CrashWorld, str]:
        """A new world in a folder, which may be there, and its workflow file."""
        own = folder / "disk"
        own.mkdir(parents=True, exist_ok=True)
        made = made_world(own)
        environ = {
            **made.environ,
            "PATH": f"{FAKES}:{made.environ['PATH']}",
            "CLAUDE_CONFIG_DIR": str(own / "claude"),
            VARIABLE: str(folder / "points"),
        }
        world = CrashWorld(own, environ)
        text = self.flow
        for name, value in (("LOG", world.log), ("ILL", world.ill), ("PROJECT", world.repository)):
            text = text.replace(name, str(value))
        return world, world.workflow(text)


@dataclass
class Place:
    """A folder in which worlds stand one after the other, each where the one before it stood.

    Worktrees know their place. So what is done in a world before the act that somebody dies in is done once, and
    copied.
    """

    folder: Path
    _begun: dict[tuple[str, int], tuple[CrashWorld, str]] = field(default_factory=dict, repr=False)

    @property
    def here(self) -> Path:
        """Where the world stands."""
        return self.folder / "world"

    def world(self, job: Job, act: int) -> tuple[CrashWorld, str]:
        """A world in which nobody died in the acts before this one, and its workflow file."""
        copy = self.folder / f"{job.name}-{act}"
        if (job.name, act) in self._begun:
            self.prepare()
            copied(copy, self.here)
            return self._begun[job.name, act]
        if act == 0:
            self.prepare()
            return job.world(self.here)
        world, flow = self.world(job, act - 1)
        undisturbed(world, job.acts[act - 1], flow)
        eventually(lambda: not told_of(self.here))
        copied(self.here, copy)
        self._begun[job.name, act] = (world, flow)
        return world, flow

    def prepare(self) -> None:
        """Make room for a world."""
        self.clear()

    def clear(self) -> None:
        """Remove the world that stands here."""
        self.close()
        shutil.rmtree(self.here, ignore_errors=True)

    def close(self) -> None:
        """Let go of what is more than files."""


def copied(world: Path, copy: Path) -> None:
    """Copy all of a world but the sockets of its runs, which have no content; the folders may be there."""
    sockets = shutil.ignore_patterns("*.sock")
    shutil.copytree(world, copy, symlinks=True, ignore=sockets, dirs_exist_ok=True)


@dataclass
class Model:
    """What a job leads to when nobody dies, and all its moments."""

    job: Job
    tree: str
    commits: int
    queue: dict[str, int]
    said: Counter[str]
    moments: list[Moment]

    @cached_property
    def points(self) -> list[Moment]:
        """The first moment of every point of each act."""
        return [moment for moment in self.moments if moment.number == 1]


def uninterrupted(folder: Path, job: Job) -> Model:
    """Do the job undisturbed.

    Raises:
        AssertionError: it failed.
    """
    world, flow = job.world(folder)
    moments: list[Moment] = []
    for number, act in enumerate(job.acts):
        undisturbed(world, act, flow)
        passed = world.passed()
        if act.mortal:
            moments += _moments(number, passed)
    eventually(lambda: not told_of(folder))  # what steps left running says what it has to say
    model = Model(
        job=job,
        tree=world.git("rev-parse", "main^{tree}"),
        commits=commits(world),
        queue=world.queue(),
        said=world.said() - _in_vain(world),
        moments=sorted(moments),
    )
    assert world.leftovers() == []
    shutil.rmtree(folder)
    return model


def undisturbed(world: CrashWorld, act: Act, flow: str) -> None:
    """One act to its end.

    Raises:
        AssertionError: it failed.
    """
    act.before(world)
    done = world.attempt(*_words(act.words, flow))
    assert done.returncode == 0, done.stderr


def _words(words: str, flow: str) -> list[str]:
    return [flow if word == "FLOW" else word for word in words.split()]


def _moments(act: int, passed: Sequence[tuple[str, str, str]]) -> Iterator[Moment]:
    most: dict[tuple[str, str], int] = {}
    for (_, who, point), count in Counter(passed).items():
        if who == "keeper":  # without one its step fails, and that is that
            continue
        most[who, point] = max(count, most.get((who, point), 0))
    for (who, point), count in most.items():
        yield from (Moment(act, who, point, number) for number in range(1, count + 1))


def commits(world: World) -> int:
    """Commits of the target branch that are no merges: one for each step that changed something."""
    return int(world.git("rev-list", "--count", "--no-merges", "main"))


def die_and_resume(place: Place, model: Model, moments: Sequence[Moment]) -> int:
    """Do the job, die at each of the moments in turn, go on, and judge; how many times somebody died.

    The world of a job that was not judged well stays.

    Raises:
        AssertionError: something is lost, done twice, or left.
    """
    first = min(moment.act for moment in moments)
    world, flow = place.world(model.job, first)
    died, told = 0, ""
    for number, act in enumerate(model.job.acts[first:], first):
        act.before(world)
        dying = [moment for moment in moments if moment.act == number]
        ended = False
        while not ended:
            moment = dying.pop(0) if dying else None
            begun = any(act.begun(event) for _, event in world.recorded())
            words = _words(act.again if begun else act.words, flow)
            done = world.attempt(*words, dying=moment)
            told += f"{' '.join(words)} → {done.returncode}\n{done.stderr}"
            ended = done.returncode == 0
            if world.died(moment):
                died += 1
                assert done.returncode in {0, *KILLED}, told
            else:
                assert ended, told
            if not any(True for _ in world.recorded()):  # nothing exists in git before the first record does
                assert world.leftovers() == [], told
                assert commits(world) == 1, told
    _judge(world, model, told)
    place.clear()
    return died


def _judge(world: CrashWorld, model: Model, told: str) -> None:
    world.at_rest()
    assert world.git("rev-parse", "main^{tree}") == model.tree, f"another tree\n{told}"
    assert commits(world) == model.commits, f"{commits(world)} commits instead of {model.commits}\n{told}"
    assert world.queue() == model.queue, f"{world.queue()} in the queue instead of {model.queue}\n{told}"
    merged = _merged(world)
    assert all(count == 1 for count in merged.values()), f"merged twice: {merged}\n{told}"
    said = world.said()
    assert said.keys() == model.said.keys(), f"{said} instead of {model.said}\n{told}"
    spare = _cut_off(world) + _in_vain(world)
    for name, count in said.items():
        assert count <= model.said[name] + spare[name], (
            f"{name} ran {count} times, {spare[name]} more allowed\n{told}"
        )
    for what, left in (
        ("left", world.leftovers()),
        ("changed", world.git("status", "--porcelain")),
        ("unsound", world.unsound()),
    ):
        assert not left, f"{what}: {left}\n{told}"


def _merged(world: CrashWorld) -> Counter[str]:
    """How often the work of each attempt was merged."""
    events = [event for _, event in world.recorded()]
    return Counter(event["agent_id"] for event in events if _is_merge(event))


def _is_merge(event: Recorded) -> bool:
    return event["event_type"] == "worktree_merged" and bool(event["what"] == "agent")


@dataclass
class _Leaf:
    """One intent: the word that its command says, and what became of it."""

    word: str
    agent: str | None
    phase: str
    key: str
    harmless: bool
    """Whether it changes no file itself."""
    ended: bool = False
    clean: bool = False
    """Whether nothing was uncommitted when it had ended."""
    in_vain: bool = False
    """It ended, and what it was part of had to begin anew."""

    def end(self, event: Recorded) -> None:
        """Take note of its outcome."""
        self.ended = True
        self.clean = "head_after" in event and not event.get("dirty")

    def at(self, event: Recorded) -> bool:
        """Whether it worked where the event happened."""
        return self.phase == event["phase"] and self.agent == event.get("agent_id")


def _leaves(world: CrashWorld) -> list[_Leaf]:
    leaves: dict[int, _Leaf] = {}
    verifying: list[_Leaf] = []
    for number, event in world.recorded():
        match event["event_type"]:
            case "step_intended" if event["kind"] != "commit":
                leaves[number] = _begun(event)
                if event["phase"] == "verify":
                    verifying.append(leaves[number])
            case "step_completed" | "step_failed" | "step_skipped" if event.get("intent") in leaves:
                leaves[event["intent"]].end(event)
            case "work_rewound":
                _rewind([leaf for leaf in leaves.values() if leaf.at(event)], event)
            case "merge_conflicted" if event["what"] == "agent":
                for leaf in leaves.values():
                    leaf.in_vain |= leaf.agent == event["agent_id"]
            case "phase_started" | "phase_completed" if event["phase"] == "verify":
                for leaf in verifying:
                    leaf.in_vain |= event["event_type"] == "phase_started"
                verifying.clear()
    return list(leaves.values())


def _begun(event: Recorded) -> _Leaf:
    return _Leaf(
        _word(event.get("command", "")),
        event.get("agent_id"),
        event["phase"],
        f"{event['step']}/{event.get('try', 1)}",
        event["kind"] in HARMLESS,
    )


def _rewind(there: list[_Leaf], event: Recorded) -> None:
    assert any(not leaf.ended and not leaf.harmless for leaf in there), f"nothing was cut off: {event}"
    for leaf in there:
        leaf.in_vain |= leaf.key in event["forgotten"] and leaf.ended and not leaf.clean


def _word(command: str) -> str:
    said = _SAYS.search(command)
    return said[1] if said is not None else ""


def _cut_off(world: CrashWorld) -> Counter[str]:
    """How many times each leaf was cut off, by the word that it says: intents without an outcome."""
    return Counter(leaf.word for leaf in _leaves(world) if not leaf.ended)


def _in_vain(world: CrashWorld) -> Counter[str]:
    """How many times each leaf ended in vain, by the word that it says.

    That is an attempt whose work collided with what was merged; a verification that was cut off, since its worktree is
    thrown away; and a leaf that left something uncommitted where a later one, or one beside it, was cut off.
    """
    return Counter(leaf.word for leaf in _leaves(world) if leaf.ended and leaf.in_vain)
