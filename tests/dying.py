"""Jobs that are killed at named points and taken up again, and what must be true afterwards.

A job is a workflow and what its user says one after the other: `run`, `dlq retry`, `worktree merge`. Each of its steps
tells a file outside of git that it ran, which nothing can undo. All happens in a scratch repository with the real
command line. ``mortal_jobs`` has the jobs.

Models can be pickled: what a job does, where it is not text, is functions of modules.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from accounts import Recorded, cut_off, in_vain, merged
from crash_worlds import CrashWorld, Moment
from worlds import World, eventually, made_world, told_of

from prodigy.crash_points import VARIABLE

KILLED = 137, -9
FAKES = Path(__file__).parent / "fakes"


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
        said=world.said() - in_vain(world.recorded()),
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
    times = merged(world.recorded())
    assert all(count == 1 for count in times.values()), f"merged twice: {times}\n{told}"
    said = world.said()
    assert said.keys() == model.said.keys(), f"{said} instead of {model.said}\n{told}"
    spare = cut_off(world.recorded()) + in_vain(world.recorded())
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
