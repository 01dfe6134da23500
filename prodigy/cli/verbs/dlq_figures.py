"""``prodigy dlq analyze``, ``stats`` and ``export``: the queue as a whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.letters import JobFlag, JobOption, jobs
from prodigy.cli.printer import Part, Span
from prodigy.cli.text import age, counted, home_short, local_time
from prodigy.store.atomic import write_file, write_parts
from prodigy.store.dead_letters import dead_letter_views
from prodigy.store.letter_export import ExportFormat, exported, format_of
from prodigy.store.letter_figures import DlqAnalysisDocument, DlqStatsDocument, analysis, statistics

_BAR = 40
_NOTHING = "No item is in the dead letter queue"


def analyze(
    job: JobOption = None,
    *,
    export: Annotated[str | None, Parameter(metavar="FILE")] = None,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Group the items by how they failed, with samples and their logs, and say when.

    Args:
        job: Only those of one run.
        export: Write the analysis to this file, as JSON.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    document = analysis((state, run.histories()) for run, state in jobs(job, invocation, all_repos=all_repos))
    printer = invocation.printer
    if export is not None:
        path = _place(export, invocation)
        write_file(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        printer.talk(f"written to {path}")
    if printer.document(document):
        return
    for line in _told(document, invocation):
        printer.line(*line)


def _told(document: DlqAnalysisDocument, invocation: Invocation) -> Iterator[tuple[Part, ...]]:
    if not document.total:
        yield (_NOTHING,)
        return
    now, home = invocation.around.now(), invocation.around.environ.get("HOME")
    for group in document.pattern_groups:
        yield (
            Span(counted(group.count, "item"), "strong"),
            f"  {group.error_class or 'unknown'}  {group.signature}  {age(group.last, now)}",
        )
        yield Span(f"  {group.message}", "bad"), ""
        for sample in group.samples:
            yield f"  {sample.text}", ""
            logs = (*sample.logs, *filter(None, [sample.json_log_location]))
            yield from ((Span(f"    {home_short(log, home)}", "dim"),) for log in logs)
        more = group.count - len(group.samples)
        if more:
            yield (f"  and {more:,} more: prodigy dlq list --signature {group.signature}",)
        yield ()
    most = max((hour.count for hour in document.temporal_distribution), default=1)
    yield (Span("failed attempts by hour", "strong"),)
    for hour in document.temporal_distribution:
        bar = "#" * max(1, round(_BAR * hour.count / most))
        yield (f"  {local_time(hour.hour, invocation.printer.zone)}  {hour.count:>6,}  {bar}",)


def stats(job: JobOption = None, *, all_repos: bool = False, invocation: Given) -> None:
    """Count the items: all, those that time may heal, those that need a person, by class.

    Args:
        job: Only those of one run.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    document = statistics(state for _, state in jobs(job, invocation, all_repos=all_repos))
    if invocation.printer.document(document):
        return
    figures = list(_figures(document, invocation))
    width = max(len(label) for label, _ in figures) + 2
    for label, text in figures:
        invocation.printer.line(Span(label.ljust(width), "dim"), text)


def _figures(document: DlqStatsDocument, invocation: Invocation) -> Iterator[tuple[str, str]]:
    now = invocation.around.now()
    yield "items", f"{document.total:,} of {counted(document.jobs, 'run')}"
    yield "attempts", f"{document.attempts:,} failed"
    yield "may heal", f"{document.eligible:,}"
    yield "need you", f"{document.manual_review_required:,}"
    yield from ((f"  {name}", f"{count:,}") for name, count in document.by_class.items())
    if document.oldest is not None and document.newest is not None:
        yield "oldest", age(document.oldest, now)
        yield "newest", age(document.newest, now)


def export(
    output: str,
    /,
    *,
    job: JobFlag = None,
    form: Annotated[ExportFormat | None, Parameter(name="--format")] = None,
    all_repos: bool = False,
    invocation: Given,
) -> None:
    """Write whole items to a file: a JSON list, JSON lines, or CSV.

    Args:
        output: The file, or - for standard output.
        job: Only those of one run.
        form: The format; without it by the file's suffix, JSON if that says nothing.
        all_repos: Look at every repository, not only at this one.
        invocation: Who asks.
    """
    from prodigy.cli.app import STDIN

    views = (
        view
        for run, state in jobs(job, invocation, all_repos=all_repos)
        for view in dead_letter_views(state, run.histories())
    )
    parts = exported(views, form or format_of(output))
    if output == STDIN:  # what a lone hyphen is read as
        for part in parts:
            invocation.printer.verbatim(part)
        return
    path = _place(output, invocation)
    write_parts(path, (part.encode("utf-8", "surrogatepass") for part in parts))
    invocation.printer.talk(f"written to {path}")


def _place(name: str, invocation: Invocation) -> Path:
    """A file that the caller names, relative to where they are."""
    return (invocation.around.directory / Path(name).expanduser()).resolve()
