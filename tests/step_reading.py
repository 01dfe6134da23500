"""Reading step lists alone, without the workflow around them and without its checks."""

from prodigy.workflow.fields import Reader
from prodigy.workflow.inherited import Inherited
from prodigy.workflow.model import Step
from prodigy.workflow.parse_steps import StepReader
from prodigy.workflow.problems import Problem, Problems
from prodigy.workflow.source import read


def read_steps(text: str, inherited: Inherited | None = None) -> tuple[tuple[Step, ...], tuple[Problem, ...]]:
    """The steps of a list, and what is wrong with them."""
    problems = Problems("wf.yml")
    node = read(text, problems, json=False)
    steps = () if node is None else StepReader(Reader(problems), inherited).steps(node)
    return steps, problems.sorted()


def steps_of(text: str, inherited: Inherited | None = None) -> tuple[Step, ...]:
    """The steps of a list without an error."""
    steps, problems = read_steps(text, inherited)
    assert [problem for problem in problems if problem.severity == "error"] == []
    return steps


def step_of(text: str, inherited: Inherited | None = None) -> Step:
    """The only step of a list without an error."""
    (step,) = steps_of(text, inherited)
    return step


def codes_of(text: str) -> list[str]:
    """``line:column code`` of every problem of a list."""
    return [f"{found.mark.line}:{found.mark.column} {found.code}" for found in read_steps(text)[1]]


def commands_of(steps: tuple[Step, ...]) -> list[tuple[str, str]]:
    """Kind and text of every step."""
    return [(step.kind, step.text) for step in steps]
