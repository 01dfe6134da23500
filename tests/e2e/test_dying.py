"""A run that dies at any of its named points is resumed to the same end as one that nobody killed.

``python -m stress crash_points`` dies at later times of each point too, in a larger job, several times in a row.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dying import Model, Moment, die_and_resume, uninterrupted

SMALL = """
grace: 300ms
mode: mapreduce
setup:
  - shell: 'say() { echo "$1" >> "LOG"; }; say setup; echo 1 > setup.txt'
map:
  input: {list: [a, b]}
  item_id: "${item}"
  agent_template:
    - shell: 'say() { echo "$1" >> "LOG"; }; say ${item}-first; echo ${item} > ${item}.txt'
    - write_file: {path: "out/${item}.json", content: {item: "${item}"}, format: json, create_dirs: true}
    - shell: 'say() { echo "$1" >> "LOG"; }; say ${item}-last; echo last >> ${item}.txt'
reduce:
  - shell: 'say() { echo "$1" >> "LOG"; }; say reduce; echo ${map.successful} > reduce.txt'
"""
BESIDE = 2
PARTS = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return uninterrupted(tmp_path_factory.mktemp("crash") / "model", SMALL)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_dies_at_a_point_comes_to_the_same_end(model: Model, tmp_path: Path, part: int) -> None:
    """Every point, the first time that it is passed, in parts."""

    def attempt(moment: Moment) -> str:
        try:
            died = die_and_resume(tmp_path / str(moment).replace(" ", "-"), model, [moment], SMALL)
        except (AssertionError, subprocess.SubprocessError) as failure:
            return f"{moment}: {failure}"
        return "" if died else f"{moment}: nobody died"

    with ThreadPoolExecutor(BESIDE) as pool:
        failures = list(filter(None, pool.map(attempt, model.points[part::PARTS])))
    assert not failures, "\n".join(failures)


def test_the_points_are_those_of_every_kind_of_effect(model: Model) -> None:
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
