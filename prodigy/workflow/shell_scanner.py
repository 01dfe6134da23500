"""The output of a walk through a shell script: literal pieces, and the references between them.

Pure. References in text that the shell does not expand are found here as well, because nothing else stands in it.
"""

import re

from prodigy.workflow.refs import AnyRef, Computed, Ref, body_end, parse_ref
from prodigy.workflow.shell_script import Hole, Mention, Piece, Place, Use
from prodigy.workflow.shell_words import Frame, Names

_RAW = re.compile(r"\\\$|\$\$|\$\{\{|\$\{|\$[A-Za-z_]\w*", re.ASCII)
_ARGUMENT = re.compile(r"ARG(?:_\d+)?", re.ASCII)


class Scanner:
    """What a walk has found so far; everything before ``written`` is in ``pieces``.

    ``number`` is true where the shell evaluates arithmetic, ``frames`` are the levels of commands, innermost last.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces: list[Piece] = []
        self.mentions: list[Mention] = []
        self.frames: list[Frame] = []
        self.names = Names()
        self.written = 0
        self.number = False

    def flush(self, upto: int) -> None:
        """Everything before ``upto`` that is not written yet is literal."""
        if upto > self.written:
            self.pieces.append(self.text[self.written : upto])
            self.written = upto

    def use(self, use: Use) -> None:
        """Note a hole or mention for the word it stands in."""
        use.number = use.number or self.number
        if isinstance(use, Mention):
            self.mentions.append(use)
        if self.frames:
            self.frames[-1].word_uses.append(use)

    def hole(
        self,
        ref: AnyRef | None,
        name: str,
        start: int,
        end: int,
        place: Place,
        *,
        buried: bool = False,
    ) -> Hole:
        """Put a reference in place of the text from ``start`` to ``end``."""
        self.flush(start)
        source = self.text[start:end]
        hole = Hole(name, start, place, source=source, ref=ref, buried=buried)
        self.pieces.append(hole)
        self.written = end
        self.use(hole)
        return hole

    def raw(self, start: int, end: int, place: Place, *, buried: bool = False) -> None:
        """References in text that the shell does not expand."""
        position = start
        while (sign := _RAW.search(self.text, position, end)) is not None:
            position = sign.end()
            if sign[0] == "${{":
                close = self.text.find("}}", position, end)
                position = position if close < 0 else close + 2
            elif sign[0] == "${":
                close = body_end(self.text, position, end)
                ref = parse_ref(self.text[position:close]) if close >= 0 else None
                if ref is not None:
                    self.hole(ref, root_of(ref), sign.start(), close + 1, place, buried=buried)
                    position = close + 1
            elif sign[0][1:2].isalpha() or sign[0][1:2] == "_":
                self.raw_name(sign[0][1:], sign.start(), place, buried=buried)

    def raw_name(self, name: str, start: int, place: Place, *, buried: bool) -> None:
        """``$ARG`` is a reference even in single quotes, as it always was; other names are only noted."""
        if _ARGUMENT.fullmatch(name) and place is Place.SINGLE:
            ref = Ref(f"${name}", (name,))
            self.hole(ref, name, start, start + len(name) + 1, place, buried=buried)
        elif place is not Place.COMMENT:
            self.use(Mention(name, start, place))


def root_of(ref: AnyRef) -> str:
    """The name that decides whether a reference is ours."""
    return ref.kind if isinstance(ref, Computed) else ref.root
