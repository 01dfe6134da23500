"""``prodigy dlq``: items that failed for good, in a line each or with everything known of them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from cyclopts import App, Parameter
from msgspec.structs import replace

from prodigy.cli.here import repository_here
from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.letters import Job, JobFlag, JobOption, cards, job_with, jobs, of_older_program
from prodigy.cli.options import ARGUMENTS_GROUP, FLAGS_GROUP, VERBS_GROUP
from prodigy.cli.printer import Column, Level, Part, Span
from prodigy.cli.text import age, counted, home_short
from prodigy.cli.verbs.dlq_figures import analyze, export, stats
from prodigy.cli.verbs.dlq_removal import clear, purge
from prodigy.cli.verbs.dlq_retry import OLD_NAME, retry
from prodigy.errors import UsageError
from prodigy.ids import tail_of
from prodigy.store.dead_letters import DlqFilter, dead_letter_views, dlq_document, dlq_list
from prodigy.store.documents import DlqListDocument, LegacyDlqDocument, LegacyLetter
from prodigy.store.legacy import legacy_letters

app = App(
    name="dlq",
    group_commands=VERBS_GROUP,
    group_arguments=ARGUMENTS_GROUP,
    group_parameters=FLAGS_GROUP,
    help="Show the items that failed for good, and why; try them again.",
    help_epilogue="""Examples:
  prodigy dlq list
  prodigy dlq show latest
  prodigy dlq show k7m2pq src/a.py
  prodigy dlq analyze
  prodigy dlq retry latest --max-parallel 4
  prodigy dlq show latest | jq -r '.items[].failure_history[].stderr_tail'""",
)

_COLUMNS = (
    Column("item", elastic=True),
    Column("run"),
    Column("fails", right=True),
    Column("last"),
    Column("class"),
    Column("message", elastic=True),
)
_MORE = (Column("signature"), Column("heals"))


@app.command(name=("list", "ls"), sort_key=1)
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
    """List the items that failed for good; with `-v` also their signatures.

    Args:
        job: Only those of one run.
        eligible: Only those that time may heal.
        error_class: Only those of one class, such as timeout.
        signature: Only those that failed alike; its beginning is enough.
        limit: At most so many; 0 for all.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    wanted = DlqFilter(eligible=eligible, error_class=error_class, signature=signature, limit=limit)
    document = dlq_list((state for _, state in jobs(job, invocation, all_repos=all_repos)), wanted)
    if job is None and wanted == DlqFilter(limit=limit):
        repo = repository_here(invocation, all_repos=all_repos)
        document = replace(document, legacy=legacy_letters(invocation.storage, repo))
    printer = invocation.printer
    if printer.document(document):
        return
    for one in document.legacy:
        printer.line(Span(one.item_id, "strong"), f"  {one.job_id}, of an older program  {one.message}")
    if document.items:
        whole = printer.level >= Level.VERBOSE
        printer.table(_COLUMNS + (_MORE if whole else ()), list(_rows(document, invocation, whole=whole)))
    elif not document.legacy:
        printer.line("No item is in the dead letter queue")
    if document.shown < document.total:
        printer.note(f"{document.shown} of {document.total} items; see all with `--limit 0`")


def _rows(document: DlqListDocument, invocation: Invocation, *, whole: bool) -> Iterator[tuple[Part, ...]]:
    now = invocation.around.now()
    for item in document.items:
        more = (item.error_signature, "yes" if item.reprocess_eligible else "no") if whole else ()
        yield (
            Span(item.text, "strong"),
            tail_of(item.job_id),
            str(item.failure_count),
            age(item.last_attempt, now),
            item.error_class or "",
            item.message,
            *more,
        )


@app.command(name=("show", "view"), sort_key=2)
def show_items(job: Job, *items: str, invocation: Given) -> None:
    """Show everything known of the items of one run; in a pipe and with --json as a document.

    Args:
        job: The run, or latest for the newest one that has such items.
        items: Only these items: id, text, or #index.
        invocation: Who asks.
    """
    try:
        ((run, state),) = jobs(job, invocation)
    except UsageError as error:
        if error.code == "run-not-found" and (older := of_older_program(job, items, invocation)):
            _show_older(older, invocation)
            return
        raise
    document = dlq_document(state, run.histories(), items)
    printer = invocation.printer
    if printer.document(document, in_pipe=True):
        return
    if not document.items:
        printer.line(f"No item of {tail_of(document.job_id)} is in the dead letter queue")
    for line in cards(document.items, invocation.around.environ.get("HOME"), invocation.printer.zone):
        printer.line(*line)


def _show_older(letters: Sequence[LegacyLetter], invocation: Invocation) -> None:
    printer = invocation.printer
    details = [letter.details for letter in letters]
    document = LegacyDlqDocument(
        job_id=letters[0].job_id, items=details, total=len(details), shown=len(details)
    )
    if printer.document(document, in_pipe=True):
        return
    for letter in letters:
        failures = counted(letter.failure_count, "failed attempt")
        last = f", the last at {letter.last_attempt}" if letter.last_attempt else ""
        printer.line(Span(letter.item_id, "strong"), f"  {failures}{last}, of an older program")
        if letter.message:
            printer.line(f"  {letter.message}")
        printer.line(f"  {home_short(letter.path, invocation.around.environ.get('HOME'))}")


@app.command(sort_key=3)
def inspect(item: str, /, *, job: JobFlag = None, invocation: Given) -> None:
    """Show everything known of one item; in a pipe and with --json as the item's own document.

    Args:
        item: Its id, text, or #index.
        job: The run, if the item is in the queues of several.
        invocation: Who asks.
    """
    run, state = job_with(item, job, invocation)
    [view] = dead_letter_views(state, run.histories(), [item])
    if invocation.printer.document(view, in_pipe=True):
        return
    for line in cards([view], invocation.around.environ.get("HOME"), invocation.printer.zone):
        invocation.printer.line(*line)


app.command(retry, name=("retry", OLD_NAME), sort_key=4)
app.command(analyze, sort_key=5)
app.command(stats, sort_key=6)
app.command(export, sort_key=7)
app.command(purge, sort_key=8)
app.command(clear, sort_key=9)
