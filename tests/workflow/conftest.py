"""Loading workflow texts in tests."""

from collections.abc import Callable

import pytest

from prodigy.workflow.load import Loaded, load_workflow
from prodigy.workflow.problems import Problem, WorkflowInvalid


@pytest.fixture
def load() -> Callable[[str], Loaded]:
    """A valid workflow text, loaded."""
    return lambda text: load_workflow(text.encode(), "wf.yml")


@pytest.fixture
def problems_of() -> Callable[..., tuple[Problem, ...]]:
    """Every problem of a text, valid or not."""

    def problems(text: str, name: str = "wf.yml") -> tuple[Problem, ...]:
        try:
            return load_workflow(text.encode(), name).problems
        except WorkflowInvalid as invalid:
            return invalid.problems

    return problems


@pytest.fixture
def codes(problems_of: Callable[..., tuple[Problem, ...]]) -> Callable[..., list[str]]:
    """``line:column code`` of every problem of a text."""

    def found(text: str, name: str = "wf.yml") -> list[str]:
        return [
            f"{problem.mark.line}:{problem.mark.column} {problem.code}" for problem in problems_of(text, name)
        ]

    return found
