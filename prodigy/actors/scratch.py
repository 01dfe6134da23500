"""The worktree beside the session's, for merges with conflicts: what is done to it between its making and its removal."""

from pathlib import Path

from prodigy.actors.keeping import Keeper
from prodigy.actors.recorder import Ledger
from prodigy.actors.workspace_requests import WantedMerge
from prodigy.git.cli import Git
from prodigy.git.evidence import snapshot
from prodigy.git.excludes import identity
from prodigy.git.resolution import Begun, begin, conclude


class Scratch:
    """The scratch worktree of one run; it need not be there.

    Args:
        path: where it lies.
        git: in the user's repository.
        keeper: makes rescue refs.
        ledger: what is recorded by now.

    Attributes:
        path: where it lies.
    """

    def __init__(self, path: str, git: Git, keeper: Keeper, ledger: Ledger) -> None:
        self.path = path
        self._git = git.inside(path)
        self._keeper = keeper
        self._ledger = ledger

    @property
    def _exists(self) -> bool:
        return Path(self.path, ".git").exists()

    async def standing(self, head: str) -> str | None:
        """Its path, if it is there, at a commit, with nothing uncommitted."""
        if not self._exists:
            return None
        found = await snapshot(self._git)
        return self.path if found.head == head and not found.dirty else None

    async def begin(self, wanted: WantedMerge) -> Begun:
        """Begin a merge in it; it is clean and detached at ``wanted.onto``."""
        return await begin(self._git, wanted.source, wanted.onto, wanted.message, await identity(self._git))

    async def conclude(self, wanted: WantedMerge, begun: Begun) -> str:
        """Check what was made of the merge; the commit to merge.

        Raises:
            RunError: ``resolution-refused``.
        """
        *_, trailers = wanted.message.strip().rpartition("\n\n")
        return await conclude(self._git, begun, trailers.splitlines(), await identity(self._git))

    async def rescue(self, wanted: WantedMerge, reason: str) -> str | None:
        """Keep what it holds beyond ``wanted.onto``; the ref, if there is anything."""
        if not self._exists:
            return None
        if wanted.item_id is None or wanted.agent_id is None:
            return await self._keeper.phase(self.path, self._ledger.state.seq, wanted.onto, reason)
        return await self._keeper.attempt(
            self.path, wanted.item_id, wanted.agent_id, wanted.attempt, wanted.onto, reason
        )
