"""The typed workflow: canonical names only, defaults resolved, every node with its mark.

Pure. Built by ``parse`` from marked YAML nodes; read by the checker, the planner and the interpreter; crosses
processes as msgspec. Durations are seconds, ``None`` means no limit. Texts are not interpolated yet.
"""

from typing import Any, Literal

from msgspec import Struct


class Mark(Struct, frozen=True):
    """Where a node stands: file as the user named it, line and column from 1."""

    file: str = "<workflow>"
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


class Shell(Struct, frozen=True, tag="shell", tag_field="kind"):
    """A script for ``sh -c``; ``mark`` is where its text stands."""

    script: str
    mark: Mark = Mark()


Action = Shell


class Handler(Struct, frozen=True, kw_only=True):
    """What to do when a step failed, and how often.

    ``retry_original`` runs the step again after a handler that succeeded, to prove the repair. ``steps`` may be
    empty: then the step is only run again. ``max_attempts`` is 0 when nothing is tried at all and the failure is
    only recorded (``on_failure: true``, ``continue_on_error``). ``timeout`` bounds one round of ``steps``.
    """

    steps: tuple["Step", ...] = ()
    timeout: float | None = None
    max_attempts: int = 1
    fail_workflow: bool = True
    retry_original: bool = True


class Step(Struct, frozen=True, kw_only=True):
    """One step with its options; ``auto_commit`` is already resolved against phase and workflow."""

    action: Action
    mark: Mark = Mark()
    id: str | None = None
    name: str | None = None
    timeout: float | None = None
    commit_required: bool = False
    auto_commit: bool = True
    on_failure: Handler | None = None

    @property
    def kind(self) -> str:
        """The action's name in the language, e.g. ``shell``."""
        return str(type(self.action).__struct_config__.tag)

    @property
    def label(self) -> str:
        """What people call the step: its name, else the first line of its command."""
        return self.name or next(
            (line.strip() for line in self.action.script.splitlines() if line.strip()), ""
        )


class StepList(Struct, frozen=True, kw_only=True):
    """The steps of a phase other than map, with the phase's own limit."""

    steps: tuple[Step, ...]
    timeout: float | None = None
    mark: Mark = Mark()


class MapInput(Struct, frozen=True, kw_only=True):
    """Where the work items come from.

    ``auto`` decides at run time between an existing file and a command, by the rule of the language reference.
    """

    source: Literal["auto", "file", "command", "list"]
    text: str = ""
    items: tuple[Any, ...] = ()
    mark: Mark = Mark()


class MapPhase(Struct, frozen=True, kw_only=True):
    """One agent per item."""

    input: MapInput
    agent_template: tuple[Step, ...]
    json_path: str = ""
    max_parallel: int = 10
    max_items: int | None = None
    offset: int = 0
    item_id: str | None = None
    item_id_mark: Mark = Mark()
    input_timeout: float | None = 300.0
    agent_timeout: float | None = None
    mark: Mark = Mark()


class Workflow(Struct, frozen=True, kw_only=True):
    """A whole workflow: either ``steps``, or ``map`` with what stands around it."""

    name: str
    mode: Literal["sequential", "mapreduce"]
    description: str | None = None
    version: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    steps: StepList | None = None
    setup: StepList | None = None
    map: MapPhase | None = None
    reduce: StepList | None = None
    timeout: float | None = None
    grace: float = 5.0
    mark: Mark = Mark()
