"""Whether the Claude CLI can be launched at all: it is there, it starts, and it would not refuse to work."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from prodigy.errors import MachineError

_PATIENCE = 30
"""Seconds that ``claude`` may take to say its version, or that it will not work."""
_INSTALL = "install it with `npm install -g @anthropic-ai/claude-code`, and see that `claude --version` works"
_AS_ROOT = "if this is a container made for it, set `IS_SANDBOX=1`; else run as another user, or give a `permission_mode`"


def check(command: tuple[str, ...], environment: Mapping[str, str], *, where: str, skips: bool) -> None:
    """Nothing, if the CLI starts: an installation can be a stub that only says what is missing.

    Args:
        command: the program and its first arguments.
        environment: what launches inherit.
        where: the place of the first step that needs it.
        skips: whether a launch is to ask nobody for permission, which the CLI refuses to root.

    Raises:
        MachineError: ``claude-not-found``, ``claude-not-usable``.
    """
    program = shutil.which(command[0], path=environment.get("PATH"))
    if program is None:
        place = "" if "/" in command[0] else " in PATH"
        message = f"The run may need Claude, and there is no `{command[0]}`{place}"
        raise MachineError("claude-not-found", message, where=where, hint=_INSTALL)
    words = (program, *command[1:])
    asked = _run(words, environment, "--version")
    if asked.returncode != 0:
        said = (asked.stderr or asked.stdout).strip().partition("\n")[0]
        message = f"`claude --version` exits with {asked.returncode}" + (f": {said}" if said else "")
        raise _not_usable(program, message, _INSTALL)
    if skips and os.geteuid() == 0 and environment.get("IS_SANDBOX") != "1":
        said = _run(words, environment, "--print", "--dangerously-skip-permissions").stderr
        if "root" in said:
            raise _not_usable(program, "Claude refuses to skip permissions when it runs as root", _AS_ROOT)


def _run(
    command: tuple[str, ...], environment: Mapping[str, str], *flags: str
) -> "subprocess.CompletedProcess[str]":
    words = " ".join(("claude", *flags))
    try:
        return subprocess.run(
            [*command, *flags],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _not_usable(command[0], f"`{words}` did not end within {_PATIENCE} s", _INSTALL) from None
    except OSError as error:
        raise _not_usable(command[0], f"`{words}` cannot be started: {error.strerror}", _INSTALL) from None


def _not_usable(program: str, message: str, hint: str) -> MachineError:
    return MachineError("claude-not-usable", message, where=program, hint=hint)
