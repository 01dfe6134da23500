"""What only an effect can tell about a variable before a run: what a command prints, what is in a file, the time."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import trio

from prodigy.errors import MachineError, ProdigyError, WorkflowError
from prodigy.steps.output import last_line
from prodigy.workflow.environment import Request
from supervisors import Command, Exit, ProcessTree, Slot, SlotPool, open_slots

MOST_PRINTED: Final = 256 * 1024
"""Bytes of a value."""
CHUNK: Final = 64 * 1024


class Answerer:
    """Answers the requests of one preparation; what runs commands starts with the first one.

    Args:
        folder: what paths are relative to, and where commands run.
        stack: ends what was started.
        computed: what commands printed before; they are not run again.

    Attributes:
        computed: the same with what was found out since; nothing of secrets.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack, computed: Mapping[str, str]) -> None:
        self.computed = dict(computed)
        self._folder = folder
        self._stack = stack
        self._slots: SlotPool | None = None

    async def answer(self, request: Request, base: Mapping[str, str]) -> str:
        """The answer to a request.

        Args:
            request: what is asked.
            base: what a command finds in its environment, besides what the request names.

        Raises:
            ProdigyError: it cannot be had.
        """
        if request.kind != "file":
            return await self._once(request, base)
        path = self._folder / Path(request.text).expanduser()
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise _without_value(request, f"{path}: {reason}") from None

    async def _once(self, request: Request, base: Mapping[str, str]) -> str:
        key = f"{request.name} {request.mark}"
        if request.kind != "command":
            key = f"{key} {request.kind}:{request.text}"
        if request.secret:
            return await self._found(request, base)
        if key not in self.computed:
            self.computed[key] = await self._found(request, base)
        return self.computed[key]

    async def _found(self, request: Request, base: Mapping[str, str]) -> str:
        match request.kind:
            case "date":
                return datetime.now().astimezone().strftime(request.text)
            case "uuid":
                return str(uuid4())
            case _:
                return await self._printed(request, base)

    async def _printed(self, request: Request, base: Mapping[str, str]) -> str:
        """What a command prints, run in the user's checkout."""
        if self._slots is None:
            self._slots = await self._stack.enter_async_context(open_slots())
        command = Command(
            argv=("sh", "-c", request.text),
            cwd=str(self._folder),
            env={**base, **request.environment},
        )
        limit = float("inf") if request.timeout is None else request.timeout
        async with self._slots.lease() as slot:
            with trio.move_on_after(limit) as scope:
                ended, out, err = await _run(slot, command)
        if scope.cancelled_caught:
            raise _without_value(request, f"its command took longer than {limit:g} s")
        if ended.code != 0:
            how = f"signal {ended.signal}" if ended.code is None else f"exit code {ended.code}"
            said = "" if request.secret else last_line(err.decode("utf-8", "replace"))
            raise _without_value(request, f"its command ended with {how}" + (f": {said}" if said else ""))
        if len(out) > MOST_PRINTED:
            raise _without_value(request, f"its command printed more than {MOST_PRINTED // 1024} KiB")
        return out.decode("utf-8", "surrogateescape")


async def _run(slot: Slot, command: Command) -> tuple[Exit, bytes, bytes]:
    """Run to the end; what was printed on both streams, a little more than what is allowed at most."""
    out, err = bytearray(), bytearray()
    async with slot.start(command) as tree, trio.open_nursery() as readers:
        readers.start_soon(_collect, tree, "stdout", out)
        readers.start_soon(_collect, tree, "stderr", err)
        ended = await tree.wait()
    return ended, bytes(out), bytes(err)


async def _collect(tree: ProcessTree, name: str, into: bytearray) -> None:
    stream = tree.stdout if name == "stdout" else tree.stderr
    while chunk := await stream.receive_some(CHUNK):
        if len(into) <= MOST_PRINTED:
            into += chunk


def _without_value(request: Request, why: str) -> ProdigyError:
    if request.secret:
        message = f"The secret `{request.name}` has no value: {why}"
        return WorkflowError("secret-missing", message, where=str(request.mark))
    code = "env-command-failed" if request.kind == "command" else "env-file-missing"
    return MachineError(code, f"`{request.name}` has no value: {why}", where=str(request.mark))
