"""What repository a run stands in, and which branch its work is for.

Rules: reads only; the user's index is not even refreshed. Every surprise is an error with a code of its own, before
anything has been made.
"""

import os
import re
from typing import Literal

from msgspec import Struct, structs

from prodigy.errors import MachineError
from prodigy.git.cli import Git, GitFailed, GitResult, is_folder
from prodigy.git.configuration import is_true, settings

OLDEST_GIT = (2, 39)

Trait = Literal["bare", "partial", "shallow", "sparse"]
"""What makes a repository unusual: no checkout of its own, objects elsewhere, history cut off, a part checked out."""


class Repository(Struct, frozen=True, kw_only=True):
    """A repository as it was found."""

    root: str
    """The main worktree; of a bare repository the repository itself."""
    checkout: str | None
    """The worktree that the user stands in: the main one, a linked one, or none."""
    common_dir: str
    """Where objects, refs and configuration lie."""
    head: str
    """The commit that HEAD names."""
    branch: str | None
    """The branch that HEAD names, without ``refs/heads/``; ``None`` if detached."""
    object_format: str = "sha1"
    ref_format: str = "files"
    traits: frozenset[Trait] = frozenset()


class Target(Struct, frozen=True):
    """The branch that a run's work is for."""

    branch: str | None
    """Its name, or ``None`` if the repository has no branch that could be meant."""
    fallback: str | None = None
    """Why it is not the branch that was named, if so."""


class Registration(Struct, frozen=True, kw_only=True):
    """One worktree as git has it on its list."""

    path: str
    head: str | None = None
    branch: str | None = None
    """Without ``refs/heads/``; ``None`` if detached or bare."""
    bare: bool = False
    locked: bool = False
    prunable: bool = False


async def discover(git: Git, path: str) -> Repository:
    """The repository around ``path``.

    Raises:
        MachineError: ``git-not-usable``, ``not-a-git-repository`` or ``unborn-branch``.
    """
    here = git.at(path)
    if not is_folder(path):
        raise MachineError("not-a-git-repository", "this folder does not exist", where=path)
    await require_git(here)
    facts = await _facts(here)
    shared = await common_dir(here)
    git_dir = (await here.run("rev-parse", "--absolute-git-dir")).path
    traits, ref_format = await _configured(here)
    if facts.shallow:
        traits |= {"shallow"}
    bare = "bare" in traits or facts.bare
    checkout = (await here.run("rev-parse", "--show-toplevel")).path if facts.inside else None
    root = checkout if checkout and _same(git_dir, shared) else (await worktrees_of(here))[0].path
    return Repository(
        root=root,
        checkout=checkout or (None if bare else root),
        common_dir=shared,
        head=await _head(here),
        branch=await _branch(here),
        object_format=facts.object_format,
        ref_format=ref_format,
        traits=traits | {"bare"} if bare else traits,
    )


async def common_dir(git: Git) -> str:
    """The folder that a repository shares with all of its worktrees, absolute."""
    return (await git.run("rev-parse", "--path-format=absolute", "--git-common-dir")).path


async def require_git(git: Git) -> None:
    """Nothing, if git can be used.

    Raises:
        MachineError: ``git-not-usable``, git is missing or too old.
    """
    said = (await git.run("version")).text
    match = re.search(r"(\d+)\.(\d+)", said)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        wanted = ".".join(map(str, OLDEST_GIT))
        raise MachineError("git-not-usable", f"git {wanted} or newer is needed, this is: {said}")


async def find_target(git: Git, named: str | None) -> Target:
    """The branch named, or the repository's default branch if that is not there.

    Args:
        git: in the repository.
        named: what HEAD named when the run began; ``None`` if it was detached.
    """
    if named is not None and await branch_tip(git, named) is not None:
        return Target(named)
    reason = "HEAD was detached" if named is None else f"branch {named} does not exist"
    for candidate in await _defaults(git):
        if await branch_tip(git, candidate) is not None:
            return Target(candidate, reason)
    return Target(None, reason)


async def branch_tip(git: Git, branch: str) -> str | None:
    """The commit at the tip of a local branch, or ``None`` if there is no such branch."""
    return await ref_tip(git, f"refs/heads/{branch}")


async def ref_tip(git: Git, ref: str) -> str | None:
    """The commit that a full ref name leads to, or ``None``."""
    found = await git.run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", ok=(0, 1))
    return found.text or None


async def worktrees_of(git: Git) -> list[Registration]:
    """All worktrees on git's list, the main one first."""
    listed = await git.run("worktree", "list", "--porcelain", "-z")
    main, *linked = [_registration(record) for record in listed.stdout.split(b"\0\0") if record]
    return [await _placed(git, main), *linked]


async def _placed(git: Git, main: Registration) -> Registration:
    """The main worktree where it is: git takes it to be beside its folder, which is wrong if that lies elsewhere.

    Nothing but the worktree itself knows, so it must be the one that ``git`` is in.
    """
    if main.bare or os.path.lexists(os.path.join(main.path, ".git")):  # noqa: PTH118 - a path in git's own form
        return main
    folder = await git.run("rev-parse", "--absolute-git-dir", ok=None)
    top = await git.run("rev-parse", "--show-toplevel", ok=None)
    if top.code != 0 or not _same(folder.path, main.path):
        return main
    return structs.replace(main, path=top.path)


class _Facts(Struct, frozen=True):
    object_format: str
    shallow: bool
    bare: bool
    inside: bool


async def _facts(here: Git) -> _Facts:
    asked = (
        "--show-object-format",
        "--is-shallow-repository",
        "--is-bare-repository",
        "--is-inside-work-tree",
    )
    answer = await here.run("rev-parse", *asked, ok=None)
    if answer.code != 0:
        raise _no_repository(here, answer)
    object_format, shallow, bare, inside = answer.text.splitlines()
    return _Facts(object_format, shallow == "true", bare == "true", inside == "true")


def _no_repository(here: Git, answer: GitResult) -> MachineError:
    if "not a git repository" in answer.complaint:
        return MachineError(
            "not-a-git-repository",
            "there is no git repository here",
            where=here.cwd,
            hint="git init, then a first commit",
        )
    failure = GitFailed(("rev-parse",), here.cwd, answer)
    return MachineError(
        "git-not-usable",
        "git refuses this repository",
        where=here.cwd,
        note=failure.note or failure.message,
    )


async def _configured(here: Git) -> tuple[frozenset[Trait], str]:
    """Traits and ref format as configuration has them."""
    pattern = r"^(extensions\.(partialclone|refstorage)|remote\..*\.promisor|core\.(bare|sparsecheckout))$"
    found = await settings(here, pattern)
    traits: set[Trait] = set()
    if is_true(found.get("core.bare")):
        traits.add("bare")
    if is_true(found.get("core.sparsecheckout")):
        traits.add("sparse")
    if any(key == "extensions.partialclone" or key.endswith(".promisor") for key in found):
        traits.add("partial")
    return frozenset(traits), found.get("extensions.refstorage", "files").lower()


async def _head(here: Git) -> str:
    commit = await ref_tip(here, "HEAD")
    if commit is None:
        raise MachineError(
            "unborn-branch",
            "the repository has no commit that a run could start from",
            where=here.cwd,
            hint="git commit",
        )
    return commit


async def _branch(here: Git) -> str | None:
    named = (await here.run("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))).text
    return named.removeprefix("refs/heads/") or None


async def _defaults(git: Git) -> list[str]:
    """What the default branch may be called, the best guess first."""
    remote = await git.run("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", ok=None)
    configured = await git.run("config", "--get", "init.defaultBranch", ok=None)
    names = (remote.text.removeprefix("refs/remotes/origin/"), configured.text, "main", "master")
    return [name for name in names if name]


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _registration(record: bytes) -> Registration:
    lines = (os.fsdecode(line).partition(" ") for line in record.split(b"\0"))
    words = {word: rest for word, _, rest in lines}
    branch = words.get("branch")
    return Registration(
        path=words["worktree"],
        head=words.get("HEAD"),
        branch=branch.removeprefix("refs/heads/") if branch else None,
        bare="bare" in words,
        locked="locked" in words,
        prunable="prunable" in words,
    )
