"""dlq"""

from cyclopts import App
from prodigy.cli.invocation import Given

app = App(name="dlq", help_epilogue="Examples:\n  prodigy dlq\n  prodigy dlq --json | jq .running")


@app.default
def dlq(*, all_repos: bool = False, invocation: Given) -> None:
    """Show what runs, what can be resumed, what failed and what is not merged.

    Args:
        all_repos: Look at every repository, not only this one.
    """
    invocation.printer.line("hello")
