"""The frequent questions about commits, answered without a process where that is exact.

Rules: libgit2 answers only for repositories of which it sees the whole truth: SHA-1, refs in files, nothing partial,
shallow or replaced. For all others git itself answers, through the same door, and the same tests hold for both. No
libgit2 object leaves this module, and libgit2 is loaded when the first repository is opened, not before.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.cli import Git
from prodigy.git.commit_text import CommitText, parsed
from prodigy.git.evidence import Commit
from prodigy.git.lineage import Lineage
from prodigy.git.repository import Repository
from prodigy.git.signature import Names, timestamp
from prodigy.git.trees import Trees

if TYPE_CHECKING:
    import pygit2


_KEPT_COMMITS = 256


class Objects(Protocol):
    """Commits of one repository, by their full ids."""

    async def merge_base(self, one: str, other: str) -> str | None:
        """A best common ancestor; ``None`` for unrelated histories."""
        ...

    async def one_base(self, one: str, other: str) -> bool:
        """Whether two commits have one best common ancestor, and no others beside it."""
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

    async def tree(self, commit: str) -> str | None:
        """The tree of a commit, where telling it takes no process."""
        ...

    async def blob(self, sha: str) -> bytes | None:
        """The content of a blob, where telling it takes no process."""
        ...

    async def merged_tree(self, ours: str, theirs: str) -> str | None:
        """The tree that merging two commits gives, if whole files decide it; ``None``: git has to be asked."""
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

    async def one_base(self, one: str, other: str) -> bool:
        """See `Objects`."""
        return await _one_base(self._git, one, other)

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Objects`."""
        return await evidence.is_ancestor(self._git, ancestor, descendant)

    async def commits_between(self, base: str, head: str) -> list[Commit]:
        """See `Objects`."""
        return await evidence.commits_between(self._git, base, head)

    async def files_changed(self, base: str, head: str) -> list[str]:
        """See `Objects`."""
        return await evidence.files_changed(self._git, base, head)

    async def tree(self, commit: str) -> str | None:  # noqa: ARG002 - it always takes one
        """See `Objects`."""
        return None

    async def blob(self, sha: str) -> bytes | None:  # noqa: ARG002 - it always takes one
        """See `Objects`."""
        return None

    async def merged_tree(self, ours: str, theirs: str) -> str | None:  # noqa: ARG002 - it never is known here
        """See `Objects`."""
        return None

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
        self._names = Names(git)
        self._read: dict[str, CommitText] = {}
        self._trees = Trees(LibraryTrees(repository))
        self._lineage = Lineage(self._parents)

    async def merge_base(self, one: str, other: str) -> str | None:
        """See `Objects`."""
        known = self._lineage.base(one, other)
        if known is not None:
            return known
        base = self._repository.merge_base(one, other)
        found = str(base) if base is not None else None
        if found is not None:
            self._lineage.begin(found)
        return found

    async def one_base(self, one: str, other: str) -> bool:
        """See `Objects`."""
        return self._lineage.base(one, other) is not None or await _one_base(self._git, one, other)

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """See `Objects`."""
        if ancestor == descendant or ancestor in self._parents(descendant):
            return True
        return self._repository.descendant_of(descendant, ancestor)

    async def commits_between(self, base: str, head: str) -> list[Commit]:
        """See `Objects`."""
        from pygit2.enums import SortMode

        walker = self._repository.walk(head, SortMode.TOPOLOGICAL | SortMode.REVERSE)
        walker.hide(base)
        return [Commit(str(commit.id), self._text(str(commit.id)).subject) for commit in walker]

    async def files_changed(self, base: str, head: str) -> list[str]:
        """See `Objects`."""
        return self._trees.changed(self._tree(base), self._tree(head))

    async def tree(self, commit: str) -> str | None:
        """See `Objects`."""
        return self._text(commit).tree

    async def blob(self, sha: str) -> bytes | None:
        """See `Objects`."""
        return _content(self._repository, sha, "BLOB")

    async def merged_tree(self, ours: str, theirs: str) -> str | None:
        """See `Objects`."""
        base = self._lineage.base(ours, theirs)
        if base is None:
            return None
        tree = self._trees.merged(self._tree(base), self._tree(ours), self._tree(theirs))
        return None if tree is None else tree.hex()

    async def commit(
        self, tree: str, parents: Sequence[str], message: str, identity: Mapping[str, str]
    ) -> str:
        """See `Objects`."""
        from pygit2.enums import ObjectType

        now = timestamp()
        lines = [
            f"tree {tree}".encode(),
            *(f"parent {parent}".encode() for parent in parents),
            b"author %b %b" % (await self._names.of("AUTHOR", identity), now),
            b"committer %b %b" % (await self._names.of("COMMITTER", identity), now),
        ]
        content = b"\n".join(lines) + b"\n\n" + _ended(message)
        with crash_point("git.commit-object"), _refusals():
            return str(self._repository.write(ObjectType.COMMIT, content))

    def _tree(self, commit: str) -> bytes:
        return bytes.fromhex(self._text(commit).tree)

    def _parents(self, commit: str) -> tuple[str, ...]:
        return self._text(commit).parents

    def _text(self, commit: str) -> CommitText:
        """A commit; those read last are remembered, since each is asked for several times."""
        if commit not in self._read:
            if len(self._read) >= _KEPT_COMMITS:
                self._read.clear()
            self._read[commit] = parsed(_content(self._repository, commit, "COMMIT"))
        return self._read[commit]


class LibraryTrees:
    """Trees read and written by libgit2; see `prodigy.git.trees.TreeStore`."""

    def __init__(self, repository: "pygit2.Repository") -> None:
        self._repository = repository

    def read_tree(self, sha: bytes) -> bytes:
        """The content of a tree."""
        return _content(self._repository, sha.hex(), "TREE")

    def write_tree(self, content: bytes) -> bytes:
        """Make a tree; its id."""
        from pygit2.enums import ObjectType

        with crash_point("git.tree-object"), _refusals():
            return self._repository.write(ObjectType.TREE, content).raw


@contextmanager
def _refusals() -> Iterator[None]:
    """An object that cannot be written is a failure of git; libgit2 does not always know why it cannot."""
    from pygit2 import GitError

    try:
        yield
    except (OSError, GitError) as error:
        raise RunError("git-failed", f"an object could not be written: {error}") from error


def _content(repository: "pygit2.Repository", sha: str, kind: str) -> bytes:
    """The content of an object.

    Raises:
        RunError: ``git-failed``, it cannot be read.
    """
    from pygit2 import GitError
    from pygit2.enums import ObjectType

    try:
        found, content = repository.read(sha)
    except (GitError, KeyError, ValueError) as problem:
        raise RunError("git-failed", f"object {sha} cannot be read, or is not there: {problem}") from problem
    if found != ObjectType[kind]:
        raise RunError("git-failed", f"object {sha} is not a {kind.lower()}")
    return content


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


async def _one_base(git: Git, one: str, other: str) -> bool:
    found = await git.run("merge-base", "--all", one, other, ok=(0, 1))
    return len(found.stdout.split()) == 1


def _ended(message: str) -> bytes:
    return message.rstrip("\n").encode() + b"\n"
