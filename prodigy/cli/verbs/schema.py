"""``prodigy schema``: what editors need to check a workflow while it is written."""

from pathlib import Path

import msgspec
from cyclopts import App

from prodigy.cli.invocation import Given
from prodigy.errors import MachineError

app = App(
    name="schema",
    help_epilogue="""Examples:
  prodigy schema --output .prodigy/workflow.schema.json
  prodigy schema | jq '."$defs".step.properties | keys'""",
)


@app.default
def schema(*, output: Path | None = None, invocation: Given) -> None:
    """Print the JSON Schema of workflow files.

    Args:
        output: Write it into this file instead.
        invocation: Who asks.
    """
    text = schema_text()
    if output is None:
        invocation.printer.verbatim(text)
        return
    path = invocation.around.directory / output.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        message = f"`{output}` cannot be written: {error.strerror}"
        raise MachineError("storage-denied", message, where=str(path)) from None
    invocation.printer.talk(f"written: {path}")


def schema_text() -> str:
    """The schema as it stands in a file."""
    from prodigy.workflow.schema import workflow_schema

    return msgspec.json.format(msgspec.json.encode(workflow_schema()), indent=1).decode() + "\n"
