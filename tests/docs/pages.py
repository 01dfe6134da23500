"""The documentation as tests read it: pages, fenced blocks, marked tables and command lines."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)(?: title=\"(?P<title>[^\"]*)\")?\s*$")
_MARK = re.compile(r"<!-- checked: (.*?) -->")
_CODE = re.compile(r"`([^`]+)`")
_INLINE = re.compile(r"`((?:[\w./]*/)?prodigy [^`]+)`", re.DOTALL)
_FAR = re.compile(r"(?<=\S) {3,}")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its fence."""

    page: Path
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class CommandLine:
    """A call of the program somewhere on a page."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place}: prodigy {' '.join(self.words)}"


Row = tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page; one that is never closed is a failure."""
    lines = enumerate(page.read_text().splitlines(), 1)
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened is None:
            assert not line.lstrip().startswith("```"), f"{page}:{number}: a fence that cannot be read"
            continue
        indent = len(opened["indent"])
        inside: list[str] = []
        for _, text in lines:
            if text.strip() == "```":
                break
            inside.append(text[indent:])
        else:
            raise AssertionError(f"{page}:{number}: never closed")
        yield Block(page, number, opened["language"], opened["title"] or "", "\n".join(inside) + "\n")


def all_blocks(language: str) -> list[Block]:
    """The blocks of one language on all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language == language]


def tables() -> dict[str, list[Row]]:
    """The rows of every marked table by what it is marked with, without the heading; the same mark never twice."""
    found: dict[str, list[Row]] = {}
    for page in PAGES:
        lines = page.read_text().splitlines()
        for number, line in enumerate(lines):
            if mark := _MARK.fullmatch(line):
                assert mark[1] not in found, f"{page}: two tables are marked {mark[1]!r}"
                found[mark[1]] = list(_rows(lines[number + 1 :]))[2:]
    return found


def _rows(lines: list[str]) -> Iterator[Row]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield tuple(cell.strip() for cell in _CELL.split(line)[1:-1])


def code(cell: str) -> list[str]:
    """What a cell has in backquotes, in order."""
    return _CODE.findall(cell)


def column(rows: list[Row], number: int = 0) -> list[str]:
    """All that one column has in backquotes."""
    return [text for row in rows for text in code(row[number])]


def command_lines() -> list[CommandLine]:
    """Every call of the program in consoles, plain blocks and running text."""
    return [line for page in PAGES for line in _command_lines(page)]


def _command_lines(page: Path) -> Iterator[CommandLine]:
    name = str(page.relative_to(ROOT))
    outside = page.read_text()
    for block in blocks(page):
        outside = outside.replace(block.text, "")
        if block.language in {"", "console"}:
            for line in block.text.splitlines():
                yield from _calls(line.removeprefix("$ "), str(block))
    for call in _INLINE.findall(outside):
        yield from _calls(" ".join(call.split()), name)


def _calls(line: str, place: str) -> Iterator[CommandLine]:
    """The calls in one line of a shell, without comments, pipes, redirections and what else stands far to the right."""
    lexer = shlex.shlex(_FAR.split(line)[0], posix=True, punctuation_chars=True)
    lexer.wordchars += ":@#…"
    words: list[str] = []
    for word in [*lexer, "|"]:
        if set(word) <= set("|&;<>()"):
            if words and Path(words[0]).name == "prodigy":
                yield CommandLine(place, tuple(words[1:]))
            words = []
        else:
            words.append(word)
