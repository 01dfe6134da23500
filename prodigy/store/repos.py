"""The registry of repositories: which name under home stands for which repository.

``repos.json`` maps a name to the real path of a repository's git common folder. A name is the repository's own, made
safe; a second repository of that name gets six hexadecimal digits of its path's hash. A name once given stays, also
when the repository is moved: then its entry follows. Names are compared case-folded, as some file systems do.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prodigy.decoding import JsonDecoder
from prodigy.errors import MachineError
from prodigy.paths import Layout
from prodigy.store.atomic import write_file
from prodigy.store.locks import FileLock

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_SHORTEST_HASH = 6
UNNAMED = "?"
"""What no repository is called: the registry replaces the character."""


class Repository(Struct, frozen=True, kw_only=True):
    """One repository; paths are absolute, ``worktree`` is ``None`` for a bare one."""

    git_dir: str
    worktree: str | None = None
    root_commits: tuple[str, ...] = ()
    first_seen: datetime
    last_seen: datetime


class Registry(Struct, frozen=True, kw_only=True):
    """The whole of ``repos.json``."""

    v: int = 1
    repos: dict[str, Repository] = {}

    def name_of(self, git_dir: str) -> str | None:
        """The name of the repository whose git common folder this is."""
        return next((name for name, known in self.repos.items() if known.git_dir == git_dir), None)


_read_registry = JsonDecoder(Registry)


class Registered(NamedTuple):
    """The name of a repository, and where it lay before if it was moved."""

    name: str
    moved_from: str | None = None


def registry(home: Path) -> Registry:
    """What is registered under ``home``; reads only.

    Raises:
        MachineError: ``registry-damaged``.
    """
    path = _file(home)
    try:
        return _read_registry(path.read_bytes())
    except FileNotFoundError:
        return Registry()
    except msgspec.DecodeError as error:
        raise MachineError(
            "registry-damaged",
            "The registry of repositories can't be read",
            where=str(path),
            note=str(error),
            hint="restore it from a copy: it says which folders belong to which repository",
        ) from error


def find(home: Path, git_dir: Path) -> str | None:
    """The name of a repository; ``None`` if nothing was ever run in it."""
    return registry(home).name_of(str(git_dir.resolve()))


def where(layout: Layout, known: str) -> Path:
    """Where the repository of a layout lies: as it was registered last, or else where it was known to be."""
    found = registry(layout.home).repos.get(layout.repo)
    return Path(known if found is None else found.worktree or found.git_dir)


def was_moved(
    known: Registry, git_dir: Path, worktree: Path | None, root_commits: Iterable[str], now: datetime
) -> bool:
    """Whether a repository that has no name under its path is one that has one under another."""
    seen = _seen(git_dir, worktree, root_commits, now)
    return any(_moved(before, seen, _basename(seen)) for before in known.repos.values())


def register(
    home: Path, git_dir: Path, *, worktree: Path | None, root_commits: Iterable[str], now: datetime
) -> Registered:
    """The name of a repository, given now if it has none yet.

    Args:
        home: the base folder.
        git_dir: the git common folder; the same for all worktrees of a repository.
        worktree: the main worktree; ``None`` for a bare repository.
        root_commits: commits without parents; they tell a moved repository from another of the same name.
        now: the present time.
    """
    seen = _seen(git_dir, worktree, root_commits, now)
    with FileLock(home / "locks" / "repos.lock"):
        known = registry(home).repos
        found = _name(known, seen, _basename(seen))
        if earlier := known.get(found.name):
            roots = seen.root_commits or earlier.root_commits
            seen = replace(seen, first_seen=earlier.first_seen, root_commits=roots)
        content = msgspec.json.encode(Registry(repos=known | {found.name: seen}))
        write_file(_file(home), msgspec.json.format(content, indent=2) + b"\n")
    return found


def _seen(git_dir: Path, worktree: Path | None, root_commits: Iterable[str], now: datetime) -> Repository:
    return Repository(
        git_dir=str(git_dir.resolve()),
        worktree=None if worktree is None else str(worktree.resolve()),
        root_commits=tuple(sorted(root_commits)),
        first_seen=now,
        last_seen=now,
    )


def _file(home: Path) -> Path:
    return home / "repos.json"


def _basename(repository: Repository) -> str:
    place = Path(repository.worktree or repository.git_dir.removesuffix(".git").rstrip("/"))
    return _UNSAFE.sub("-", place.name) or "repository"


def _name(known: dict[str, Repository], seen: Repository, basename: str) -> Registered:
    for name, repository in known.items():
        if repository.git_dir == seen.git_dir:
            return Registered(name)
    for name, repository in known.items():
        if _moved(repository, seen, basename):
            return Registered(name, repository.git_dir)
    taken = {name.casefold() for name in known}
    return Registered(next(name for name in _candidates(basename, seen) if name.casefold() not in taken))


def _moved(before: Repository, seen: Repository, basename: str) -> bool:
    return (
        not set(before.root_commits).isdisjoint(seen.root_commits)
        and _basename(before).casefold() == basename.casefold()
        and not Path(before.git_dir).exists()
    )


def _candidates(basename: str, seen: Repository) -> Iterator[str]:
    yield basename
    from hashlib import sha256  # only for a second repository of a name

    digest = sha256(seen.git_dir.encode("utf-8", "surrogateescape")).hexdigest()
    for length in range(_SHORTEST_HASH, len(digest) + 1, 2):
        yield f"{basename}-{digest[:length]}"
