"""Which names of a workflow's texts ask for one of two output streams."""

import pytest

from prodigy.job.streams import read_apart
from prodigy.workflow.model import Capture, Expr, Shell, Step, StepList, Workflow


def apart(step: Step) -> frozenset[str]:
    return read_apart(Workflow(name="w", mode="sequential", steps=StepList(steps=(step,))))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("echo ${build.stderr}", {"build"}),
        ("echo ${setup.build.stdout} ${a-b.stderr}", {"build", "a-b"}),
        ("echo ${shell.stderr} ${last.output}", {"shell"}),
        ("""echo ${x["stderr"]} ${y['stdout']}""", {"x", "y"}),
        ("echo ${build} ${build.output} stderr .stdout ${build.stderr_of}", set()),
    ],
)
def test_what_stands_before_a_stream(text: str, names: set[str]) -> None:
    captures = (Capture(name="x", source="both", fields=("stdout", "stderr")),)
    assert apart(Step(action=Shell(text), captures=captures)) == names


def test_conditions_count() -> None:
    assert apart(Step(action=Shell("true"), when=Expr(source="x.stderr == ''"))) == {"x"}
