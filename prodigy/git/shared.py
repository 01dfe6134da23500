"""What linked worktrees share with the user: configuration, stash and refs; seen, compared, and put back.

Rules: nothing is put back that is not as the comparison found it. The configuration is replaced as git itself does it,
under its lock. To look costs no process where refs lie in files, since it is done around every attempt. The stash is
read from its log; a repository without one (``reftable``) has nothing to compare there.
"""

import os
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.git.cli import Git, readable
from prodigy.git.locked_file import locked
from prodigy.git.patience import patiently
from prodigy.git.refs import RefFiles, keeps_files

_OURS = ("refs/heads/prodigy-", "refs/prodigy/")
_STASH = "refs/stash"
_HEADS = "refs/heads/"


class Stashed(Struct, frozen=True):
    """An entry of the stash."""

    sha: str
    message: str
    """Such as ``WIP on main: 1234567 subject``."""


class Shared(Struct, frozen=True):
    """How it all stood at some moment."""

    config: bytes
    """Of the repository's own configuration file."""
    stash: tuple[Stashed, ...]
    """Newest first."""
    refs: dict[str, str]
    """Every ref but the stash and those of runs, with what it names."""

    branches: frozenset[str] = frozenset()
    """Every local branch, those of runs too, without ``refs/heads/``."""


class Difference(Struct, frozen=True):
    """What became of it between two moments."""

    config: bool
    pushed: tuple[Stashed, ...]
    """Newest first, as ``popped``."""
    popped: tuple[Stashed, ...]
    refs: tuple[str, ...]
    """Names of those that appeared, moved or went."""

    def __bool__(self) -> bool:
        return self != _SAME


class Commons:
    """The part of a repository that all its worktrees share.

    Args:
        git: in any worktree of the repository.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._folder: Path | None = None
        self._files: RefFiles | None = None

    async def look(self) -> Shared:
        """How it stands now."""
        folder = await self._opened()
        if self._files is None:
            return _shared(folder, await _listed(self._git))
        return await trio.to_thread.run_sync(_look, folder, self._files)

    async def restore_config(self, before: bytes, after: bytes) -> bool:
        """Make the configuration ``before`` again, if it is ``after``; whether that was done."""
        return await trio.to_thread.run_sync(_replace, await self._opened() / "config", before, after)

    async def unstash(self, entry: Stashed) -> bool:
        """Take an entry off the stash, wherever it is in it; whether it was there. The caller keeps its commit."""
        for number, found in enumerate(_stash(await self._opened())):
            if found == entry:
                await patiently(
                    lambda: self._git.run("stash", "drop", "--quiet", f"stash@{{{number}}}")  # noqa: B023 - it ends the loop
                )
                return True
        return False

    async def stash_again(self, entry: Stashed) -> None:
        """Put an entry that was popped on top of the stash."""
        again = ("stash", "store", "--quiet", "--message", entry.message, entry.sha)
        await patiently(lambda: self._git.run(*again))

    async def changed_keys(self, before: bytes, after: bytes) -> tuple[str, ...]:
        """Names of the settings in which two texts of a configuration differ; their values may be secrets."""
        old, new = await _settings(self._git, before), await _settings(self._git, after)
        return tuple(sorted({readable(entry.partition(b"\n")[0]) for entry in old ^ new}))

    async def _opened(self) -> Path:
        """The folder, asked of git once."""
        if self._folder is None:
            asked = await self._git.run("rev-parse", "--git-common-dir")
            self._folder = Path(self._git.cwd, asked.path)
            self._files = RefFiles(self._folder, _OURS) if keeps_files(self._folder) else None
        return self._folder


_SAME = Difference(config=False, pushed=(), popped=(), refs=())


def compare(before: Shared, after: Shared) -> Difference:
    """What is different, and what is the same."""
    old, new = ({entry.sha for entry in shared.stash} for shared in (before, after))
    names = before.refs.keys() | after.refs.keys()
    return Difference(
        config=before.config != after.config,
        pushed=tuple(entry for entry in after.stash if entry.sha not in old),
        popped=tuple(entry for entry in before.stash if entry.sha not in new),
        refs=tuple(sorted(name for name in names if before.refs.get(name) != after.refs.get(name))),
    )


def _look(folder: Path, files: RefFiles) -> Shared:
    return _shared(folder, files.read())


def _shared(folder: Path, refs: dict[str, str]) -> Shared:
    return Shared(
        config=_content(folder / "config"),
        stash=_stash(folder),
        refs={name: sha for name, sha in refs.items() if name != _STASH and not name.startswith(_OURS)},
        branches=frozenset(name.removeprefix(_HEADS) for name in refs if name.startswith(_HEADS)),
    )


async def _listed(git: Git) -> dict[str, str]:
    listed = await git.run("for-each-ref", "--format=%(refname)%00%(objectname)%00")
    fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
    return dict(zip(fields[::2], fields[1::2], strict=True))


async def _settings(git: Git, content: bytes) -> set[bytes]:
    listed = await git.run("config", "--list", "-z", "--file", "-", stdin=content, ok=None)
    return set(listed.fields)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _stash(folder: Path) -> tuple[Stashed, ...]:
    entries = []
    for line in _content(folder / "logs/refs/stash").splitlines():
        about, _, message = line.partition(b"\t")
        entries.append(Stashed(about.split(b" ")[1].decode(), os.fsdecode(message)))
    return tuple(reversed(entries))


def _replace(file: Path, before: bytes, after: bytes) -> bool:
    try:
        with locked(file) as replacement:
            if _content(file) != after:
                return False
            replacement.write(before)
            replacement.take_permissions()
            replacement.put()
            return True
    except FileExistsError:
        return False
