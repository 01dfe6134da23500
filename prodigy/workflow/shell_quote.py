"""References in a shell script: written so that a value is whole wherever it stands, and never code.

Pure. A value is assigned to a private variable of the shell in a prologue, single-quoted; its place gets a
reference to that variable, quoted for how the shell reads that place. A secret is never assigned: its place gets a
reference to the environment variable that holds it. Shell syntax that is not ours survives byte for byte, and a
script without references of ours is returned as it is.
"""

import re
from collections.abc import Callable
from typing import Any

from prodigy.workflow.refs import AnyRef, Computed, Dollar, Fold, Modifier, Ref, Template
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
    is_array,
)
from prodigy.workflow.template import evaluate
from prodigy.workflow.values import BadReference, is_blank, text, text_of

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
        return hole.place not in _INERT and hole.name not in script.assigned
    if isinstance(hole.ref, Fold) and hole.ref.kind in script.assigned:
        return False
    if knows(hole.name):
        return True
    if hole.ref is None or hole.place in _INERT or hole.name in script.assigned:
        return False
    return not _is_shell_syntax(hole.ref, script)


def _is_shell_syntax(ref: Ref | Fold, script: Script) -> bool:
    """A name, or a name with a default or an offset: what the shell reads as we do; or an array it may have."""
    if isinstance(ref, Fold):
        return len(ref.path) == 1 and ref.where is None
    if ref.modifiers or ref.filters:
        return False
    is_element = len(ref.path) == 2 and "[" in ref.source  # noqa: PLR2004 - NAME[index]
    return len(ref.path) == 1 or (is_element and (script.loads_code or is_array(ref.root)))


_INERT = frozenset({Place.SINGLE, Place.DOLLAR_SINGLE, Place.QUOTED_HEREDOC, Place.COMMENT})
"""Places where a script keeps the code of other languages: an unknown name there is theirs."""


class _Rendering:
    """One script in one scope."""

    def __init__(self, script: Script, scope: Scope) -> None:
        self.source = script
        self.scope = scope
        self.ours = {id(hole) for hole in script.holes if is_ours(hole, script, scope.knows)}
        self.opened = {id(hole.heredoc) for hole in script.holes if id(hole) in self.ours and hole.heredoc}
        self.variables: dict[str, str] = {}
        self.followed = script.assigned - {mention.name for mention in script.mentions if mention.number}
        """Names that the script sets anew: their places refer to the name itself, so that they follow it."""
        self.shared: set[str] = set()
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
        ref = self.chosen(_usable(hole))
        value = evaluate(ref, self.scope)
        secret = self.secret(ref)
        if secret is not None:
            self.check_number(hole, text_of(value))
            return self.quoted(_to_secret(secret, hole), hole)
        if isinstance(ref, Ref) and _RAW in ref.modifiers:
            return text(value, ref)
        if isinstance(value, list | tuple) and hole.alone:
            return " ".join(f'"{self.variable(text_of(element))}"' for element in value)
        written = text(value, ref)
        self.check_number(hole, written)
        if isinstance(ref, Ref) and ref.is_plain and ref.root in self.followed:
            self.shared.add(ref.root)
            return self.quoted(f"${{{ref.root}}}", hole)
        return self.quoted(self.variable(written), hole)

    def chosen(self, ref: AnyRef) -> AnyRef:
        """The reference itself, or the one reference that is its default where it has no value of its own."""
        while isinstance(ref, Ref) and ref.default is not None and is_blank(self.scope.lookup(ref.path)):
            only = ref.default.pieces[0] if len(ref.default.pieces) == 1 else None
            if not isinstance(only, AnyRef):
                self.refuse_secrets(ref.default, ref)
                break
            ref = only
        return ref

    def secret(self, ref: AnyRef) -> str | None:
        """The environment variable to refer to instead of a value."""
        name = self.scope.secret(ref.path) if isinstance(ref, Ref) else None
        if name is not None and isinstance(ref, Ref) and (ref.modifiers or ref.filters):
            raise _changed_secret(ref.source)
        return name

    def refuse_secrets(self, template: Template, ref: Ref) -> None:
        for piece in template.refs():
            path = (
                (piece.name,) if isinstance(piece, Dollar) else piece.path if isinstance(piece, Ref) else None
            )
            if path is not None and self.scope.secret(path) is not None:
                raise _changed_secret(ref.source)

    @staticmethod
    def check_number(hole: Hole, written: str) -> None:
        if hole.number and not _NUMBER.fullmatch(written):
            raise BadReference(f"`{hole.source}` stands in arithmetic and must be a number")
        if hole.name_only and not _WORD.fullmatch(written):
            raise BadReference(f"`{hole.source}` must be the name of a variable")

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
        wanted: dict[str, list[Mention]] = {name: [] for name in sorted(self.shared)}
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
        if any(mention.name_only for mention in mentions) and not _WORD.fullmatch(written):
            raise BadReference(f"`${{!{name}}}` needs the name of a variable")
        if any(mention.number for mention in mentions) and not _NUMBER.fullmatch(written):
            inherited = self.scope.lookup(("env", name)) is not UNDEFINED
            bare = all(mention.bare for mention in mentions)
            if name in self.source.assigned or (bare and not inherited):
                return ""
            raise BadReference(f"`${name}` stands in arithmetic and must be a number")
        return "" if self.scope.secret((name,)) is not None else f"{name}={single_quoted(written)}\n"


def _to_secret(name: str, hole: Hole) -> str:
    """A reference to the variable that holds a secret, refused where the value would become part of a text."""
    if hole.heredoc is not None:
        hint = "leave the quotes of the heredoc's delimiter away"
        raise BadReference(f"the secret `{hole.source}` stands in a quoted heredoc", hint=hint)
    return f"${{{name}}}"


def _changed_secret(source: str) -> BadReference:
    hint = "read the environment variable in the command itself and change it there"
    return BadReference(f"`{source}` would write a secret into the script", hint=hint)


def _usable(hole: Hole) -> AnyRef:
    """The reference of a hole, refused where none can stand."""
    if hole.ref is None:
        hint = "capture the value under a plain name first"
        raise BadReference(f"`{hole.source}` mixes a dotted name with shell syntax", hint=hint)
    if hole.place is Place.DOLLAR_SINGLE:
        raise BadReference(f"`{hole.source}` stands in $'…'", hint='use "…"')
    if hole.buried:
        raise BadReference(f"`{hole.source}` stands in backquotes or nesting too deep", hint="use $(…)")
    return hole.ref
