"""When nothing can be written any more where the repository and the worktrees lie, the run comes to rest.

No item is to blame for that, and the next one would fail as well: whoever fails asks first whether it was that. Then it
is recorded, who asked stays where it stands, the run ends all others there too, and `resume` goes on with them.
"""

from collections.abc import Sequence
from pathlib import Path

import trio

from prodigy.actors.recorder import Ledger, RecorderRef, record
from prodigy.errors import RunError
from prodigy.events import Failure, WritingRefused
from prodigy.git.writability import refusal
from prodigy.paths import Layout

OF_GIT = frozenset({"commit-failed", "worktree-error", "merge-conflict"})
"""Failures that carry git's own words."""


class NotWritable(RunError):
    """It was the disk; that is recorded, and the run is about to be stopped."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("not-writable", f"Nothing can be written in {path}: {reason}")


class Disk:
    """What a run writes to besides its journal.

    Args:
        common_dir: of the repository.
        layout: where worktrees lie.
        ledger, recorder: what is known, and where it is written.
    """

    def __init__(self, common_dir: str, layout: Layout, ledger: Ledger, recorder: RecorderRef) -> None:
        self._common_dir = common_dir
        self._layout = layout
        self._ledger = ledger
        self._recorder = recorder
        self._looking = trio.Lock()
        """Several fail at the same moment, and it is recorded once."""

    async def acquit(self, complaint: str = "") -> None:
        """Nothing, if the disk is not to blame for a failure of which git said ``complaint``.

        Raises:
            NotWritable: it is.
        """
        async with self._looking:
            known = self._ledger.state.refused
            if known is None:
                found = await trio.to_thread.run_sync(refusal, self._places(), complaint)
                if found is None:
                    return
                known = WritingRefused(path=found.path, reason=found.reason)
                await record(self._recorder, known)
        raise NotWritable(known.path, known.reason)

    async def acquit_of(self, failure: Failure) -> None:
        """Nothing, if the disk is not to blame for a failure.

        Raises:
            NotWritable: it is.
        """
        said = f"{failure.message}\n{failure.stderr_tail}" if failure.error_class in OF_GIT else ""
        await self.acquit(said)

    def _places(self) -> Sequence[str]:
        worktrees = self._layout.worktrees
        home = next(folder for folder in (worktrees, *worktrees.parents) if folder.is_dir())
        return (self._common_dir, str(Path(self._common_dir, "objects")), str(home))
