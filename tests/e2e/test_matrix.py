"""Every option of a step works in every place where steps stand.

Four runs of the real command try all cells of the matrix. A cell whose proof is missing ended the run at that cell.
"""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from matrix import FRAMES, SEQUENTIAL, TABLE, Matrix, Steps, prepared
from worlds import World

PHASES = tuple(frame for frame in FRAMES if frame not in SEQUENTIAL)


@pytest.fixture
def matrix(world: World, tag: str) -> Matrix:
    return Matrix(prepared(world), tag)


def cells(matrix: Matrix, frames: Iterable[str]) -> tuple[dict[str, Steps], dict[str, str]]:
    """The steps of each frame, and all proofs that they should leave by name."""
    steps: dict[str, Steps] = {}
    expected: dict[str, str] = {}
    for frame in frames:
        steps[frame] = []
        for option in TABLE:
            name, cell, proof = matrix.cell(frame, option)
            steps[frame] += cell
            expected[name] = proof
    return steps, expected


def run(world: World, matrix: Matrix, flow: dict[str, Any], expected: dict[str, str]) -> None:
    """Run a workflow; every cell has left its proof, and nothing else is left."""
    whole = {"name": "matrix", "grace": "100ms", **flow}
    done = world.prodigy("run", world.workflow(json.dumps(whole)), "-y")
    found = matrix.found()
    wrong = [
        f"{name}: {found[name]!r} is not {expected[name]!r}"
        for name in found
        if found[name] != expected[name]
    ]
    missing = [name for name in expected if name not in found]
    assert not wrong, "\n".join(wrong)
    assert not missing, f"{len(missing)} from {missing[0]} on\n{done.stderr[-2000:]}"
    assert done.returncode == 0, done.stderr[-2000:]
    assert world.leftovers() == []


@pytest.mark.parametrize("frames", [SEQUENTIAL[:3], SEQUENTIAL[3:]], ids="-".join)
def test_every_option_in_every_place_of_a_plain_workflow(
    world: World, matrix: Matrix, frames: tuple[str, ...]
) -> None:
    steps, expected = cells(matrix, frames)
    run(world, matrix, {"commands": [step for own in steps.values() for step in own]}, expected)


@pytest.mark.parametrize("phases", [PHASES[:2], PHASES[2:]], ids="-".join)
def test_every_option_in_every_phase_of_a_map(world: World, matrix: Matrix, phases: tuple[str, ...]) -> None:
    steps, expected = cells(matrix, phases)
    idle: Steps = [{"shell": "true"}]
    flow = {
        "mode": "mapreduce",
        "setup": steps.get("setup", idle),
        "map": {"input": {"list": ["only"]}, "agent_template": steps.get("agent", idle)},
        "reduce": steps.get("reduce", idle),
        "merge": steps.get("merge", idle),
    }
    run(world, matrix, flow, expected)
