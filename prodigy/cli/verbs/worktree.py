"""``prodigy worktree``: the sessions that still have a branch or a worktree."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.text import age
from prodigy.store.documents import WorktreesDocument, WorktreeSession
from prodigy.store.runs import worktrees_document

app = App(
    name="worktree",
    help="Show the worktrees and branches of runs.",
    help_epilogue="""Examples:
  prodigy worktree ls
  prodigy worktree ls --detailed
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
    document = worktrees_document(invocation.home, repo)
    printer = invocation.printer
    if printer.document(document):
        return
    if document.sessions:
        printer.table(
            _COLUMNS + (_DETAILS if detailed else ()), _rows(document, invocation, detailed=detailed)
        )
    else:
        printer.line("No session has a branch or a worktree")


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
            str(session.commits),
            _dirty(session),
            age(session.started_at, now),
        )
        yield line + (_details(session) if detailed else ())


def _details(session: WorktreeSession) -> tuple[Part, ...]:
    return (
        session.workflow_path,
        session.current_step or "",
        f"{session.items_processed}/{session.total_items}" if session.total_items else "",
        str(session.commits),
        str(session.files_changed),
        session.worktree_path,
    )


def _dirty(session: WorktreeSession) -> str:
    """Whether the worktree holds what is in no commit; empty if it is gone."""
    if not Path(session.worktree_path).is_dir():
        return ""
    asked = subprocess.run(
        ("git", "--no-optional-locks", "status", "--porcelain"),
        cwd=session.worktree_path,
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        return "?"
    return "yes" if asked.stdout else "no"
