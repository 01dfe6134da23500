"""``prodigy schema``: what editors need to check a workflow while it is written, and programs to read records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from prodigy.cli.invocation import Given
from prodigy.errors import MachineError

app = App(
    name="schema",
    help_epilogue="""Examples:
  prodigy schema --output .prodigy/workflow.schema.json
  prodigy schema --events --output records.schema.json
  prodigy schema | jq '."$defs".step.properties | keys'""",
)


@app.default
def schema(*, events: bool = False, output: Path | None = None, invocation: Given) -> None:
    """Print the JSON Schema of workflow files, or of the records of runs.

    Args:
        events: That of one record, a line of a journal or of a `--jsonl` stream.
        output: Write it into this file instead.
        invocation: Who asks.
    """
    text = events_schema_text() if events else schema_text()
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

    return _text(workflow_schema())


def events_schema_text() -> str:
    """The schema of records, likewise."""
    from prodigy.store.record_schema import record_schema

    return _text(record_schema())


def _text(found: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n"
