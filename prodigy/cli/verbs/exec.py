"""``prodigy exec``: one step, in a worktree of its own."""

from typing import Annotated

import trio
from cyclopts import App, Parameter

from prodigy.cli.backend import given_backend
from prodigy.cli.composed import command as step_of
from prodigy.cli.composed import composed
from prodigy.cli.invocation import Given
from prodigy.cli.options import BackendFlag, Positive, ScriptFlag, TimeFlag, given_time, merge_answer
from prodigy.cli.start import Start
from prodigy.job.overrides import Overrides

app = App(
    name="exec",
    help_epilogue="""Examples:
  prodigy exec 'claude: /refactor main.py' --retry 3
  prodigy exec '/prodigy-lint' --timeout 10m -y
  prodigy exec 'make docs' --no-merge""",
)


@app.default
def execute(  # noqa: PLR0913 - one parameter per flag
    command: str,
    /,
    *,
    retry: Annotated[Positive, Parameter(metavar="N")] = 1,
    timeout: TimeFlag = None,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"))] = False,
    no_merge: bool = False,
    model: str | None = None,
    backend: BackendFlag = None,
    script: ScriptFlag = None,
    invocation: Given,
) -> int:
    """Run one command as a step: in a worktree of its own, with a journal, and merged when you say so.

    What the command prints, or Claude answers, is on standard output; everything else is on standard error.

    Args:
        command: A prompt for Claude (`claude: …`, or `/…`), or a script (`shell: …`, or anything else).
        retry: Try it so many times altogether.
        timeout: What one try may take.
        yes: Merge at the end without asking.
        no_merge: Do not merge and do not ask; the branch stays.
        model: The model of Claude.
        backend: What Claude steps run instead of the Claude CLI.
        script: What the backend `rehearsal` plays.
        invocation: Who asks.
    """
    step = {
        **step_of(command),
        "interpolate": False,  # there is nothing that a reference could mean
        "timeout": given_time(timeout, "--timeout"),
        "retry": {"attempts": retry} if retry > 1 else None,
    }
    merge = merge_answer(yes=yes, no_merge=no_merge)
    agent = given_backend(backend, script, invocation)
    reading = composed("exec", {"commands": [step]}, invocation)
    start = Start(invocation, reading, merge, flags=Overrides(model=model), agent=agent, shown="output")
    return trio.run(start.run)
