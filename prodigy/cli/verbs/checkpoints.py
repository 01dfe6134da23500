"""``prodigy checkpoints``: the snapshots that spare reading a long journal from its beginning."""

from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Span
from prodigy.cli.text import age, counted, home_short
from prodigy.errors import UsageError
from prodigy.store.checkpoints import DeletionDocument, listed, removed, shown, validated
from prodigy.store.runs import LATEST, Run, all_runs

app = App(
    name="checkpoints",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show, check and remove the snapshots of runs. The journal holds all that they say.",
    help_epilogue="""Examples:
  prodigy checkpoints list
  prodigy checkpoints show latest
  prodigy checkpoints validate latest
  prodigy checkpoints clean --all""",
)

_COLUMNS = (
    Column("id", elastic=True),
    Column("phase"),
    Column("done", right=True),
    Column("age"),
    Column("KiB", right=True),
    Column("problem", elastic=True),
)

RunOption = Annotated[str, Parameter(name=("--run", "--workflow-id", "--job"), group=ARGUMENTS_GROUP)]
RunArgument = Annotated[str, Parameter(name="RUN", group=ARGUMENTS_GROUP)]


def _runs(run: str, invocation: Invocation, *, every: bool) -> list[Run]:
    if not every:
        return [run_called(run, invocation)]
    repo = repository_here(invocation, all_repos=False)
    return all_runs(invocation.storage, repo)


@app.command(name=("list", "ls"))
def list_checkpoints(
    *, run: RunOption = LATEST, all_: Annotated[bool, Parameter(name="--all")] = False, invocation: Given
) -> None:
    """List the snapshots of the newest run, or of another.

    Args:
        run: Any id of a run.
        all_: Those of every run of the repository.
        invocation: Who asks.
    """
    document = listed(_runs(run, invocation, every=all_))
    invocation.printer.document(document)
    if not document.checkpoints:
        invocation.printer.line("No snapshots")
        return
    now = invocation.around.now()
    rows = [
        (
            Span(one.id, "strong"),
            one.phase or "",
            f"{one.items_done}/{one.total_items}" if one.total_items else "",
            age(one.created_at, now) if one.created_at else "",
            str(round(one.bytes / 1024)),
            Span(one.problem or "", "bad"),
        )
        for one in document.checkpoints
    ]
    invocation.printer.table(_COLUMNS, rows)


@app.command(name="show")
def show_checkpoint(
    run: RunArgument,
    *,
    at: Annotated[int | None, Parameter(name="--at", metavar="SEQ")] = None,
    invocation: Given,
) -> None:
    """Show the run as it was at its newest snapshot.

    Args:
        run: Any id of a run, or of a snapshot: JOB@SEQ.
        at: The snapshot after this record.
        invocation: Who asks.
    """
    job, seq = _named(run, at)
    document = shown(run_called(job, invocation), seq)
    printer = invocation.printer
    if printer.document(document, in_pipe=True):
        return
    items = document.items
    printer.line(Span(document.id, "strong"), f"  {age(document.created_at, invocation.around.now())}")
    for name, status in document.phases.items():
        printer.line(f"  {name}  {status}")
    if items.total:
        counts = f"{items.done} done, {items.failed} failed, {items.running} running"
        printer.line(f"  items  {items.total}: {counts}, {items.waiting} waiting, {items.merging} merging")
    printer.line(f"  branch  {document.branch} at {(document.tip or '')[:10]}")
    if document.variables:
        printer.line(f"  variables  {', '.join(document.variables)}")
    printer.line(f"  {counted(document.open_intents, 'effect')} without a recorded outcome")


@app.command(name="validate")
def validate_checkpoints(
    run: RunArgument = LATEST,
    *,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    invocation: Given,
) -> int:
    """Read the whole journal of a run, and compare its snapshots with what it says.

    Args:
        run: Any id of a run.
        all_: Every run of the repository.
        invocation: Who asks.
    """
    document = validated(_runs(_named(run, None)[0], invocation, every=all_))
    invocation.printer.document(document)
    for fault in document.faults:
        invocation.printer.line(
            Span(home_short(fault.path, invocation.around.environ.get("HOME")), "strong"),
            f": {fault.problem}",
        )
    if document.valid:
        number = counted(document.runs, "run")
        invocation.printer.line(f"{number}: every record and every snapshot is as it was written")
    return 0 if document.valid else 1


@app.command(name="clean")
def clean_checkpoints(
    *, run: RunOption = LATEST, all_: Annotated[bool, Parameter(name="--all")] = False, invocation: Given
) -> None:
    """Remove the snapshots of the newest run, or of another. Nothing is lost.

    Args:
        run: Any id of a run.
        all_: Those of every run of the repository.
        invocation: Who asks.
    """
    _tell(removed(_runs(run, invocation, every=all_)), invocation)


@app.command(name="delete")
def delete_checkpoint(
    checkpoint: Annotated[str, Parameter(name="ID", group=ARGUMENTS_GROUP)],
    *,
    force: Annotated[bool, Parameter(name=("--force", "-f"))] = False,
    invocation: Given,
) -> None:
    """Remove one snapshot. Nothing is lost.

    Args:
        checkpoint: Its id: JOB@SEQ.
        force: It is no error if there is none.
        invocation: Who asks.
    """
    job, seq = _named(checkpoint, None)
    if seq is None:
        raise UsageError(
            "bad-value",
            f"`{checkpoint}` is no id of a snapshot",
            hint="an id is JOB@SEQ, such as `k7m2pq@1200`",
        )
    try:
        document = removed([run_called(job, invocation)], seq)
    except UsageError as error:
        if not force or error.code != "checkpoint-not-found":
            raise
        document = removed([])
    _tell(document, invocation)


def _named(name: str, number: int | None) -> tuple[str, int | None]:
    """The run and the record that an id means."""
    job, at, seq = name.partition("@")
    if not at:
        return name, number
    if not seq.isdecimal():
        raise UsageError("bad-value", f"`{seq}` is no record's number", hint="an id is JOB@SEQ")
    return job, int(seq)


def _tell(document: DeletionDocument, invocation: Invocation) -> None:
    invocation.printer.document(document)
    number = counted(len(document.removed), "snapshot")
    invocation.printer.line(f"removed {number}, {round(document.bytes / 1024)} KiB")
