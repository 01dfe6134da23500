"""Which repository a reading verb is about, found without starting git."""

from prodigy.cli.git_folder import common_folder
from prodigy.cli.invocation import Invocation
from prodigy.errors import MachineError
from prodigy.job.summary import JobSummary
from prodigy.store.repos import find
from prodigy.store.runs import Fits, Run, resolve

_UNREGISTERED = "?"
"""No repository is called this: the registry replaces the character."""


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
