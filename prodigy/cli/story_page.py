"""A story as one page of HTML that needs nothing else: no network, no other file."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from prodigy.cli.story import Cell, Chapter, Row, Story, Title
from prodigy.cli.text import printable

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""A page that is shown to others loads nothing, whatever is written in it."""


def page(told: Story) -> Iterator[str]:
    """The page, in parts. Everything that was recorded is text in it, and nothing of it is markup."""
    look, sorting = (_packaged(name) for name in ("report.css", "report.js"))
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{_text(told.title)}</title>\n<style>\n{look}</style>\n</head>\n<body>\n"
    yield f'<h1>{_text(told.title)} <span class="{told.status.tone}">{_text(told.status.text)}</span></h1>\n<dl>\n'
    yield from (f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>\n" for name, text in told.facts)
    yield "</dl>\n"
    for chapter in told.chapters:
        yield from _chapter(chapter)
    yield from (f"<p>next: <code>{_text(command)}</code></p>\n" for command in told.next)
    yield f"<script>\n{sorting}</script>\n</body>\n</html>\n"


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"<h2>{_text(chapter.title)}</h2>\n<table>\n<thead><tr>"
    yield from (f'<th class="{_side(title)}">{_text(title.text)}</th>' for title in chapter.columns)
    yield "</tr></thead>\n<tbody>\n"
    yield from (_row(chapter, row) for row in chapter.rows)
    yield "</tbody>\n</table>\n"


def _row(chapter: Chapter, row: Row) -> str:
    shown = (_cell(title, cell) for title, cell in zip(chapter.columns, row, strict=True))
    return f"<tr>{''.join(shown)}</tr>\n"


def _cell(title: Title, cell: Cell) -> str:
    order = "" if cell.order is None else f' data-order="{cell.order:g}"'
    return f'<td class="{_side(title)} {cell.tone}"{order}>{_text(cell.text)}</td>'


def _side(title: Title) -> str:
    return "right" if title.right else "left"


def _text(text: str) -> str:
    return escape(printable(text))


def _packaged(name: str) -> str:
    return (files("prodigy") / "pages" / name).read_text(encoding="utf-8")
