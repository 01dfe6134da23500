"""``prodigy batch``: one command for each file, side by side."""

from typing import Annotated

import trio
from cyclopts import App, Parameter

from prodigy.actors import launch
from prodigy.cli.arguments import matching
from prodigy.cli.backend import given_backend
from prodigy.cli.budget import BudgetFlag, given_budget
from prodigy.cli.composed import composed, for_item
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, TimeFlag, given_time, merge_answer
from prodigy.cli.start import Start
from prodigy.cli.text import counted
from prodigy.errors import UsageError
from prodigy.git.contents import tracked_files, untracked_files
from prodigy.job.overrides import Overrides
from prodigy.workflow.model import OnConflict

app = App(
    name="batch",
    help_epilogue="""Examples:
  prodigy batch 'src/**/*.py' --command '/add-types'
  prodigy batch 'docs/*.md' --command 'shell: npx prettier --write ${item}' --parallel 8
  prodigy batch '**/*.py' --command '/add-types ${item}' --retry 2 --budget usd=5""",
)


@app.default
def batch(  # noqa: PLR0913 - one parameter per flag
    glob: str,
    /,
    *,
    command: Annotated[str, Parameter(name=("--command", "-c"))],
    parallel: Annotated[Positive, Parameter(name=("--parallel", "--max-parallel"), metavar="N")] = 5,
    retry: Annotated[Positive, Parameter(metavar="N")] = 1,
    timeout: TimeFlag = None,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    on_conflict: OnConflict | None = None,
    budget: BudgetFlag = None,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    strict: bool = False,
    invocation: Given,
) -> int:
    """Run a command for every file of the last commit that matches, each in a worktree of its own.

    It is a run like any other, with agents, a dead letter queue and a final merge; `prodigy resume` goes on with it.

    Args:
        glob: Which files; `*` stays within a folder, `**` does not. Quote it, or your shell expands it.
        command: A prompt or a script, where ${item} is the path of the file; it comes last if it is not said where.
        parallel: At most so many agents at a time.
        retry: Try each file so many times altogether.
        timeout: What one try of one file may take.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        on_conflict: What becomes of a file whose work conflicts.
        budget: What the whole run may spend, such as usd=5,tokens=2M,wall=2h,launches=300.
        model: The model of Claude.
        backend: What Claude steps run instead of the Claude CLI.
        script: What the backend `rehearsal` plays.
        strict: Exit with 1 if files are left in the dead letter queue.
        invocation: Who asks.
    """
    merge = merge_answer(yes=yes, no_merge=no_merge)
    agent = given_backend(backend, script, invocation)
    bounds, limit = given_budget(budget), given_time(timeout, "--timeout")
    files = trio.run(_files, glob, invocation)
    content = {
        "mode": "mapreduce",
        "map": {
            "input": files,
            "item_id": "${item}",
            "max_parallel": parallel,
            "agent_timeout_secs": limit,
            "retry": {"attempts": retry},
            "agent_template": [for_item(command)],
        },
    }
    reading = composed("batch", content, invocation)
    flags = Overrides(on_conflict=on_conflict, model=model, budget=bounds)
    return trio.run(Start(invocation, reading, merge, strict=strict, flags=flags, agent=agent).run)


async def _files(glob: str, invocation: Invocation) -> list[str]:
    """The files of the last commit that match; others that do are told."""
    ground = await launch.survey(invocation.place, invocation.around.environ)
    paths = await tracked_files(ground.git, ground.repository.head)
    checkout = ground.repository.checkout
    others = await untracked_files(ground.git.at(checkout)) if checkout else ()
    try:
        left = matching(glob, others, "GLOB")
    except UsageError as error:
        if error.code != "no-input":
            raise
        left = []
    if left:
        invocation.printer.note(f"{counted(len(left), 'untracked file')} not run: {', '.join(left[:3])}")
    return matching(glob, paths, "GLOB")
