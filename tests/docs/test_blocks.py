"""Every workflow in the documentation is valid, or refused for the reason that its title names; so is every script."""

import pytest
from pages import Block, all_blocks

from prodigy.rehearsal.reading import read_script
from prodigy.workflow.load import load_workflow
from prodigy.workflow.problems import Problem, WorkflowInvalid


def outcome(block: Block) -> tuple[bool, set[str]]:
    """Whether a workflow is valid, and the codes of its errors, or of everything else that was found."""
    problems: tuple[Problem, ...]
    if block.title.startswith("rehearsal:"):
        read_script(block.text.encode(), block.title)
        return True, set()
    try:
        problems = load_workflow(block.text.encode(), "workflow.yml").problems
    except WorkflowInvalid as invalid:
        return False, {problem.code for problem in invalid.problems if problem.severity == "error"}
    return True, {problem.code for problem in problems}


def expected(title: str) -> tuple[bool, set[str]]:
    """``refused: CODE …`` and ``warns: CODE …`` name what is to be found; under any other title nothing is."""
    how, _, codes = title.partition(":")
    if how in {"refused", "warns"}:
        assert codes.strip(), "which problem?"
        return how == "warns", set(codes.split())
    return True, set()


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_a_workflow_is_what_its_title_says(block: Block) -> None:
    assert outcome(block) == expected(block.title)


def test_there_are_workflows_of_every_kind() -> None:
    titles = [block.title.partition(":")[0] for block in all_blocks("yaml")]
    assert len(titles) >= 12
    assert {"refused", "warns", ""} <= set(titles)


def test_no_workflow_hides_under_another_language() -> None:
    """A block that is meant as a workflow is checked as one."""
    assert all_blocks("yml") == []
