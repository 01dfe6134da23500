"""``prodigy dlq``: items that failed for good, in a line each or with everything known of them."""

from collections.abc import Iterator
from typing import Annotated

from cyclopts import App, Parameter

from prodigy.cli.here import has_dead_letters, repository_here, run_called
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.text import age, counted, duration, home_short, local_time
from prodigy.cli.verbs.dlq_retry import OLD_NAME, retry
from prodigy.ids import tail_of
from prodigy.store.dead_letters import DlqFilter, dlq_document, dlq_list
from prodigy.store.documents import DeadLetterView, DlqListDocument, FailureDetail
from prodigy.store.runs import dlq_list_document, load_state

app = App(
    name="dlq",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show the items that failed for good, and why.",
    help_epilogue="""Examples:
  prodigy dlq list
  prodigy dlq show latest
  prodigy dlq show k7m2pq src/a.py
  prodigy dlq show latest | jq -r '.items[].failure_history[].stderr_tail'""",
)

app.command(retry, name=("retry", OLD_NAME), sort_key=2)

JobOption = Annotated[
    str | None, Parameter(name=("--job", "--job-id", "--workflow-id"), group=ARGUMENTS_GROUP)
]

_OUTPUT_LINES = 5
_COLUMNS = (
    Column("item", elastic=True),
    Column("run"),
    Column("failures", right=True),
    Column("last"),
    Column("class"),
    Column("signature"),
    Column("retry"),
    Column("message", elastic=True),
)


@app.command(name=("list", "ls"))
def list_items(
    job: JobOption = None,
    *,
    eligible: bool = False,
    error_class: Annotated[str | None, Parameter(name="--class")] = None,
    signature: str | None = None,
    limit: int = 50,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """List the items that failed for good.

    Args:
        job: Only those of one run.
        eligible: Only those that time may heal.
        error_class: Only those of one class, such as timeout.
        signature: Only those that failed alike.
        limit: At most so many; 0 for all.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    wanted = DlqFilter(eligible=eligible, error_class=error_class, signature=signature, limit=limit)
    document = _listed(job, wanted, invocation, all_repos=all_repos)
    invocation.printer.document(document)
    if document.items:
        invocation.printer.table(_COLUMNS, _rows(document, invocation))
    else:
        invocation.printer.line("No item is in the dead letter queue")
    if document.shown < document.total:
        invocation.printer.note(f"{document.shown} of {document.total} items; see all with `--limit 0`")


def _listed(
    job: str | None, wanted: DlqFilter, invocation: Invocation, *, all_repos: bool
) -> DlqListDocument:
    if job is not None:
        return dlq_list([load_state(run_called(job, invocation, has_dead_letters))], wanted)
    return dlq_list_document(invocation.home, repository_here(invocation, all_repos=all_repos), wanted)


def _rows(document: DlqListDocument, invocation: Invocation) -> Iterator[tuple[Part, ...]]:
    now = invocation.around.now()
    for item in document.items:
        yield (
            Span(item.text, "strong"),
            tail_of(item.job_id),
            str(item.failure_count),
            age(item.last_attempt, now),
            item.error_class or "",
            item.error_signature,
            "yes" if item.reprocess_eligible else "no",
            item.message,
        )


@app.command(name=("show", "view"))
def show_items(
    job: Annotated[str, Parameter(name=("--job", "--job-id", "--workflow-id"), group=ARGUMENTS_GROUP)],
    *items: str,
    invocation: Given,
) -> None:
    """Show everything known of the items of one run; in a pipe and with --json as a document.

    Args:
        job: The run, or latest for the newest one that has such items.
        items: Only these items: id, text, or #index.
        invocation: Who asks.
    """
    document = dlq_document(load_state(run_called(job, invocation, has_dead_letters)), items)
    printer = invocation.printer
    if printer.document(document, in_pipe=True):
        return
    if not document.items:
        printer.line(f"No item of {tail_of(document.job_id)} is in the dead letter queue")
    for position, item in enumerate(document.items):
        if position:
            printer.line()
        for line in _card(item, invocation.around.environ.get("HOME")):
            printer.line(*line)


def _card(item: DeadLetterView, home: str | None) -> Iterator[tuple[Part, ...]]:
    heal = "may heal by itself" if item.reprocess_eligible else "needs a change"
    yield (
        Span(item.text, "strong"),
        Span(f"  {item.item_id}  #{item.index}  of {tail_of(item.job_id)}", "dim"),
    )
    yield (f"  {counted(item.failure_count, 'failed attempt')}, {heal}, signature {item.error_signature}",)
    for attempt in item.failure_history:
        yield from _attempt(attempt, home)


def _attempt(attempt: FailureDetail, home: str | None) -> Iterator[tuple[Part, ...]]:
    step = f"step {attempt.step_failed}" if attempt.step_failed else attempt.phase
    how = f"exit {attempt.exit_code}" if attempt.exit_code is not None else attempt.error_type
    facts = f"{local_time(attempt.timestamp)}  {step}  {how}  {duration(attempt.duration_ms / 1000)}"
    yield Span(f"  attempt {attempt.attempt_number}", "accent"), f"  {facts}"
    yield (Span(f"    {attempt.error_message}", "bad"),)
    output = (attempt.stderr_tail or attempt.stdout_tail).rstrip().splitlines()
    yield from ((Span(f"    | {line}", "dim"),) for line in output[-_OUTPUT_LINES:])
    yield from ((f"    log: {home_short(log, home)}",) for log in attempt.logs)
    if attempt.json_log_location:
        yield (f"    Claude log: {home_short(attempt.json_log_location, home)}",)
    if attempt.rescue_ref:
        yield (f"    unmerged work: git switch -c saved {attempt.rescue_ref}",)
