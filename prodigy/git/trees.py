"""The trees of a repository, compared and merged in this process as far as whole files decide.

Rules: a merge is decided here only where git's own could come to nothing else: no path is changed on both sides,
nothing that may have been renamed meets anything new, and neither submodules nor a file that becomes a folder are
involved. All else is git's to decide. What is the same on both sides is not even read.
"""

import re
from collections.abc import Iterator
from typing import Protocol

from prodigy.git.cli import readable

_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
"""An entry of a tree as git stores it, where ids have 20 bytes."""
_AROUND = 22
"""Bytes of an entry beside its mode and its name."""
_FOLDER = b"40000"
_SUBMODULE = b"160000"
_MODES = frozenset({_FOLDER, b"100644", b"100755", b"120000"})

_ADDS, _DELETES, _ODD = 1, 2, 4
"""What one side did to a folder and all below it; odd is what git has to look at."""

_KEPT_ENTRIES = 50_000
_KEPT_PAIRS = 10_000

Entry = tuple[bytes, bytes]
"""Mode and id."""
Entries = dict[bytes, Entry]
"""What lies in a tree, by name, in git's order."""


class TreeStore(Protocol):
    """Where trees come from; ids are bytes."""

    def read_tree(self, sha: bytes) -> bytes:
        """The content of a tree as git stores it."""
        ...

    def write_tree(self, content: bytes) -> bytes:
        """Make a tree; its id."""
        ...


class Trees:
    """Compares and merges; remembers what it read last.

    Args:
        store: of a repository whose ids are SHA-1.
    """

    def __init__(self, store: TreeStore) -> None:
        self._store = store
        self._known: dict[bytes, Entries] = {}
        self._room = _KEPT_ENTRIES
        self._deeds: dict[tuple[bytes, bytes], int] = {}
        self._strange: set[bytes] = set()
        """Trees that git would not write so."""

    def changed(self, old: bytes, new: bytes) -> list[str]:
        """The paths at which two trees differ, sorted; a renamed file counts at both."""
        return [readable(path) for path in sorted(self._changed(old, new, b""))]

    def merged(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """The tree that a merge gives, if whole files decide it; ``None``: ask git.

        Args:
            base: of the only common ancestor that there is.
            ours: of one side.
            theirs: of the other.
        """
        our, their = self._deed(base, ours), self._deed(base, theirs)
        may_rename = (our | their) & _DELETES
        if (our | their) & _ODD or (our & their & _ADDS and may_rename):
            return None
        return self._merge(base, ours, theirs)

    # -- parts ---------------------------------------------------------------------------------------------------------
    def _merge(self, base: bytes | None, ours: bytes, theirs: bytes) -> bytes | None:
        if ours == base:
            return theirs
        if theirs == base:
            return ours
        before, mine, other = self._entries(base), self._entries(ours), self._entries(theirs)
        result, grown = mine.copy(), False
        for name in _names(before, other):
            was, here, there = before.get(name), mine.get(name), other.get(name)
            if here != was:
                there = self._merged_folder(was, here, there)
                if there is None:
                    return None
            if there is None:
                del result[name]
            else:
                grown |= name not in result
                result[name] = there
        if not result or not {mode for mode, _ in result.values()} <= _MODES | {_SUBMODULE}:
            return None
        return self._write(_ordered(result) if grown else result)

    def _merged_folder(self, was: Entry | None, here: Entry | None, there: Entry | None) -> Entry | None:
        """What a folder becomes that both sides changed or made; ``None`` for all else that both changed."""
        if (
            here is None
            or there is None
            or {here[0], there[0], _FOLDER if was is None else was[0]} != {_FOLDER}
        ):
            return None
        tree = self._merge(_folder(was), here[1], there[1])
        return None if tree is None else (_FOLDER, tree)

    def _deed(self, base: bytes, side: bytes) -> int:
        """What became of a folder on one side."""
        if base == side:
            return 0
        key = base, side
        if key not in self._deeds:
            if len(self._deeds) >= _KEPT_PAIRS:
                self._deeds.clear()
            before, after = self._entries(base), self._entries(side)
            found = _ODD if {base, side} & self._strange else 0
            for name in _names(before, after):
                found |= self._deed_of(before.get(name), after.get(name))
            self._deeds[key] = found
        return self._deeds[key]

    def _deed_of(self, was: Entry | None, is_: Entry | None) -> int:
        modes = {entry[0] for entry in (was, is_) if entry is not None}
        if not modes <= _MODES:
            return _ODD
        if was is None or is_ is None:
            return _ADDS if was is None else _DELETES
        if modes == {_FOLDER}:
            return self._deed(was[1], is_[1])
        return _ODD if _FOLDER in modes or len({mode[:3] for mode in modes}) > 1 else 0

    def _changed(self, old: bytes | None, new: bytes | None, folder: bytes) -> Iterator[bytes]:
        before, after = self._entries(old), self._entries(new)
        for name in _names(before, after):
            was, is_ = before.get(name), after.get(name)
            if any(side is not None and side[0] != _FOLDER for side in (was, is_)):
                yield folder + name
            old_folder, new_folder = _folder(was), _folder(is_)
            if old_folder is not None or new_folder is not None:
                yield from self._changed(old_folder, new_folder, folder + name + b"/")

    def _entries(self, tree: bytes | None) -> Entries:
        if tree is None:
            return {}
        entries = self._known.pop(tree, None)
        if entries is None:
            content = self._store.read_tree(tree)
            entries = {name: (mode, sha) for mode, name, sha in _ENTRY.findall(content)}
            self._room -= len(entries)
            if len(content) != sum(len(mode) + len(name) + _AROUND for name, (mode, _) in entries.items()):
                self._strange.add(tree)
        self._known[tree] = entries  # the newest last
        while self._room < 0 and len(self._known) > 1:
            self._room += len(self._known.pop(next(iter(self._known))))
        return entries

    def _write(self, entries: Entries) -> bytes:
        written = self._store.write_tree(
            b"".join([b"%b %b\0%b" % (mode, name, sha) for name, (mode, sha) in entries.items()])
        )
        if written not in self._known:  # what is merged next is merged with it
            self._known[written] = entries
            self._room -= len(entries)
        return written


def _folder(entry: Entry | None) -> bytes | None:
    """The tree that an entry is, if it is one."""
    return entry[1] if entry is not None and entry[0] == _FOLDER else None


def _names(one: Entries, other: Entries) -> set[bytes]:
    """Where two trees differ."""
    return {name for name, _ in one.items() ^ other.items()}


def _ordered(entries: Entries) -> Entries:
    """Sorted as git sorts: a folder as if its name ended in a slash."""
    return dict(sorted(entries.items(), key=lambda entry: _sort_key(*entry)))


def _sort_key(name: bytes, entry: Entry) -> bytes:
    return name + b"/" if entry[0] == _FOLDER else name
