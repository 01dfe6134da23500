"""What `prodigy clean` removes by git: worktrees of sessions, and refs that keep what was not merged."""

from prodigy.cli.cleaning import Wanted as WantedSessions
from prodigy.cli.cleaning import collect_sessions
from prodigy.cli.disposing import Outcome, Wanted
from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Invocation
from prodigy.cli.removal import Removed
from prodigy.cli.rescues import Rescue, forget, rescues
from prodigy.cli.text import counted
from prodigy.cli.upkeep import Upkeep
from prodigy.errors import ProdigyError
from prodigy.paths import Layout
from prodigy.store.locks import holder


def clean_worktrees(invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    """The worktrees and branches of sessions; what is not merged is kept under rescue refs before it goes."""
    if wanted.older_than is None:
        return
    sessions = WantedSessions(
        older_than=wanted.older_than, dry_run=wanted.dry_run, force=wanted.force, all_repos=wanted.all_repos
    )
    removed, kept, code = collect_sessions(invocation, sessions)
    outcome.removed += [
        Removed(what=f"worktrees  {one.what}", bytes=one.bytes, rescue_refs=one.rescue_refs)
        for one in removed
    ]
    for one in kept:
        if one.why != "not old enough":
            outcome.keep(f"worktrees  {one.what}", one.why)
    outcome.code = max(outcome.code, code)


def clean_rescues(invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    """Refs under ``refs/prodigy/rescue/`` of runs that nobody works at; they have value, so this asks.

    Raises:
        UsageError: ``confirmation-needed``.
    """
    if wanted.older_than is None:
        return
    repo = repository_here(invocation, all_repos=wanted.all_repos)
    oldest = invocation.around.now() - wanted.older_than
    doomed: list[Rescue] = []
    for one in rescues(invocation.home, repo, invocation.around.environ):
        if one.at > oldest:
            continue
        if holder(Layout(invocation.home, one.repo).job_lock(one.job)) is not None:
            outcome.keep(f"rescue  {one.ref}", "its run is running")
        else:
            doomed.append(one)
    question = f"Remove {counted(len(doomed), 'rescue ref')}, with work that is nowhere else?"
    sure = (
        wanted.force or wanted.yes or wanted.dry_run or not doomed or Upkeep(invocation).confirmed(question)
    )
    for one in doomed:
        if sure:
            _forget(one, invocation, wanted, outcome)
        else:
            outcome.keep(f"rescue  {one.ref}", "you said no", code=1)


def _forget(one: Rescue, invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    try:
        if not wanted.dry_run:
            forget(invocation.home, one, invocation.around.environ)
    except ProdigyError as error:
        outcome.keep(f"rescue  {one.ref}", f"{error.code}: {error.message}", code=1)
    else:
        outcome.removed.append(Removed(what=f"rescue  {one.ref}  {one.sha[:10]}", bytes=0))
