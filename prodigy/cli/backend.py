"""``--backend NAME`` and ``--script FILE``: what ``claude:`` steps run."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from prodigy.actors.claude_ready import check_claude
from prodigy.cli.invocation import Invocation
from prodigy.cli.reading import shown_problems
from prodigy.errors import MachineError, UsageError
from prodigy.events import Backend
from prodigy.steps.backends import require
from prodigy.store.atomic import write_file
from prodigy.workflow.model import Workflow

CLAUDE = "claude"
REHEARSAL = "rehearsal"
_SETTINGS: Final[Mapping[str, str]] = {
    "command": "claude.command",
    "background": "claude.background_tasks",
    "linger": "claude.linger",
    "retries": "claude.cli_retries",
}
"""Settings of the backend, by the keys of the configuration that they come from."""
_SHORT_SHA = 8


class Chosen(Struct, frozen=True, kw_only=True):
    """A backend as it was asked for; ``script`` is what is to be rehearsed, read and found good."""

    name: str
    settings: dict[str, Any] = {}
    script: bytes | None = None

    async def check(self, workflow: Workflow, environment: Mapping[str, str]) -> None:
        """Nothing, if launches can be expected to start; a script that was read is all that a rehearsal needs.

        Raises:
            MachineError: as ``AgentBackend.check``.
        """
        if self.script is None:
            await check_claude(workflow, Backend(name=self.name, settings=self.settings), environment)

    def settled(self, folder: Path) -> Backend:
        """The backend of a run whose state is kept in ``folder``; the script is put there, for whoever goes on with it.

        Raises:
            MachineError: ``storage-full`` or ``storage-denied``.
        """
        if self.script is None:
            return Backend(name=self.name, settings=self.settings)
        digest = hashlib.sha256(self.script).hexdigest()[:_SHORT_SHA]
        file = folder / f"{REHEARSAL}-{digest}.json"
        write_file(file, self.script)
        return Backend(name=self.name, settings={"script": str(file)})


def given_backend(name: str | None, script: str | None, invocation: Invocation) -> Chosen | None:
    """The backend of the flags; ``None`` without them. A script is read here, with every problem shown.

    Raises:
        UsageError: ``backend-unknown``, ``missing-argument``, ``conflicting-flags``.
        MachineError: ``storage-denied``: the script cannot be read.
        WorkflowInvalid: the script has errors.
    """
    if script is not None and name not in {None, REHEARSAL}:
        message = f"`--script` is what the backend `{REHEARSAL}` plays, not `{name}`"
        raise UsageError("conflicting-flags", message, hint=f"give `--backend {REHEARSAL}`")
    if script is not None:
        return Chosen(name=REHEARSAL, script=_read(script, invocation))
    if name == REHEARSAL:
        message = f"The backend `{REHEARSAL}` needs something to play"
        raise UsageError("missing-argument", message, hint="give it: `--script FILE`")
    if name is None:
        return None
    return configured_claude(invocation) if name == CLAUDE else Chosen(name=require(name))


def configured_claude(invocation: Invocation) -> Chosen:
    """The Claude CLI, as the configuration has it."""
    given = {name: invocation.configuration.given(key) for name, key in _SETTINGS.items()}
    return Chosen(name=CLAUDE, settings={name: value for name, value in given.items() if value is not None})


def _read(name: str, invocation: Invocation) -> bytes:
    """The script of a file, as players read it."""
    from prodigy.rehearsal.reading import read_script

    path = invocation.around.directory / Path(name).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        message = f"`{name}` cannot be read: {error.strerror}"
        raise MachineError("storage-denied", message, where=str(path)) from None
    with shown_problems(invocation.printer):
        return msgspec.json.encode(read_script(data, name))
