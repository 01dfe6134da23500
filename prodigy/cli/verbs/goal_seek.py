"""``prodigy goal-seek``: one command again and again, until a check is content."""

from typing import Annotated

import trio
from cyclopts import App, Parameter

from prodigy.cli.backend import given_backend
from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.composed import command as step_of
from prodigy.cli.composed import composed
from prodigy.cli.invocation import Given
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, TimeFlag, given_time, merge_answer
from prodigy.cli.start import Start
from prodigy.errors import UsageError
from prodigy.job.overrides import Overrides

app = App(
    name="goal-seek",
    help_epilogue="""Examples:
  prodigy goal-seek 'all tests pass' -c '/fix-tests' --validate 'make score'
  prodigy goal-seek 'coverage' -c '/cover' --validate './coverage.sh' -t 90 -m 8 --fail-on-incomplete""",
)


@app.default
def goal_seek(  # noqa: PLR0913 - one parameter per flag
    goal: str | None = None,
    /,
    *,
    goal_: Annotated[str | None, Parameter(name="--goal", metavar="TEXT")] = None,
    command: Annotated[str, Parameter(name=("--command", "-c"))],
    validate: str,
    threshold: Annotated[float, Parameter(name=("--threshold", "-t"))] = 80,
    max_attempts: Annotated[Positive, Parameter(name=("--max-attempts", "-m"))] = 5,
    timeout: TimeFlag = None,
    fail_on_incomplete: bool = False,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    budget: BudgetFlag = None,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    invocation: Given,
) -> int:
    """Run a command, score what it did, and run it again until the score is good enough or nothing gets better.

    Args:
        goal: What is to be reached, in words.
        goal_: The same.
        command: What one attempt is: a prompt or a script, as for `exec`; ${validation.gaps} and the like can be used.
        validate: A script that tells how far it is, for instance by printing `score: 80`.
        threshold: The score that is good enough, 0 to 100.
        max_attempts: Try at most so often.
        timeout: What all of it may take.
        fail_on_incomplete: Exit with 1 if the score stays below.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        budget: What the whole run may spend, such as usd=5,tokens=2M,wall=2h,launches=300.
        model: The model of Claude.
        backend: What Claude steps run instead of the Claude CLI.
        script: What the backend `rehearsal` plays.
        invocation: Who asks.
    """
    words = goal_ if goal_ is not None else goal
    if words is None:
        message = "`prodigy goal-seek` needs GOAL"
        raise UsageError("missing-argument", message, hint="say in words what is to be reached")
    if goal is not None and goal_ is not None:
        raise UsageError("conflicting-flags", "GOAL and `--goal` say the same", hint="give one of them")
    search = {
        "goal": words,
        **step_of(command),
        "validate": validate,
        "threshold": threshold,
        "max_attempts": max_attempts,
        "timeout": given_time(timeout, "--timeout"),
        "fail_on_incomplete": fail_on_incomplete,
    }
    merge = merge_answer(yes=yes, no_merge=no_merge)
    agent = given_backend(backend, script, invocation)
    flags = Overrides(model=model, budget=given_budget(budget))
    reading = composed("goal-seek", {"commands": [{"goal_seek": search}]}, invocation)
    return trio.run(Start(invocation, reading, merge, flags=flags, agent=agent).run)
