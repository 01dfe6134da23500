"""``prodigy ps``: the processes of runs that are running, and the supervision tree of one."""

from collections.abc import Iterator
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli import terminal
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP
from prodigy.cli.process_lines import COLUMNS, rows
from prodigy.cli.process_lines import tree as tree_lines
from prodigy.cli.processes import PsDocument, processes_of
from prodigy.errors import RunError
from prodigy.store.control import remove_deserted
from prodigy.store.locks import Holder
from prodigy.store.runs import LATEST, Run, all_runs, run_holder

app = App(
    name="ps",
    help_epilogue="""Examples:
  prodigy ps
  prodigy ps latest --tree       is it stuck, what is it doing
  prodigy ps --all-repos --json | jq '.runs[].workers[].agents[].pid'""",
)


@app.default
def ps(
    run: Annotated[str | None, Parameter(name=("--run", "--job", "--job-id"), group=ARGUMENTS_GROUP)] = None,
    *,
    tree: bool = False,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Show the processes of runs that are running: what each agent does, for how long, what it takes, how idle it is.

    Args:
        run: Any id of a run, or latest; every one that is running if left out.
        tree: Show the supervision tree instead, with the state of each actor.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    remove_deserted(invocation.home)
    meant = list(_meant(run, invocation, all_repos=all_repos))
    from supervisors import read_processes

    table, now = read_processes(), invocation.around.now()
    document = PsDocument(runs=[processes_of(one, holder, table, now) for one, holder in meant])
    printer = invocation.printer
    if printer.document(document):
        return
    if not document.runs:
        printer.line("Nothing is running")
    elif tree:
        ascii_only = printer.marks is terminal.ASCII
        for one in document.runs:
            for line in tree_lines(one, ascii_only=ascii_only):
                printer.line(*line)
    else:
        printer.table(COLUMNS, (row for one in document.runs for row in rows(one)))


def _meant(name: str | None, invocation: Invocation, *, all_repos: bool) -> Iterator[tuple[Run, Holder]]:
    if name not in {None, LATEST}:
        run = run_called(name, invocation)
        holder = run_holder(run)
        if holder is None:
            raise RunError(
                "not-running",
                f"`{run.session_id}` is not running",
                hint=f"`prodigy report {run.job_id}` tells what became of it",
            )
        yield run, holder
        return
    repo = repository_here(invocation, all_repos=all_repos)
    held = ((run, holder) for run in all_runs(invocation.storage, repo) if (holder := run_holder(run)))
    if name is None:
        yield from held
        return
    newest = next(held, None)
    if newest is None:
        raise RunError("not-running", "Nothing is running", hint="`prodigy status` shows what there is")
    yield newest
