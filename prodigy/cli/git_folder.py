"""The git folder around a place, found without starting git.

Reads ``.git`` the way git lays it out: a folder, or in a linked worktree a file that names one.
"""

from pathlib import Path

_POINTER = "gitdir:"


def common_folder(place: Path) -> Path | None:
    """The git folder that all worktrees of the repository around ``place`` share, or ``None``."""
    for folder in (place, *place.parents):
        if _is_git_folder(folder):
            return folder
        inside = folder / ".git"
        if inside.is_file():
            return _shared(_pointed(inside))
        if _is_git_folder(inside):
            return _shared(inside)
    return None


def _is_git_folder(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _pointed(file: Path) -> Path:
    text = file.read_text(errors="surrogateescape").removeprefix(_POINTER).strip()
    return file.parent / text


def _shared(git_folder: Path) -> Path:
    """A linked worktree's own folder names the common one in a file."""
    named = git_folder / "commondir"
    return (git_folder / named.read_text().strip()).resolve() if named.is_file() else git_folder.resolve()


def main_worktree(place: Path) -> Path | None:
    """The main worktree of the repository around ``place``; ``None`` outside of one, and of a bare one."""
    common = common_folder(place)
    return common.parent if common is not None and common.name == ".git" else None
