"""Git in process slots, so that what its hooks start belongs to whoever asked for it."""

from collections.abc import Mapping, Sequence

from prodigy.git.cli import GitResult
from prodigy.steps.streams import read_until
from supervisors import Command, Slot, SlotPool, SpawnFailed


class SlotGit:
    """Git in an agent's slots, so that what its hooks start belongs to the agent."""

    def __init__(self, slots: SlotPool) -> None:
        self._slots = slots

    async def run(
        self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], stdin: bytes = b""
    ) -> GitResult:
        """See ``git.cli.GitRunner``."""
        command = Command(argv=("git", *argv), cwd=cwd, env=dict(env), stdin=stdin)
        try:
            async with self._slots.lease() as slot:
                return await _git(slot, command)
        except SpawnFailed as error:
            raise FileNotFoundError(error.errno, error.message) from error


async def _git(slot: Slot, command: Command) -> GitResult:
    out, err = bytearray(), bytearray()
    async with slot.start(command) as tree:
        ended = await read_until(tree.wait, (tree.stdout, out.extend), (tree.stderr, err.extend))
    code = ended.code if ended.code is not None else 128 + (ended.signal or 0)
    return GitResult(code, bytes(out), bytes(err))
