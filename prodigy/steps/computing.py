"""Values that a text has worked out for it: a file's content, a part of a JSON file, what a command prints.

Each is a leaf of its own, once for each try of the step that names it, so a resumed run sees the same value. One that
cannot be worked out fails the step only if a text makes use of it.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from msgspec import structs

from prodigy.errors import WorkflowError
from prodigy.events import Failure, StepFailed
from prodigy.steps.captures import CaptureError, at_path, parsed, whole
from prodigy.steps.commands import LeafPlace, Order
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Variables
from prodigy.steps.worktree_files import OutsideWorktree, inside
from prodigy.workflow.refs import json_parts
from prodigy.workflow.scope import WORKED_OUT, Question
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text

COMMAND_LIMIT: Final = 300.0
"""Seconds that a command in a text may take."""
_NAMED: Final = 12


async def compute(
    stage: Stage, variables: Variables, questions: Iterable[Question], path: str, try_: int
) -> None:
    """Work out what is asked for and not yet known in this try; one may stand in another's argument."""
    wanted = [one for one in questions if one[0] in WORKED_OUT and not variables.has_computed(one)]
    for question in sorted(wanted, key=lambda one: (len(one[1]), one)):
        variables.computed_also({question: await _recorded(stage, variables, question, path, try_)})


async def _recorded(stage: Stage, variables: Variables, question: Question, path: str, try_: int) -> Any:
    """The value, or the failure to work it out."""
    kind, argument = question
    digest = sha256(argument.encode("utf-8", "surrogatepass")).hexdigest()[:_NAMED]
    leaf_path = f"{path}.{kind}-{digest}"

    async def action(intent: int) -> Done:
        try:
            if kind == "cmd":
                place = LeafPlace(path=leaf_path, try_=try_, kind="computed", intent=intent)
                return await _printed(stage, variables, argument, place)
            return Done(value=_read(stage, variables, kind, argument))
        except (WorkflowError, OutsideWorktree, CaptureError) as error:
            reason = error.message if isinstance(error, WorkflowError) else str(error)
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise LeafFailed(Failure(error_class="bad-value", message=f"`${{{kind}:{argument}}}`: {reason}"))

    leaf = Leaf(kind="computed" if kind == "cmd" else "asked", command=argument if kind == "cmd" else "")
    outcome = await stage.door.durable(leaf_path, try_, leaf, action)
    return outcome.error if isinstance(outcome, StepFailed) else outcome.value


def _read(stage: Stage, variables: Variables, kind: str, argument: str) -> Any:
    if kind == "file":
        return _text(stage, render_text(argument, variables)).rstrip("\r\n")
    path, name = (render_text(part, variables).strip() for part in json_parts(argument))
    return at_path(path, parsed(_text(stage, name), "json"))


def _text(stage: Stage, name: str) -> str:
    """The text of a file of the worktree."""
    place = inside(stage.folder, name)
    if not place.is_file():
        raise OutsideWorktree(f"there is no file `{name}`")
    if place.stat().st_size > stage.max_capture:
        raise CaptureError(f"`{name}` is larger than `max_capture` allows")
    return place.read_text("utf-8")


async def _printed(stage: Stage, variables: Variables, script: str, place: LeafPlace) -> Done:
    """What a command prints, with the environment of the list in which the step stands."""
    order = Order(
        argv=("sh", "-c", render_shell(script, variables)),
        cwd=stage.folder,
        env={**variables.environment, "PWD": stage.folder},
        timeout=COMMAND_LIMIT,
        keep=stage.max_capture,
    )
    ran = await stage.commands.run(order, place)
    seen = await stage.worktree.snapshot()
    left = Done(
        stdout=ran.stdout, stderr=ran.stderr, head_after=seen.head, dirty=bool(seen.dirty), texts=ran.texts
    )
    if ran.failure is not None:
        message = f"`${{cmd:{script}}}`: {ran.failure.message}"
        failure = Failure(
            error_class=ran.failure.error_class, message=message, exit_code=ran.failure.exit_code
        )
        raise LeafFailed(failure).leaving(left)
    return structs.replace(left, value=whole(left).stdout.rstrip("\r\n"))
