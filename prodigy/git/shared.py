"""What linked worktrees share with the user: configuration, stash and refs; seen, compared, and put back.

Rules: nothing is put back that is not as the comparison found it. The configuration is replaced as git itself does it,
under its lock. The stash is read from its log; a repository without one (``reftable``) has nothing to compare there.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.git.cli import Git, readable
from prodigy.git.patience import patiently

_OURS = ("refs/heads/prodigy-", "refs/prodigy/")
_STASH = "refs/stash"


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

    @property
    def branches(self) -> frozenset[str]:
        """Names of the branches among the refs."""
        return frozenset(
            name.removeprefix("refs/heads/") for name in self.refs if name.startswith("refs/heads/")
        )


class Difference(Struct, frozen=True):
    """What became of it between two moments."""

    config: bool
    pushed: tuple[Stashed, ...]
    """Newest first, as ``popped``."""
    popped: tuple[Stashed, ...]
    refs: tuple[str, ...]
    """Names of those that appeared, moved or went."""


async def look(git: Git) -> Shared:
    """How it stands now; ``git`` may be in any worktree of the repository."""
    common = await common_folder(git)
    listed = await git.run("for-each-ref", "--format=%(refname)%00%(objectname)%00")
    fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
    refs = dict(zip(fields[::2], fields[1::2], strict=True))
    return Shared(
        config=_content(common / "config"),
        stash=_stash(_content(common / "logs/refs/stash")),
        refs={name: sha for name, sha in refs.items() if name != _STASH and not name.startswith(_OURS)},
    )


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


async def changed_keys(git: Git, before: bytes, after: bytes) -> tuple[str, ...]:
    """Names of the settings in which two texts of a configuration differ; their values may be secrets."""
    old, new = await _settings(git, before), await _settings(git, after)
    return tuple(sorted({readable(entry.partition(b"\n")[0]) for entry in old ^ new}))


async def restore_config(git: Git, before: bytes, after: bytes) -> bool:
    """Make the configuration ``before`` again, if it is ``after``; whether that was done."""
    return await trio.to_thread.run_sync(_replace, await common_folder(git) / "config", before, after)


async def unstash(git: Git, entry: Stashed) -> bool:
    """Take an entry off the stash, wherever in it it is; whether it was there. Its commit is kept by the caller."""
    stash = _stash(_content(await common_folder(git) / "logs/refs/stash"))
    for number, found in enumerate(stash):
        if found == entry:
            await patiently(lambda: git.run("stash", "drop", "--quiet", f"stash@{{{number}}}"))  # noqa: B023 - it ends the loop
            return True
    return False


async def stash_again(git: Git, entry: Stashed) -> None:
    """Put an entry that was popped on top of the stash."""
    await patiently(lambda: git.run("stash", "store", "--quiet", "--message", entry.message, entry.sha))


async def common_folder(git: Git) -> Path:
    """Where what is shared lies."""
    return Path(git.cwd, (await git.run("rev-parse", "--git-common-dir")).path)


async def _settings(git: Git, content: bytes) -> set[bytes]:
    listed = await git.run("config", "--list", "-z", "--file", "-", stdin=content, ok=None)
    return set(listed.fields)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _stash(log: bytes) -> tuple[Stashed, ...]:
    entries = []
    for line in log.splitlines():
        about, _, message = line.partition(b"\t")
        entries.append(Stashed(about.split(b" ")[1].decode(), os.fsdecode(message)))
    return tuple(reversed(entries))


def _replace(file: Path, before: bytes, after: bytes) -> bool:
    lock = file.with_name("config.lock")
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as replacement:
            if _content(file) != after:
                return False
            replacement.write(before)
        if file.exists():
            shutil.copymode(file, lock)
        lock.replace(file)
        return True
    finally:
        with suppress(FileNotFoundError):
            lock.unlink()
