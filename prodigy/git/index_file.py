"""Git's index as the file that it is: where each entry lies, what it says, and how it differs from another.

Rules: pure, no process. Only version 2 with SHA-1, whole and sorted, as git writes it unless it is told otherwise;
everything else is `ValueError`, and git's to read. Paths are bytes from the top of the worktree.
"""

import hashlib
import os
import stat
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cached_property
from struct import Struct as Form

from msgspec import Struct

_HEADER = Form(">4sLL")
_ENTRY = Form(">10L20sH")
_STAT = Form(">10L")
_PART = Form(">4sL")
_VERSION = 2
_LONG = 0xFFF
"""Length of a path that does not fit into an entry's flags."""
_SUM = 20
_WORD = 0xFFFFFFFF
_NANO = 1_000_000_000
Folders = dict[bytes, frozenset[bytes]]
"""The names in each folder of a worktree, by the folder's path without a slash at its end; the top is empty."""

_UNKNOWN_SUM = bytes(_SUM)
"""In place of the checksum, where git was told to leave it out."""


class Entry(Struct, frozen=True):
    """What an index says of one path.

    Attributes:
        seen: what the file system said of the file when git last looked: times, device, number, mode, owner, size.
        mode: git's, such as ``0o100644``.
        oid: of the blob, 20 bytes.
        flags: stage, assume-unchanged and the length of the path.
    """

    seen: tuple[int, ...]
    mode: int
    oid: bytes
    flags: int

    @property
    def plain(self) -> bool:
        """Whether it is neither a part of a conflict nor marked."""
        return not self.flags & ~_LONG

    @property
    def size(self) -> int:
        """Bytes of the file, as far as 32 bits can tell."""
        return self.seen[-1]

    @property
    def modified_s(self) -> int:
        """The second in which the file was last written."""
        return self.seen[2]


class Layout:
    """Where the entries of an index lie; the same for all indexes of one commit, whatever they say of the files.

    Args:
        content: of the whole file.

    Raises:
        ValueError: it is no such index.
    """

    def __init__(self, content: bytes) -> None:
        count, at = _count(content), _HEADER.size
        self.starts: list[int] = []
        self.paths: list[bytes] = []
        for _ in range(count):
            path, end = _path_at(content, at)
            self.starts.append(at)
            self.paths.append(path)
            at = end
        self.end = at

    def fits(self, content: bytes) -> bool:
        """Whether an index can be one of this commit, as far as its size says."""
        return len(content) >= self.end + _SUM and content[: _HEADER.size] == _HEADER.pack(
            b"DIRC", _VERSION, len(self.paths)
        )

    def start(self, path: bytes) -> int | None:
        """Where the entry of a path begins; ``None`` if there is none."""
        number = bisect_left(self.paths, path)
        if number == len(self.paths) or self.paths[number] != path:
            return None
        return self.starts[number]

    def place(self, path: bytes) -> int:
        """Where the entry of a path begins, or would."""
        number = bisect_left(self.paths, path)
        return self.starts[number] if number < len(self.paths) else self.end

    @cached_property
    def folders(self) -> Folders:
        """The names in each folder of a worktree that holds the commit; the top is empty, and has a ``.git``."""
        return folders_of(self.paths)


class Layouts:
    """Of the commits that worktrees began with; agents of a phase begin with the same one."""

    def __init__(self) -> None:
        self._known: dict[str, Layout] = {}

    def of(self, commit: str, kept: bytes) -> Layout:
        """The layout of a commit, given any kept index of it.

        Raises:
            ValueError: it cannot be read here.
        """
        known = self._known.get(commit)
        if known is None or not known.fits(kept):
            known = Layout(kept)
            self._known = {commit: known}
        return known


def folders_of(paths: Iterable[bytes]) -> Folders:
    """The folders of a worktree that holds these files."""
    found: dict[bytes, set[bytes]] = {b"": {b".git"}}
    for path in paths:
        rest = path
        while rest:
            folder, _, name = rest.rpartition(b"/")
            names = found.setdefault(folder, set())
            if name in names:
                break
            names.add(name)
            rest = folder
    return {folder: frozenset(names) for folder, names in found.items()}


def entry_at(content: bytes, start: int) -> Entry:
    """The entry that begins there."""
    *seen, oid, flags = _ENTRY.unpack_from(content, start)
    return Entry(tuple(seen), seen[6], oid, flags)


class Variation(Struct, frozen=True):
    """How an index differs from another."""

    entries: dict[bytes, Entry]
    """Those of the paths that may differ, as far as it has them."""
    end: int
    """Where its entries end."""


def differing(kept: bytes, layout: Layout, other: bytes, paths: Iterable[bytes]) -> Variation | None:
    """What another index says of some paths, if it says of all others exactly what the kept one does.

    Args:
        kept: an index of the layout's commit.
        layout: of it.
        other: any index.
        paths: that may differ, be missing in one of the two, or in both.

    Returns:
        What the other says of those paths; ``None`` if anything else differs.

    Raises:
        ValueError: the other is no index that can be read here.
    """
    found: dict[bytes, Entry] = {}
    known = 0
    mine = theirs = _HEADER.size
    for path in sorted(set(paths)):
        start = layout.place(path)
        if kept[mine:start] != other[theirs : theirs + start - mine]:
            return None
        mine, theirs = start, theirs + start - mine
        if layout.start(path) is not None:
            known += 1
            mine = _path_at(kept, start)[1]
        if other.startswith(path + b"\0", theirs + _ENTRY.size):
            found[path] = entry_at(other, theirs)
            theirs = _path_at(other, theirs)[1]
    end = theirs + layout.end - mine
    same = kept[mine : layout.end] == other[theirs:end]
    return Variation(found, end) if same and _count(other) == len(layout.paths) - known + len(found) else None


def root_tree(content: bytes, end: int) -> str | None:
    """The tree that an index is known to make as a whole; ``None`` if that would have to be worked out.

    Args:
        content: of the index.
        end: where its entries end.

    Raises:
        ValueError: it has a part without which it cannot be read.
    """
    tree = None
    while end + _SUM + _PART.size <= len(content):
        name, size = _PART.unpack_from(content, end)
        end += _PART.size
        if not name[:1].isupper():
            raise ValueError("the index needs more than its own file")
        if name == b"TREE":
            tree = _root(content[end : end + size])
        end += size
    return tree


def with_files_seen(content: bytes, seen: Mapping[int, os.stat_result]) -> bytearray:
    """An index in which some entries, by their places, hold what was now seen of their files."""
    changed = bytearray(content)
    for start, found in seen.items():
        mode = entry_at(content, start).mode
        _STAT.pack_into(changed, start, *_as_seen(found, mode))
    if content[-_SUM:] != _UNKNOWN_SUM:
        changed[-_SUM:] = hashlib.sha1(memoryview(changed)[:-_SUM], usedforsecurity=False).digest()
    return changed


def is_as_seen(entry: Entry, found: os.stat_result) -> bool:
    """Whether a file is, as far as the file system says, the one that git looked at."""
    return _alike(entry.seen) == _alike(_as_seen(found, entry.mode)) and has_mode(entry, found)


def has_mode(entry: Entry, found: os.stat_result) -> bool:
    """Whether a file is of the kind that its entry says, and can be executed if that says so."""
    return _kind(found) == entry.mode


def _as_seen(found: os.stat_result, mode: int) -> tuple[int, ...]:
    """A file as an entry holds it."""
    changed, written = (divmod(time, _NANO) for time in (found.st_ctime_ns, found.st_mtime_ns))
    numbers = (
        *changed,
        *written,
        found.st_dev,
        found.st_ino,
        mode,
        found.st_uid,
        found.st_gid,
        found.st_size,
    )
    return tuple(number & _WORD for number in numbers)


def _alike(seen: tuple[int, ...]) -> tuple[int, ...]:
    """What git compares: some gits know no parts of seconds, and none trusts the number of a device."""
    return seen[0], seen[2], *seen[5:]


def _kind(found: os.stat_result) -> int:
    """The mode that git gives to a file; 0 for what it does not keep."""
    if stat.S_ISLNK(found.st_mode):
        return stat.S_IFLNK
    if not stat.S_ISREG(found.st_mode):
        return 0
    return stat.S_IFREG | (0o755 if found.st_mode & stat.S_IXUSR else 0o644)


def _count(content: bytes) -> int:
    """How many entries there are."""
    if len(content) < _HEADER.size + _SUM:
        raise ValueError("an index has a header and a checksum")
    magic, version, count = _HEADER.unpack_from(content)
    if magic != b"DIRC" or version != _VERSION:
        raise ValueError("an index of another version")
    return int(count)


def _path_at(content: bytes, start: int) -> tuple[bytes, int]:
    """The path of the entry that begins there, and where the next one does."""
    begin = start + _ENTRY.size
    if begin > len(content):
        raise ValueError("an entry is cut off")
    length = (content[begin - 2] << 8 | content[begin - 1]) & _LONG
    end = begin + length if length < _LONG else content.index(0, begin + _LONG)
    if content[end : end + 1] != b"\0":
        raise ValueError("an entry is not one of SHA-1")
    return content[begin:end], start + (end - start + 8 & ~7)


def _root(cached: bytes) -> str | None:
    """The tree at the head of a cache of trees, if it is valid."""
    name, _, rest = cached.partition(b"\0")
    numbers, _, rest = rest.partition(b"\n")
    if name or len(rest) < _SUM or numbers.startswith(b"-"):
        return None
    return rest[:_SUM].hex()
