"""A job that dies at any of its named points comes to the same end as one that nobody killed.

``python -m stress crash_points`` dies at later times of each point too, in more jobs, several times in a row.
"""

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from tempfile import mkdtemp

import pytest
from crash_worlds import Moment
from dying import KILLED, Job, Model, Place, die_and_resume, uninterrupted
from mortal_jobs import CLAUDE, COLLISION, ITEMS, LOOPS, PLAIN, RETRY, RETRY_BEFORE_MERGE
from once import Once
from worlds import eventually

BESIDE = 2
WORLDS = 8
PARTS = 16
OTHER_PARTS = 4


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, once: Once) -> "Models":
    return Models(tmp_path_factory.mktemp("crash"), once)


class Models:
    """What jobs lead to, once it is asked for, and places to let them die in."""

    def __init__(self, folder: Path, once: Once) -> None:
        self.of = cache(lambda job: once(job.name, lambda: uninterrupted(folder / job.name, job)))
        self._folder = folder
        self._free: SimpleQueue[Place] = SimpleQueue()
        for _ in range(BESIDE):
            self._free.put(self._fresh())

    def _fresh(self) -> Place:
        return Place(Path(mkdtemp(prefix="place-", dir=self._folder)))

    def all_die(self, model: Model, moments: Sequence[Moment]) -> None:
        """Each of the moments in a world of its own; in another if it did not come: who is first of two differs."""

        def attempt(moment: Moment) -> str:
            place = self._free.get()
            try:
                died = any(die_and_resume(place, model, [moment]) for _ in range(WORLDS))
            except (AssertionError, subprocess.SubprocessError) as failure:
                place = self._fresh()
                return f"{moment}: {failure}"
            finally:
                self._free.put(place)
            return "" if died else f"{moment}: nobody died"

        with ThreadPoolExecutor(BESIDE) as pool:
            failures = list(filter(None, pool.map(attempt, moments)))
        assert not failures, "\n".join(failures)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_dies_at_a_point_comes_to_the_same_end(models: Models, part: int) -> None:
    """Every point, the first time that it is passed, in parts."""
    model = models.of(ITEMS)
    models.all_die(model, model.points[part::PARTS])


@pytest.mark.parametrize(
    "moment",
    [Moment(1, "worker", "log.open.after", 1), Moment(1, "coordinator", "git.merge.before", 1)],
    ids=str,
)
def test_a_final_merge_that_is_cut_off_is_gone_on_with(models: Models, moment: Moment) -> None:
    """In its verification, which a lost worker does not end, and after it: what is verified is not verified again."""
    models.all_die(models.of(PLAIN), [moment])


@pytest.mark.parametrize("part", range(OTHER_PARTS))
@pytest.mark.parametrize(
    "job", [RETRY, LOOPS, PLAIN, RETRY_BEFORE_MERGE, COLLISION, CLAUDE], ids=lambda job: job.name
)
def test_other_jobs_die_where_those_have_no_point(models: Models, job: Job, part: int) -> None:
    """And at a few of the moments that they are recorded at."""
    model = models.of(job)
    before = (ITEMS,) if job is RETRY else (ITEMS, RETRY)
    known = {(moment.who, moment.point) for tested in before for moment in models.of(tested).points}
    new = [moment for moment in model.points if (moment.who, moment.point) not in known]
    groups = [moment for moment in model.moments if moment.point == "journal.sync.after"]
    early = groups[:: len(groups) // 4][:4]  # how many there are differs a little from run to run
    models.all_die(model, [*new, *early][part::OTHER_PARTS])


def test_the_points_are_those_of_every_kind_of_effect(models: Models) -> None:
    model = models.of(ITEMS)
    kinds = {moment.point.partition(".")[0] for moment in model.points}
    assert {
        "journal",
        "file",
        "folder",
        "lock",
        "git",
        "step",
        "log",
        "worker",
        "worktree",
        "worktree-file",
    } <= kinds
    assert {moment.who for moment in model.points} == {"coordinator", "worker"}


UNFINISHED = Job(
    "unfinished",
    """
grace: 300ms
mode: mapreduce
map:
  input: {list: [a]}
  item_id: "${item}"
  agent_template:
    - shell: "echo half > half.txt; until test -e ILL; do echo begun > LOG; sleep 0.02; done"
reduce: [{shell: "cat half.txt > all.txt"}]
""",
)


def test_who_dies_while_work_is_kept_leaves_no_index_of_ours(tmp_path: Path) -> None:
    """Who goes on keeps what no commit has, with an index for the moment; who goes on next removes that index."""
    world, flow = UNFINISHED.world(tmp_path)
    world.points.mkdir()
    with world.start("run", flow, "-y") as first:
        eventually(world.log.exists)
        first.kill()
    world.ill.touch()
    second = world.attempt("resume", "-y", dying=Moment(0, "coordinator", "rescue.index.after", 1))
    assert second.returncode in KILLED, second.stderr
    own = world.repository / ".git"
    assert [path.suffix for path in sorted(own.glob("prodigy-*"))] == ["", ".held"]
    last = world.attempt("resume", "-y")
    assert last.returncode == 0, last.stderr
    assert world.git("show", "main:all.txt") == "half"
    world.at_rest()
    assert world.leftovers() == []
