"""The door: the bytes of a workflow file in, a checked workflow out.

Pure: the caller reads the file. All problems of a file are reported together.
"""

from msgspec import Struct

from prodigy.workflow.check import check
from prodigy.workflow.model import Workflow
from prodigy.workflow.parse import parse
from prodigy.workflow.problems import Problem, Problems, WorkflowInvalid
from prodigy.workflow.source import decode, read


class Loaded(Struct, frozen=True):
    """A valid workflow with the warnings and notes about it, by position."""

    workflow: Workflow
    problems: tuple[Problem, ...] = ()


def load_workflow(data: bytes, name: str) -> Loaded:
    """Read, parse and check a workflow file.

    Args:
        data: the file, UTF-8; JSON if ``name`` ends in ``.json``, else YAML.
        name: the file as the user named it; its stem is the workflow's default name.

    Raises:
        WorkflowInvalid: with every problem of the file.
    """
    problems = Problems(name)
    text = decode(data, problems)
    workflow = None if text is None else _checked(text, problems)
    if workflow is None or problems.invalid:
        shown = data.decode("utf-8-sig", "replace") if text is None else text
        raise WorkflowInvalid(problems.sorted(), shown)
    return Loaded(workflow, problems.sorted())


def _checked(text: str, problems: Problems) -> Workflow | None:
    root = read(text, problems, json=problems.file.lower().endswith(".json"))
    if root is None and problems.invalid:
        return None
    workflow = parse(root, problems)
    check(workflow, text, problems)
    return workflow
