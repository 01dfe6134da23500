"""A workflow inside a workflow: what goes in, what comes out, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from fakes.runner import FakeRunner

from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.subworkflow import workflow
from prodigy.workflow.model import Capture, Environment, EnvValue, EnvVar, Shell, Step, SubWorkflow, Text


async def run(runner: FakeRunner, *scripts: str, **options: Any) -> Done:
    steps = tuple(
        Step(action=Shell(script), captures=(Capture(name=f"c{n}"),)) for n, script in enumerate(scripts, 1)
    )
    action = SubWorkflow(name="build", steps=steps, **options)
    return await workflow(runner, Step(action=action), action, "3", 1)


async def test_inputs_in_outputs_out(tmp_path: Path) -> None:
    """Inputs keep their types, parameters are variables, the outer ones are out of sight."""
    runner = FakeRunner(tmp_path, roots={"list": [1, 2], "secret": "s"})
    inputs = {"given": Text("${list}"), "text": Text("n=${list[0]}")}
    script = "echo ${given[1]} ${text} ${level} ${secret:-none}"
    done = await run(runner, script, inputs=inputs, parameters={"level": 3}, outputs=("c1", "c9"))
    assert done.value == {"c1": "2 n=1 3 none", "c9": None}
    assert done.stdout.tail.strip() == "2 n=1 3 none"
    assert runner.notebook.intended() == ["3.workflow.1"]
    assert not runner.variables.knows("c1")


async def test_its_own_environment(tmp_path: Path) -> None:
    layer = Environment(variables=(EnvVar(name="TIER", values={"": EnvValue(text="live")}),))
    assert (await run(FakeRunner(tmp_path), 'echo "$TIER"', environment=layer)).stdout.tail.strip() == "live"


async def test_failure(tmp_path: Path) -> None:
    with pytest.raises(LeafFailed) as raised:
        await run(FakeRunner(tmp_path), "echo a", "exit 5", "echo c")
    assert raised.value.failure.exit_code == 5
    assert raised.value.failure.step == "3.workflow.2"
