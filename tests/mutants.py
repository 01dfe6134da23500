"""The matrix of options run by products that lack one of them: whose proofs are missing then.

Each cell stands in a ``foreach`` that goes on when it fails, so that one run tells of all cells. The cells of the
missing option stand in every place, those of the others in some places each, by turns.
"""

import json
import sys
from pathlib import Path
from typing import Any

from matrix import FRAMES, MARK, SEQUENTIAL, TABLE, Matrix, Steps, prepared
from worlds import World

from prodigy.workflow.language_steps import CLAUDE_SHORT_CUTS

PROGRAM = Path(__file__).parent / "mutant_program.py"
OF_CLAUDE = ("claude_options", *(key.name for key in CLAUDE_SHORT_CUTS))
HANDLED = "the proof is what a handler says of the failure"
DEPENDENTS: dict[str, dict[str, str]] = {
    "name": {"commit_config": "the message of the commit names the step"},
    "id": {
        "outputs": "an output is read by the id of its step",
        "goal_seek": "the attempts of this very search are read by its id",
    },
    "timeout": {
        "grace": "there is a grace only when something is ended",
        "handler_timeout": "it is the same key, in a handler",
    },
    "retry_original": {"commit_required": "its handler does not repair, and the step is not run again"},
    "validate": {"validation_timeout": "it is a limit of the check"},
    "fail_workflow": {
        "handler_timeout": "what is seen is that the run goes on",
        "validation_timeout": "what is seen is that the run goes on",
    },
    "strategy": {"handler_capture": "a step that fails again has no later steps"},
    "continue_on_error": {"handler_failure_fatal": "the `foreach` around it goes on"},
    "retry": {"retry_fallback": "what follows the last attempt is part of `retry`"},
    "on_failure": {
        "timeout": HANDLED,
        "idle_timeout": HANDLED,
        "limits": HANDLED,
        "commit_required": HANDLED,
        "max_attempts": "it says how often the handler runs",
        "fail_workflow": "it is an option of the handler",
        "strategy": "it is an option of the handler",
        "test": "its handler is that of the step",
        "retry_original": "it is an option of the handler",
        "handler_timeout": "it is an option of the handler",
        "handler_capture": "it is an option of the handler",
    },
    "capture": {
        "capture_format": "it says how what is captured is read",
        "capture_streams": "it says what of the step is captured",
        "handler_capture": "it is the same key, in a handler",
    },
    "claude": {
        "idle_timeout": "only a step of Claude can be idle",
        **dict.fromkeys(OF_CLAUDE, "it is an option of a step of Claude"),
    },
    "env": {"clear_env": "what is left is the environment of the step"},
}
"""Options whose proofs are missing as well where another one is, and why."""


class Mutant(World):
    """A user's world in which ``prodigy`` lacks an option."""

    option = ""

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", str(PROGRAM), self.option, *words]


def mutant(world: World, option: str) -> Mutant:
    made = Mutant(world.folder, world.environ)
    made.option = option
    return made


def failing(world: World, tag: str, option: str, *, places: int = 1) -> set[str]:
    """The cells, ``FRAME.OPTION``, whose proofs are missing or wrong without an option.

    Args:
        world: where the run takes place.
        tag: a word for command lines.
        option: what the product lacks.
        places: how many places each other option is tried in.
    """
    matrix = Matrix(prepared(world), tag, long=6)
    phases: dict[str, Steps] = {"setup": [], "agent": [], "reduce": [], "merge": []}
    expected: dict[str, str] = {}
    for frame, other in chosen(option, places):
        name, cell, expected[name] = matrix.cell(frame, other)
        phase = "setup" if frame in SEQUENTIAL else frame
        phases[phase].append({"foreach": ["only"], "do": cell, "continue_on_error": True, **MARK})
    flow: dict[str, Any] = {
        "name": "matrix",
        "mode": "mapreduce",
        "grace": "100ms",
        "setup": phases["setup"],
        "map": {"input": {"list": ["only"]}, "agent_template": phases["agent"]},
        "reduce": phases["reduce"],
        "merge": phases["merge"],
    }
    done = mutant(world, option).prodigy("run", world.workflow(json.dumps(flow)), "-y")
    assert done.returncode == 0, f"{option}: {done.stderr[-2000:]}"
    found = matrix.found()
    return {name for name, proof in expected.items() if found.get(name) != proof}


def verdict(option: str, failed: set[str]) -> list[str]:
    """What is wrong with the matrix: cells of the option that do not notice, others that do; in words."""
    own = {f"{frame}.{option}" for frame in FRAMES}
    expected = set(DEPENDENTS.get(option, {}))
    others = {name.partition(".")[2] for name in failed - own}
    return [
        *(f"{name} does not notice" for name in sorted(own - failed)),
        *(f"{name} fails as well" for name in sorted(failed - own) if name.partition(".")[2] not in expected),
        *(f"{name} is said to depend on it and does not" for name in sorted(expected - others)),
    ]


def chosen(option: str, places: int) -> list[tuple[str, str]]:
    """The cells to try as frame and option: all of the option itself, ``places`` of every other one."""
    frames, turn = list(FRAMES), list(TABLE).index(option)
    others = [
        (frames[(turn + number + place) % len(frames)], other)
        for number, other in enumerate(TABLE)
        for place in range(min(places, len(frames)))
        if other != option
    ]
    return [*others, *((frame, option) for frame in frames)]
