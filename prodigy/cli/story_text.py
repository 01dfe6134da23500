"""A story on a terminal, and as Markdown."""

import re
from collections.abc import Iterator

from prodigy.cli.printer import Column, Printer, Span
from prodigy.cli.story import Chapter, Row, Story
from prodigy.cli.text import counted, home_short, printable

_MOST = 30
"""Rows of a chapter that a terminal shows."""
_ACTING = re.compile(r"[\\`*_{}\[\]<>#|~]")
"""What Markdown may take for more than text inside a line."""


# -- a terminal ----------------------------------------------------------------------------------------------------
def tell(told: Story, printer: Printer, home: str | None) -> int:
    """Print it; of long chapters the beginning, and how many rows are left out. How many lines that took."""
    printer.line(Span(told.title, "strong"), Span(f"  {told.status.text}", told.status.tone))
    width = max((len(name) for name, _ in told.facts), default=0) + 2
    for name, text in told.facts:
        printer.line(Span(f"  {name:<{width}}", "dim"), home_short(text, home))
    tables = sum(_table(chapter, printer, home) for chapter in told.chapters)
    if told.next:
        printer.line()
    for command in told.next:
        printer.line("next: ", Span(command, "accent"))
    return 1 + len(told.facts) + tables + (1 + len(told.next) if told.next else 0)


def _table(chapter: Chapter, printer: Printer, home: str | None) -> int:
    """Print one, with its title; how many lines that took."""
    printer.line()
    printer.line(Span(chapter.title, "strong"))
    columns = [Column(title.text, elastic=title.elastic, right=title.right) for title in chapter.columns]
    shown = ([Span(home_short(cell.text, home), cell.tone) for cell in row] for row in chapter.rows[:_MOST])
    printer.table(columns, shown)
    more = len(chapter.rows) - _MOST
    if more > 0:
        printer.line(
            Span(f"and {counted(more, 'more row')}: all with `--md -`, `--html FILE` or `--json`", "dim")
        )
    return 3 + min(_MOST, len(chapter.rows)) + (more > 0)


# -- Markdown ------------------------------------------------------------------------------------------------------
def markdown(told: Story) -> Iterator[str]:
    """Its lines, without their ends."""
    yield f"# {_escaped(told.title)}: {_escaped(told.status.text)}"
    yield ""
    yield from (f"- **{name}**: {_escaped(text)}" for name, text in told.facts)
    for chapter in told.chapters:
        yield ""
        yield f"## {chapter.title}"
        yield ""
        yield _line(title.text for title in chapter.columns)
        yield _line("---:" if title.right else "---" for title in chapter.columns)
        yield from (_markdown_row(row) for row in chapter.rows)
    if told.next:
        yield ""
        yield "Next: " + ", ".join(f"`{command}`" for command in told.next)


def _markdown_row(row: Row) -> str:
    return _line(_escaped(cell.text) for cell in row)


def _line(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return _ACTING.sub(lambda found: f"\\{found[0]}", printable(text))
