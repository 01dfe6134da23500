"""Layers of declared variables: which there are in a workflow, which profile picks their values, and who lies on whom.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from msgspec import Struct

from prodigy.errors import WorkflowError
from prodigy.workflow.model import Environment, EnvValue, EnvVar, Mark, Step, Workflow
from prodigy.workflow.nearest import nearest

Part = TypeVar("Part", bound=Struct)

BASE: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TZ", "TMPDIR", "PRODIGY_DEPTH"}
)
"""What is left of the process's environment by ``inherit: false`` and ``clear_env``, besides ``LC_*``."""


def essential(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that no command should miss."""
    return {name: value for name, value in environ.items() if name in BASE or name.startswith("LC_")}


class Definition(Struct, frozen=True, kw_only=True):
    """One way in which one layer gives a variable its value."""

    name: str
    value: EnvValue
    secret: bool
    mark: Mark


def definitions(layers: Iterable[Environment], profile: str | None) -> dict[str, tuple[Definition, ...]]:
    """By name, the lowest layer's first; variables that have no value under the profile are not there."""
    found: dict[str, list[Definition]] = {}
    for variable in _in_order(layers):
        value = variable.values.get(profile or "", variable.values.get(""))
        if value is not None:
            hidden = variable.secret or any(known.secret for known in found.get(variable.name, ()))
            definition = Definition(name=variable.name, value=value, secret=hidden, mark=variable.mark)
            found.setdefault(variable.name, []).append(definition)
    return {name: tuple(chain) for name, chain in found.items()}


def _in_order(layers: Iterable[Environment]) -> Iterator[EnvVar]:
    layers = tuple(layers)
    for layer in layers:
        yield from layer.variables
    for layer in layers:
        yield from layer.secrets


# -- profiles ----------------------------------------------------------------------------------------------------------
def known_profiles(workflow: Workflow) -> tuple[str, ...]:
    """The names of all profiles: declared ones, then those that only values mention."""
    names = [profile.name for profile in workflow.profiles]
    for layer in environments(workflow):
        for variable in _in_order([layer]):
            names += [name for name in variable.values if name]
    return tuple(dict.fromkeys(names))


def active_profile(workflow: Workflow, asked: str | None) -> str | None:
    """The profile in force: the one that was asked for, else the workflow's own.

    Raises:
        WorkflowError: ``profile-unknown``.
    """
    name = asked or workflow.active_profile
    known = known_profiles(workflow)
    if name is None or name in known:
        return name
    meant = nearest(name, known)
    hint = "this workflow has no profiles"
    if meant is not None:
        hint = f"did you mean `{meant}`?"
    elif known:
        hint = f"profiles: {', '.join(known)}"
    raise WorkflowError("profile-unknown", f"There is no profile `{name}`", hint=hint)


def profile_layers(workflow: Workflow, profile: str | None) -> tuple[Environment, ...]:
    """The workflow's own layer, and above it that of its profile."""
    above = (declared.environment for declared in workflow.profiles if declared.name == profile)
    return (workflow.environment, *above)


# -- all layers --------------------------------------------------------------------------------------------------------
def environments(part: Struct) -> Iterator[Environment]:
    """Every layer that a workflow, or a part of one, declares."""
    yield from within(part, Environment)


def step_environments(part: Struct) -> Iterator[Environment]:
    """Every layer that a step of the part declares, steps inside steps included."""
    for step in within(part, Step):
        if step.environment is not None:
            yield step.environment


def within(value: Any, kind: type[Part]) -> Iterator[Part]:
    """Structs of a kind inside another, outer ones first."""
    if isinstance(value, kind):
        yield value
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from within(getattr(value, name), kind)
    elif isinstance(value, tuple):
        for element in value:
            yield from within(element, kind)


def step_names(workflow: Workflow) -> frozenset[str]:
    """The names that steps give values to: captures, ids, and outputs of phases."""
    names: set[str] = set()
    for step in within(workflow, Step):
        names |= {capture.name.partition(".")[0] for capture in step.captures}
        names |= {step.id} if step.id is not None else set()
    if workflow.setup is not None:
        names |= {output.name for output in workflow.setup.outputs}
    return frozenset(names)
