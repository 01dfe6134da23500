"""The properties of resuming that only real processes can have or lack; ``tests/job`` has the others.

A run is killed, and copies of all that it left, its repository and its home, are taken up again in several ways. That
of several resumes one proceeds is in ``test_resume``.
"""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crash_worlds import CrashWorld, Moment
from dying import KILLED, Model, Place, copied, die_and_resume, uninterrupted
from mortal_jobs import LOOPS
from once import Once

IN_MAP = Moment(0, "coordinator", "journal.sync.after", 60)
RECOVERING = Moment(0, "coordinator", "journal.sync.after", 1)


@dataclass
class Killed:
    """A run that was killed, and a copy of all that it left."""

    world: CrashWorld
    copy: Path

    def again(self) -> CrashWorld:
        """The run as it was right after the kill, where it was: worktrees know their place."""
        shutil.rmtree(self.world.whole)
        copied(self.copy, self.world.whole)
        return self.world


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Model:
    return once(LOOPS.name, lambda: uninterrupted(tmp_path_factory.mktemp("properties") / "model", LOOPS))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Killed:
    folder = tmp_path_factory.mktemp("killed")
    world, flow = model.job.world(folder / "world")
    done = world.attempt("run", flow, "-y", dying=IN_MAP)
    assert done.returncode in KILLED, done.stderr
    world.at_rest()
    copied(world.whole, folder / "copy")
    return Killed(world, folder / "copy")


def resume(world: CrashWorld) -> None:
    done = world.attempt("resume", "-y")
    assert done.returncode == 0, done.stderr


Story = dict[str, list[tuple[Any, ...]]]


def story(world: CrashWorld) -> Story:
    """What happened to each item and in each phase, in order: nothing that clocks, ids or the scheduler decide."""
    told: Story = {}
    for _, event in world.recorded():
        if event["event_type"].startswith(
            ("step_intended", "step_completed", "step_failed", "agent_completed")
        ):
            whose = event.get("item_id") or event.get("phase")
            told.setdefault(whose, []).append((event["event_type"], event.get("step"), event.get("try")))
    return told


def test_prefix_continuation(killed: Killed) -> None:
    """A resumed run's journal goes on where it ended, and no leaf that left a clean worktree is begun again.

    Those after it may be, where the kill came in the middle of a leaf that had changed files: they say so.
    """
    world = killed.again()
    before = list(world.recorded())
    resume(world)
    after = list(world.recorded())
    assert after[: len(before)] == before
    outcomes = {
        leaf(event): event for _, event in before if event["event_type"] in ("step_completed", "step_failed")
    }
    assert outcomes
    added = [event for _, event in after[len(before) :]]
    forgotten = {
        (event["phase"], event.get("item_id"), key)
        for event in added
        if event["event_type"] == "work_rewound"
        for key in event["forgotten"]
    }
    again = outcomes.keys() & {leaf(event) for event in added if event["event_type"] == "step_intended"}
    assert again <= forgotten
    assert not [one for one in again if "head_after" in outcomes[one] and not outcomes[one].get("dirty")]


def leaf(event: dict[str, Any]) -> tuple[str, str | None, str]:
    """Which leaf the event is about."""
    return event["phase"], event.get("item_id"), f"{event['step']}/{event.get('try', 1)}"


def test_effect_exactly_once(model: Model, tmp_path: Path) -> None:
    """With a death while agents work, one while merging, and one at the end: commits, merges and finished leaves once."""
    deaths = [Moment(0, "coordinator", "journal.sync.after", number) for number in (60, 25, 14)]
    assert die_and_resume(Place(tmp_path), model, deaths) == len(deaths)


def test_fork_determinism(killed: Killed, model: Model) -> None:
    """Two copies of what a killed run left are taken up in the same way, and come to the same end by the same steps."""
    stories, trees = [], []
    for _ in range(2):
        world = killed.again()
        resume(world)
        stories.append(story(world))
        trees.append(world.git("rev-parse", "main^{tree}"))
    assert stories[0] == stories[1]
    assert trees == [model.tree] * 2


def test_recovery_determinism(killed: Killed, model: Model) -> None:
    """A recovery that dies itself as soon as it is recorded leaves what there was to do as it was."""
    world = killed.again()
    resume(world)
    alone, said = story(world), world.said()
    world = killed.again()
    for _ in range(2):
        assert world.attempt("resume", "-y", dying=RECOVERING).returncode in KILLED
    resume(world)
    assert Counter(event["event_type"] for _, event in world.recorded())["job_resumed"] == 3
    assert story(world) == alone
    assert world.said() == said
    assert world.git("rev-parse", "main^{tree}") == model.tree
