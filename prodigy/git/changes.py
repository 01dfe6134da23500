"""What changed between a commit and another one, or what stands in the worktree now: for ``${step.…}`` and ``${git.…}``.

Rules: as ``git.evidence``. Asked only when a text refers to it.
"""

from collections.abc import Iterator

from msgspec import Struct

from prodigy.git.cli import Git, readable


class Changes(Struct, frozen=True, kw_only=True):
    """Files by what became of them, sorted; lines are those of text files."""

    added: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    insertions: int = 0
    deletions: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        """All files that changed."""
        return tuple(sorted({*self.added, *self.modified, *self.deleted}))


class Standing(Struct, frozen=True, kw_only=True):
    """A worktree as ``git status`` sees it."""

    branch: str | None
    commit: str
    short_commit: str
    staged: tuple[str, ...] = ()
    unstaged: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()


async def changes(git: Git, base: str, head: str | None = None) -> Changes:
    """What lies between two commits.

    Args:
        git: at the top of a worktree.
        base: the earlier commit.
        head: the later one; ``None`` for the files as they are now, untracked ones included.
    """
    options = ("--no-ext-diff", "--no-textconv", "--no-renames", "--ignore-submodules=none", "-z")
    ends = (base,) if head is None else (base, head)
    listed = await git.run("diff", *options, "--raw", "--numstat", *ends, "--")
    states: dict[str, str] = {}
    lines = [0, 0]
    for state, path, counts in _entries(listed.fields):
        if state is not None:
            states[path] = state
        lines = [total + count for total, count in zip(lines, counts, strict=True)]
    untracked = (await standing(git)).untracked if head is None else ()
    states |= dict.fromkeys(untracked, "A")
    return Changes(
        added=_those(states, "A"),
        deleted=_those(states, "D"),
        modified=_those(states, "MTU"),
        insertions=lines[0],
        deletions=lines[1],
    )


async def standing(git: Git) -> Standing:
    """Branch, commit, and what is staged, changed and untracked."""
    listed = await git.run(
        "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all"
    )
    headers: dict[str, str] = {}
    staged, unstaged, untracked = [], [], []
    for record in listed.fields:
        if record.startswith(b"# "):
            _, name, value = readable(record).split(" ", 2)
            headers[name] = value
            continue
        if record.startswith(b"? "):
            untracked.append(readable(record[2:]))
            continue
        path = readable(record.split(b" ", 10 if record.startswith(b"u") else 8)[-1])
        staged += [path] if record[2:3] != b"." else []
        unstaged += [path] if record[3:4] != b"." else []
    short = await git.run("rev-parse", "--short", "HEAD")
    branch = headers["branch.head"]
    return Standing(
        branch=None if branch == "(detached)" else branch,
        commit=headers["branch.oid"],
        short_commit=short.text,
        staged=tuple(staged),
        unstaged=tuple(unstaged),
        untracked=tuple(untracked),
    )


async def messages(git: Git, base: str, head: str) -> tuple[str, ...]:
    """The whole messages of the commits between, oldest first."""
    listed = await git.run("log", "-z", "--reverse", "--format=%B", f"{base}..{head}", "--")
    return tuple(readable(message).strip("\n") for message in listed.stdout.split(b"\0") if message)


def _entries(fields: list[bytes]) -> Iterator[tuple[str | None, str, tuple[int, int]]]:
    """State and path of the raw entries, path and lines of the numeric ones."""
    words = iter(fields)
    for word in words:
        if word.startswith(b":"):
            yield chr(word.rsplit(b" ", 1)[-1][0]), readable(next(words)), (0, 0)
        else:
            inserted, deleted, path = word.split(b"\t", 2)
            yield None, readable(path), (_lines(inserted), _lines(deleted))


def _lines(count: bytes) -> int:
    """Git writes ``-`` for a binary file."""
    return int(count) if count.isdigit() else 0


def _those(states: dict[str, str], wanted: str) -> tuple[str, ...]:
    return tuple(sorted(path for path, state in states.items() if state in wanted))
