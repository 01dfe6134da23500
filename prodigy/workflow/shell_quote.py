"""References in a shell script: written so that a value is whole wherever it stands, and never code.

Pure. A value is assigned to a private variable of the shell in a prologue, single-quoted; its place gets a
reference to that variable, quoted for how the shell reads that place. Shell syntax that is not ours survives byte
for byte, and a script without references of ours is returned as it is.
"""

import re
from collections.abc import Callable
from typing import Any

from prodigy.workflow.refs import Computed, Modifier, Ref
from prodigy.workflow.scope import UNDEFINED, Scope
from prodigy.workflow.shell_lexer import read_script
from prodigy.workflow.shell_script import (
    BodyText,
    Delimiter,
    Heredoc,
    Hole,
    Mention,
    Piece,
    Place,
    Script,
    Terminator,
)
from prodigy.workflow.template import evaluate, text
from prodigy.workflow.values import BadReference, text_of

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*", re.ASCII)
_WORD = re.compile(r"\w+", re.ASCII)
_ACTIVE = re.compile(r"[\\$`]")
_RAW = Modifier("raw")


def render_shell(source: str, scope: Scope) -> str:
    """The whole script, prologue first, ready for ``sh -c``.

    Raises:
        TemplateError: a reference that is undefined, or that cannot work where it stands.
    """
    return _Rendering(read_script(source), scope).script()


def single_quoted(value: str) -> str:
    """``value`` as one word of the shell.

    Raises:
        BadReference: for a NUL, which no argument or variable can hold.
    """
    if "\0" in value:
        raise BadReference("a value contains a NUL character, which no shell can hold")
    return "'" + value.replace("'", "'\\''") + "'"


def is_ours(hole: Hole, script: Script, knows: Callable[[str], bool]) -> bool:
    """Whether ``${…}`` is a reference here.

    A known root makes it one. Of the others, what only our grammar knows is one too (and undefined), except where
    the shell would not expand it or the script defines the name itself.
    """
    if isinstance(hole.ref, Computed):
        return hole.place not in _INERT
    if knows(hole.name):
        return True
    if hole.ref is None or hole.place in _INERT or hole.name in script.assigned:
        return False
    return not _is_shell_syntax(hole.ref)


def _is_shell_syntax(ref: Ref) -> bool:
    """A name, or a name with a default: what the shell reads as we do."""
    return len(ref.path) == 1 and not (ref.modifiers or ref.filters)


_INERT = frozenset({Place.SINGLE, Place.QUOTED_HEREDOC, Place.COMMENT})
"""Places where a script keeps the code of other languages: an unknown name there is theirs."""


class _Rendering:
    """One script in one scope."""

    def __init__(self, script: Script, scope: Scope) -> None:
        self.source = script
        self.scope = scope
        self.ours = {id(hole) for hole in script.holes if is_ours(hole, script, scope.knows)}
        self.opened = {id(hole.heredoc) for hole in script.holes if id(hole) in self.ours and hole.heredoc}
        self.variables: dict[str, str] = {}
        self.prefix = "__p"
        while self.prefix in script.text:
            self.prefix += "_"

    def script(self) -> str:
        body = "".join([self.piece(piece) for piece in self.source.pieces])
        private = [f"{name}={single_quoted(value)}\n" for value, name in self.variables.items()]
        return "".join([*private, *self.named(), body])

    def piece(self, piece: Piece) -> str:
        match piece:
            case str():
                return piece
            case Hole():
                return self.hole(piece) if id(piece) in self.ours else piece.source
            case Delimiter():
                return self.closer(piece.heredoc) if id(piece.heredoc) in self.opened else piece.text
            case BodyText():
                escape = id(piece.heredoc) in self.opened
                return _ACTIVE.sub(r"\\\g<0>", piece.text) if escape else piece.text
            case Terminator():
                return self.closer(piece.heredoc) if id(piece.heredoc) in self.opened else piece.text

    def closer(self, heredoc: Heredoc) -> str:
        """The delimiter of a quoted heredoc that has to be opened for a value: the same word without quotes."""
        if _WORD.fullmatch(heredoc.delimiter):
            return heredoc.delimiter
        word = f"{self.prefix}end"
        while word in self.source.text:
            word += "_"
        return word

    def hole(self, hole: Hole) -> str:
        if hole.place is Place.COMMENT:
            return ""
        ref = _usable(hole)
        value = evaluate(ref, self.scope)
        if isinstance(ref, Ref) and _RAW in ref.modifiers:
            return text(value, ref)
        if isinstance(value, list | tuple) and hole.alone:
            return " ".join(f'"{self.variable(text_of(element))}"' for element in value)
        written = text(value, ref)
        if hole.number and not _NUMBER.fullmatch(written):
            raise BadReference(f"`{hole.source}` stands in arithmetic and must be a number")
        if hole.heredoc is not None and hole.heredoc.delimiter in written.split("\n"):
            message = f"a line of `{hole.source}` would end the heredoc it stands in"
            raise BadReference(message, code="quoted-heredoc-collision", hint="choose another delimiter")
        return self.quoted(self.variable(written), hole)

    def quoted(self, reference: str, hole: Hole) -> str:
        if hole.number and hole.place is not Place.SINGLE:
            return reference
        match hole.place:
            case Place.BARE:
                return f'"{reference}"'
            case Place.SINGLE:
                return f"'\"{reference}\"'"
            case _:
                return reference

    def variable(self, value: str) -> str:
        """A reference to the private variable that holds ``value``."""
        name = self.variables.setdefault(value, f"{self.prefix}{len(self.variables) + 1}")
        return f"${{{name}}}"

    def named(self) -> list[str]:
        """Assignments of the known names that the script itself mentions."""
        wanted: dict[str, list[Mention]] = {}
        for mention in self.source.mentions:
            if mention.place not in _INERT and self.scope.knows(mention.name):
                wanted.setdefault(mention.name, []).append(mention)
        lines = [self.assignment(name, mentions) for name, mentions in wanted.items()]
        return [line for line in lines if line]

    def assignment(self, name: str, mentions: list[Mention]) -> str:
        value: Any = self.scope.lookup((name,))
        if value is UNDEFINED:
            return ""
        written = text_of(value)
        if any(mention.number for mention in mentions) and not _NUMBER.fullmatch(written):
            if name in self.source.assigned or all(mention.bare for mention in mentions):
                return ""
            raise BadReference(f"`${name}` stands in arithmetic and must be a number")
        return f"{name}={single_quoted(written)}\n"


def _usable(hole: Hole) -> Ref | Computed:
    """The reference of a hole, refused where none can stand."""
    if hole.ref is None:
        hint = "capture the value under a plain name first"
        raise BadReference(f"`{hole.source}` mixes a dotted name with shell syntax", hint=hint)
    if hole.place is Place.DOLLAR_SINGLE:
        raise BadReference(f"`{hole.source}` stands in $'…'", hint='use "…"')
    if hole.buried:
        raise BadReference(f"`{hole.source}` stands in backquotes or nesting too deep", hint="use $(…)")
    return hole.ref
