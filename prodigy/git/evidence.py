r"""What a step really did to its worktree, and the commit of what it left.

Rules: workers use this module: only the port, no trio, no pygit2, as few processes as possible. Paths are for people
and for the journal: UTF-8, with other bytes as ``\xff``.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git.cli import Git, GitResult, readable
from prodigy.git.private_folder import NotAWorktree, private_folder, standing
from prodigy.workflow.globs import matches

NO_COMMIT = "(initial)"


class Snapshot(Struct, frozen=True):
    """Where a worktree stands."""

    head: str | None
    """The commit that HEAD leads to; ``None`` on a branch without commits."""
    branch: str | None
    """``None`` if detached."""
    dirty: tuple[str, ...]
    """Paths changed, staged, unmerged or untracked; an untracked repository within ends in ``/``."""


class Commit(Struct, frozen=True):
    """One commit."""

    sha: str
    subject: str


class History(Struct, frozen=True):
    """What lies between two commits."""

    commits: tuple[Commit, ...]
    """What the later one has and the earlier one has not, oldest first."""
    descends: bool
    """Whether the later one contains the earlier one; if not, history was rewritten."""


class CommitRefused(RunError):
    """Git or a hook refused to commit what a step left."""

    def __init__(self, where: str, stderr: str) -> None:
        lines = stderr.splitlines() or ["no reason given"]
        super().__init__(
            "commit-failed", f"the commit was refused: {lines[-1]}", where=where, note=stderr or None
        )
        self.stderr = stderr


async def snapshot(git: Git, *, ignored: bool = False, within: Sequence[str] = ()) -> Snapshot:
    """HEAD, branch and dirty paths, in one process.

    Args:
        git: at the top of a worktree.
        ignored: count ignored files as dirty too.
        within: the only paths that can be dirty, if that is known.
    """
    options = [
        "--porcelain=v2",
        "--branch",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=none",
    ]
    if ignored:
        options.append("--ignored=traditional")
    listed = await git.run("status", *options, "--", *within, env={"GIT_LITERAL_PATHSPECS": "1"})
    headers = {}
    dirty = []
    for record in listed.fields:
        if record.startswith(b"# "):
            _, name, value = readable(record).split(" ", 2)
            headers[name] = value
        else:
            dirty.append(readable(_path(record)))
    head, branch = headers["branch.oid"], headers["branch.head"]
    return Snapshot(
        head if head != NO_COMMIT else None,
        branch if branch != "(detached)" else None,
        tuple(dirty),
    )


async def status(git: Git) -> list[str]:
    """The dirty paths."""
    return list((await snapshot(git)).dirty)


async def head(git: Git) -> str:
    """The commit that HEAD leads to."""
    return (await git.run("rev-parse", "--verify", "HEAD^{commit}")).text


def _head(worktree: str) -> str | None:
    """The commit that HEAD of a linked worktree leads to, as far as files tell."""
    try:
        return standing(private_folder(worktree))[0]
    except (OSError, ValueError, NotAWorktree):
        return None


async def commits_between(git: Git, base: str, head: str) -> list[Commit]:
    """The commits that ``head`` has and ``base`` has not, oldest first."""
    listed = await git.run(
        "rev-list",
        "--reverse",
        "--topo-order",
        "--no-commit-header",
        "--format=%H %s",
        f"{base}..{head}",
        "--",
    )
    return [Commit(*_split(line)) for line in listed.stdout.split(b"\n") if line]


async def history(git: Git, base: str, head: str) -> History:
    """How one commit became another, in one process."""
    listed = await git.run(
        "rev-list",
        "--reverse",
        "--topo-order",
        "--no-commit-header",
        "--format=%m%H %s",
        f"{base}...{head}",
        "--",
    )
    lines = [line for line in listed.stdout.split(b"\n") if line]
    commits = tuple(Commit(*_split(line[1:])) for line in lines if line.startswith(b">"))
    return History(commits, descends=len(commits) == len(lines))


async def single(git: Git, base: str, head: str) -> tuple[History, tuple[str, ...]] | None:
    """`history` and `files_changed` of two commits in one process, if the later is made right on top of the earlier.

    ``None`` if it is not: there are several, or a merge, or history was rewritten.
    """
    options = ("-r", "-z", "--always", "--name-only", "--no-renames", "--format=%P%x00%s")
    parents, subject, *paths = (await git.run("diff-tree", *options, head, "--")).fields
    if parents != base.encode():
        return None
    names = tuple(readable(path if number else path.removeprefix(b"\n")) for number, path in enumerate(paths))
    return History((Commit(head, readable(subject)),), descends=True), names


async def files_changed(git: Git, base: str, head: str) -> list[str]:
    """The paths at which the trees of two commits differ; a renamed file counts at both."""
    listed = await git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head, "--")
    return [readable(path) for path in listed.fields]


async def is_ancestor(git: Git, ancestor: str, descendant: str) -> bool:
    """Whether ``descendant`` contains ``ancestor``; a commit contains itself."""
    return (await git.run("merge-base", "--is-ancestor", ancestor, descendant, ok=(0, 1))).code == 0


class CommitWish(Struct, frozen=True, kw_only=True):
    """What a workflow asks of the commits that Prodigy makes; globs as modifiers of references have them."""

    author: str | None = None
    """``Name <address>``."""
    sign: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    onto: str | None = None
    """Make one commit of everything since this one."""


async def auto_commit(
    git: Git, message: str, identity: Mapping[str, str] | None = None, wish: CommitWish | None = None
) -> str | None:
    """Commit everything that is changed or untracked, and return the new HEAD.

    Hooks run. The commit is not signed unless it is asked for: a signature would ask its owner for a passphrase, once
    per step.

    Args:
        git: at the top of a worktree.
        message: the whole message; lines that start with ``#`` are kept.
        identity: environment that names author and committer, if git has no name for them.
        wish: what is particular about it.

    Returns:
        The commit, or ``None`` if there was nothing to commit.

    Raises:
        CommitRefused: a hook, or git itself, refused.
    """
    wish = wish or CommitWish()
    if wish.onto is not None:
        await git.run("reset", "--quiet", "--soft", wish.onto)
    added = await _add(git, wish)
    if added.code != 0:
        raise CommitRefused(git.cwd, added.complaint)
    options = [
        "--quiet",
        "--gpg-sign" if wish.sign else "--no-gpg-sign",
        "--cleanup=whitespace",
        "--file=-",
        *([f"--author={wish.author}"] if wish.author else []),
    ]
    done = await git.run("commit", *options, stdin=message.encode(), env=identity, ok=None)
    if done.code == 0:
        return _head(git.cwd) or await head(git)
    if (await git.run("diff-index", "--cached", "--quiet", "HEAD", "--", ok=(0, 1))).code == 0:
        return None
    raise CommitRefused(git.cwd, done.complaint)


async def _add(git: Git, wish: CommitWish) -> GitResult:
    if not (wish.include or wish.exclude):
        return await git.run("add", "--all", ok=None)
    paths = [
        path
        for path in (await snapshot(git)).dirty
        if (not wish.include or matches(path, wish.include)) and not matches(path, wish.exclude)
    ]
    if not paths:
        return GitResult(0)
    listed = "".join(f"{path}\0" for path in paths).encode()
    # Not `add`, which refuses a path that is staged as deleted.
    return await git.run("update-index", "--add", "--remove", "-z", "--stdin", stdin=listed, ok=None)


def _path(record: bytes) -> bytes:
    """The path of one record of ``status --porcelain=v2 -z``; the kind of record says how many words precede it."""
    words_before = {b"1": 8, b"2": 9, b"u": 10, b"?": 1, b"!": 1}[record[:1]]
    return record.split(b" ", words_before)[-1]


def _split(line: bytes) -> tuple[str, str]:
    sha, _, subject = readable(line).partition(" ")
    return sha, subject
