"""Taking over what older programs kept in the ``.prodigy`` folder of a project.

Copies, each read back and compared before it is noted in ``migration.json``; the project's own files stay as they are.
What is noted and unchanged is not looked at again, so a migration that was cut off goes on, and a second one does
nothing. Removal is asked for apart, and takes exactly what is noted, unchanged, and not tracked by git.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.errors import MachineError
from prodigy.store.atomic import denied, write_file, write_parts
from prodigy.store.locks import FileLock
from prodigy.store.runs import named_job
from prodigy.store.storage import IGNORE

LARGEST: Final = 1 << 30
"""Bytes; a larger file is left where it is."""
_CHUNK: Final = 1 << 20
_NOTED_TOGETHER: Final = 100
"""Files are noted so many at a time: a migration that is cut off copies no more than these again."""
LEGACY: Final = "legacy"


class Taken(Struct, frozen=True, kw_only=True):
    """A file that was taken over; ``source`` is below the project's folder, ``dest`` below the home."""

    source: str
    size: int
    mtime: int
    sha256: str
    dest: str
    at: datetime


class Migration(Struct, frozen=True, kw_only=True):
    """``migration.json``."""

    v: int = 1
    taken: list[Taken] = []


_read_migration = JsonDecoder(Migration)


class Report(Struct, frozen=True, kw_only=True):
    """What one migration did: how many files were copied and removed, and what was left alone, with the reason."""

    copied: int = 0
    removed: int = 0
    left: tuple[str, ...] = ()


def is_there(project: Path) -> bool:
    """Whether a project's folder holds anything to take over; one look where there is no such folder."""
    return project.is_dir() and next(_sources(project), None) is not None


def migration(home: Path, repo: str) -> Migration:
    """What was taken over of a repository so far."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return _read_migration(_file(home, repo).read_bytes())
    return Migration()


def migrate(
    project: Path,
    home: Path,
    repo: str,
    now: datetime,
    tracked: Callable[[Collection[str]], Collection[str]] | None,
) -> Report:
    """Take over what is new or changed.

    Args:
        project: the folder ``.prodigy``.
        home: the base folder.
        repo: the name of the repository.
        now: the present time.
        tracked: tells which of some files, below the project's folder, git tracks; ``None``: nothing is removed.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``; what was done until then counts.
    """
    with FileLock(home / "locks" / repo / "migrate.lock"):
        return _Migrating(project, home, repo, now).run(tracked)


class _Migrating:
    """One migration."""

    def __init__(self, project: Path, home: Path, repo: str, now: datetime) -> None:
        self._project, self._home, self._repo, self._now = project, home, repo, now
        self._known = {taken.source: taken for taken in migration(home, repo).taken}
        self._unnoted = 0
        self._copied = 0
        self._left: list[str] = []

    def run(self, tracked: Callable[[Collection[str]], Collection[str]] | None) -> Report:
        try:
            for source, room, place in _sources(self._project):
                self._take(source, self._home / room / self._repo / place)
        finally:
            self._note()
        removed = 0 if tracked is None else self._remove(tracked)
        return Report(copied=self._copied, removed=removed, left=tuple(self._left))

    def _take(self, source: Path, folder: Path) -> None:
        name = str(source.relative_to(self._project))
        state = source.lstat()
        known = self._known.get(name)
        if known is not None and (known.size, known.mtime) == (state.st_size, state.st_mtime_ns):
            return
        if state.st_size > LARGEST:
            self._left.append(f"{source} is larger than {LARGEST >> 30} GiB")
            return
        sha256 = _digest(source)
        if known is None or known.sha256 != sha256:
            dest = self._copy(source, folder, sha256)
            self._copied += 1
        else:
            dest = self._home / known.dest
        self._known[name] = Taken(
            source=name,
            size=state.st_size,
            mtime=state.st_mtime_ns,
            sha256=sha256,
            dest=str(dest.relative_to(self._home)),
            at=self._now,
        )
        self._unnoted += 1
        if self._unnoted >= _NOTED_TOGETHER:
            self._note()

    def _copy(self, source: Path, folder: Path, sha256: str) -> Path:
        """Copy a file, beside an earlier one of its name that says something else; where it lies now."""
        number, dest = 1, folder / source.name
        while dest.exists():
            if _digest(dest) == sha256:
                return dest
            number += 1
            dest = folder / f"{source.stem}.{number}{source.suffix}"
        write_parts(dest, _parts(source))
        if _digest(dest) != sha256:
            raise MachineError("storage-denied", "A copy is not what it was copied from", where=str(dest))
        return dest

    def _note(self) -> None:
        if not self._unnoted:
            return
        content = msgspec.json.encode(Migration(taken=list(self._known.values())))
        write_file(_file(self._home, self._repo), msgspec.json.format(content, indent=1) + b"\n")
        self._unnoted = 0

    # -- removal ---------------------------------------------------------------------------------------------------
    def _remove(self, tracked: Callable[[Collection[str]], Collection[str]]) -> int:
        """Remove the sources that are safe where they were copied to, then folders that are empty by that."""
        there = [taken for taken in self._known.values() if (self._project / taken.source).is_file()]
        kept = set(tracked([taken.source for taken in there])) if there else set()
        removed, folders = 0, set()
        for taken in there:
            source = self._project / taken.source
            if taken.source in kept:
                self._left.append(f"{source} is tracked by git")
            elif _digest(source) != taken.sha256 or _digest(self._home / taken.dest) != taken.sha256:
                self._left.append(f"{source} is not what was copied")
            else:
                _unlink(source)
                removed += 1
                folders |= set(source.relative_to(self._project).parents) - {Path()}
        for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            with suppress(OSError), crash_point("migration.empty"):
                (self._project / folder).rmdir()
        return removed


def _unlink(source: Path) -> None:
    try:
        with crash_point("migration.remove"):
            source.unlink()
    except OSError as error:
        raise denied(error, source) from error


# -- what there is -------------------------------------------------------------------------------------------------
def _sources(project: Path) -> Iterator[tuple[Path, str, str]]:
    """Every file of data, with the folder of the home that it goes to and the place there; links are not followed."""
    for path in _children(project):
        if path.is_file() and _is_session(path.name):
            yield path, "sessions", LEGACY
    for job in _children(project / "events"):
        if job.is_dir() and not _is_ours(job):
            yield from _below(job, "events", f"{job.name}/{LEGACY}")
    for queue in _children(project / "dlq"):
        if queue.is_file() and queue.suffix == ".json":
            yield queue, "dlq", f"{queue.stem}/{LEGACY}"
        elif queue.is_dir() and not _is_ours(queue):
            yield from _below(queue, "dlq", f"{queue.name}/{LEGACY}")
    for name in ("state", "checkpoints"):
        yield from _below(project / name, "state", f"{LEGACY}/{name}")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is that of a run of ours, which is kept in the project because somebody wants it there."""
    return named_job(folder.name) is not None


def _is_session(name: str) -> bool:
    return name == "session_state.json" or (
        name.startswith(("session_", "session-", "cook-")) and name.endswith(".json")
    )


def _children(folder: Path) -> list[Path]:
    """What lies in a folder, links aside, by name."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.is_symlink())


def _below(folder: Path, room: str, place: str) -> Iterator[tuple[Path, str, str]]:
    for path in _children(folder):
        if path.is_dir() and not _is_ours(path):
            yield from _below(path, room, f"{place}/{path.name}")
        elif path.is_file() and path.name != IGNORE:
            yield path, room, place


def _file(home: Path, repo: str) -> Path:
    return home / "state" / repo / "migration.json"


def _parts(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            yield chunk


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    for part in _parts(file):
        digest.update(part)
    return digest.hexdigest()
