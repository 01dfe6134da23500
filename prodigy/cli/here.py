"""Which repository a reading verb is about, found without starting git."""

from contextlib import suppress
from pathlib import Path

from prodigy.cli.git_folder import common_folder, main_worktree
from prodigy.cli.invocation import Invocation
from prodigy.configuration.variables import LOCAL_STORAGE
from prodigy.errors import MachineError, UsageError
from prodigy.job.summary import JobSummary
from prodigy.store.repos import UNNAMED, find
from prodigy.store.runs import LATEST, Fits, Run, resolve


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
    return _name_of(folder, invocation) or UNNAMED


def run_called(name: str, invocation: Invocation, fits: Fits | None = None) -> Run:
    """The run that ``name`` means; one of another repository is used, with a note.

    Raises:
        UsageError: ``run-not-found`` or ``ambiguous-run``.
    """
    folder = common_folder(invocation.place)
    repo = _name_of(folder, invocation) if folder is not None else None
    try:
        found = resolve(name, invocation.storage, repo, fits=fits)
    except UsageError as error:
        if error.code == "run-not-found":
            _look_elsewhere(name, invocation, error)
        raise
    if found.elsewhere:
        invocation.printer.note(f"`{name}` is a run of the repository `{found.run.repo}`")
    return found.run


def _look_elsewhere(name: str, invocation: Invocation, error: UsageError) -> None:
    """Say so in the error if the run is kept where nobody looks, as it is configured now."""
    other = invocation.other_storage
    with suppress(UsageError):
        if name != LATEST and (other.local is not None or invocation.storage.local is not None):
            resolve(name, other, None)
            kept = other.home if other.local is None else other.local
            value = str(other.local is not None).lower()
            error.note = f"it is kept in {kept}"
            error.hint = f"look there with `{LOCAL_STORAGE}={value}`, or the setting `storage.local`"


def _name_of(folder: Path, invocation: Invocation) -> str | None:
    """The name of a repository, also of one that was moved since: it keeps its runs."""
    name = find(invocation.home, folder)
    if name is not None:
        return name
    from prodigy.actors import registration  # only where a repository has no name yet

    if not registration.may_have_moved(invocation.home, folder):
        return None
    moved = registration.moved(
        invocation.home, folder, main_worktree(invocation.place), invocation.around.now()
    )
    if moved is not None:
        invocation.printer.note(f"the repository `{moved.name}` was moved here from {moved.moved_from}")
    return None if moved is None else moved.name


def has_dead_letters(run: JobSummary) -> bool:
    """Whether anything is in a run's queue: which one `latest` means for the verbs of the queue."""
    return run.dlq_count > 0
