"""``prodigy events stats`` and ``export``: records counted, and as files for other programs."""

from typing import Annotated

from cyclopts import Parameter

from prodigy.cli.event_lines import EVERYTHING, Filters, JobOption, place_of, wanted_records
from prodigy.cli.invocation import Given
from prodigy.cli.printer import Column
from prodigy.cli.text import local_time
from prodigy.store.event_export import EventFormat, events_exported
from prodigy.store.event_figures import Grouping, event_statistics
from prodigy.store.event_log import of_run

_COLUMNS = (
    Column("key", elastic=True),
    Column("count", right=True),
    Column("share", right=True),
    Column("first"),
    Column("last"),
)


def stats(
    job: JobOption = None,
    *,
    group_by: Grouping = "event_type",
    filters: Filters = EVERYTHING,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Count the events of all runs, by type or by something else.

    Args:
        job: Only those of one run.
        group_by: What they are counted by.
        filters: Which events are wanted.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    found = wanted_records(job, filters, invocation, all_repos=all_repos)
    document = event_statistics(found, group_by)
    printer = invocation.printer
    if printer.document(document):
        return
    if not document.groups:
        printer.line("No event fits")
        return
    rows = (
        (
            group.key or "(none)",
            f"{group.count:,}",
            f"{group.share:.1%}",
            local_time(group.first, printer.zone),
            local_time(group.last, printer.zone),
        )
        for group in document.groups
    )
    printer.table(_COLUMNS, rows)
    printer.line(f"{document.total:,} in all")


def export(
    job: JobOption = None,
    *,
    form: Annotated[EventFormat, Parameter(name="--format")] = "json",
    output: Annotated[str | None, Parameter(metavar="FILE")] = None,
    filters: Filters = EVERYTHING,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Write the events of all runs for other programs: JSON, JSON lines, CSV, a Markdown table, or a trace to look at.

    Args:
        job: Only those of one run.
        form: How they are written.
        output: The file; without it, or with -, standard output.
        filters: Which events are wanted.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    from pathlib import Path

    from prodigy.cli.app import STDIN
    from prodigy.store.atomic import write_parts

    found = wanted_records(job, filters, invocation, all_repos=all_repos)
    records = (told for job_id, record in found for told in of_run(job_id, (record,)))
    parts = events_exported(records, form)
    if output in {None, STDIN}:  # what a lone hyphen is read as
        for part in parts:
            invocation.printer.verbatim(part)
        return
    path = place_of(Path(str(output)), invocation)
    write_parts(path, (part.encode("utf-8", "surrogatepass") for part in parts))
    invocation.printer.talk(f"written to {path}")
