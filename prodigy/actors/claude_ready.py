"""Whether Claude can be launched at all, asked before a run that needs it begins. Runs without Claude never ask."""

import os
import shutil
import subprocess
from collections.abc import Mapping

import trio

from prodigy.errors import MachineError
from prodigy.steps.claude_cli import skips_permissions
from prodigy.workflow.layers import within
from prodigy.workflow.model import Claude, Step, Workflow

_PATIENCE = 30
"""Seconds that ``claude`` may take to say its version, or that it will not work."""
_INSTALL = "install it with `npm install -g @anthropic-ai/claude-code`, and see that `claude --version` works"
_AS_ROOT = "if this is a container made for it, set `IS_SANDBOX=1`; else run as another user, or give a `permission_mode`"


async def check_claude(workflow: Workflow, environment: Mapping[str, str]) -> None:
    """Nothing, if the workflow needs no Claude or can have it.

    Args:
        workflow: the one that is to run.
        environment: what its steps inherit.

    Raises:
        MachineError: ``claude-not-found``; ``claude-not-usable``: it does not start, or would refuse to work.
    """
    steps = [step for step in within(workflow, Step) if isinstance(step.action, Claude)]
    if not steps:
        return
    program = shutil.which("claude", path=environment.get("PATH"))
    if program is None:
        message = "The workflow has Claude steps, and there is no `claude` in PATH"
        raise MachineError("claude-not-found", message, where=str(steps[0].mark), hint=_INSTALL)
    skips = any(skips_permissions(step.claude) for step in steps)
    await trio.to_thread.run_sync(_try, program, environment, skips, abandon_on_cancel=True)


def _try(program: str, environment: Mapping[str, str], skips: bool) -> None:  # noqa: FBT001 - from one place only
    """See that the program starts: an installation can be a stub that only says what is missing."""
    asked = _run(program, environment, "--version")
    if asked.returncode != 0:
        said = (asked.stderr or asked.stdout).strip().partition("\n")[0]
        message = f"`claude --version` exits with {asked.returncode}" + (f": {said}" if said else "")
        raise _not_usable(program, message, _INSTALL)
    if skips and os.geteuid() == 0 and environment.get("IS_SANDBOX") != "1":
        said = _run(program, environment, "--print", "--dangerously-skip-permissions").stderr
        if "root" in said:
            raise _not_usable(program, "Claude refuses to skip permissions when it runs as root", _AS_ROOT)


def _run(program: str, environment: Mapping[str, str], *flags: str) -> "subprocess.CompletedProcess[str]":
    words = " ".join(("claude", *flags))
    try:
        return subprocess.run(
            [program, *flags],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _not_usable(program, f"`{words}` did not end within {_PATIENCE} s", _INSTALL) from None
    except OSError as error:
        raise _not_usable(program, f"`{words}` cannot be started: {error.strerror}", _INSTALL) from None


def _not_usable(program: str, message: str, hint: str) -> MachineError:
    return MachineError("claude-not-usable", message, where=program, hint=hint)
