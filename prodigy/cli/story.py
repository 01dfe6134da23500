"""A report as something to read: facts and chapters of rows, which text, Markdown and HTML show each in its own way.

Pure: a report comes in. Cells are text as it was recorded; whoever shows them makes it harmless there.
"""

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import NamedTuple

from prodigy.cli.printer import Tone
from prodigy.cli.text import counted, dollars, duration, local_time
from prodigy.job.report import FailureGroup, ItemReport, Report
from prodigy.job.state import MergeOutcome

_SHORT_SHA = 10
_STATUS_TONES: dict[str, Tone] = {
    "completed": "good",
    "done": "good",
    "merged": "good",
    "running": "accent",
    "merging": "accent",
    "failed": "bad",
    "conflicted": "warning",
    "interrupted": "warning",
    "budget-exhausted": "warning",
    "corrupt": "bad",
}
_FIRST = ("failed", "running", "merging", "pending", "skipped", "done")
"""Items by what they ask of the reader."""


class Cell(NamedTuple):
    """A text; ``order`` is what columns are sorted by where they can be, ``None`` for the text itself."""

    text: str
    tone: Tone = "plain"
    order: float | None = None


class Title(NamedTuple):
    """A column's; numbers stand on the right, what may be long is ``elastic``."""

    text: str
    right: bool = False
    elastic: bool = False


Row = tuple[Cell, ...]


class Chapter(NamedTuple):
    """A titled table."""

    title: str
    columns: tuple[Title, ...]
    rows: tuple[Row, ...]


class Story(NamedTuple):
    """What is told of a run."""

    title: str
    status: Cell
    facts: tuple[tuple[str, str], ...]
    chapters: tuple[Chapter, ...]
    next: tuple[str, ...]


def story(report: Report, zone: tzinfo | None = None) -> Story:
    """The story of a run, its times in ``zone``, else on the reader's clock; chapters with nothing in them are left out."""
    chapters = (
        _phases(report, zone),
        _failures(report.failures),
        _items(report),
        _retries(report),
        _merges(report.merges, zone),
        _steps(report),
        _models(report),
        _path(report, zone),
        _rescues(report),
    )
    return Story(
        title=report.run.session_id,
        status=status(report.status),
        facts=tuple((name, text) for name, text in _facts(report, zone) if text),
        chapters=tuple(chapter for chapter in chapters if chapter.rows),
        next=tuple(report.next),
    )


def _facts(report: Report, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    run, cost, items = report.run, report.cost, report.items
    yield "workflow", run.workflow if not run.workflow_path else f"{run.workflow}  {run.workflow_path}"
    yield "repository", run.repo
    yield "job", run.job_id
    yield "values", ", ".join(run.arguments)
    yield "began", local_time(run.started_at, zone)
    yield "ended", local_time(run.ended_at, zone) if run.ended_at else ""
    yield "took", duration(report.duration_ms / 1000)
    yield "error", run.error or ""
    if run.pause is not None:
        until = f" until {local_time(run.pause.until, zone)}" if run.pause.until is not None else ""
        yield "paused", f"{run.pause.message}{until}"
    if items.total:
        unchanged = f" ({items.unchanged:,} without a change)" if items.unchanged else ""
        left = items.total - items.done - items.failed - items.skipped
        rest = f", {left:,} not finished" if left else ""
        yield (
            "items",
            f"{items.done:,} done{unchanged}, {items.failed:,} failed, {items.skipped:,} skipped{rest} of {items.total:,}",
        )
    yield "queue", f"{counted(run.dlq_count, 'item')} in the dead letter queue" if run.dlq_count else ""
    yield (
        "commits",
        f"{run.commits:,}, {counted(run.files_changed, 'file')}, on {report.branch}"
        if run.commits
        else "none",
    )
    yield "merge", f"merged into {report.merged_into}" if report.merge == "merged" else report.merge
    cap = None if cost.budget is None else cost.budget.usd
    if cost.launches:
        tokens = sum(cost.tokens.values())
        estimated = f", ${cost.estimated_usd:.2f} of it estimated" if cost.estimated_usd else ""
        spent = dollars(cost.usd, cost.reserved_usd, cap)
        yield (
            "claude",
            f"{spent}{estimated}, {counted(cost.launches, 'launch', 'launches')}, {tokens:,} tokens",
        )
    if report.before is not None:
        before = report.before
        yield "resumed", f"with {before.done:,} items done, {counted(before.commits, 'commit')} before"
    yield (
        "again",
        f"{counted(len(report.repeated), 'effect')} cut off and paid again" if report.repeated else "",
    )
    yield "left running", ", ".join(f"pid {one.pid}" for one in report.detached)


def status(text: str) -> Cell:
    """How a run, a phase, an item or a merge stands."""
    return Cell(text, _STATUS_TONES.get(text, "plain"))


def _stands(text: str, report: Report) -> str:
    """How a phase or an item stands; nothing runs in a run that does not live."""
    return "not finished" if text == "running" and not report.run.live else text


def number(value: int) -> Cell:
    """A count."""
    return Cell(f"{value:,}", order=value)


def money(value: float) -> Cell:
    """US dollars; nothing for none."""
    return Cell(f"${value:.2f}" if value else "", order=value)


def taken(milliseconds: int) -> Cell:
    """A length of time."""
    return Cell(duration(milliseconds / 1000), order=milliseconds)


def _phases(report: Report, zone: tzinfo | None) -> Chapter:
    rows = (
        (
            Cell(phase.phase, "strong"),
            status(_stands(phase.status, report)),
            Cell(local_time(phase.started_at, zone)),
            taken(phase.duration_ms) if phase.status != "running" else Cell("", order=0),
            Cell(phase.error.message if phase.error else ""),
        )
        for phase in sorted(report.phases, key=lambda phase: phase.started_at)
    )
    columns = (
        Title("phase"),
        Title("status"),
        Title("began"),
        Title("took", right=True),
        Title("error", elastic=True),
    )
    return Chapter("Phases", columns, tuple(rows))


def _failures(groups: Iterable[FailureGroup]) -> Chapter:
    columns = (
        Title("items", right=True),
        Title("class"),
        Title("message", elastic=True),
        Title("such as"),
        Title("log"),
    )
    return Chapter("Failures", columns, tuple(_failure(group) for group in groups))


def _failure(group: FailureGroup) -> Row:
    sample = group.samples[0]
    logs = (sample.json_log_location, *sample.logs)
    return (
        number(group.count),
        Cell(group.error_class, "bad"),
        Cell(group.message),
        Cell(sample.text),
        Cell(next((log for log in logs if log), ""), "dim"),
    )


def _items(report: Report) -> Chapter:
    columns = (
        Title("item", elastic=True),
        Title("status"),
        Title("attempts", right=True),
        Title("took", right=True),
        Title("cost", right=True),
        Title("commits", right=True),
        Title("error", elastic=True),
    )
    known = sorted(report.items.every, key=lambda item: (_FIRST.index(item.status), item.index))
    return Chapter("Items", columns, tuple(_item(item, report) for item in known))


def _item(item: ItemReport, report: Report) -> Row:
    return (
        Cell(item.text, "strong"),
        status(_stands(item.status, report)),
        number(item.attempts),
        taken(item.duration_ms),
        money(item.cost_usd),
        number(len(item.commits)),
        Cell(f"{item.error_class}: {item.error}" if item.error_class else item.error or ""),
    )


def _retries(report: Report) -> Chapter:
    tried = sorted(
        (item for item in report.items.every if item.attempts > 1), key=lambda item: -item.attempts
    )
    rows = ((Cell(item.text, "strong"), number(item.attempts), status(item.status)) for item in tried)
    columns = (Title("item", elastic=True), Title("attempts", right=True), Title("status"))
    return Chapter("Tried again", columns, tuple(rows))


def _merges(merges: Iterable[MergeOutcome], zone: tzinfo | None) -> Chapter:
    """The final merges, and those that did not go through."""
    shown = (merge for merge in merges if merge.what == "final" or merge.result != "merged")
    columns = (
        Title("when"),
        Title("what"),
        Title("result"),
        Title("into"),
        Title("commit"),
        Title("why", elastic=True),
    )
    return Chapter("Merges", columns, tuple(_merge(merge, zone) for merge in shown))


def _merge(merge: MergeOutcome, zone: tzinfo | None) -> Row:
    return (
        Cell(local_time(merge.at, zone)),
        Cell(merge.item_id or merge.what),
        status(merge.result),
        Cell(merge.target_branch),
        Cell((merge.new or "")[:_SHORT_SHA]),
        Cell(merge.message or ", ".join(merge.paths)),
    )


def _steps(report: Report) -> Chapter:
    rows = (
        (
            Cell(step.phase),
            Cell(step.step),
            Cell(step.name),
            number(step.launches),
            number(step.tokens),
            money(step.usd),
        )
        for step in report.cost.by_step
    )
    columns = (
        Title("phase"),
        Title("step"),
        Title("what", elastic=True),
        Title("launches", right=True),
        Title("tokens", right=True),
        Title("cost", right=True),
    )
    return Chapter("Cost by step", columns, tuple(rows))


def _models(report: Report) -> Chapter:
    rows = (
        (Cell(one.model or "unknown"), number(one.launches), number(one.tokens), money(one.usd))
        for one in report.cost.by_model
    )
    columns = (
        Title("model"),
        Title("launches", right=True),
        Title("tokens", right=True),
        Title("cost", right=True),
    )
    return Chapter("Cost by model", columns, tuple(rows))


def _path(report: Report, zone: tzinfo | None) -> Chapter:
    rows = (
        (
            Cell(link.phase, "strong"),
            Cell(link.text or ""),
            Cell(f"{link.attempt}" if link.attempt else "", order=link.attempt or 0),
            Cell(local_time(link.started_at, zone)),
            taken(link.duration_ms),
        )
        for link in report.critical_path
    )
    columns = (
        Title("phase"),
        Title("item", elastic=True),
        Title("attempt", right=True),
        Title("began"),
        Title("took", right=True),
    )
    return Chapter("What the run waited for", columns, tuple(rows))


def _rescues(report: Report) -> Chapter:
    rows = ((Cell(f"git switch -c saved {ref}"),) for ref in report.rescue_refs)
    return Chapter("Unmerged work", (Title("to look at it"),), tuple(rows))
