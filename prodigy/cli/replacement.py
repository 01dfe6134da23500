"""A workflow that takes the place of the one that a run was begun with."""

import hashlib
from pathlib import Path

from msgspec import Struct, structs

from prodigy.cli.invocation import Invocation
from prodigy.cli.reading import read_workflow
from prodigy.errors import UsageError
from prodigy.job.plan import RunPlan
from prodigy.job.redirection import require_same_kind


class Replacement(Struct, frozen=True):
    """The plan with the other workflow, its flags not applied; and the text of it."""

    plan: RunPlan
    text: bytes


def replacement(plan: RunPlan, invocation: Invocation, name: str | None = None) -> Replacement:
    """The workflow as its file says it now, or another file, checked with the parameters that the run was begun with.

    Raises:
        UsageError: ``bad-value``: it came from standard input; ``workflow-mismatch``: it has other kinds of phases;
            ``workflow-not-found``.
        WorkflowInvalid: every problem has been shown.
    """
    name = name or plan.workflow_path
    if (not name.startswith("/") and name == plan.workflow_path) or name == "-":
        raise UsageError(
            "bad-value",
            "The workflow came from no file",
            hint="`prodigy dlq retry` takes a file with `--workflow FILE`",
        )
    reading = read_workflow(name, invocation, plan.workflow.parameters)
    source = reading.source
    merge = source.workflow.merge
    taken = structs.replace(
        plan,
        workflow=source.workflow,
        workflow_path=source.path,
        workflow_sha256=source.sha256,
        merge_target=merge.target if merge is not None else None,
        configured=invocation.configuration.recorded,
    )
    require_same_kind(plan, taken)
    return Replacement(taken, reading.text)


def differs(plan: RunPlan) -> bool:
    """Whether the workflow's file is not, or no more, what the plan was made of."""
    path = Path(plan.workflow_path)
    if not path.is_absolute():
        return False  # it came from standard input
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() != plan.workflow_sha256
    except OSError:
        return True
