"""``prodigy clean``: what runs left that is old enough, kind by kind."""

from datetime import timedelta
from typing import Annotated, Literal

from cyclopts import App, Parameter

from prodigy.cli.disposing import Outcome, Wanted, age_of, clean_places, tell
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP
from prodigy.store.control import remove_deserted
from prodigy.store.disposal import Kind

app = App(
    name="clean",
    help_epilogue="""Examples:
  prodigy clean all --dry-run
  prodigy clean logs --older-than 14d
  prodigy clean rescue --older-than 90d --dry-run""",
)

Chosen = Literal["all", "worktrees", "sessions", "logs", "state", "events", "dlq", "rescue", "archive"]
_ALL: tuple[Kind, ...] = ("worktrees", "sessions", "logs", "state", "dlq", "events", "archive")
"""In an order in which what later ones look at is still there."""


@app.default
def clean(
    kind: Annotated[Chosen, Parameter(group=ARGUMENTS_GROUP)],
    /,
    *,
    older_than: Annotated[str | None, Parameter(metavar="TIME")] = None,
    dry_run: bool = False,
    force: Annotated[bool, Parameter(name=("--force", "-f"))] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    all_repos: bool = False,
    invocation: Given,
) -> int:
    """Remove what runs that have ended and were merged left, if it is old enough. What runs is never touched.

    Args:
        kind: What to remove: worktrees, sessions, logs, state, events, dlq, rescue, archive, or all but rescue.
        older_than: How old it has to be, instead of the retention of its kind.
        dry_run: Say what would be removed.
        force: Also of runs that can be resumed, are not merged or have dead letters; without asking.
        yes: Without asking.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    outcome, age = Outcome(), age_of(older_than)
    for one in _ALL if kind == "all" else (kind,):
        wanted = Wanted(
            older_than=_retention(one, invocation) if age is None else age,
            dry_run=dry_run,
            force=force,
            yes=yes,
            all_repos=all_repos,
        )
        _clean(one, invocation, wanted, outcome)
    if not dry_run:
        remove_deserted(invocation.home)
    return tell(invocation, outcome, dry_run=dry_run)


def _retention(kind: Kind, invocation: Invocation) -> timedelta | None:
    """How long a kind is kept, as configured; ``None``: for ever."""
    from prodigy.configuration.effective import DEFAULT

    configuration = invocation.configuration
    name = f"retention.{kind}"
    if kind == "worktrees" and configuration.effective(name).source == DEFAULT:
        aged = configuration.effective("worktree.cleanup_policy.max_age")
        name = name if aged.source == DEFAULT else aged.key
    kept: float | None = configuration.get(name)
    return None if kept is None else timedelta(seconds=kept)


def _clean(kind: Kind, invocation: Invocation, wanted: Wanted, outcome: Outcome) -> None:
    match kind:
        case "worktrees" | "rescue":
            from prodigy.cli import disposing_git

            remove = disposing_git.clean_worktrees if kind == "worktrees" else disposing_git.clean_rescues
            remove(invocation, wanted, outcome)
        case "dlq":
            from prodigy.cli.disposing_letters import clean_letters

            clean_letters(invocation, wanted, outcome)
        case _:
            clean_places(kind, invocation, wanted, outcome)
