"""Which repository a reading verb is about, found without starting git.

Reads ``.git`` the way git lays it out: a folder, or in a linked worktree a file that names one.
"""

from pathlib import Path

from prodigy.cli.invocation import Invocation
from prodigy.errors import MachineError
from prodigy.job.summary import JobSummary
from prodigy.store.repos import find
from prodigy.store.runs import Fits, Run, resolve

_UNREGISTERED = "?"
"""No repository is called this: the registry replaces the character."""
_POINTER = "gitdir:"


def repository_here(invocation: Invocation, *, all_repos: bool) -> str | None:
    """The name under which this repository's runs lie; ``None`` for all repositories.

    Raises:
        MachineError: ``not-a-git-repository``.
    """
    if all_repos:
        return None
    folder = common_folder(invocation.place)
    if folder is None:
        raise MachineError(
            "not-a-git-repository",
            "This folder is in no git repository",
            where=str(invocation.place),
            hint="choose one with `--path DIR`, or see all with `--all-repos`",
        )
    return find(invocation.home, folder) or _UNREGISTERED


def run_called(name: str, invocation: Invocation, fits: Fits | None = None) -> Run:
    """The run that ``name`` means; one of another repository is used, with a note.

    Raises:
        UsageError: ``run-not-found`` or ``ambiguous-run``.
    """
    folder = common_folder(invocation.place)
    repo = find(invocation.home, folder) if folder is not None else None
    found = resolve(name, invocation.home, repo, fits=fits)
    if found.elsewhere:
        invocation.printer.note(f"`{name}` is a run of the repository `{found.run.repo}`")
    return found.run


def has_dead_letters(run: JobSummary) -> bool:
    """Whether anything is in a run's queue: which one `latest` means for the verbs of the queue."""
    return run.dlq_count > 0


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
