"""``prodigy worktree``: the sessions that still have a branch or a worktree."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter
from msgspec.structs import replace

from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP, seconds
from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.session_facts import session_facts, size_of, slots_of
from prodigy.cli.text import age, readable_size
from prodigy.ids import SessionId
from prodigy.store.documents import WorktreesDocument, WorktreeSession
from prodigy.store.runs import worktrees_document

app = App(
    name="worktree",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show, merge and remove the worktrees and branches of runs.",
    help_epilogue="""Examples:
  prodigy worktree ls
  prodigy worktree ls --detailed
  prodigy worktree merge latest
  prodigy worktree clean --dry-run
  prodigy worktree ls --json | jq '.sessions[] | select(.merged | not)'""",
)

_COLUMNS = (
    Column("session"),
    Column("status"),
    Column("branch", elastic=True),
    Column("ahead", right=True),
    Column("dirty"),
    Column("age"),
)
_DETAILS = (
    Column("workflow", elastic=True),
    Column("step"),
    Column("items", right=True),
    Column("commits", right=True),
    Column("files", right=True),
    Column("size", right=True),
    Column("slots", right=True),
    Column("path"),
)


@app.command(name=("ls", "list"))
def list_worktrees(
    *,
    detailed: Annotated[bool, Parameter(name=("--detailed", "-d"))] = False,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """List the sessions whose branch is still there.

    Args:
        detailed: Say what each run did, and where its worktree lies.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    repo = repository_here(invocation, all_repos=all_repos)
    known = worktrees_document(invocation.storage, repo)
    measured = [_measured(session, invocation, detailed=detailed) for session in known.sessions]
    document = replace(known, sessions=measured)
    printer = invocation.printer
    if printer.document(document):
        return
    if document.sessions:
        printer.table(
            _COLUMNS + (_DETAILS if detailed else ()), _rows(document, invocation, detailed=detailed)
        )
    else:
        printer.line("No session has a branch or a worktree")


@app.command
def merge(
    name: str | None = None,
    *,
    every: Annotated[bool, Parameter(name="--all")] = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    force: bool = False,
    invocation: Given,
) -> int:
    """Merge a finished session into the branch that it started from, then remove its worktree and branches.

    Args:
        name: Any id of the run, or latest; may be left out if only one session waits.
        every: All finished sessions that are not merged yet.
        yes: Merge without asking.
        force: Merge what there is of a run that did not finish.
        invocation: Who asks.
    """
    from prodigy.cli.upkeep import merge_sessions

    return merge_sessions(invocation, name, every=every, yes=yes, force=force)


@app.command
def clean(
    name: Annotated[str | None, Parameter(name=("--name", "--job-id"), group=ARGUMENTS_GROUP)] = None,
    *,
    every: Annotated[bool, Parameter(name=("--all", "-a"))] = False,
    force: Annotated[bool, Parameter(name=("--force", "-f", "--yes", "-y"))] = False,
    merged_only: bool = False,
    mapreduce: bool = False,
    older_than: str | None = None,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Remove worktrees and branches of sessions that are merged or left nothing; more with `--all` or `--force`.

    What is not merged is kept under refs/prodigy/rescue first, whatever you choose. A session that runs stays.

    Args:
        name: Any id of a run, or latest.
        every: All sessions that have ended; asks before removing unmerged work.
        force: Remove without asking, failed and interrupted runs too.
        merged_only: Only sessions that are merged.
        mapreduce: Only the worktrees of agents and of merges; sessions and branches stay.
        older_than: Only sessions whose last activity is so long ago, such as 7d.
        dry_run: Say what would be removed.
        invocation: Who asks.
    """
    from prodigy.cli.cleaning import Wanted, clean_sessions

    wanted = Wanted(
        name=name,
        every=every,
        force=force,
        merged_only=merged_only,
        agents_only=mapreduce,
        older_than=None if older_than is None else timedelta(seconds=seconds(older_than, "--older-than")),
        dry_run=dry_run,
    )
    return clean_sessions(invocation, wanted)


app.command(clean, name="cleanup", show=False)


@app.command(name="clean-orphaned")
def clean_orphaned(
    job: str | None = None,
    *,
    force: Annotated[bool, Parameter(name=("--force", "-f", "--yes", "-y"))] = False,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Remove worktrees, their folders and branches that no run lays claim to; asks before work that is nowhere else.

    That is kept under refs/prodigy/rescue first, whatever you choose.

    Args:
        job: Only what bears the name of this run, whose journal need not be there.
        force: Remove without asking.
        dry_run: Say what would be removed.
        invocation: Who asks.
    """
    from prodigy.cli import orphans

    return orphans.clean_orphaned(invocation, job, force=force, dry_run=dry_run)


def _rows(
    document: WorktreesDocument, invocation: Invocation, *, detailed: bool
) -> Iterator[tuple[Part, ...]]:
    now = invocation.around.now()
    arrow = invocation.printer.marks.arrow
    for session in document.sessions:
        line = (
            Span(session.session_id, "strong"),
            session.status,
            f"{session.branch_name} {arrow} {session.parent_branch}",
            str(session.commits if session.ahead is None else session.ahead),
            "" if session.dirty is None else "yes" if session.dirty else "no",
            age(session.started_at, now),
        )
        yield line + (_details(session) if detailed else ())


def _details(session: WorktreeSession) -> tuple[Part, ...]:
    return (
        " ".join((session.workflow_path, *session.workflow_args)),
        _step(session),
        f"{session.items_processed}/{session.total_items}" if session.total_items else "",
        str(session.commits),
        str(session.files_changed),
        "" if session.bytes is None else readable_size(session.bytes),
        str(len(session.slots)) if session.slots else "",
        session.worktree_path,
    )


def _step(session: WorktreeSession) -> str:
    step, total = session.current_step or "", session.total_steps
    return f"{step}/{total}" if step and total else step


def _measured(session: WorktreeSession, invocation: Invocation, *, detailed: bool) -> WorktreeSession:
    """The session with what git says of it, and with ``detailed`` what lies on disk."""
    layout, name = invocation.storage.layout(session.repo), SessionId(session.session_id)
    facts = session_facts(layout, name, session.branch_name, session.parent_branch, invocation.around.environ)
    measured = replace(session, ahead=facts.ahead, dirty=facts.dirty)
    if not detailed:
        return measured
    return replace(measured, bytes=size_of(layout, name), slots=slots_of(layout, name))
