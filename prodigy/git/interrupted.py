"""A merge of ours in somebody's checkout that was killed: it is undone exactly, so that it can be made anew.

Git writes the files of a merge first, then the index, then, while hooks run, nothing, and the branch at the very end. So
what is found is one of: files that are as the merge has them while the index is not; an index that holds the merge and
nothing else; a merge that waits for its commit. Whatever differs from HEAD *and* from the merge is not ours and stays,
but for files of the merge without content: they were not on disk when the power was lost.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import trio

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.aside import folder_aside
from prodigy.git.cli import Git
from prodigy.git.merge import Conflict, foretell_here
from prodigy.git.repository import common_dir, ref_tip

LOOKS = 50
"""How often it is looked whether a merge that outlived its caller has ended."""
LOOK_S = 0.1
"""Seconds between two looks."""
_PIECE = 64 * 1024
_MOMENT_S = 1.0
"""Seconds for which a git may hold a lock that it does not have open any more, and hooks may ask about it."""


async def undo_interrupted(here: Git, source: str, message: str, base: str) -> None:
    """Undo what a killed merge of ``source`` left; nothing where it never began.

    One that came to its end stays; of its files those that lost their content get it back.

    Args:
        here: git at the top of the checkout; HEAD is the branch that was merged into.
        source: full commit id.
        base: what the work that ``source`` has began with.
        message: what our merge commit would have said; a merge with other words is somebody else's.

    Raises:
        RunError: ``merge-target-busy``: that merge, or another git, is still at work there.
    """
    await _require_ended(here, source)
    head = await evidence.head(here)
    if await evidence.is_ancestor(here, source, head):
        await _refill(here, await _changed(here, "diff-tree", "-r", base, source))
        return
    await _unlock(here)
    if await ref_tip(here, "MERGE_HEAD") is not None:
        if await trio.to_thread.run_sync(_says, await _private(here, "MERGE_MSG"), message):
            await _refill(here, await _changed(here, "diff-index", "--cached", head))
            await here.run("merge", "--abort")
        return
    forward = await evidence.is_ancestor(here, head, source)
    merged = (
        (await here.run("rev-parse", f"{source}^{{tree}}")).text
        if forward
        else await foretell_here(here, head, source)
    )
    if isinstance(merged, Conflict):
        return  # then no merge was begun
    staged = await here.run("write-tree", ok=None)
    if staged.code == 0 and staged.text == merged:
        await _refill(here, await _changed(here, "diff-index", "--cached", head))
        await here.run("reset", "--quiet", "--merge")
    else:
        await _restore_files(here, head, merged)


async def _changed(here: Git, *words: str) -> list[bytes]:
    return (await here.run(*words[:-1], "-z", "--name-only", "--no-renames", words[-1], "--")).fields


async def _refill(here: Git, paths: Sequence[bytes]) -> None:
    """Files without content become those of the index again."""
    hollow = {path for path in paths if _is_hollow(_at(here, path))}
    if hollow:
        different = (await here.run("diff-files", "-z", "--name-only")).fields
        await _check_out(here, [path for path in different if path in hollow])


async def _restore_files(here: Git, head: str, merged: str) -> None:
    """Files that are as the merge has them, or not there, become those of the index again; new ones go."""
    listed = await here.run("diff-tree", "-r", "-z", "--name-status", "--no-renames", head, merged, "--")
    changes = dict(zip(listed.fields[1::2], listed.fields[::2], strict=True))
    with folder_aside(await common_dir(here)) as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        await here.run("read-tree", merged, env=index)
        await here.run("update-index", "-q", "--refresh", env=index, ok=(0, 1))
        different = set((await here.run("diff-files", "-z", "--name-only", env=index)).fields)
    missing = {
        path for path in changes if not os.path.lexists(_at(here, path)) or _is_hollow(_at(here, path))
    }
    for path, kind in changes.items():
        if kind == b"A" and (path in missing or path not in different):
            with crash_point("merge.remove"):
                Path(_at(here, path)).unlink(missing_ok=True)
    back = [
        path
        for path, kind in changes.items()
        if kind != b"A" and (path in missing or (kind != b"D" and path not in different))
    ]
    await _check_out(here, back)


async def _check_out(here: Git, paths: Sequence[bytes]) -> None:
    if paths:
        listed = b"".join(path + b"\0" for path in paths)
        await here.run("checkout-index", "--force", "--index", "-z", "--stdin", stdin=listed)


def _is_hollow(file: str) -> bool:
    """Whether a file holds nothing, or nothing but zeros."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            return False
        with open(file, "rb") as opened:  # noqa: PTH123 - text
            return not any(piece.strip(b"\0") for piece in iter(lambda: opened.read(_PIECE), b""))
    except OSError:
        return False


def _at(here: Git, path: bytes) -> str:
    return os.path.join(here.cwd, os.fsdecode(path))  # noqa: PTH118 - git's bytes, as they are


async def _require_ended(here: Git, source: str) -> None:
    """Wait for a git that still merges ``source``."""
    for _ in range(LOOKS):
        if not await trio.to_thread.run_sync(_merging, source):
            return
        await trio.sleep(LOOK_S)
    raise _busy(here, "the merge of an earlier process is still under way, perhaps in one of your hooks")


def _merging(source: str) -> bool:
    wanted = source.encode()
    return any(b"merge" in words and wanted in words for words in _command_lines())


def _command_lines() -> Iterator[list[bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue


async def _unlock(here: Git) -> None:
    """Remove the locks that the killed merge had; others hold theirs for moments only, or have them open."""
    head = await here.run("symbolic-ref", "--quiet", "HEAD", ok=None)
    names = ("index", "HEAD", "ORIG_HEAD", *head.text.split())
    locks = [Path(await _private(here, f"{name}.lock")) for name in names]
    with trio.move_on_after(_MOMENT_S):
        while any(lock.exists() for lock in locks):  # noqa: ASYNC110 - another's files
            await trio.sleep(LOOK_S)
    for lock in locks:
        if not lock.exists():
            continue
        if await trio.to_thread.run_sync(_is_open, str(lock)):
            raise _busy(here, f"another git holds {lock.name}")
        with crash_point("merge.unlock"):
            lock.unlink(missing_ok=True)


async def _private(here: Git, name: str) -> str:
    """Where git keeps a file of this worktree."""
    return (await here.run("rev-parse", "--path-format=absolute", "--git-path", name)).path


def _says(file: str, message: str) -> bool:
    return Path(file).is_file() and Path(file).read_bytes().strip().startswith(message.strip().encode())


def _is_open(path: str) -> bool:
    wanted = os.path.realpath(path)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == wanted:  # noqa: PTH115 - compared as text
                return True
        except OSError:
            continue
    return False


def _busy(here: Git, why: str) -> RunError:
    return RunError("merge-target-busy", f"nothing was merged: {why}", where=here.cwd)
