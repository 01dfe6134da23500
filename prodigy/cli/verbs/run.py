"""``prodigy run``: read, check, plan, run, ask about the merge, say how it ended."""

from typing import Annotated

import msgspec
import trio
from cyclopts import App, Parameter

from prodigy.cli.arguments import Arguments
from prodigy.cli.backend import given_backend
from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.invocation import Given
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, merge_answer
from prodigy.cli.parameters import given_parameters
from prodigy.cli.planned import show_plan
from prodigy.cli.reading import read_workflow
from prodigy.cli.resume import resume as take_up
from prodigy.cli.start import Start
from prodigy.cli.workflow_files import find_workflow
from prodigy.errors import UsageError
from prodigy.job.overrides import Overrides, overridden
from prodigy.workflow.model import OnConflict
from prodigy.workflow.problems import render

app = App(
    name="run",
    help_epilogue="""Examples:
  prodigy run workflow.yml                   run it, then ask whether to merge
  prodigy run workflow.yml -y                merge without asking
  prodigy run workflow.yml --dry-run         show what would happen
  prodigy run workflow.yml --max-items 3     try it on three items
  prodigy run fix.yml --map 'src/**/*.py'    once per file, which is $ARG
  prodigy run deploy.yml --param env=prod    with the value of a parameter
  prodigy run workflow.yml --no-merge --json > report.json""",
)


@app.default
def run(  # noqa: PLR0913 - one parameter per flag
    workflow: str,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    max_parallel: Annotated[Positive | None, Parameter(name=("--max-parallel", "--parallel"))] = None,
    max_items: Positive | None = None,
    args: Annotated[tuple[str, ...], Parameter(name="--args", metavar="VALUE")] = (),
    map_: Annotated[tuple[str, ...], Parameter(name="--map", metavar="GLOB")] = (),
    max_iterations: Annotated[Positive | None, Parameter(name=("--max-iterations", "-n"))] = None,
    fail_fast: bool = False,
    param: Annotated[tuple[str, ...], Parameter(metavar="NAME=VALUE")] = (),
    param_file: Annotated[tuple[str, ...], Parameter(metavar="FILE")] = (),
    on_conflict: OnConflict | None = None,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    budget: BudgetFlag = None,
    profile: str | None = None,
    strict: bool = False,
    dry_run: bool = False,
    resume: Annotated[str | None, Parameter(metavar="RUN")] = None,
    always: Annotated[bool, Parameter(name=("--metrics", "--worktree", "-w"), show=False)] = False,
    invocation: Given,
) -> int:
    """Run a workflow in a worktree of its own; your checkout stays as it is until you merge.

    Args:
        workflow: A path, a name under workflows/, or - for standard input.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        max_parallel: At most so many agents at a time.
        max_items: Only the first items.
        args: Run the steps for this value, which is $ARG; repeat for more of them.
        map_: Run the steps for every file of the last commit that matches.
        max_iterations: Repeat the steps, as long as they make commits.
        fail_fast: Stop at the first value that fails.
        param: The value of a parameter.
        param_file: A JSON or YAML file of values of parameters.
        on_conflict: What becomes of an item whose work conflicts.
        model: For Claude steps that name none.
        backend: What Claude steps run instead of the Claude CLI.
        script: What the backend `rehearsal` plays.
        budget: What the whole run may spend, such as usd=5,tokens=2M,wall=2h,launches=300.
        profile: The profile of the workflow's environment.
        strict: Exit with 1 if items are left in the dead letter queue.
        dry_run: Show the plan; nothing is started and nothing is written.
        resume: Go on with this run of the workflow where it stopped, as `prodigy resume` does.
        always: Flags of older programs, for what every run has now.
        invocation: Who asks.
    """
    if always:
        invocation.printer.note(
            "`--metrics`, `--worktree` and `-w` have no effect: every run has a worktree and figures"
        )
    merge = merge_answer(yes=yes, no_merge=no_merge)
    if resume is not None:
        begun_anew = (max_parallel, max_items, args, map_, max_iterations, fail_fast, param, param_file)
        if any((*begun_anew, on_conflict, model, backend, script, profile, dry_run)):
            message = "`--resume` goes on with what the run was begun with, and takes no flag that changes it"
            raise UsageError("conflicting-flags", message, hint="`prodigy resume --help` lists what it takes")
        path = find_workflow(workflow, invocation)
        bounds = given_budget(budget)
        return take_up(invocation, resume, merge=merge, strict=strict, workflow=path, budget=bounds)
    arguments = Arguments(values=args, patterns=map_, iterations=max_iterations, fail_fast=fail_fast)
    chosen = Overrides(
        max_parallel=max_parallel,
        max_items=max_items,
        on_conflict=on_conflict,
        model=model,
        budget=given_budget(budget),
    )
    agent = given_backend(backend, script, invocation)
    parameters = given_parameters(param, param_file, invocation.around.directory)
    reading = read_workflow(workflow, invocation, parameters or {}, strict=strict)
    loaded = reading.loaded
    arguments.check(loaded.workflow)
    for line in render(loaded.problems, loaded.texts).splitlines():
        invocation.printer.talk(line)
    if dry_run:
        source = msgspec.structs.replace(reading.source, workflow=overridden(loaded.workflow, chosen))
        show_plan(invocation, source, loaded, arguments, profile)
        return 0
    return trio.run(
        Start(
            invocation,
            reading,
            merge,
            strict=strict,
            arguments=arguments,
            flags=chosen,
            agent=agent,
            profile=profile,
        ).run
    )
