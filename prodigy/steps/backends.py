"""Backends by name: those that come with Prodigy, and those that other packages offer as entry points.

A package offers one in the group ``prodigy.backends``; what the entry point names is called with the settings of the
run, which are plain JSON values, and gives an ``AgentBackend``.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, cast

from prodigy.errors import UsageError
from prodigy.events import Backend
from prodigy.steps.backend import AgentBackend
from prodigy.workflow.nearest import nearest

GROUP: Final = "prodigy.backends"
_OURS: Final[Mapping[str, str]] = {
    "claude": "prodigy.steps.claude_cli:claude_cli",
    "rehearsal": "prodigy.rehearsal.backend:rehearsal",
}

Factory = Callable[[Mapping[str, Any]], AgentBackend]


def opened(chosen: Backend) -> AgentBackend:
    """The backend of a run, ready to be asked.

    Raises:
        UsageError: ``backend-unknown``.
    """
    return _factory(chosen.name)(chosen.settings)


def names() -> tuple[str, ...]:
    """Every backend that can be named, ours first."""
    from importlib.metadata import entry_points

    return tuple(dict.fromkeys((*_OURS, *sorted(entry_points(group=GROUP).names))))


def require(name: str) -> str:
    """The name itself, if there is such a backend.

    Raises:
        UsageError: ``backend-unknown``.
    """
    if name not in _OURS and name not in (known := names()):
        meant = nearest(name, known)
        hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(known)}"
        raise UsageError("backend-unknown", f"There is no backend `{name}`", hint=hint)
    return name


def _factory(name: str) -> Factory:
    if (place := _OURS.get(name)) is not None:
        module, _, attribute = place.partition(":")
        return cast("Factory", getattr(import_module(module), attribute))
    from importlib.metadata import entry_points

    for found in entry_points(group=GROUP, name=require(name)):
        return cast("Factory", found.load())
    raise AssertionError(name)
