"""The private folder of a worktree, ``.git/worktrees/NAME``: what ties it to its repository and what lies in it.

Rules: no process. Only for worktrees of ours that nobody works in.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.git.cli import readable
from prodigy.git.readiness import READY
from prodigy.git.refs import keeps_files, point_head, tip

_TIES = ("commondir", "gitdir", "config.worktree", "info/sparse-checkout")
"""Files that decide what git does in a worktree and that only git itself has reason to write."""

KEPT_INDEX = "index.pristine"
"""A copy of the index from when the worktree was beyond doubt."""

_PERMANENT = frozenset(
    {
        KEPT_INDEX,
        "HEAD",
        "commondir",
        "config.worktree",
        "gitdir",
        "index",
        "info",
        "locked",
        "logs",
        "modules",
        READY,
        "refs",
        "reftable",
    }
)
"""What it holds between two leases; all else is left over from something in progress."""

_HARMLESS = frozenset({"COMMIT_EDITMSG", "FETCH_HEAD", "ORIG_HEAD"})
"""What git leaves when nothing is in progress any more."""

_ON_BRANCH = "ref: refs/heads/"

_SHOWN = 80
"""Bytes of a strange ``.git`` that are shown."""

_COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")

_SWITCHED = b"checkout: moving from "


class NotAWorktree(RunError):
    """There is no usable ``.git`` file of a worktree: somebody removed or changed it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("worktree-error", f"{path} is not a worktree any more: {reason}", where=path)


def private_folder(path: str) -> str:
    """Where the private folder of the worktree at ``path`` is.

    Raises:
        NotAWorktree: it is not one.
    """
    try:
        link = _content(f"{path}/.git")
    except OSError as problem:
        raise NotAWorktree(path, f"{problem.strerror}: .git") from problem
    if os.path.islink(f"{path}/.git") or not link.startswith(b"gitdir: "):  # noqa: PTH114 - text
        raise NotAWorktree(path, f"its .git says {readable(link[:_SHOWN])!r}")
    place = os.fsdecode(link.removeprefix(b"gitdir: ").removesuffix(b"\n"))
    return os.path.normpath(os.path.join(path, place))  # noqa: PTH118 - text


def ties_of(path: str, git_dir: str) -> dict[str, bytes]:
    """The content of ``.git`` and of the private files that must never change."""
    found = {".git": _content(f"{path}/.git")}
    for name in _TIES:
        with suppress(FileNotFoundError):
            found[name] = _content(f"{git_dir}/{name}")
    return found


def sweep(git_dir: str) -> None:
    """Remove what merges, rebases, bisections and killed processes leave."""
    for entry in os.listdir(git_dir):  # noqa: PTH208 - the names are all that is wanted
        if entry not in _PERMANENT and not entry.startswith("sharedindex."):
            delete_tree(os.path.join(git_dir, entry))  # noqa: PTH118
    for namespace in Path(git_dir).glob("refs/*"):
        delete_tree(str(namespace))


def unlock(git_dir: str, ref: Path) -> None:
    """Remove git's own locks in it, and on a ref."""
    for lock in Path(git_dir).glob("*.lock"):
        with crash_point("git-lock.remove"):
            lock.unlink(missing_ok=True)
    unlock_ref(ref)


def unlock_ref(ref: Path) -> None:
    """Remove git's own lock on a ref."""
    with crash_point("git-lock.remove"):
        ref.with_name(f"{ref.name}.lock").unlink(missing_ok=True)


def stands_on(git_dir: str, branch: str | None, commit: str) -> bool:
    """Whether HEAD is on a branch (or none) at a commit, as far as files say so; if not, git has to be asked."""
    head = _line(f"{git_dir}/HEAD")
    if branch is None:
        return head == commit
    return head == f"{_ON_BRANCH}{branch}" and _line(f"{_common(git_dir)}/refs/heads/{branch}") == commit


def on_branch(git_dir: str, branch: str) -> bool:
    """Whether HEAD is on a branch, as far as its file says so."""
    return _line(f"{git_dir}/HEAD") == f"{_ON_BRANCH}{branch}"


def standing(git_dir: str) -> tuple[str, str | None]:
    """The commit that HEAD leads to, and its branch, as far as files tell; if they do not, git has to be asked.

    Raises:
        OSError, ValueError: they do not.
    """
    head = _line(f"{git_dir}/HEAD")
    if not head.startswith("ref:"):
        if not _COMMIT.fullmatch(head):
            raise ValueError(head)
        return head, None
    commit = tip(Path(_common(git_dir)), head.removeprefix("ref: "))
    if commit is None or not head.startswith(_ON_BRANCH):
        raise ValueError(head)
    return commit, head.removeprefix(_ON_BRANCH)


def let_go(git_dir: str) -> bool:
    """Have HEAD name the commit in place of its branch; false if that is git's to do, or to refuse.

    Files, index and branch stay as they are.

    Raises:
        OSError: it cannot be written.
    """
    head = _line(f"{git_dir}/HEAD")
    if not head.startswith(_ON_BRANCH):
        return not head.startswith("ref:")
    common = Path(_common(git_dir))
    in_progress = set(os.listdir(git_dir)) - _PERMANENT - _HARMLESS  # noqa: PTH208 - names
    commit = tip(common, head.removeprefix("ref: ")) if keeps_files(common) else None
    if in_progress or commit is None:
        return False
    point_head(git_dir, None, commit)
    return True


def forget_moves(git_dir: str) -> None:
    """Empty the history of HEAD, so that it tells of its next user alone."""
    with crash_point("worktree.forget"), suppress(FileNotFoundError):
        os.truncate(Path(git_dir, "logs/HEAD"), 0)


def visited_branches(git_dir: str) -> set[str] | None:
    """Every branch that HEAD was switched to since `forget_moves`; ``None`` if no file tells."""
    try:
        content = Path(git_dir, "logs/HEAD").read_bytes()
    except FileNotFoundError:
        return None
    return set(_destinations(content))


def last_place(git_dir: str) -> tuple[str | None, str] | None:
    """The branch, or else the commit, at which HEAD stood last by its history; ``None`` if that tells nothing."""
    try:
        content = Path(git_dir, "logs/HEAD").read_bytes()
    except FileNotFoundError:
        return None
    *_, name = "", *_destinations(content)
    if name and tip(Path(_common(git_dir)), f"refs/heads/{name}") is not None:
        return name, ""
    *_, commit = "", *(os.fsdecode(line.split(b" ")[1]) for line in content.splitlines() if b" " in line)
    return (None, commit) if _COMMIT.fullmatch(commit) else None


def _destinations(log: bytes) -> Iterator[str]:
    for line in log.splitlines():
        _, _, move = line.partition(b"\t")
        if move.startswith(_SWITCHED):
            yield os.fsdecode(move.rpartition(b" to ")[2])


def _common(git_dir: str) -> str:
    """The folder that the worktree shares with all others."""
    return os.path.join(git_dir, _line(f"{git_dir}/commondir"))  # noqa: PTH118 - text


def _line(file: str) -> str:
    """The first line of a file; empty if there is none."""
    try:
        return os.fsdecode(_content(file).partition(b"\n")[0])
    except OSError:
        return ""


def _content(file: str) -> bytes:
    with open(file, "rb") as opened:  # noqa: PTH123 - asked around every attempt, and the path is a text already
        return opened.read()


def delete_tree(path: str) -> None:
    """Delete a file or a folder with all in it, also where permissions were taken away."""
    with crash_point("worktree.delete"):
        _delete(path)


def _delete(path: str) -> None:
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        Path(path).unlink(missing_ok=True)
    except OSError:
        if Path(path).is_symlink():
            Path(path).unlink(missing_ok=True)
            return
        _grant_permissions(path)
        shutil.rmtree(path)


def _grant_permissions(path: str) -> None:
    """Let the owner into every folder below ``path``."""
    Path(path).chmod(0o700)
    for folder, names, _ in os.walk(path):
        for name in names:
            place = Path(folder, name)
            if not place.is_symlink():
                place.chmod(0o700)
