"""The refs of a repository, read from its files and written to them: no process, packed refs are parsed once per change.

Rules: as git reads and writes them. Loose refs win over packed ones and are read first, since packing writes the one before it
deletes the other; symbolic refs show what they lead to; what names no object is no ref. Only for repositories that
keep refs in files (`keeps_files`). What is written is written under git's own locks, and is on disk before it counts;
nothing that is there is ever replaced, but for the HEAD of a worktree that nobody works in, a branch that is where its
mover saw it, and what leads nowhere.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.git.locked_file import locked

_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SYMBOLIC = b"ref:"
_DEPTH = 5
"""How many symbolic refs may follow each other."""


def keeps_files(common: Path) -> bool:
    """Whether the repository whose shared part is ``common`` keeps its refs in files."""
    return not (common / "reftable").exists()


class RefFiles:
    """Reads the refs below ``refs/``.

    Args:
        common: the folder that all worktrees of the repository share.
        unread: how the names of loose refs begin that are only listed, with nothing for what they name: there may be
            many, and each is a file of its own.
    """

    def __init__(self, common: Path, unread: tuple[str, ...] = ()) -> None:
        self._common = str(common)
        self._unread = unread
        self._packed: dict[str, str] = {}
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> dict[str, str]:
        """Every ref with the object that it names, in hexadecimal."""
        loose = dict(self._loose("refs"))
        found = {**self._read_packed(), **{name: text for name, text in loose.items() if text is not None}}
        names = {name: _resolved(found, name) for name in found}
        return {name: sha for name, sha in names.items() if sha is not None}

    def _loose(self, folder: str) -> Iterator[tuple[str, str | None]]:
        try:
            with os.scandir(f"{self._common}/{folder}") as entries:
                listed = list(entries)
        except (FileNotFoundError, NotADirectoryError):  # gone meanwhile
            return
        for entry in listed:
            name = f"{folder}/{entry.name}"
            if entry.is_dir():
                yield from self._loose(name)
            elif not name.endswith(".lock"):
                yield name, "" if name.startswith(self._unread) else _content(entry.path)

    def _read_packed(self) -> dict[str, str]:
        path = f"{self._common}/packed-refs"
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - the path is a text already
                stat = os.fstat(file.fileno())
                seen = stat.st_ino, stat.st_size, stat.st_mtime_ns
                if seen != self._seen:
                    self._packed, self._seen = dict(_packed(file.read())), seen
        except FileNotFoundError:
            self._packed, self._seen = {}, None
        return self._packed


def create_branch(common: Path, branch: str, commit: str) -> None:
    """Make a branch.

    Raises:
        FileExistsError: there is one of that name, or somebody is about to make it.
        OSError: it cannot be written.
    """
    file = common / "refs/heads" / branch
    with crash_point("ref.folder"):
        file.parent.mkdir(parents=True, exist_ok=True)
    with locked(file) as replacement:
        if file.exists() or f" refs/heads/{branch}\n".encode() in _bytes(common / "packed-refs"):
            raise FileExistsError(str(file))
        replacement.write(_line(commit))
        replacement.put()


def tip(common: Path, ref: str) -> str | None:
    """The object that a loose ref names; ``None`` if it is packed, symbolic or not there: git knows."""
    text = _content(str(common / ref))
    return None if text is None or text.startswith("ref:") else text


def move(common: Path, ref: str, old: str, new: str, entry: bytes) -> bool:
    """Let a loose ref name another object; false if it names something else than ``old``, and when git has to move it.

    Args:
        common: the folder that all worktrees of the repository share.
        ref: full name.
        old: what it has to name now.
        new: what it is to name.
        entry: what its log, if it has one, tells of that: who, when, a tab, and why.

    Raises:
        FileExistsError: somebody holds its lock.
        OSError: it cannot be written.
    """
    with locked(common / ref) as replacement:
        if tip(common, ref) != old:
            return False
        replacement.write(_line(new))
        _log(common / "logs" / ref, f"{old} {new} ".encode() + entry + b"\n")
        replacement.put()
    return True


def put_back(common: Path, ref: str, commit: str | None) -> None:
    """Let a ref that leads nowhere name a commit, or remove it.

    Raises:
        FileExistsError: somebody holds its lock.
        OSError: it cannot be written.
    """
    with locked(common / ref) as replacement:
        if commit is not None:
            replacement.write(_line(commit))
            replacement.put()
        else:
            with crash_point("ref.remove"):
                (common / ref).unlink(missing_ok=True)


def logged(common: Path, ref: str) -> Iterator[str]:
    """The commits that a ref has named, as far as its log tells, the last first."""
    for line in reversed(_bytes(common / "logs" / ref).splitlines()):
        names = line.split(b" ", 2)[:2]
        if len(names) == 2 and _ID.fullmatch(names[1]) and names[1].strip(b"0"):  # noqa: PLR2004 - old and new
            yield names[1].decode()


def _log(file: Path, line: bytes) -> None:
    with suppress(FileNotFoundError), crash_point("ref.log"):
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def point_head(git_dir: str, branch: str | None, commit: str) -> None:
    """Let HEAD name a branch, or without one the commit.

    Raises:
        FileExistsError: somebody holds its lock.
        OSError: it cannot be written.
    """
    with locked(Path(git_dir, "HEAD")) as replacement:
        replacement.write(_line(f"ref: refs/heads/{branch}" if branch is not None else commit))
        replacement.put()


def _line(text: str) -> bytes:
    return os.fsencode(f"{text}\n")


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _packed(content: bytes) -> Iterator[tuple[str, str]]:
    for line in content.splitlines():
        sha, _, name = line.partition(b" ")
        if _ID.fullmatch(sha):  # neither a comment nor what a tag leads to
            yield os.fsdecode(name), sha.decode()


def _content(path: str) -> str | None:
    """The id that a loose ref holds, or the ref that it leads to; ``None`` if it is neither, or gone."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - the path is a text already
            text = file.read().rstrip()
    except OSError:
        return None
    if text.startswith(_SYMBOLIC) or _ID.fullmatch(text):
        return os.fsdecode(text)
    return None


def _resolved(found: dict[str, str], name: str) -> str | None:
    """The object that a ref names in the end."""
    for _ in range(_DEPTH):
        text = found.get(name)
        if text is None or not text.startswith("ref:"):
            return text
        name = text.removeprefix("ref:").strip()
    return None
