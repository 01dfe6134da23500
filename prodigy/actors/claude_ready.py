"""Whether what Claude steps run can be launched at all, asked before a run begins. Runs without such steps never ask."""

from collections.abc import Mapping

import trio

from prodigy.events import Backend
from prodigy.job.plan import needs_claude
from prodigy.steps.backend import Needs
from prodigy.steps.backends import opened
from prodigy.workflow.layers import within
from prodigy.workflow.model import Claude, Step, Workflow


async def check_claude(workflow: Workflow, chosen: Backend, environment: Mapping[str, str]) -> None:
    """Nothing, if the workflow needs no Claude or can have it.

    Args:
        workflow: the one that is to run.
        chosen: what its Claude steps run.
        environment: what its steps inherit.

    Raises:
        MachineError: as ``AgentBackend.check``.
        UsageError: ``backend-unknown``.
    """
    steps = [step for step in within(workflow, Step) if isinstance(step.action, Claude)]
    if not needs_claude(workflow):
        return
    where = str(steps[0].mark) if steps else "on_conflict: claude"
    needs = Needs(where=where, options=tuple(step.claude for step in steps) or (workflow.claude,))
    backend = opened(chosen)
    await trio.to_thread.run_sync(backend.check, needs, environment, abandon_on_cancel=True)
