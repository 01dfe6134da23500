"""The names that a workflow declares or sets anywhere, whatever the place that asks.

Pure.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from prodigy.workflow.model import Check, Environment, Foreach, GoalSeek, Step, Workflow
from prodigy.workflow.nearest import Guesses
from prodigy.workflow.variables import Phase


class Declared(Struct, kw_only=True):
    """The names that a whole workflow declares, whatever the place.

    ``elsewhere`` are ids and captures of all step lists, with a list that sets them.
    """

    parameters: frozenset[str] = frozenset()
    environment: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    """Names of ``map.variables``."""
    has_files: bool = False
    """Whether there are ``env_files``, which may set any name."""
    partial: bool = False
    """Whether a part of the workflow could not be read, which may declare anything."""
    elsewhere: dict[str, Phase] = field(default_factory=dict)
    guesses: Guesses = field(default_factory=Guesses)


def declared_in(workflow: Workflow) -> Declared:
    """What a workflow declares in its own environment, its profiles and its parameters."""
    layers = [workflow.environment, *(profile.environment for profile in workflow.profiles)]
    found = declared_by(*layers)
    found.parameters = frozenset(workflow.parameters)
    if workflow.map is not None:
        found.aggregates = frozenset(aggregate.name for aggregate in workflow.map.variables)
    found.elsewhere = dict(_set_somewhere(workflow))
    return found


def declared_by(*layers: Environment) -> Declared:
    """What layers of the environment declare."""
    variables = [variable for layer in layers for variable in layer.variables]
    secrets = [variable.name for layer in layers for variable in layer.secrets]
    return Declared(
        environment=frozenset([*(variable.name for variable in variables), *secrets]),
        secrets=frozenset([*(variable.name for variable in variables if variable.secret), *secrets]),
        has_files=any(layer.files for layer in layers),
    )


def _set_somewhere(workflow: Workflow) -> Iterator[tuple[str, Phase]]:
    """Every id and capture of the workflow with the phase that sets it."""
    parts: list[tuple[Phase, Iterable[Step]]] = [
        ("merge", () if workflow.merge is None else workflow.merge.steps),
        ("reduce", () if workflow.reduce is None else workflow.reduce.steps),
        ("agents", () if workflow.map is None else workflow.map.agent_template),
        ("steps", () if workflow.steps is None else workflow.steps.steps),
        ("setup", () if workflow.setup is None else workflow.setup.steps),
    ]
    for phase, steps in parts:
        for step in steps:
            yield from ((name, phase) for name in _sets(step))


def _sets(step: Step) -> Iterator[str]:
    """The ids and captures of a step and of what stands in it."""
    if step.id is not None:
        yield step.id
    yield from (capture.name.partition(".")[0] for capture in step.captures)
    if isinstance(step.action, Foreach | GoalSeek | Check):
        for inner in step.action.steps:
            yield from _sets(inner)
    for inner in step.on_failure.steps if step.on_failure is not None else ():
        yield from _sets(inner)
