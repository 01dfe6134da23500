"""A workflow inside a workflow: its steps see what they are given and nothing else of ours, and we see its outputs."""

from typing import Any

from prodigy.steps.durable import Done, LeafFailed, below
from prodigy.steps.nested import attempted, output_of, stream_of, typed
from prodigy.steps.runner import Runner
from prodigy.workflow.model import Step, SubWorkflow
from prodigy.workflow.scope import UNDEFINED


async def workflow(runner: Runner, step: Step, action: SubWorkflow, path: str, try_: int) -> Done:  # noqa: ARG001 - the form of all actions
    """Run the steps of another workflow, as leaves ``{path}.workflow.1`` and so on.

    The outcome's ``value`` holds the outputs by name, those that no step set as null; its output is that of the last
    step.

    Raises:
        LeafFailed: one of its steps failed, for that step's reason.
    """
    given: dict[str, Any] = {name: typed(runner, text.source) for name, text in action.inputs.items()}
    inner = runner.inside({**action.parameters, **given}, layer=action.environment, isolated=True)
    failure = await attempted(inner, action.steps, f"{below(path, try_)}.workflow.")
    output = stream_of(output_of(inner.last))
    if failure is not None:
        raise LeafFailed(failure, stdout=output)
    return Done(stdout=output, value={name: _output(inner, name) for name in action.outputs})


def _output(inner: Runner, name: str) -> Any:
    found = inner.variables.lookup((name,))
    return None if found is UNDEFINED else found
