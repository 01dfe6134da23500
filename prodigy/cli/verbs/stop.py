"""``prodigy stop``: end a live run from elsewhere."""

from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.invocation import Given
from prodigy.cli.options import seconds
from prodigy.errors import UsageError

app = App(
    name="stop",
    help_epilogue="""Examples:
  prodigy stop                 the only run that is running
  prodigy stop k7m2pq --now    this one, without waiting for its steps
  prodigy stop --all           every run on this machine""",
)


@app.default
def stop(
    run: str | None = None,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    now: bool = False,
    wait: Annotated[str | None, Parameter(metavar="TIME")] = None,
    kill: bool = False,
    invocation: Given,
) -> int:
    """End a live run as Ctrl-C does at its own terminal, and wait until every process of it is gone.

    What is recorded stays, and `prodigy resume` goes on with it. A run that is not running is no error.

    Args:
        run: Any id of the run, or latest; may be left out if only one is running.
        all_: Every run of every repository.
        now: Leave the steps no time to end by themselves.
        wait: How long to wait for the end; the workflow's grace and 10 s by default.
        kill: Kill the program itself; its workers then kill what belongs to the steps.
        invocation: Who asks.
    """
    for one, other, together in (
        ("--now", "--kill", now and kill),
        ("RUN", "--all", run is not None and all_),
    ):
        if together:
            raise UsageError(
                "conflicting-flags", f"`{one}` and `{other}` exclude each other", hint="give one of them"
            )
    patience = seconds(wait, "--wait") if wait is not None else None
    from prodigy.cli.stop import stop_runs

    return stop_runs(
        invocation,
        run,
        every=all_,
        manner="kill" if kill else "now" if now else "orderly",
        patience=patience,
    )
