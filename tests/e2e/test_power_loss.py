"""The power goes in the middle of a run: it is taken up again as one that was killed, with what the disk then holds.

``python -m stress power_loss`` does so at every point of more jobs, several times in a row, with other disks.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_worlds import Moment
from dying import Job, Model, die_and_resume, uninterrupted
from mortal_jobs import CLAUDE, COLLISION, RETRY
from once import Once
from power import NoDisk, PoweredPlace

WORLDS = 8
Models = Callable[[Job], Model]

MOMENTS = {
    "the run's worktree is made, and not recorded": (
        CLAUDE,
        Moment(0, "coordinator", "git.worktree.after", 1),
    ),
    "agents' worktrees are made, and a step begins": (CLAUDE, Moment(0, "worker", "log.open.after", 2)),
    "Claude has ended, and that is not recorded": (CLAUDE, Moment(0, "worker", "disk.flush.before", 1)),
    "Claude has ended, and its work is not committed": (CLAUDE, Moment(0, "worker", "git.add.before", 1)),
    "one agent has committed, and another works": (CLAUDE, Moment(0, "worker", "git.commit.after", 1)),
    "a merge is made, and the branch not moved": (
        CLAUDE,
        Moment(0, "coordinator", "git.commit-object.after", 1),
    ),
    "the branch moves": (CLAUDE, Moment(0, "coordinator", "git-file.replace.after", 3)),
    "work that collided is kept": (COLLISION, Moment(0, "coordinator", "git-file.replace.before", 3)),
    "map has ended, and that is recorded": (CLAUDE, Moment(0, "coordinator", "file.replace.after", 10)),
    "reduce has begun": (CLAUDE, Moment(0, "worker", "log.open.after", 5)),
    "the target is merged into, and that is not recorded": (
        CLAUDE,
        Moment(0, "coordinator", "git.merge.after", 1),
    ),
    "all is done": (CLAUDE, Moment(0, "coordinator", "lock.release.after", 1)),
    "an item that is tried again has committed": (RETRY, Moment(1, "worker", "git.commit.after", 1)),
    "the branch of what was tried again is made": (
        RETRY,
        Moment(1, "coordinator", "git.update-ref.after", 1),
    ),
}


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[PoweredPlace]:
    """A place for worlds on disks that can lose power, of the kind that is asked for."""
    made = PoweredPlace(tmp_path, kind=getattr(request, "param", "late"))
    try:
        made.prepare()
    except NoDisk as refusal:
        pytest.skip(f"no file system can be mounted here: {refusal}")
    try:
        yield made
    finally:
        made.clear()


@pytest.fixture
def model_of(tmp_path: Path, once: Once) -> Models:
    return lambda job: once(job.name, lambda: uninterrupted(tmp_path / "model", job))


def test_a_disk_has_after_a_loss_of_power_what_was_brought_to_it(place: PoweredPlace) -> None:
    """Or these tests would show nothing: of a file that nobody waited for, not even the name is left."""
    disk = place.disk
    (disk.folder / "waited-for").write_text("here")
    disk.settle()
    (disk.folder / "forgotten").write_text("gone")
    disk.lose_power()
    assert {path.name: path.read_text() for path in disk.folder.iterdir()} == {"waited-for": "here"}


def test_who_kills_itself_takes_the_power_with_it(place: PoweredPlace) -> None:
    """As its last act: nobody writes after it."""
    disk = place.disk
    environ = {**os.environ, **disk.environ}
    subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], env=environ, check=False)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        (disk.folder / "late").write_text("nowhere")
    disk.lose_power()
    assert not (disk.folder / "late").exists()


@pytest.mark.parametrize(("job", "moment"), MOMENTS.values(), ids=MOMENTS)
def test_a_run_that_lost_power_comes_to_the_same_end(
    place: PoweredPlace, model_of: Models, job: Job, moment: Moment
) -> None:
    """In another world if the moment did not come: which worker does what differs."""
    model = model_of(job)
    assert any(die_and_resume(place, model, [moment]) for _ in range(WORLDS))


@pytest.mark.parametrize("place", ["unordered"], indirect=True)
@pytest.mark.parametrize(
    "moment",
    [Moment(0, "worker", "folder.make.before", 9), Moment(0, "coordinator", "git.merge.after", 1)],
    ids=str,
)
def test_a_file_with_zeros_for_its_content_is_taken_for_none(
    place: PoweredPlace, model_of: Models, moment: Moment
) -> None:
    """Of the run's worktree, and of the user's checkout."""
    model = model_of(CLAUDE)
    assert any(die_and_resume(place, model, [moment]) for _ in range(WORLDS))
