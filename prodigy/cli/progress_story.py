"""How far a run is, as something to read.

Pure: a document comes in.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from prodigy.cli.story import Cell, Chapter, Row, Story, Title, money, number, status, taken
from prodigy.cli.text import about, dollars, duration
from prodigy.job.progress import ItemAtWork, ItemToRetry, ProgressDocument

_BAR = 40


def progress_story(document: ProgressDocument, now: datetime, zone: tzinfo | None = None) -> Story:
    """What a person wants to know of a run that goes on; chapters with nothing in them are left out."""
    chapters = (_running(document), _retrying(document, now), _slowest(document))
    return Story(
        title=document.run.session_id,
        status=status(document.run.status),
        facts=tuple((name, text) for name, text in _facts(document, zone) if text),
        chapters=tuple(chapter for chapter in chapters if chapter.rows),
        next=(document.run.next,) if document.run.next else (),
    )


def _facts(document: ProgressDocument, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    run, items, cost = document.run, document.items, document.cost
    yield "workflow", run.workflow
    yield "phase", f"{document.phase or run.status}{f' step {document.step}' if document.step else ''}"
    if items.total:
        ended = items.done + items.failed + items.skipped
        full = _BAR * ended // items.total
        yield "items", f"[{'#' * full}{'.' * (_BAR - full)}] {ended:,}/{items.total:,}"
        counts = (
            (items.done, "done"),
            (items.failed, "failed"),
            (items.running, "running"),
            (items.merging, "merging"),
            (len(document.retrying), "to be tried again"),
            (items.waiting, "waiting"),
            (items.skipped, "skipped"),
        )
        yield "", ", ".join(f"{count:,} {word}" for count, word in counts if count)
    yield "rate", f"{document.rate:g} items a minute" if document.rate else ""
    yield "time", duration(document.elapsed_ms / 1000)
    yield "left", f"about {about(document.eta_ms / 1000)}" if document.eta_ms is not None else ""
    if run.quota_until is not None and run.live:
        yield "paused", f"by quota until {run.quota_until.astimezone(zone):%H:%M}"
    if cost.launches:
        cap = None if cost.budget is None else cost.budget.usd
        spent = dollars(cost.usd, cost.reserved_usd, cap)
        yield "claude", f"{spent}, {cost.launches:,} launches, {cost.tokens:,} tokens"
    yield "error", run.error or ""


def _running(document: ProgressDocument) -> Chapter:
    columns = (
        Title("item", elastic=True),
        Title("attempt", right=True),
        Title("step"),
        Title("what", elastic=True),
        Title("for", right=True),
        Title("cost", right=True),
    )
    return Chapter("At work", columns, tuple(_at_work(item) for item in document.running))


def _at_work(item: ItemAtWork) -> Row:
    return (
        Cell(item.text, "strong"),
        number(item.attempt),
        Cell(item.step or ""),
        Cell(item.name or "starting"),
        taken(item.elapsed_ms),
        money(item.cost_usd),
    )


def _retrying(document: ProgressDocument, now: datetime) -> Chapter:
    columns = (
        Title("item", elastic=True),
        Title("attempts", right=True),
        Title("again in", right=True),
        Title("failed with", elastic=True),
    )
    return Chapter("To be tried again", columns, tuple(_to_retry(item, now) for item in document.retrying))


def _to_retry(item: ItemToRetry, now: datetime) -> Row:
    wait = max(0.0, (item.ready_at - now).total_seconds()) if item.ready_at else 0.0
    return (
        Cell(item.text, "strong"),
        number(item.attempts),
        Cell(about(wait) if wait else "now", order=wait),
        Cell(f"{item.error_class}: {item.error}", "bad"),
    )


def _slowest(document: ProgressDocument) -> Chapter:
    rows = (
        (Cell(item.text, "strong"), status(item.status), number(item.attempts), taken(item.duration_ms))
        for item in document.slowest
    )
    columns = (
        Title("item", elastic=True),
        Title("status"),
        Title("attempts", right=True),
        Title("took", right=True),
    )
    return Chapter("Slowest", columns, tuple(rows))
