"""Where a piece of a text stands in the file that the text came from.

Pure. The typed model keeps one mark per text; a problem inside the text looks its exact place up only when it is told.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping

from prodigy.workflow.model import Mark
from prodigy.workflow.nodes import Span

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

NEAR = 4_000
"""Characters behind a mark in which a key is looked for, so that many that are written otherwise cost little."""


class Places:
    """Finds places in several files.

    Args:
        texts: each file's text under the name that marks give it.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._starts: dict[str, list[int]] = {}
        self._found: dict[tuple[Mark, str], tuple[int, int]] = {}
        """By mark and needle: the last place that was asked for, from which the next one is near."""

    def find(self, mark: Mark, needle: str, nth: int = 0) -> Span:
        """The ``nth`` place (from 0) where ``needle`` stands after a mark; the mark itself if it is written otherwise."""
        text = self._texts.get(mark.file)
        if text is None or not needle:
            return point(mark)
        last, start = self._found.get((mark, needle), (-1, -1))
        if last < 0 or nth < last:
            last, start = -1, self._offset(mark) - 1
        for _ in range(nth - last):
            start = text.find(needle, start + 1)
            if start < 0:
                return point(mark)
        self._found[mark, needle] = (nth, start)
        return self._span(mark.file, start, start + len(needle))

    def value(self, mark: Mark, value: str, key: str) -> Span:
        """Where a scalar stands as the value of ``key``, at or after a mark; the mark itself if it is not found."""
        text = self._texts.get(mark.file)
        if text is None:
            return point(mark)
        pattern = re.compile(rf"\b{re.escape(key)}['\"]?\s*:\s*['\"]?({re.escape(value)})\b")
        start = self._offset(mark)
        match = pattern.search(text, start, start + NEAR)
        return point(mark) if match is None else self._span(mark.file, match.start(1), match.end(1))

    def _offset(self, mark: Mark) -> int:
        starts = self._lines(mark.file)
        return starts[min(mark.line, len(starts)) - 1] + mark.column - 1

    def _span(self, file: str, start: int, end: int) -> Span:
        starts = self._lines(file)
        first, last = bisect_right(starts, start), bisect_right(starts, max(start, end - 1))
        return Span(first, start - starts[first - 1] + 1, last, end - starts[last - 1] + 1, file)

    def _lines(self, file: str) -> list[int]:
        known = self._starts.get(file)
        if known is None:
            breaks = (match.end() for match in _LINE_BREAK.finditer(self._texts[file]))
            known = self._starts[file] = [0, *breaks]
        return known


def point(mark: Mark) -> Span:
    """A mark as a place of one column."""
    return Span(mark.line, mark.column, mark.line, mark.column + 1, mark.file)
