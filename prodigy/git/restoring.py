"""Files of a commit written anew without a process, in a worktree that nobody works in.

Rules: only where a checkout writes what the blobs hold, byte for byte: no attribute and no setting turns line ends, and no
filter, keyword or encoding has a say. Whatever is not sure to be so is left to git, and nothing is touched.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.errors import ProdigyError
from prodigy.git.attributes import AttributeReader
from prodigy.git.customs import Customs
from prodigy.git.index_file import Layouts, entry_at, with_files_seen
from prodigy.git.objects import Objects
from prodigy.git.private_folder import delete_tree

_TURNING = re.compile(
    rb"(?:^|[ \t])[-!]?(?!eol=lf(?:[ \t\r]|$))(?:eol|crlf|ident|filter|working-tree-encoding)(?:[= \t\r]|$)",
    re.MULTILINE,
)
"""Attributes by which a checkout writes something else than what was committed."""
_LARGE = 1 << 22
"""Bytes of a file that git may write as well."""
_REGULAR = {stat.S_IFREG | 0o644: 0o666, stat.S_IFREG | 0o755: 0o777}
"""Permissions, before the process's mask, by git's mode."""


class _Original(Struct, frozen=True):
    place: bytes
    start: int
    """Of its entry."""
    permissions: int
    content: bytes


class Restorer:
    """Writes files of commits.

    Args:
        customs: of the repository.
        attributes: reads those of commits.
        objects: of the repository.
    """

    def __init__(self, customs: Customs, attributes: AttributeReader, objects: Objects) -> None:
        self._customs = customs
        self._attributes = attributes
        self._objects = objects
        self._layouts = Layouts()

    async def restore(self, worktree: str, index: str, commit: str, paths: Sequence[bytes]) -> bool:
        """Write files as the commit has them, and have the index know them; false if git has to do that.

        Args:
            worktree: its top; no folder above the files is a symbolic link.
            index: path of the index of the commit that is brought up to date.
            commit: what the worktree holds, but for these files.
            paths: of the files.

        Raises:
            OSError: they could not be written.
        """
        if not await self._is_plain(commit):
            return False
        kept = await trio.to_thread.run_sync(Path(index).read_bytes)
        originals = await self._originals(os.fsencode(worktree), commit, kept, paths)
        if originals is None:
            return False
        await trio.to_thread.run_sync(_write, originals, kept, Path(index))
        return True

    async def commits_write(self, commit: str) -> bool:
        """Whether a hook or a filter may write into a worktree of the commit, or of one with its attributes, as it is committed."""
        try:
            return await self._customs.commits_write(await self._attributes.at(commit))
        except ProdigyError:
            return True

    async def _is_plain(self, commit: str) -> bool:
        try:
            texts = (*(await self._attributes.at(commit)).values(), *await self._customs.attributes_outside())
            return not (await self._customs.turns_line_ends() or any(map(_TURNING.search, texts)))
        except ProdigyError:
            return False

    async def _originals(
        self, worktree: bytes, commit: str, kept: bytes, paths: Iterable[bytes]
    ) -> list[_Original] | None:
        try:
            layout = self._layouts.of(commit, kept)
        except ValueError:
            return None
        found = []
        for path in paths:
            start = layout.start(path)
            entry = None if start is None else entry_at(kept, start)
            if start is None or entry is None or entry.mode not in _REGULAR or entry.size > _LARGE:
                return None
            content = await self._objects.blob(entry.oid.hex())
            if content is None or len(content) != entry.size:
                return None
            place = os.path.join(worktree, path)  # noqa: PTH118 - bytes
            found.append(_Original(place, start, _REGULAR[entry.mode], content))
        return found


def _write(originals: Sequence[_Original], kept: bytes, index: Path) -> None:
    seen = {original.start: _written(original) for original in originals}
    lock = index.with_name(f"{index.name}.lock")
    with crash_point("index.write"):
        lock.write_bytes(with_files_seen(kept, seen))
    with crash_point("index.replace"):
        lock.replace(index)


def _written(original: _Original) -> os.stat_result:
    delete_tree(os.fsdecode(original.place))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with crash_point("worktree.write"):
        descriptor = os.open(original.place, flags, original.permissions)
        with os.fdopen(descriptor, "wb") as file:
            file.write(original.content)
            file.flush()
            return os.fstat(descriptor)
