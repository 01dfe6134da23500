"""The frequent questions about commits, answered without a process where that is exact.

Rules: libgit2 answers only for repositories of which it sees the whole truth: SHA-1, refs in files, nothing partial,
shallow or replaced. For all others git itself answers, through the same door, and the same tests hold for both. No
libgit2 object leaves this module, and libgit2 is loaded when the first repository is opened, not before.
"""

import codecs
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prodigy.crash_points import crash_point
from prodigy.git import evidence
from prodigy.git.cli import Git, readable
from prodigy.git.evidence import Commit
from prodigy.git.repository import Repository

if TYPE_CHECKING:
    import pygit2


_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
"""An entry of a tree as git stores it: ids are 20 bytes where libgit2 answers."""
_FOLDER = b"40000"
_NOTHING = (b"", b"")


class Objects(Protocol):
    """Commits of one repository, by their full ids."""

    async def merge_base(self, one: str, other: str) -> str | None:
        """A best common ancestor; ``None`` for unrelated histories."""
        ...

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether ``descendant`` contains ``ancestor``; a commit contains itself."""
        ...

    async def commits_between(self, base: str, head: str) -> list[Commit]:
        """The commits that ``head`` has and ``base`` has not, oldest first."""
        ...

    async def files_changed(self, base: str, head: str) -> list[str]:
        """The paths at which two trees differ; a renamed file counts at both."""
        ...

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, identity: Mapping[str, str]
    ) -> str:
        """Make a commit object that no ref names yet.

        Args:
            tree: id of the tree.
            parents: ids of the parents, the branch's own first.
            message: the whole message.
            identity: environment that names author and committer where git has no name for them.
        """
        ...


class CommandLineObjects:
    """Git itself answers."""

    def __init__(self, git: Git) -> None:
        self._git = git

    async def merge_base(self, one: str, other: str) -> str | None:
        """See `Objects`."""
        return (await self._git.run("merge-base", one, other, ok=(0, 1))).text or None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Objects`."""
        return await evidence.is_ancestor(self._git, ancestor, descendant)

    async def commits_between(self, base: str, head: str) -> list[Commit]:
        """See `Objects`."""
        return await evidence.commits_between(self._git, base, head)

    async def files_changed(self, base: str, head: str) -> list[str]:
        """See `Objects`."""
        return await evidence.files_changed(self._git, base, head)

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, identity: Mapping[str, str]
    ) -> str:
        """See `Objects`."""
        lineage = [word for parent in parents for word in ("-p", parent)]
        made = await self._git.run("commit-tree", tree, *lineage, stdin=_ended(message), env=identity)
        return made.text


class LibraryObjects:
    """libgit2 answers, in this process; one task at a time, as no answer waits for anything."""

    def __init__(self, repository: "pygit2.Repository", git: Git) -> None:
        self._repository = repository
        self._git = git
        self._names: dict[tuple[str, frozenset[tuple[str, str]]], bytes] = {}

    async def merge_base(self, one: str, other: str) -> str | None:
        """See `Objects`."""
        base = self._repository.merge_base(one, other)
        return str(base) if base is not None else None

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Objects`."""
        return ancestor == descendant or self._repository.descendant_of(descendant, ancestor)

    async def commits_between(self, base: str, head: str) -> list[Commit]:
        """See `Objects`."""
        from pygit2.enums import SortMode

        walker = self._repository.walk(head, SortMode.TOPOLOGICAL | SortMode.REVERSE)
        walker.hide(base)
        return [Commit(str(commit.id), _subject(commit)) for commit in walker]

    async def files_changed(self, base: str, head: str) -> list[str]:
        """See `Objects`."""
        return [readable(path) for path in sorted(self._changed(self._tree(base), self._tree(head), b""))]

    def _changed(self, old: bytes | None, new: bytes | None, folder: bytes) -> Iterator[bytes]:
        """Paths that differ below a folder; what is the same on both sides is not even read, as libgit2 would."""
        before, after = self._entries(old), self._entries(new)
        gone = {name: (mode, sha) for mode, name, sha in before - after}
        come = {name: (mode, sha) for mode, name, sha in after - before}
        for name in gone.keys() | come.keys():
            sides = [side[name] for side in (gone, come) if name in side]
            if any(mode != _FOLDER for mode, _ in sides):
                yield folder + name
            if any(mode == _FOLDER for mode, _ in sides):
                was, is_ = (side.get(name, _NOTHING) for side in (gone, come))
                yield from self._changed(_folder(was), _folder(is_), folder + name + b"/")

    def _entries(self, tree: bytes | None) -> "set[tuple[bytes, bytes, bytes]]":
        """Mode, name and id of what lies in a tree."""
        return set() if tree is None else set(_ENTRY.findall(self._repository.read(tree.hex())[1]))

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, identity: Mapping[str, str]
    ) -> str:
        """See `Objects`."""
        from pygit2.enums import ObjectType

        now = _timestamp()
        lines = [
            f"tree {tree}".encode(),
            *(f"parent {parent}".encode() for parent in parents),
            b"author %b %b" % (await self._who("AUTHOR", identity), now),
            b"committer %b %b" % (await self._who("COMMITTER", identity), now),
        ]
        content = b"\n".join(lines) + b"\n\n" + _ended(message)
        with crash_point("git.commit-object"):
            return str(self._repository.write(ObjectType.COMMIT, content))

    async def _who(self, role: str, identity: Mapping[str, str]) -> bytes:
        """``name <mail>`` of the author or committer, asked of git once, whose rules for this are many."""
        key = (role, frozenset(identity.items()))
        if key not in self._names:
            said = await self._git.run("var", f"GIT_{role}_IDENT", env=identity)
            self._names[key] = said.stdout[: said.stdout.rindex(b">") + 1]
        return self._names[key]

    def _tree(self, commit: str) -> bytes:
        import pygit2

        return self._repository[commit].peel(pygit2.Tree).id.raw


def _folder(side: tuple[bytes, bytes]) -> bytes | None:
    mode, sha = side
    return sha if mode == _FOLDER else None


def open_objects(repository: Repository, git: Git) -> Objects:
    """The quickest way to answer that is exact for this repository.

    Args:
        repository: as it was discovered.
        git: in the repository; answers what libgit2 cannot.
    """
    opened = _open(repository) if _whole(repository) else None
    return CommandLineObjects(git) if opened is None else LibraryObjects(opened, git)


def _whole(repository: Repository) -> bool:
    """Whether libgit2 sees what git sees."""
    plain = repository.object_format == "sha1" and repository.ref_format == "files"
    return (
        plain
        and not repository.traits & {"partial", "shallow"}
        and not _has_replacements(repository.common_dir)
    )


def _has_replacements(common_dir: str) -> bool:
    """Whether objects are replaced or grafted; a stray word in packed refs only costs speed."""
    if Path(common_dir, "refs/replace").exists() or Path(common_dir, "info/grafts").exists():
        return True
    try:
        return b" refs/replace/" in Path(common_dir, "packed-refs").read_bytes()
    except FileNotFoundError:
        return False


def _open(repository: Repository) -> "pygit2.Repository | None":
    import pygit2

    try:
        return pygit2.Repository(repository.common_dir)
    except pygit2.GitError:  # an owner or an extension that libgit2 does not accept
        return None


def _subject(commit: "pygit2.Commit") -> str:
    """The first paragraph in one line, as git's ``%s``."""
    lines = commit.raw_message.decode(_codec(commit.message_encoding), "backslashreplace").splitlines()
    paragraph = takewhile(str.strip, dropwhile(lambda line: not line.strip(), lines))
    return " ".join(line.rstrip() for line in paragraph)


def _codec(name: str | None) -> str:
    try:
        return codecs.lookup(name or "utf-8").name
    except LookupError:
        return "utf-8"


def _timestamp() -> bytes:
    """Now, as git writes it: seconds and the local offset from UTC."""
    now = time.localtime()
    hours, minutes = divmod(abs(now.tm_gmtoff) // 60, 60)
    return b"%d %b%02d%02d" % (int(time.mktime(now)), b"-" if now.tm_gmtoff < 0 else b"+", hours, minutes)


def _ended(message: str) -> bytes:
    return message.rstrip("\n").encode() + b"\n"
