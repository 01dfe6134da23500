"""The environment of a step's processes: the agent's, what is asked anew for each step, the step's own, and ours.

A value that a command prints is worked out once per try and recorded; one that is a secret is never recorded, and so it
is asked again by a resumed run.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from prodigy.errors import WorkflowError
from prodigy.events import Failure, StepFailed
from prodigy.steps.commands import LeafPlace, Order
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Variables
from prodigy.workflow.environment import Request, resolve
from prodigy.workflow.layers import essential
from prodigy.workflow.model import Environment, Step

OURS = ("PRODIGY_", "GIT_CONFIG_", "GIT_AUTHOR_", "GIT_COMMITTER_")
"""Beginnings of what Prodigy itself gives to every child; ``clear_env`` leaves it."""
OUR_NAMES = frozenset({"GIT_CEILING_DIRECTORIES", "GIT_TERMINAL_PROMPT", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR"})
_NAMED: Final = 12


class Surroundings(Struct, frozen=True):
    """What a step's processes find, and which of it are secrets."""

    values: dict[str, str]
    secrets: frozenset[str]
    declared: frozenset[str] = frozenset()
    """What the step and the layers around it declare."""


async def surroundings(
    stage: Stage,
    variables: Variables,
    step: Step,
    layers: Sequence[Environment],
    path: str,
    try_: int,
) -> Surroundings:
    """The variables of a step's processes, but for what changes with every process.

    Args:
        stage: the agent's ports.
        variables: what texts can read; its environment is the lowest layer.
        step: its own layer, and ``clear_env``.
        layers: what lies between, lowest first.
        path: of the step.
        try_: of the step.

    Raises:
        WorkflowError: a value cannot be worked out.
        LeafFailed: a command that should print one failed.
    """
    base = variables.environment
    kept = cleared(base, variables.secrets) if step.clear_env else base
    declared = [layer for layer in (*([] if step.clear_env else layers), step.environment) if layer]
    if not any(layer.variables or layer.secrets for layer in declared):
        return Surroundings(dict(kept), variables.secrets)
    answers = resolve(declared, kept, variables, profile=stage.profile, process=base)
    try:
        request = next(answers)
        while True:
            request = answers.send(await _answer(stage, request, kept, path, try_))
    except StopIteration as end:
        found = end.value
    stage.learn({name: found.values[name] for name in found.secrets})
    return Surroundings({**kept, **found.values}, variables.secrets | found.secrets, frozenset(found.values))


def cleared(environ: Mapping[str, str], secrets: frozenset[str]) -> dict[str, str]:
    """What ``clear_env`` leaves: what no command should miss, secrets, and what is Prodigy's own."""
    ours = {
        name: value
        for name, value in environ.items()
        if name.startswith(OURS) or name in OUR_NAMES or name in secrets
    }
    return {**essential(environ), **ours}


async def _answer(stage: Stage, request: Request, base: Mapping[str, str], path: str, try_: int) -> str:
    match request.kind:
        case "file":
            return _content(stage, request)
        case "date" | "uuid":
            return await _told(stage, request, path, try_)
        case "command":
            return await _printed(stage, request, base, path, try_)


async def _told(stage: Stage, request: Request, path: str, try_: int) -> str:
    """What the clock or chance tells, recorded as the value of its variable."""

    async def action(_intent: int) -> Done:
        told = stage.oracle.now().strftime(request.text) if request.kind == "date" else stage.oracle.uuid()
        return Done(value=told)

    digest = sha256(request.text.encode("utf-8", "surrogatepass")).hexdigest()[:_NAMED]
    leaf_path = f"{path}.env.{request.name}.{request.kind}-{digest}"
    return str((await stage.door.durable(leaf_path, try_, Leaf(kind="asked"), action)).value)


async def _printed(stage: Stage, request: Request, base: Mapping[str, str], path: str, try_: int) -> str:
    order = Order(
        argv=("sh", "-c", request.text),
        cwd=stage.folder,
        env={**base, **request.environment},
        timeout=request.timeout,
        keep=stage.max_capture,
        private=request.secret,
    )
    leaf_path = f"{path}.env.{request.name}"

    async def action(intent: int) -> Done:
        ran = await stage.commands.run(order, LeafPlace(path=leaf_path, try_=try_, kind="env", intent=intent))
        if ran.failure is not None or ran.texts is None or ran.texts.cut:
            reason = "it printed too much" if ran.failure is None else ran.failure.message
            message = f"The command of `{request.name}` failed: {reason}"
            failure = ran.failure or Failure(error_class="command-failed", message=message)
            raise LeafFailed(
                Failure(error_class=failure.error_class, message=message, exit_code=failure.exit_code)
            )
        values[request.name] = ran.texts.stdout
        return Done(value=None if request.secret else ran.texts.stdout)

    values: dict[str, str] = {}
    outcome = await stage.door.durable(leaf_path, try_, Leaf(kind="env", name=request.name), action)
    if isinstance(outcome, StepFailed):
        raise LeafFailed(outcome.error)
    if request.secret and request.name not in values:  # recorded by an earlier run, but without its value
        await action(outcome.intent)
    return values.get(request.name, str(outcome.value))


def _content(stage: Stage, request: Request) -> str:
    try:
        return (Path(stage.folder) / Path(request.text).expanduser()).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"`{request.name}` cannot be read from {request.text}: {error}"
        raise WorkflowError("bad-value", message, where=str(request.mark)) from None
