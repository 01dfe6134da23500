"""Reads a shell script just far enough to know how the shell reads the place of each ``${…}``.

Pure and total: any text gives a ``Script``. It follows quotes, heredocs, comments, ``$(…)``, backquotes,
arithmetic and ``${x…}`` of POSIX sh and of bash, nested up to a bound. What it decides is only *how* a reference
is quoted: values themselves never become part of the script, so a misreading gives wrong text, not execution.
"""

import re
from functools import lru_cache

from prodigy.workflow.refs import AnyRef, Ref, body_end, parse_ref
from prodigy.workflow.shell_scanner import Scanner, root_of
from prodigy.workflow.shell_script import (
    BodyText,
    Delimiter,
    Heredoc,
    Hole,
    Mention,
    Place,
    Script,
    Terminator,
)
from prodigy.workflow.shell_words import QUOTING, Frame

MAX_DEPTH = 48

_ORDINARY = re.compile(r"[^\s'\"\\`$()<>;&|#]+")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEYS = re.compile(r"\[[@*]\]|[@*]\}")
_EXPANSION = re.compile(r"\$\{[#!]?(?:([A-Za-z_]\w*)|\d+|[@*#?$!-])?", re.ASCII)
_DOTTED = re.compile(r"[#!]?([A-Za-z_]\w*(?:-\w+)*)[.]", re.ASCII)
_DELIMITER = re.compile(r"[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\[^\n]|[^\s;&|<>()'\"\\`])+)")
_IN_DOUBLE = re.compile(r"[\"\\`$]")
_IN_HEREDOC = re.compile(r"[\\`$]")
_IN_ARITHMETIC = re.compile(r"[\\`$A-Za-z_]")
_IN_EXPANSION = re.compile(r"[\"'\\`$}]")
_BACKQUOTED = re.compile(r"(?:[^`\\]|\\.)*", re.DOTALL)
_PARENTHESIS = re.compile(r"[()]|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_SHELL_TEXT = re.compile(r"[\s$`'\"\\]")


@lru_cache(maxsize=4096)
def read_script(text: str) -> Script:
    """The script with its references and mentions found."""
    lexer = _Lexer(text)
    lexer.command(Frame(names=lexer.names))
    lexer.flush(len(text))
    lexer.follow()
    return Script(text, tuple(lexer.pieces), tuple(lexer.mentions))


class _Lexer(Scanner):
    """A recursive descent; ``position`` only grows, ``end`` bounds the region that is being read."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.position = 0
        self.end = len(text)
        self.depth = 0
        self.backquotes = 0
        self.unclosed_arithmetic = False

    def follow(self) -> None:
        """What a variable of the script is set from is evaluated where the variable is."""
        numbers = {mention.name for mention in self.mentions if mention.number} | self.names.evaluated
        names = {mention.name for mention in self.mentions if mention.name_only}
        for name, use in self.names.assigned:
            use.number = use.number or name in numbers
            use.name_only = use.name_only or name in names

    # Commands

    def command(self, frame: Frame) -> None:
        """Commands up to the frame's closer or the end of the region."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.raw(self.position, self.end, Place.BARE, buried=True)
            self.position = self.end
        self.frames.append(frame)
        while self.position < self.end:
            ordinary = _ORDINARY.match(self.text, self.position, self.end)
            if ordinary is not None:
                frame.begin_word(self.position)
                self.position = ordinary.end()
            elif self.sign(frame, self.text[self.position]):
                break
        frame.end_command(self.text, self.position)
        self.frames.pop()
        self.depth -= 1

    def sign(self, frame: Frame, sign: str) -> bool:
        """One sign that means something to the shell; true if it ends the frame."""
        match sign:
            case "'" | '"' | "`" | "$" | "\\":
                self.quoting(frame, sign)
            case "(" | ")":
                return self.parenthesis(frame, sign)
            case "<" | ">":
                self.redirection(frame, sign)
            case ";" | "&" | "|" | "\n":
                pipes = sign == "|" and self.text[self.position - 1 : self.position + 2].count("|") == 1
                frame.end_command(self.text, self.position, pipes=pipes)
                self.position += 1
                if sign == "\n":
                    self.heredocs(frame)
            case "#":
                self.comment(frame)
            case _:
                frame.end_word(self.text, self.position)
                self.position += 1
        return False

    def quoting(self, frame: Frame, sign: str) -> None:
        if sign == "\\":
            self.backslash(frame)
            return
        frame.begin_word(self.position)
        match sign:
            case "'":
                self.single()
            case '"':
                self.position += 1
                self.double('"')
            case "`":
                self.backquote(in_double=False)
            case _:
                self.dollar(Place.BARE)

    def backslash(self, frame: Frame) -> None:
        after = self.text[self.position + 1 : self.position + 2]
        if after == "\n":
            self.position += 2
            return
        frame.begin_word(self.position)
        if after == '"' and frame.escaped_quotes:
            self.position += 2
            self.double('\\"')
        elif after == "`" and self.backquotes:
            close = self.text.find("\\`", self.position + 2, self.end)
            stop = self.end if close < 0 else close
            self.raw(self.position + 2, stop, Place.BARE, buried=True)
            self.position = min(self.end, stop + 2)
        else:
            self.position = min(self.end, self.position + 2)

    def comment(self, frame: Frame) -> None:
        if frame.word_start >= 0:
            self.position += 1
            return
        stop = self.text.find("\n", self.position, self.end)
        stop = self.end if stop < 0 else stop
        self.raw(self.position, stop, Place.COMMENT)
        frame.word_uses.clear()
        self.position = stop

    def parenthesis(self, frame: Frame, sign: str) -> bool:
        if sign == "(":
            begins = frame.word_start < 0 and (frame.fresh or frame.words == ["for"])
            opens = begins and self.text.startswith("((", self.position)
            if opens and (close := self.arithmetic_end(self.position + 2)) >= 0:
                self.arithmetic(self.position + 2, close)
                self.position = close + 2
                frame.fresh = False
                return False
            frame.open(self.text, self.position)
            self.position += 1
            return False
        frame.end_command(self.text, self.position)
        self.position += 1
        if frame.nesting:
            if frame.nesting[-1] != "case":
                frame.nesting.pop()
            return False
        return frame.closer == ")"

    def redirection(self, frame: Frame, sign: str) -> None:
        if self.text[frame.word_start : self.position].isdigit() and frame.word_start >= 0:
            frame.word_start = -1
        frame.end_word(self.text, self.position)
        if self.text.startswith("<<", self.position) and not self.text.startswith("<<<", self.position):
            self.position += 2
            self.heredoc(frame)
            return
        frame.here_text = self.text.startswith("<<<", self.position)
        while self.position < self.end and self.text[self.position] in "<>&|":
            self.position += 1
        if sign == "<" or not self.text.startswith("(", self.position):
            frame.redirect = not frame.testing

    # Quotes

    def single(self) -> None:
        close = self.text.find("'", self.position + 1, self.end)
        stop = self.end if close < 0 else close
        self.raw(self.position + 1, stop, Place.SINGLE)
        self.position = min(self.end, stop + 1)

    def dollar_single(self) -> None:
        start = position = self.position + 2
        while position < self.end and self.text[position] != "'":
            position += 2 if self.text[position] == "\\" else 1
        stop = min(position, self.end)
        self.raw(start, stop, Place.DOLLAR_SINGLE)
        self.position = min(self.end, stop + 1)

    def double(self, closer: str) -> None:
        r"""The inside of double quotes; ``closer`` is ``\"`` within a backquoted part of double quotes."""
        while (sign := _IN_DOUBLE.search(self.text, self.position, self.end)) is not None:
            self.position = sign.start()
            if self.text.startswith(closer, self.position):
                self.position += len(closer)
                return
            self.inside(sign[0], in_double=True)
        self.position = self.end

    def inside(self, sign: str, *, in_double: bool, place: Place = Place.DOUBLE) -> None:
        """A sign within double quotes, a heredoc, arithmetic or an expansion."""
        if sign == "\\":
            self.position = min(self.end, self.position + 2)
        elif sign == "`":
            self.backquote(in_double=in_double)
        elif sign == "$":
            self.dollar(place)
        else:
            self.position += 1

    # Substitutions

    def dollar(self, place: Place) -> None:
        """``$`` and what follows it, outside single quotes."""
        after = self.text[self.position + 1 : min(self.end, self.position + 3)]
        if after.startswith("{{"):
            close = self.text.find("}}", self.position, self.end)
            self.position = self.position + 3 if close < 0 else close + 2
        elif after.startswith("{"):
            self.brace(place)
        elif after == "((" and (close := self.arithmetic_end(self.position + 3)) >= 0:
            self.arithmetic(self.position + 3, close)
            self.position = close + 2
        elif after.startswith("("):
            self.position += 2
            self.nested(Frame(names=self.names, closer=")"))
        elif after.startswith("[") and (close := self.text.find("]", self.position, self.end)) >= 0:
            self.arithmetic(self.position + 2, close)
            self.position = close + 1
        elif after.startswith("'") and place is Place.BARE:
            self.dollar_single()
        else:
            self.dollar_name(place)
        self.position = min(self.position, self.end)

    def dollar_name(self, place: Place) -> None:
        name = _NAME.match(self.text, self.position + 1, self.end)
        if name is not None:
            self.use(Mention(name[0], self.position, place))
            self.position = name.end()
        else:
            follows = self.text[self.position + 1 : self.position + 2]
            self.position += 2 if follows and follows in "$@*#?!-0123456789" else 1

    def nested(self, frame: Frame) -> None:
        """The inside of a substitution; heredocs that it leaves open are read by the level around it."""
        number, self.number = self.number, False
        self.command(frame)
        self.number = number
        if self.frames:
            self.frames[-1].pending += frame.pending

    def backquote(self, *, in_double: bool) -> None:
        inner = _BACKQUOTED.match(self.text, self.position + 1, self.end)
        stop = inner.end() if inner else self.end
        end, self.end = self.end, stop
        self.position += 1
        self.backquotes += 1
        self.nested(Frame(names=self.names, closer="`", escaped_quotes=in_double))
        self.backquotes -= 1
        self.position, self.end = min(end, stop + 1), end

    def brace(self, place: Place) -> None:
        """``${…}``: a reference, or an expansion of the shell."""
        start = self.position
        close = body_end(self.text, start + 2, self.end)
        body = self.text[start + 2 : close] if close >= 0 else ""
        ref = _shell_ref(body)
        dotted = _DOTTED.match(body)
        if ref is not None:
            self.hole(ref, root_of(ref), start, close + 1, place)
            self.position = close + 1
        elif dotted is not None:
            self.hole(None, dotted[1], start, close + 1, place)
            self.position = close + 1
        else:
            self.expansion(place)

    def expansion(self, place: Place) -> None:
        """``${x…}`` of the shell's own; references may stand inside it."""
        head = _EXPANSION.match(self.text, self.position, self.end)
        if head is None:
            self.position += 1
            return
        keyed = head[1] in self.names.keyed
        if head[1]:
            indirect = head[0][2] == "!" and _KEYS.match(self.text, head.end(), self.end) is None
            self.use(Mention(head[1], self.position, place, name_only=indirect))
        self.position = head.end()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.raw(self.position, self.end, Place.BARE, buried=True)
            self.position = self.end
        self.operand(in_double=place is not Place.BARE, keyed=keyed)
        self.depth -= 1

    def operand(self, *, in_double: bool, keyed: bool) -> None:
        """What follows the name in ``${x…}``, up to the closing brace."""
        operator = self.text[self.position : self.position + 2]
        arithmetic = (operator[:1] == "[" and not keyed) or (
            operator[:1] == ":" and operator[1:] not in "-=?+"
        )
        pattern = operator[:1] in {"#", "%", "/", "^", ","}
        number, self.number = self.number, self.number or arithmetic
        quotes = pattern or not in_double
        place = Place.BARE if quotes and not arithmetic else Place.DOUBLE
        while (sign := _IN_EXPANSION.search(self.text, self.position, self.end)) is not None:
            self.position = sign.start()
            if sign[0] == "}":
                self.position += 1
                break
            if sign[0] == "'" and quotes:
                self.single()
            elif sign[0] == '"':
                self.position += 1
                self.double('"')
            else:
                self.inside(sign[0], in_double=in_double, place=place)
        else:
            self.position = self.end
        self.number = number

    # Arithmetic

    def arithmetic_end(self, start: int) -> int:
        """Where the ``))`` stands that closes arithmetic begun before ``start``, or -1 if it is something else."""
        depth = 0
        if self.unclosed_arithmetic:
            return -1
        for sign in _PARENTHESIS.finditer(self.text, start, self.end):
            if sign[0] == "(":
                depth += 1
            elif sign[0] == ")" and depth:
                depth -= 1
            elif sign[0] == ")":
                return sign.start() if self.text.startswith("))", sign.start()) else -1
        self.unclosed_arithmetic = self.end == len(self.text)
        return -1

    def arithmetic(self, start: int, close: int) -> None:
        """References in arithmetic are numbers; names without ``$`` are variables there too."""
        self.depth += 1
        number, end = self.number, self.end
        self.number, self.end, self.position = True, close, start
        if self.depth > MAX_DEPTH:
            self.raw(start, close, Place.BARE, buried=True)
            self.position = close
        while (sign := _IN_ARITHMETIC.search(self.text, self.position, self.end)) is not None:
            self.position = sign.start()
            name = _NAME.match(self.text, self.position, self.end)
            if name is not None:
                self.use(Mention(name[0], self.position, Place.DOUBLE, bare=True))
                self.position = name.end()
            else:
                self.inside(sign[0], in_double=True)
        self.number, self.end = number, end
        self.depth -= 1

    # Heredocs

    def heredoc(self, frame: Frame) -> None:
        """``<<word``: remember it; its body follows the line."""
        strip = self.text.startswith("-", self.position)
        self.position += strip
        word = _DELIMITER.match(self.text, self.position, self.end)
        if word is None:
            return
        raw = word[1]
        delimiter = QUOTING.sub("", raw)
        heredoc = Heredoc(delimiter, quoted=delimiter != raw, strip_tabs=strip)
        self.flush(word.start(1))
        self.pieces.append(Delimiter(heredoc, raw))
        self.written = self.position = word.end()
        frame.pending.append(heredoc)

    def heredocs(self, frame: Frame) -> None:
        """The bodies of the heredocs of the line that just ended."""
        pending, frame.pending = frame.pending, []
        for heredoc in pending:
            start = self.position
            stop, after = self.body(heredoc)
            if heredoc.quoted:
                self.quoted_body(heredoc, start, stop, after)
            else:
                self.open_body(stop)
            for use in frame.word_uses if heredoc.is_code else ():
                use.reread = True
            frame.word_uses.clear()
            self.position = min(self.end, after + 1)

    def body(self, heredoc: Heredoc) -> tuple[int, int]:
        """Where a body ends, and where its terminator line ends."""
        start = self.position
        while start < self.end:
            newline = self.text.find("\n", start, self.end)
            stop = self.end if newline < 0 else newline
            line = self.text[start:stop]
            if (line.lstrip("\t") if heredoc.strip_tabs else line) == heredoc.delimiter:
                return start, stop
            start = stop + 1
        return self.end, self.end

    def open_body(self, stop: int) -> None:
        end, self.end = self.end, stop
        while (sign := _IN_HEREDOC.search(self.text, self.position, self.end)) is not None:
            self.position = sign.start()
            self.inside(sign[0], in_double=True)
        self.end = end

    def quoted_body(self, heredoc: Heredoc, start: int, stop: int, after: int) -> None:
        """A body that the shell leaves alone: its literal parts are pieces of their own."""
        self.flush(start)
        first = len(self.pieces)
        self.raw(start, stop, Place.QUOTED_HEREDOC, buried=self.backquotes > 0)
        self.flush(stop)
        for index in range(first, len(self.pieces)):
            piece = self.pieces[index]
            if isinstance(piece, Hole):
                piece.heredoc = heredoc
            elif isinstance(piece, str):
                self.pieces[index] = BodyText(heredoc, piece)
        if after > stop:
            self.pieces.append(Terminator(heredoc, self.text[stop:after]))
            self.written = after


def _shell_ref(body: str) -> AnyRef | None:
    """The reference that a body is in a script; a plain name with a default full of shell stays the shell's."""
    ref = parse_ref(body) if body else None
    plain = isinstance(ref, Ref) and len(ref.path) == 1 and not (ref.modifiers or ref.filters)
    if plain and _SHELL_TEXT.search(body.partition(":-")[2]):
        return None
    return ref
