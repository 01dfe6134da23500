"""What older programs kept in the project: taken over before the verbs that would look for it."""

import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

from prodigy.cli.git_folder import common_folder, main_worktree
from prodigy.cli.invocation import Invocation, is_true
from prodigy.cli.text import counted
from prodigy.errors import ProdigyError
from prodigy.paths import PROJECT_FOLDER

VERBS = frozenset(
    {"run", "resume", "resume-job", "dlq", "events", "sessions", "checkpoints", "status", "worktree"}
)
"""Those that take over what is there."""
_REMOVE = "PRODIGY_REMOVE_LOCAL_AFTER_MIGRATION"


def take_over(verb: str, invocation: Invocation) -> None:
    """Take over what is there, and say so in one line. What goes wrong is a warning: the verb goes on.

    Raises:
        UsageError: ``bad-value``: a variable of the environment is neither true nor false.
    """
    removes = bool(is_true(invocation.around.environ, _REMOVE))
    if verb not in VERBS or "--dry-run" in invocation.argv or invocation.storage.local is not None:
        return
    git_dir, worktree = common_folder(invocation.place), main_worktree(invocation.place)
    if git_dir is None or worktree is None or not (worktree / PROJECT_FOLDER).is_dir():
        return
    try:
        _take_over(git_dir, worktree, invocation, removes=removes)
    except (ProdigyError, OSError) as problem:
        why = problem.message if isinstance(problem, ProdigyError) else str(problem)
        invocation.printer.warn(f"what is in {worktree / '.prodigy'} could not all be taken over: {why}")


def _take_over(git_dir: Path, worktree: Path, invocation: Invocation, *, removes: bool) -> None:
    from prodigy.store.migration import is_there, migrate

    project, home, now = worktree / PROJECT_FOLDER, invocation.home, invocation.around.now()
    if not is_there(project):
        return
    from prodigy.actors.registration import registered

    repo = registered(home, git_dir, worktree, now).name
    done = migrate(project, home, repo, now, _tracked_in(project) if removes else None)
    said = [f"took over {counted(done.copied, 'file')}"] if done.copied else []
    said += [f"removed {counted(done.removed, 'file')}"] if done.removed else []
    if said:
        invocation.printer.note(f"{' and '.join(said)} of {project}: kept in {home}")
    for why in done.left:
        invocation.printer.note(f"left alone: {why}")


def _tracked_in(project: Path) -> Callable[[Collection[str]], Collection[str]]:
    def tracked(files: Collection[str]) -> Collection[str]:
        """Those that git tracks; all of them where it does not say."""
        asked = subprocess.run(
            ("git", "-C", str(project), "ls-files", "-z", "--", "."),
            capture_output=True,
            text=True,
            check=False,
        )
        return files if asked.returncode else asked.stdout.split("\0")

    return tracked
