"""The last merge: a run's branch into the branch that its user works on.

Rules: the only place that may touch the user's checkout, and only as ``git merge`` itself would, with the user's
hooks and settings, never over local changes. What cannot be done leaves everything as it was: conflicts are found in
the object database first, and a merge that we began and that fails is aborted. A merge that the user began is not
ours to abort.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.bench import FORWARD, TRUE_MERGE
from prodigy.git.cli import Git, GitFailed, GitResult, is_folder, readable
from prodigy.git.disks import Disks
from prodigy.git.forge import Forge
from prodigy.git.interrupted import undo_interrupted
from prodigy.git.merge import Conflict, Merged, foretell, foretell_here, merge, verify
from prodigy.git.patience import patiently
from prodigy.git.repository import Registration, Target, branch_tip, find_target, worktrees_of

GRACE_S = 5.0
"""How long a merge may go on after it was cancelled, before it is ended and undone."""
PATIENCE_S = 600.0
"""How long git and the user's hooks may take over a merge, where nothing else is said."""

_MAX_RACES = 5
_UNFINISHED = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
_IN_THE_WAY = ("would be overwritten by merge", "Not possible to fast-forward because you have")


class Foreseen(Struct, frozen=True):
    """What a merge would give: a commit that no ref may name yet, and its tree."""

    commit: str
    tree: str


class _Wanted(Struct, frozen=True):
    """What is merged, and how its commit is made."""

    source: str
    message: str
    identity: Mapping[str, str]
    patience: float


class FinalMerge(Struct, frozen=True):
    """Where the work went."""

    target: Target
    merged: Merged


async def merge_into(
    forge: Forge,
    source: str,
    named: str | None,
    message: str,
    *,
    interrupted: str | None = None,
    patience: float = PATIENCE_S,
) -> FinalMerge:
    """Merge the commit ``source`` into the branch ``named``, or into the default branch if that is gone.

    Args:
        forge: of the repository.
        source: full commit id, the tip of the session branch.
        named: the branch that the run began on; ``None`` if HEAD was detached.
        message: of the merge commit, if one is made.
        interrupted: what the work began with, if this merge was begun before and nobody knows how it ended.
        patience: seconds that git and hooks may take over it in a checkout.

    Raises:
        RunError: ``merge-conflict`` (the note lists the paths), ``local-changes``, ``merge-target-missing``,
            ``merge-target-busy`` (an unfinished operation of the user's), ``merge-failed``, ``merge-target-moved``; nothing was changed.
    """
    target = await find_target(forge.git, named)
    if target.branch is None:
        raise RunError("merge-target-missing", f"there is no branch to merge into: {target.fallback}")
    holder = await _holder(forge.git, target.branch)
    if holder is None:
        merged = await _merge_ref(forge, target.branch, source, message)
    else:
        here = forge.git.at(holder.path)
        if interrupted is not None:
            await undo_interrupted(here, source, message, interrupted)
        wanted = _Wanted(source, message, forge.identity, patience)
        merged = await _merge_checkout(here, target.branch, wanted)
        await Disks().flush(forge.customs.common_dir, holder.path)
    return FinalMerge(target, merged)


async def foresee(forge: Forge, source: str, named: str | None, message: str) -> Foreseen:
    """The commit that ``merge_into`` would make now; nothing moves.

    Raises:
        RunError: ``merge-conflict``, ``merge-target-missing``.
    """
    git = forge.git
    target = await find_target(git, named)
    tip = await branch_tip(git, target.branch) if target.branch is not None else None
    if target.branch is None or tip is None:
        raise RunError("merge-target-missing", f"there is no branch to merge into: {target.fallback}")
    if await evidence.is_ancestor(git, source, tip):
        return Foreseen(tip, await _tree(git, tip))
    if await evidence.is_ancestor(git, tip, source):
        return Foreseen(source, await _tree(git, source))
    tree = await foretell(forge, tip, source)
    if isinstance(tree, Conflict):
        raise _conflict(target.branch, tree.paths)
    return Foreseen(await forge.objects.commit(tree, (tip, source), message, forge.identity), tree)


async def _tree(git: Git, commit: str) -> str:
    return (await git.run("rev-parse", f"{commit}^{{tree}}")).text


async def _holder(git: Git, branch: str) -> Registration | None:
    """The worktree that has the branch checked out.

    Raises:
        RunError: ``merge-target-busy``, one is in the middle of rebasing it.
    """
    entries = [entry for entry in await worktrees_of(git) if is_folder(entry.path) and not entry.bare]
    for entry in entries:
        if entry.branch == branch:
            return entry
        if entry.branch is None and await _rebases(git.inside(entry.path), branch):
            raise _busy(entry.path, f"{branch} is being rebased there")
    return None


async def _rebases(here: Git, branch: str) -> bool:
    found = await here.run(
        "rev-parse", "--absolute-git-dir", ok=None
    )  # a folder that is no worktree any more rebases nothing
    names = [Path(found.path, folder, "head-name") for folder in ("rebase-merge", "rebase-apply")]
    wanted = os.fsencode(f"refs/heads/{branch}")
    return found.code == 0 and any(_holds(name, wanted) for name in names)


async def _merge_ref(forge: Forge, branch: str, source: str, message: str) -> Merged:
    """A branch that nobody looks at: only the ref moves."""
    outcome = await merge(forge, f"refs/heads/{branch}", source, message)
    if isinstance(outcome, Conflict):
        raise _conflict(branch, outcome.paths)
    return outcome


async def _merge_checkout(here: Git, branch: str, wanted: _Wanted) -> Merged:
    """A branch that a worktree of the user's has checked out: git merges there.

    Git itself sees to it that a branch which somebody moves meanwhile does not lose what it was moved to.
    """
    for _ in range(_MAX_RACES):
        old = await branch_tip(here, branch)
        if old is None:
            raise RunError("merge-target-missing", f"{branch} was deleted meanwhile")
        try:
            return await _merge_onto(here, branch, old, wanted)
        except RunError as refused:
            moved = refused.code == "merge-failed" and await branch_tip(here, branch) != old
            if not moved or await unfinished(here):
                raise
    raise RunError(
        "merge-target-moved",
        f"{branch} was moved by somebody else {_MAX_RACES} times in a row",
        where=here.cwd,
        hint="merge again when it stands still",
    )


async def _merge_onto(here: Git, branch: str, old: str, wanted: _Wanted) -> Merged:
    """Merge into the branch while it stands at ``old``."""
    source = wanted.source
    if await evidence.is_ancestor(here, source, old):
        return Merged(old, old, "nothing")
    await _require_idle(here)
    forward = await evidence.is_ancestor(here, old, source) and await _forwards(here)
    foretold = None if forward else await foretell_here(here, old, source)
    if isinstance(foretold, Conflict):
        raise _conflict(branch, foretold.paths)
    if foretold is not None:
        await _require_nothing_staged(here, branch)
        await _require_room(here, branch, old, foretold)
    await _git_merge(here, branch, wanted, FORWARD if forward else (*TRUE_MERGE, "-m", wanted.message))
    await verify(here, f"refs/heads/{branch}", source)
    new = await branch_tip(here, branch)
    return Merged(old, new or old, "fast-forward" if new == source else "git")


async def _forwards(here: Git) -> bool:
    """Whether the user lets branches move forward without a merge commit; that they let nothing else is overruled."""
    wanted = await here.run("config", "--type=bool", "--get", "merge.ff", ok=None)
    return wanted.text != "false"


async def _git_merge(here: Git, branch: str, wanted: _Wanted, how: tuple[str, ...]) -> None:
    """Let git merge, to its end: half a merge in the user's checkout is worse than a late answer to a cancellation."""
    until = trio.current_time() + wanted.patience
    refusal: RunError | None = None
    async with trio.open_nursery() as watch:
        with trio.CancelScope(shield=True, deadline=until) as unhurried:
            watch.start_soon(_hasten, unhurried)
            done = await _run_merge(here, wanted.source, how, wanted.identity)
            refusal = await _undo(here, branch, done) if done.code != 0 else None
        if unhurried.cancelled_caught:
            with trio.CancelScope(shield=True):
                await _roll_back(here, wanted.source, how)
            refusal = RunError(
                "merge-failed",
                f"the merge into {branch} still ran after {wanted.patience:g} s, and was ended",
                where=here.cwd,
                hint="look at the hooks of the repository, or give `merge.timeout`",
            )
        watch.cancel_scope.cancel()
    if refusal is not None:
        raise refusal


async def _run_merge(here: Git, source: str, how: tuple[str, ...], identity: Mapping[str, str]) -> GitResult:
    safely = here.having("core.fsync=added")  # what the user's branch leads to is on disk before it moves

    async def attempt() -> GitResult:
        options = ("--quiet", "--no-autostash", "--no-overwrite-ignore", *how)
        done = await safely.run("merge", *options, source, env=identity, ok=None)
        if done.lock_held:
            raise GitFailed(("merge",), here.cwd, done)
        return done

    try:
        return await patiently(attempt)
    except GitFailed as failure:
        return failure.result


async def _hasten(unhurried: trio.CancelScope) -> None:
    """Bound what a cancellation has to wait for."""
    try:
        await trio.sleep_forever()
    finally:
        unhurried.deadline = min(unhurried.deadline, trio.current_time() + GRACE_S)


async def _roll_back(here: Git, source: str, how: tuple[str, ...]) -> None:
    """Undo a merge that was ended halfway.

    While hooks run, git has the merge in index and files but nowhere a note of it. What is staged then is the merge
    and nothing else: `_require_nothing_staged` made sure.
    """
    if await unfinished(here):
        await here.run("merge", "--abort", ok=None)
    elif how != FORWARD and not await evidence.is_ancestor(here, source, "HEAD"):
        await here.run("reset", "--quiet", "--merge", ok=None)


async def _undo(here: Git, branch: str, done: GitResult) -> RunError:
    """Undo a merge of ours that did not end well, and tell why it did not."""
    unmerged = await here.run("diff", "--name-only", "--diff-filter=U", "-z", ok=None)
    undone = await here.run("merge", "--abort", ok=None) if await unfinished(here) else done
    if undone is not done and undone.code != 0:
        return RunError(
            "merge-failed",
            f"git could not merge into {branch}, nor undo what it had begun",
            where=here.cwd,
            note=undone.complaint,
            hint="git merge --abort, or git reset --merge",
        )
    paths = tuple(readable(path) for path in unmerged.fields)
    if paths:
        return _conflict(branch, paths)
    if any(words in done.complaint for words in _IN_THE_WAY):
        return _local_changes(here.cwd, branch, done.complaint)
    words = done.complaint or readable(done.stdout).strip()
    return RunError("merge-failed", f"git would not merge into {branch}", where=here.cwd, note=words)


async def _require_nothing_staged(here: Git, branch: str) -> None:
    """Nothing, if the index is that of HEAD; git would refuse a true merge too, but later."""
    staged = await here.run("diff-index", "--cached", "--name-only", "-z", "HEAD", "--")
    if staged.fields:
        raise _local_changes(here.cwd, branch, "\n".join(map(readable, staged.fields)))


async def _require_room(here: Git, branch: str, old: str, tree: str) -> None:
    """Nothing, if no file that git ignores lies where the merge adds one; git would replace it without a word."""
    listed = await here.run("diff-tree", "-r", "-z", "--name-status", "--no-renames", old, tree, "--")
    changes = list(zip(listed.fields[1::2], listed.fields[::2], strict=True))
    removed = {path for path, kind in changes if kind == b"D"}
    added = [path for path, kind in changes if kind == b"A"]
    taken = await trio.to_thread.run_sync(_taken, os.fsencode(here.cwd), added, removed)
    if taken:
        raise _local_changes(here.cwd, branch, "\n".join(map(readable, taken)))


def _taken(top: bytes, added: Sequence[bytes], removed: Collection[bytes]) -> list[bytes]:
    """Of the paths to be added, those at which something lies, or below a file that the merge does not remove."""
    return [
        path
        for path in added
        if any(_occupied(top, place, path) for place in _ways(path) if place not in removed)
    ]


def _ways(path: bytes) -> list[bytes]:
    """``a/b/c`` → ``a``, ``a/b``, ``a/b/c``."""
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _occupied(top: bytes, place: bytes, path: bytes) -> bool:
    full = os.path.join(top, place)  # noqa: PTH118 - git's bytes, as they are
    return os.path.lexists(full) and (place == path or os.path.islink(full) or not os.path.isdir(full))  # noqa: PTH112, PTH114


async def _require_idle(here: Git) -> None:
    found = await unfinished(here)
    if found:
        raise _busy(here.cwd, f"{found[0]} of an unfinished operation is there")


async def unfinished(here: Git) -> list[str]:
    """What the user, or we, began in this worktree and did not end."""
    git_dir = (await here.run("rev-parse", "--absolute-git-dir")).path
    return _present(git_dir)


def _present(git_dir: str) -> list[str]:
    return [name for name in _UNFINISHED if Path(git_dir, name).exists()]


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes().strip() == content


def _local_changes(where: str, branch: str, note: str) -> RunError:
    return RunError(
        "local-changes",
        f"uncommitted changes in the checkout of {branch} would be overwritten",
        where=where,
        note=note,
        hint="commit or stash them, then merge again",
    )


def _busy(where: str, reason: str) -> RunError:
    return RunError(
        "merge-target-busy",
        f"the checkout is in the middle of something: {reason}",
        where=where,
        hint="finish or abort it, then merge again",
    )


def _conflict(branch: str, paths: tuple[str, ...]) -> RunError:
    return RunError("merge-conflict", f"{branch} and the run changed the same places", note="\n".join(paths))
