"""Whether a run can be made in a repository as it stands: what would fail in its middle is refused before its beginning.

Rules: nothing is changed and no branch moves. What git itself can live with is no reason to refuse.
"""

import os
import re
import shutil
from collections.abc import Mapping

from prodigy.errors import MachineError
from prodigy.git.aside import folder_aside
from prodigy.git.attributes import named, read_attributes
from prodigy.git.cli import Git, readable
from prodigy.git.configuration import is_true, settings
from prodigy.git.customs import attributes_outside
from prodigy.git.letter_case import ignores_case, same_but_for_case
from prodigy.git.repository import Repository

_PLAIN_COMMAND = re.compile(r"([\w./+-]+)(?:\s|$)")
_SHOWN = 3


async def admit(git: Git, repository: Repository) -> None:
    """Nothing, if worktrees of the repository's HEAD can be made and committed in.

    Raises:
        MachineError: ``path-not-text``, ``filter-missing``, ``case-collision``, ``objects-missing``.
    """
    _require_text(repository)
    await _require_filters(git, repository)
    if await ignores_case(git):
        await _require_distinct_names(git, repository)
    if "partial" in repository.traits and "sparse" not in repository.traits:
        await _require_objects(git, repository)


async def require_signing(git: Git, repository: Repository, identity: Mapping[str, str]) -> None:
    """Nothing, if merge commits need no signature, or one can be made without asking anybody.

    Raises:
        MachineError: ``signing-failed``.
    """
    if not is_true((await settings(git, r"^commit\.gpgsign$")).get("commit.gpgsign")):
        return
    with folder_aside(repository.common_dir) as folder:
        aside = {
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.path.join(repository.common_dir, "objects"),  # noqa: PTH118 - text
        }
        tree = f"{repository.head}^{{tree}}"
        made = await git.run("commit-tree", "-S", "-m", "probe", tree, env={**identity, **aside}, ok=None)
    if made.code != 0:
        raise MachineError(
            "signing-failed",
            "`commit.gpgSign` is set, and a signature cannot be made without somebody who is asked",
            where=repository.root,
            note=made.complaint,
            hint="unlock the key, or `git config commit.gpgSign false`",
        )


def _require_text(repository: Repository) -> None:
    for path in (repository.root, repository.common_dir, repository.checkout or ""):
        try:
            path.encode()
        except UnicodeEncodeError:
            raise MachineError(
                "path-not-text",
                "the path of the repository is not UTF-8, and cannot be written into records",
                where=readable(os.fsencode(path)),
                hint="rename the folder",
            ) from None


async def _require_filters(git: Git, repository: Repository) -> None:
    """Filters that files of HEAD cannot do without must have a program."""
    found = await settings(git, r"^filter\..*\.(required|clean|smudge|process)$")
    if not found:
        return
    attributes = await read_attributes(git, repository.head)
    texts = (*attributes.values(), *await attributes_outside(git, repository.common_dir))
    for name in sorted(named(texts, "filter")):
        commands = _needed(found, f"filter.{name}")
        missing = next(filter(None, (_missing(command, git) for command in commands)), None)
        if missing is not None:
            raise MachineError(
                "filter-missing",
                f"files of the repository need the filter `{name}`, and its program `{missing}` is not there",
                where=repository.root,
                hint="install Git LFS" if name == "lfs" else f"install `{missing}`",
            )


def _needed(found: Mapping[str, str], key: str) -> list[str]:
    """The commands without which git would fail: of a filter that is not required, only one that goes on running."""
    if f"{key}.process" in found:
        return [found[f"{key}.process"]]
    if not is_true(found.get(f"{key}.required")):
        return []
    return [found.get(f"{key}.{part}", "") for part in ("clean", "smudge")]


def _missing(command: str, git: Git) -> str | None:
    """The program that a command begins with, if it is plain to see that it is not there."""
    match = _PLAIN_COMMAND.match(command)
    if match is None or shutil.which(match[1], path=git.env.get("PATH", os.defpath)):
        return None
    return match[1]


async def _require_distinct_names(git: Git, repository: Repository) -> None:
    alike = await same_but_for_case(git, repository.head)
    if alike:
        raise MachineError(
            "case-collision",
            f"`core.ignoreCase` is set, and names differ in case only: {', '.join(alike[:_SHOWN])}",
            where=repository.root,
            hint="rename them, or `git config core.ignoreCase false` where files can lie beside each other",
        )


async def _require_objects(git: Git, repository: Repository) -> None:
    """What HEAD needs is here, or the remote that promised it answers."""
    options = ("--objects", "--no-walk", "--missing=print", repository.head)
    listed = await git.run("rev-list", *options)
    missing = sum(line.startswith(b"?") for line in listed.stdout.split(b"\n"))
    if not missing:
        return
    for key in await settings(git, r"^remote\..*\.promisor$"):
        remote = key.removeprefix("remote.").removesuffix(".promisor")
        if (await git.run("ls-remote", "--quiet", remote, "HEAD", ok=None)).code == 0:
            return
    raise MachineError(
        "objects-missing",
        f"{missing} objects of the last commit are not here, and no remote that promised them answers",
        where=repository.root,
        hint="go online, or `git fetch --refetch`",
    )
