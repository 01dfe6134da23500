"""A merge with conflicts, begun in a worktree for somebody else to resolve, and the look at what came of it.

Rules: nothing that the resolver says is believed. A resolution is one merge of exactly the two commits, with HEAD on no
branch, nothing left uncommitted, no conflict marker that neither side had, and no branch or tag moved beside it. What
is handed on is a commit of ours with the resolver's files and words.
"""

import os
import re
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.cli import Git, GitFailed, readable
from prodigy.git.final import unfinished
from prodigy.git.objects import CommandLineObjects
from prodigy.git.repository import worktrees_of

_SETTINGS = ("core.hooksPath=/dev/null", "rerere.enabled=false", "merge.verifySignatures=false")
_MARKER = r"^(<{7,}|>{7,}|\|{7,})( |$)"
_COUNTED = re.compile(rb"[0-9a-f]+:(.+?)\0(\d+)\n", re.DOTALL)
"""One answer of ``git grep -c -z``."""
_OF_RUNS = "refs/heads/prodigy-"
_FEW = 3


class Begun(Struct, frozen=True, kw_only=True):
    """A merge that waits for its conflicts to be resolved.

    ``path`` is the worktree, HEAD detached at ``onto``; ``paths`` are unmerged. ``refs`` says which branches and tags
    there were then, and what they named; it is empty where that is not known.
    """

    path: str
    source: str
    onto: str
    paths: tuple[str, ...]
    refs: dict[str, str] = {}


async def begin(git: Git, source: str, onto: str, message: str, identity: Mapping[str, str]) -> Begun:
    """Begin to merge ``source``; nothing is committed, whether it conflicts or not.

    Args:
        git: at the top of a worktree, detached at ``onto`` and clean.
        source: full commit id of the other side.
        onto: full commit id of what it is merged into.
        message: what the merge commit is to say, if its maker has nothing better.
        identity: environment that names the committer where git has no name for one.

    Raises:
        GitFailed: git could not begin.
    """
    options = ("--quiet", "--no-ff", "--no-commit", "--no-squash", "--no-autostash", "-m", message)
    done = await git.having(*_SETTINGS).run("merge", *options, source, env=identity, ok=None)
    unmerged = await git.run("diff", "--name-only", "--diff-filter=U", "-z")
    paths = tuple(dict.fromkeys(readable(path) for path in unmerged.fields))
    if done.code != 0 and not paths:
        raise GitFailed(("merge",), git.cwd, done)
    return Begun(path=git.cwd, source=source, onto=onto, paths=paths, refs=await _refs(git))


async def conclude(git: Git, begun: Begun, trailers: Sequence[str], identity: Mapping[str, str]) -> str:
    """Check the resolution; a commit with its files, its message and the ``trailers``, which no ref names.

    Args:
        git: in the worktree.
        begun: what was begun.
        trailers: lines such as ``Prodigy-Job: …`` that the message has to end with.
        identity: as for `begin`.

    Raises:
        RunError: ``resolution-refused``, with what is wrong.
    """
    head = await _require_merge(git, begun)
    await _require_no_markers(git, begun, head)
    await _require_refs(git, begun)
    tree = (await git.run("rev-parse", f"{head}^{{tree}}")).text
    said = readable((await git.run("log", "-1", "--format=%B", head)).stdout).strip()
    missing = [line for line in trailers if line not in said.splitlines()]
    parents = (begun.onto, begun.source)
    message = "\n".join([said, "", *missing, ""]) if missing else f"{said}\n"
    return await CommandLineObjects(git).commit(tree, parents, message, identity)


async def _require_merge(git: Git, begun: Begun) -> str:
    """HEAD, if it is the merge that was to be made and the worktree holds just that."""
    found = await evidence.snapshot(git)
    if found.head == begun.onto or found.head is None:
        raise _refused("the merge was not committed", found.dirty)
    if await unfinished(git):
        raise _refused("it is in the middle of another operation")
    if found.branch is not None:
        raise _refused(f"the worktree was switched to the branch {found.branch}")
    parents = (await git.run("rev-parse", f"{found.head}^@")).text.split()
    if parents != [begun.onto, begun.source]:
        raise _refused("HEAD is not one merge of the two sides")
    if found.dirty:
        raise _refused("changes were left uncommitted", found.dirty)
    return found.head


async def _require_no_markers(git: Git, begun: Begun, head: str) -> None:
    """Nothing, if no file that differs from both sides has more markers than they have."""
    touched = await git.run("diff-tree", "--cc", "--no-commit-id", "--name-only", "-r", "-z", head)
    counts = await _markers(git, head, touched.fields)
    if not counts:
        return
    before = [await _markers(git, side, list(counts)) for side in (begun.onto, begun.source)]
    left = [path for path, count in counts.items() if count > max(side.get(path, 0) for side in before)]
    if left:
        raise _refused("conflict markers were left", list(map(readable, left)))


async def _markers(git: Git, commit: str, paths: Sequence[bytes]) -> dict[bytes, int]:
    """How many lines of files look like conflict markers; only files that have any."""
    if not paths:
        return {}
    listed = await git.run(
        "grep",
        *("-I", "-c", "-z", "-E", "-e", _MARKER, commit, "--", *map(os.fsdecode, paths)),
        env={"GIT_LITERAL_PATHSPECS": "1"},
        ok=(0, 1),
    )
    return {path: int(count) for path, count in _COUNTED.findall(listed.stdout)}


async def _require_refs(git: Git, begun: Begun) -> None:
    """Nothing, if no branch or tag changed since but by somebody who stands on it in a worktree of theirs."""
    if not begun.refs:
        return
    now = await _refs(git)
    changed = {name for name in begun.refs.keys() | now.keys() if begun.refs.get(name) != now.get(name)}
    for name in sorted(changed):
        if name.startswith("refs/tags/") and name not in begun.refs:
            continue  # fetched, perhaps
        if not await _moved_by_holder(git, name, now.get(name)):
            raise _refused("a ref was moved beside the merge", [name])


async def _moved_by_holder(git: Git, name: str, sha: str | None) -> bool:
    branch = name.removeprefix("refs/heads/")
    for entry in await worktrees_of(git):
        if entry.branch == branch and entry.path != git.cwd:
            last = await git.inside(entry.path).run("reflog", "-1", "--format=%H", "HEAD", "--", ok=None)
            return last.text == sha
    return False


async def _refs(git: Git) -> dict[str, str]:
    """Branches and tags but for those of runs, which others move meanwhile."""
    listed = await git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
    pairs = (readable(line).partition(" ") for line in listed.stdout.split(b"\n") if line)
    return {name: sha for sha, _, name in pairs if not name.startswith(_OF_RUNS)}


def _refused(why: str, paths: Collection[str] = ()) -> RunError:
    shown = sorted(paths)[:_FEW]
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    where = f": {', '.join(shown)}{more}" if shown else ""
    return RunError("resolution-refused", f"{why}{where}")
