"""``prodigy resume``: go on with a run where it stopped."""

from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.invocation import Given
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, merge_answer

OLD_NAME = "resume-job"
_OF_OLD = 2
"""Attempts at each dead letter where the older name of the verb is used and no number is given."""

app = App(
    name="resume",
    help_epilogue="""Examples:
  prodigy resume               the only run that can be resumed
  prodigy resume latest        the newest of them
  prodigy resume latest --reload      with the workflow as its file says it now
  prodigy resume latest --dry-run     what it would go on with
  prodigy resume k7m2pq -y     this one, and merge at the end without asking
  prodigy resume latest --budget usd=25    one whose budget was exhausted, with more""",
)


@app.default
def resume(  # noqa: PLR0913 - one parameter per flag
    run: str | None = None,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    budget: BudgetFlag = None,
    strict: bool = False,
    reload: bool = False,
    force: bool = False,
    include_dlq: bool = False,
    max_retries: Positive | None = None,
    max_parallel: Annotated[Positive | None, Parameter(name=("--max-parallel", "--parallel"))] = None,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Go on with a run that stopped before its end, from any terminal, whatever ended it.

    What is finished is not run again. A step that was cut off runs again, in a worktree as the last finished step left
    it; what the cut-off step left there is kept under refs/prodigy/rescue. The workflow is the one that the run was
    begun with. A run that failed goes on at the step that failed.

    Args:
        run: Any id of the run, or latest; may be left out if only one can be resumed.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        budget: What the whole run may spend, what it has spent included, such as usd=25.
        strict: Exit with 1 if items are left in the dead letter queue.
        reload: Take the workflow's file as it is now, for what is not done yet.
        force: Of a completed run, try the items of the dead letter queue again, then run reduce again.
        include_dlq: Try the items of the dead letter queue again too.
        max_retries: At most so many attempts at each item, from now on.
        max_parallel: At most so many agents at a time.
        model: For Claude steps that name none.
        backend: What Claude steps run from now on.
        script: What the backend `rehearsal` plays from now on.
        dry_run: Show what the run would go on with; nothing is started and nothing is changed.
        invocation: Who asks.
    """
    from prodigy.cli.backend import given_backend
    from prodigy.cli.resume import resume as take_up
    from prodigy.job.redirection import Changes

    merge = merge_answer(yes=yes, no_merge=no_merge)
    if max_retries is None and OLD_NAME in invocation.argv[:2] and (force or include_dlq):
        max_retries = _OF_OLD
    changes = Changes(
        reload=reload,
        force=force,
        include=include_dlq,
        attempts=max_retries,
        max_parallel=max_parallel,
        model=model,
    )
    return take_up(
        invocation,
        run,
        changes,
        merge=merge,
        strict=strict,
        budget=given_budget(budget),
        agent=given_backend(backend, script, invocation),
        dry_run=dry_run,
    )
