"""``prodigy resume``: go on with a run where it stopped."""

from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.invocation import Given
from prodigy.cli.options import merge_answer

app = App(
    name="resume",
    help_epilogue="""Examples:
  prodigy resume               the only run that can be resumed
  prodigy resume latest        the newest of them
  prodigy resume k7m2pq -y     this one, and merge at the end without asking
  prodigy resume latest --budget usd=25    one whose budget was exhausted, with more""",
)


@app.default
def resume(
    run: str | None = None,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    budget: BudgetFlag = None,
    strict: bool = False,
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
        invocation: Who asks.
    """
    from prodigy.cli.resume import resume as take_up

    merge = merge_answer(yes=yes, no_merge=no_merge)
    return take_up(invocation, run, merge=merge, strict=strict, budget=given_budget(budget))
