"""Static checks of one text: a shell script, or plain text with references.

Pure. What is certainly wrong is an error; what the shell may still make sense of is a warning.
"""

import re
from bisect import bisect_right

from msgspec import Struct

from prodigy.workflow.model import Mark
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Placed, Span
from prodigy.workflow.problems import Problems, Severity, quoted
from prodigy.workflow.refs import (
    FILTERS,
    MODIFIERS,
    PATH,
    Computed,
    Dollar,
    Malformed,
    Modifier,
    Ref,
    compile_text,
)
from prodigy.workflow.shell_lexer import read_script
from prodigy.workflow.shell_quote import is_ours
from prodigy.workflow.shell_script import Hole, Mention, Place, Script
from prodigy.workflow.variables import TEXTS, VARIABLES, Known, Refusal, is_later

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_OF_THE_SHELL = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|TERM|LANG|LC_\w+|TZ|TMPDIR|PWD|OLDPWD|IFS|PPID|UID|EUID|HOSTNAME|RANDOM|SECONDS"
    r"|LINENO|BASH\w*|FUNCNAME|PIPESTATUS|REPLY|OPTARG|OPTIND|CI|PRODIGY_\w+|XDG_\w+|EDITOR|PS[1-4]",
    re.ASCII,
)
"""Variables that every child of ours or every shell has."""
_SUFFIX = re.compile(r"\s*[:|]\s*([a-z_]+)")
_RAW = Modifier("raw")


_EXPANDED = frozenset({Place.BARE, Place.DOUBLE})


class _Needle(Struct, frozen=True):
    """The ``nth`` place (from 0) where ``text`` stands after ``mark``, looked for only when there is a problem."""

    mark: Mark
    text: str
    nth: int


class TextChecker:
    """Checks texts of one file."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.text = text
        self.problems = problems
        self._starts: list[int] | None = None

    def plain(self, text: str, mark: Mark, known: Known) -> None:
        """A text of the plain rule."""
        seen: dict[str, int] = {}
        for piece in compile_text(text).refs():
            if self.problems.full:
                return
            nth = seen[piece.source] = seen.get(piece.source, -1) + 1
            at = _Needle(mark, piece.source, nth)
            if isinstance(piece, Malformed):
                self._malformed(at, piece.reason)
            elif isinstance(piece, Dollar):
                self._dollar(piece, known, at)
            elif (refusal := known.refusal(piece)) is not None:
                self._refuse(refusal, at)

    def script(self, text: str, mark: Mark, known: Known) -> None:
        """A text of the shell rule."""
        if "$" not in text:
            return
        script = read_script(text)
        seen: dict[str, int] = {}
        for hole in script.holes:
            if self.problems.full:
                return
            nth = seen[hole.source] = seen.get(hole.source, -1) + 1
            if hole.place is not Place.COMMENT:
                self._hole(hole, script, _Needle(mark, hole.source, nth), known)
        for mention in script.mentions:
            self._mention(mention, mark, known)

    def locate(self, mark: Mark, needle: str, key: str) -> Span | None:
        """Where a scalar ``needle`` stands as the value of ``key``, after ``mark``."""
        pattern = re.compile(rf"\b{re.escape(key)}['\"]?\s*:\s*['\"]?({re.escape(needle)})\b")
        match = pattern.search(self.text, self._offset(mark))
        return None if match is None else self._span(match.start(1), match.end(1))

    def _hole(self, hole: Hole, script: Script, at: "_Needle", known: Known) -> None:
        if not is_ours(hole, script, known.knows):
            self._left(hole, script, known, at)
        elif hole.ref is None:
            self._malformed(at, "a dotted name cannot take an operator of the shell")
        elif (refusal := known.refusal(hole.ref)) is not None:
            self._refuse(refusal, at)
        elif hole.place is Place.DOLLAR_SINGLE:
            self._tell("error", "bad-reference", f"`{hole.source}` stands in $'…'", at, 'use "…"')
        elif hole.buried:
            message = f"`{hole.source}` stands in backquotes or nesting too deep"
            self._tell("error", "bad-reference", message, at, "use $(…)")
        else:
            self._advise(hole, hole.ref, at)

    def _advise(self, hole: Hole, ref: Ref | Computed, at: "_Needle") -> None:
        """Warn of references that work, but perhaps not as meant."""
        if hole.reread:
            message = f"`{hole.source}` becomes part of code that another shell reads"
            hint = "pass it as a positional argument: sh -c '… \"$1\" …' sh ${…}"
            self._tell("warning", "nested-shell", message, at, hint)
        if not isinstance(ref, Ref):
            return
        if _RAW in ref.modifiers:
            self._tell("note", "raw-text", f"`{hole.source}` is pasted into the script as it is", at)
        is_text = ref.path[-1] in TEXTS and len(ref.path) > 1 and not (ref.modifiers or ref.filters)
        if hole.for_list and hole.place is Place.BARE and (is_text or ref.root == "ARG"):
            message = f"`{hole.source}` is one word here: the loop runs once"
            hint = f"write `${{{ref.name}:words}}` to split it at white space"
            self._tell("warning", "shell-word-split", message, at, hint)

    def _left(self, hole: Hole, script: Script, known: Known, at: "_Needle") -> None:
        """A plain name that is not ours is the shell's, if the shell can know it."""
        ref, name = hole.ref, hole.name
        if not isinstance(ref, Ref) or ref.default is not None or hole.place not in _EXPANDED:
            return
        if name in script.assigned or script.loads_code or _OF_THE_SHELL.fullmatch(name) or "-" in name:
            return
        elsewhere = name in VARIABLES or is_later(name) or name in known.later_ids
        refusal = known.refusal(ref) if elsewhere or nearest(name, known.names()) is not None else None
        if refusal is not None:
            self._refuse(refusal, at)
            return
        message = f"`{name}` is no variable of Prodigy, and the script does not set it"
        self._tell("warning", "maybe-undefined", message, at, "the environment may still have it")

    def _mention(self, mention: Mention, mark: Mark, known: Known) -> None:
        if mention.place is not Place.SINGLE or not known.knows(mention.name):
            return
        variable = VARIABLES.get(mention.name)
        if variable is None or variable.fields is not None:
            return
        message = f"`${mention.name}` stays as it is in single quotes"
        at = _Needle(mark, f"${mention.name}", 0)
        self._tell("warning", "single-quoted-variable", message, at, f"write `${{{mention.name}}}`")

    def _dollar(self, piece: Dollar, known: Known, at: "_Needle") -> None:
        if not known.knows(piece.name):
            message = f"`{piece.source}` is no variable of Prodigy and stays as it is"
            hint = f"write `\\{piece.source}` if that is meant"
            self._tell("warning", "maybe-undefined", message, at, hint)

    def _malformed(self, at: "_Needle", reason: str) -> None:
        """``${…}`` that does not parse: a modifier that does not exist, or no reference at all."""
        body = at.text.removeprefix("${").removesuffix("}").strip()
        path = PATH.match(body)
        suffix = _SUFFIX.match(body, path.end()) if path is not None else None
        if suffix is None or suffix[1] in MODIFIERS | FILTERS:
            hint = "capture the value under a plain name first, or write `\\${` for a literal `${`"
            self._tell("error", "bad-reference", f"{quoted(at.text)}: {reason}", at, hint)
            return
        meant = nearest(suffix[1], sorted(MODIFIERS | FILTERS))
        hints = () if meant is None else (f"did you mean `{meant}`?",)
        message = f"{quoted(at.text)} has an unknown modifier `{suffix[1]}`"
        self._tell("error", "unknown-modifier", message, at, *hints)

    def _refuse(self, refusal: Refusal, at: "_Needle") -> None:
        self._tell("error", refusal.code, refusal.message, at, *refusal.hints)

    def _tell(self, severity: Severity, code: str, message: str, at: "_Needle", *hints: str) -> None:
        self.problems.add(severity, code, message, self._find(at), *hints)

    def _find(self, needle: "_Needle") -> Placed:
        """Where a text stands; its scalar's mark if the file writes it otherwise."""
        mark = needle.mark
        start = self._offset(mark) - 1
        for _ in range(needle.nth + 1):
            start = self.text.find(needle.text, start + 1)
            if start < 0:
                break
        if start < self._offset(mark):
            return Span(mark.line, mark.column, mark.line, mark.column + 1)
        return self._span(start, start + len(needle.text))

    def _offset(self, mark: Mark) -> int:
        return self._lines()[mark.line - 1] + mark.column - 1

    def _span(self, start: int, end: int) -> Span:
        starts = self._lines()
        first, last = bisect_right(starts, start), bisect_right(starts, max(start, end - 1))
        return Span(first, start - starts[first - 1] + 1, last, end - starts[last - 1] + 1)

    def _lines(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(self.text))]
        return self._starts
