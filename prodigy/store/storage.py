"""Storage as it lies on disk: the rooms that records of runs are in, under home or in a project's own folder.

A project's folder is shared with what the user keeps there. Only folders that were made here hold anything of ours, and
git does not see them: a folder is told so by a file of its own, what was there before by git's ``info/exclude``.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from prodigy.crash_points import crash_point
from prodigy.ids import SessionId
from prodigy.paths import PROJECT_FOLDER, Layout, Storage
from prodigy.store.atomic import denied, private_folder, write_file

ROOMS: Final = ("events", "dlq", "state", "sessions", "logs")
"""What lies in a project's folder instead of under home, where that is wanted."""
_NEWEST: Final = "session_state.json"
IN_PROJECT: Final = (*(f"{PROJECT_FOLDER}/{room}/" for room in ROOMS), f"{PROJECT_FOLDER}/{_NEWEST}")
"""How the paths of all that begin, from the top of the project."""
IGNORE: Final = ".gitignore"
_EVERYTHING: Final = b"*\n"


def rooms(storage: Storage, room: str, repo: str | None) -> list[tuple[str, Path]]:
    """The folders of one room that are there, with the names of their repositories: of one, or of all with ``None``."""
    if storage.local is not None:
        name = repo or storage.repo
        return [(name, storage.local / room)] if name and (storage.local / room).is_dir() else []
    place = storage.home / room
    found = [place / repo] if repo is not None else list(place.iterdir()) if place.is_dir() else []
    return [(folder.name, folder) for folder in found if folder.is_dir()]


def prepare(layout: Layout, git_dir: Path) -> None:
    """Make a project's folder ready for a run, so that git sees nothing of it; elsewhere there is nothing to do.

    Args:
        layout: of the run's repository.
        git_dir: the git folder that all its worktrees share.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    if layout.local is None:
        return
    local, seen = layout.local, [f"/{PROJECT_FOLDER}/{_NEWEST}"]
    try:
        with crash_point("folder.make"):
            local.mkdir(exist_ok=True)  # it is the user's: neither private nor hidden as a whole
        for room in ROOMS:
            folder = local / room
            if not folder.is_dir():
                private_folder(folder)
                write_file(folder / IGNORE, _EVERYTHING)
            elif not _is_hidden(folder):
                seen.append(f"/{PROJECT_FOLDER}/{room}/")
        _exclude(git_dir / "info" / "exclude", seen)
    except OSError as error:
        raise denied(error, local) from error


def show_newest(layout: Layout, session: SessionId) -> None:
    """Let ``session_state.json`` at the top of a project's folder be that of a session; never in the place of a file."""
    if layout.local is None:
        return
    top, beside = layout.local / _NEWEST, layout.local / f".{_NEWEST}.{os.getpid()}"
    if top.is_symlink() or not top.exists():
        with suppress(OSError), crash_point("file.replace"):
            beside.symlink_to(layout.session_state(session).relative_to(layout.local))
            beside.replace(top)


def _is_hidden(folder: Path) -> bool:
    with suppress(OSError):
        return (folder / IGNORE).read_bytes() == _EVERYTHING
    return False


def _exclude(file: Path, patterns: Sequence[str]) -> None:
    """Append what is not there yet; what the user wrote stays as it is."""
    found = file.read_text("utf-8", "surrogateescape") if file.is_file() else ""
    missing = [pattern for pattern in patterns if pattern not in found.splitlines()]
    if missing:
        unended = bool(found) and not found.endswith("\n")
        text = "".join(f"{line}\n" for line in ([""] if unended else []) + missing)
        with crash_point("folder.make"):
            file.parent.mkdir(exist_ok=True)
            with file.open("a", encoding="utf-8") as end:
                end.write(text)
