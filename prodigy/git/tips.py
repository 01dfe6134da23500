"""Where branches stand that nobody has checked out, and moving them by compare-and-swap; without a process where files do.

Rules: git itself answers and moves whatever is packed, symbolic, locked or kept in no files, and wherever a hook follows
refs.
"""

from pathlib import Path

import trio

from prodigy.git import refs
from prodigy.git.cli import Git, GitFailed
from prodigy.git.customs import Customs
from prodigy.git.disks import Disks
from prodigy.git.patience import patiently
from prodigy.git.repository import ref_tip
from prodigy.git.signature import Names, timestamp


class Tips:
    """Of one repository.

    Args:
        git: in it, with an environment that names who commits.
        common_dir: where its refs lie.
        customs: what it asks for.
    """

    def __init__(self, git: Git, common_dir: str, customs: Customs) -> None:
        self._git = git
        self._common = Path(common_dir)
        self._customs = customs
        self._names = Names(git)
        self._disks = Disks()
        self._in_files = refs.keeps_files(self._common)

    async def at(self, ref: str) -> str | None:
        """The commit that a branch is at, by its full name; ``None`` if there is none."""
        found = refs.tip(self._common, ref) if self._in_files else None
        return found or await ref_tip(self._git, ref)

    async def swap(self, ref: str, old: str, new: str, reason: str) -> bool:
        """Move a branch, once all that it will lead to is on disk; false if it was not at ``old`` any more.

        Raises:
            GitFailed: it could not be moved.
            RunError: ``not-writable``: what it would lead to could not be brought to disk.
        """
        await self._disks.flush(str(self._common))
        if self._in_files and not await self._customs.follow_refs():
            entry = b"%b %b\t%b" % (await self._names.of("COMMITTER", {}), timestamp(), reason.encode())
            try:
                if await trio.to_thread.run_sync(refs.move, self._common, ref, old, new, entry):
                    return True
            except OSError:
                pass  # git says why, or waits
        return await self._moved_by_git(ref, old, new, reason)

    async def _moved_by_git(self, ref: str, old: str, new: str, reason: str) -> bool:
        try:
            await patiently(lambda: self._git.run("update-ref", "-m", reason, ref, new, old))
        except GitFailed:
            if await ref_tip(self._git, ref) == old:
                raise
            return False
        return True
