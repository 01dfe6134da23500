"""``prodigy dlq retry``: items of the queue once more, by the agents of their run; ``reprocess`` is its old name."""

from typing import Annotated

from cyclopts import Parameter

from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.here import has_dead_letters, run_called
from prodigy.cli.invocation import Given
from prodigy.cli.letters import JobFlag, of_older_program
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, merge_answer
from prodigy.errors import UsageError

OLD_NAME = "reprocess"
Items = Annotated[tuple[str, ...], Parameter(name="--item")]
Parallel = Annotated[Positive | None, Parameter(name=("--max-parallel", "--parallel"))]


def retry(  # noqa: PLR0913 - one parameter per flag
    run: str | None = None,
    /,
    *,
    job: JobFlag = None,
    item: Items = (),
    filter_: Annotated[str | None, Parameter(name="--filter", metavar="EXPR")] = None,
    eligible: bool = False,
    max_parallel: Parallel = None,
    max_retries: Positive | None = None,
    reload: bool = False,
    workflow: Annotated[str | None, Parameter(metavar="FILE")] = None,
    reduce: bool = False,
    force: bool = False,
    dry_run: bool = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    strict: bool = False,
    budget: BudgetFlag = None,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    invocation: Given,
) -> int:
    """Run the agents of a run again for the items in its dead letter queue, then offer the merge again.

    Everything happens in the same run: its journal, its session branch, its supervision. What succeeds is merged and
    leaves the queue; what fails again stays there, with its new attempts. If the branch was merged or removed, the work
    goes to a new one on the tip of the branch that the run is for. Can be interrupted, and `prodigy resume` finishes
    it. Exits with 1 when every item failed again.

    Args:
        run: The run, or latest for the newest one that has such items; with `--job`, items by their ids and commas.
        job: The same as naming the run.
        item: Only this item: id, text, or #index; repeat for more of them.
        filter_: Only items for which this holds, such as `class == "timeout" && failure_count < 3`.
        eligible: Only items that time may heal.
        max_parallel: At most so many agents at a time.
        max_retries: At most so many attempts at each item.
        reload: Take the workflow's file as it is now.
        workflow: Take the workflow of this file.
        reduce: Run reduce again afterwards.
        force: Go on when items keep failing alike.
        dry_run: Show what would be tried again; nothing is started.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        strict: Exit with 1 if any item failed again.
        budget: What the whole run may spend, what it has spent included, such as usd=25.
        model: For Claude steps that name none.
        backend: What Claude steps run from now on.
        script: What the backend `rehearsal` plays from now on.
        invocation: Who asks.
    """
    if OLD_NAME in invocation.argv[:2]:
        invocation.printer.note("`prodigy dlq reprocess` is now called `prodigy dlq retry`")
    name, items = _meant(run, job, item)
    if reload and workflow is not None:
        raise UsageError(
            "conflicting-flags", "`--reload` and `--workflow` exclude each other", hint="give one of them"
        )
    from prodigy.cli.backend import given_backend
    from prodigy.cli.retry import Wanted, foresee
    from prodigy.cli.retry import retry as try_again
    from prodigy.job.retrying import Choice

    merge = merge_answer(yes=yes, no_merge=no_merge)
    wanted = Wanted(
        choice=Choice(names=items, filter=filter_, eligible=eligible),
        max_parallel=max_parallel,
        attempts=max_retries,
        reload=reload,
        workflow=workflow,
        reduce=reduce,
        force=force,
        model=model,
        agent=given_backend(backend, script, invocation),
        budget=given_budget(budget),
    )
    try:
        found = run_called(name, invocation, has_dead_letters)
    except UsageError as error:
        if error.code != "run-not-found" or not (older := of_older_program(name, items, invocation)):
            raise
        from prodigy.cli.older_retry import retry_older

        return retry_older(invocation, older, wanted, merge, strict=strict, dry_run=dry_run)
    if dry_run:
        foresee(invocation, found, wanted)
        return 0
    return try_again(invocation, found, wanted, merge, strict=strict)


def _meant(run: str | None, job: str | None, items: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The name of the run, and those of the items; with `--job`, what stands alone are items."""
    if job is not None and run is not None:
        return job, (*items, *filter(None, run.split(",")))
    name = job or run
    if name is None:
        raise UsageError(
            "missing-argument", "`prodigy dlq retry` needs RUN", hint="see `prodigy dlq retry --help`"
        )
    return name, items
