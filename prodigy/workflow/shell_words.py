"""What the words of a shell command mean for the references in them.

Pure. A frame is fed by the lexer, word by word, and marks the uses: which are whole words, which the shell evaluates as
arithmetic, which another shell reads as code, and which are the words of a loop.
"""

import re

from msgspec import Struct, field

from prodigy.workflow.shell_script import Heredoc, Hole, Place, Use

_ASSIGNING = re.compile(r"([A-Za-z_]\w*)(?:\[.*?\])?\+?=", re.ASCII | re.DOTALL)
_SUBSCRIPT = re.compile(r"([A-Za-z_]\w*)\[", re.ASCII)
QUOTING = re.compile(r"['\"\\]")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RUNS_TEXT = re.compile(r"-[a-zA-Z]*c")

_BEFORE_COMMAND = frozenset({
    "if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "time", "fi", "done", "coproc",
})  # fmt: skip
_ARITHMETIC_TESTS = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
_NAME_TESTS = frozenset({"-v", "-R"})
_NAMING = frozenset(
    {"let", "declare", "typeset", "local", "unset", "read", "mapfile", "readarray", "getopts"}
)
"""Commands of bash that evaluate their arguments' names, subscripts included, as arithmetic."""
_READING = frozenset({"read", "mapfile", "readarray"})
_DECLARING = frozenset({"declare", "typeset", "local", "export", "readonly"})
_EVALUATED = re.compile(r"-\w*[in]\w*")
"""Options of a declaration whose values are evaluated: integers and references to names."""
_KEYED = re.compile(r"-\w*A\w*")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "su"})
_PREFIXES = frozenset({"command", "builtin", "exec"})
_OPENS_ARRAY = re.compile(r"([A-Za-z_]\w*)\+?=", re.ASCII)
_ARRAY = "=("
"""What ``Frame.nesting`` says, with the array's name after it, in the parentheses of an array."""


class Names(Struct):
    """The variables of a script: what they are set from, and which are more than text.

    ``keyed`` are arrays with text as keys, ``evaluated`` those whose value the shell evaluates in some place.
    """

    assigned: list[tuple[str, Use]] = field(default_factory=list)
    keyed: set[str] = field(default_factory=set)
    evaluated: set[str] = field(default_factory=set)


class Frame(Struct):
    """One level of commands: the script itself, or the inside of a substitution.

    ``nesting`` holds what has been opened in it, ``pending`` the heredocs whose bodies follow the line, ``fresh`` is
    true where a command begins. ``words`` are those of the command so far, ``uses`` what stands in them by index,
    ``fed`` what stands in its here-strings, ``piped`` what stands in the commands whose output it reads.
    """

    names: Names = field(default_factory=Names)
    closer: str = ""
    escaped_quotes: bool = False
    nesting: list[str] = field(default_factory=list)
    pending: list[Heredoc] = field(default_factory=list)
    fresh: bool = True
    redirect: bool = False
    testing: bool = False
    number_next: bool = False
    word_start: int = -1
    word_uses: list[Use] = field(default_factory=list)
    last_word: str = ""
    last_uses: list[Use] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    uses: list[tuple[int, Use]] = field(default_factory=list)
    here_text: bool = False
    fed: list[Use] = field(default_factory=list)
    piped: list[Use] = field(default_factory=list)

    def begin_word(self, position: int) -> None:
        """A word begins, unless one has begun before."""
        if self.word_start < 0:
            self.word_start = position

    def open(self, text: str, position: int) -> None:
        """A parenthesis opens: of commands, or of an array that the word before it sets."""
        array = _OPENS_ARRAY.fullmatch(text, self.word_start, position) if self.word_start >= 0 else None
        self.end_word(text, position)
        if array is not None and self.words:
            self._declared(self.words)
        self.nesting.append("(" if array is None else _ARRAY + array[1])
        self.fresh = array is None

    def end_word(self, text: str, position: int) -> None:
        """Decide what the word that ends before ``position`` means for the uses in it."""
        if self.word_start < 0:
            return
        raw = text[self.word_start : position]
        uses, self.word_uses, self.word_start = self.word_uses, [], -1
        assigns = _ASSIGNING.match(raw) if self.fresh else None
        if uses:
            self._judge(raw, uses, position, assigns=assigns is not None)
        self._tests(raw, uses)
        if assigns is not None:
            self.names.assigned += [(assigns[1], use) for use in uses]
        if self.redirect:
            self.fed += uses if self.here_text else []
            self.redirect = self.here_text = False
        elif (array := self._array()) is not None:
            self.names.assigned += [(array, use) for use in uses]
        elif assigns is None:
            self.uses += [(len(self.words), use) for use in uses]
            self._grammar(raw)
        self.last_word, self.last_uses = raw, uses

    def _judge(self, raw: str, uses: list[Use], position: int, *, assigns: bool) -> None:
        """Whether a word is one reference and nothing else, and what stands in the subscript of an assignment."""
        first = uses[0]
        subject = self.words == ["case"]
        whole = isinstance(first, Hole) and first.place is Place.BARE and first.source == raw
        if whole and isinstance(first, Hole) and not (self.redirect or self.testing or subject):
            first.alone = True
        start = position - len(raw)
        stop = start + raw.find("]=") if "]=" in raw else position
        if assigns and (subscript := _SUBSCRIPT.match(raw)) is not None:
            array: str | None = subscript[1]
        else:
            array = self._array() if raw.startswith("[") else None
        for use in uses if array is not None and array not in self.names.keyed else ():
            use.number = use.number or use.offset < stop

    def _array(self) -> str | None:
        """The array in whose parentheses a word stands."""
        inner = self.nesting[-1] if self.nesting else ""
        return inner.removeprefix(_ARRAY) if inner.startswith(_ARRAY) else None

    def _tests(self, raw: str, uses: list[Use]) -> None:
        """``[[ … ]]`` evaluates the operands of ``-eq`` and its like."""
        if raw == "[[":
            self.testing = True
        elif raw == "]]":
            self.testing = self.number_next = False
        elif self.testing and raw in _ARITHMETIC_TESTS | _NAME_TESTS:
            self.number_next = True
            if raw in _ARITHMETIC_TESTS:
                self._evaluates(self.last_word, self.last_uses)
        elif self.number_next:
            self._evaluates(raw, uses)
            self.number_next = False

    def _evaluates(self, raw: str, uses: list[Use]) -> None:
        """The shell reads a word as arithmetic, with the names of variables in it."""
        self.names.evaluated.update(_IDENTIFIER.findall(raw))
        for use in uses:
            use.number = True

    def _grammar(self, raw: str) -> None:
        """Keep track of where commands begin, and of ``case``, whose ``)`` closes nothing."""
        if self.fresh and raw in _BEFORE_COMMAND:
            return
        if self.fresh and raw == "esac" and "case" in self.nesting:
            while self.nesting.pop() != "case":
                pass
            return
        if self.fresh and raw == "case":
            self.nesting.append("case")
        starts_patterns = raw == "in" and len(self.words) == 2 and self.words[0] == "case"  # noqa: PLR2004 - case WORD in
        self.fresh = starts_patterns
        if starts_patterns:
            self.words.clear()
        else:
            self.words.append(QUOTING.sub("", raw))

    def end_command(self, text: str, position: int, *, pipes: bool = False) -> None:
        """Decide what the whole command means for the uses in it; it may pipe its output to the next one."""
        self.end_word(text, position)
        first = next((index for index, word in enumerate(self.words) if word not in _PREFIXES), 0)
        words = self.words[first:]
        if words:
            self._declared(words)
            own = [(index - first, use) for index, use in self.uses]
            _mark(words, own)
            self._sets(words, own)
            for use in [*self.fed, *self.piped] if _reads_code(words) else []:
                use.reread = True
        for heredoc in self.pending:
            if heredoc.is_code is None:
                heredoc.is_code = bool(words) and _reads_code(words)
        self.piped = [*self.piped, *(use for _, use in self.uses)] if pipes else []
        self.uses, self.words, self.last_uses, self.fed = [], [], [], []
        self.fresh = True
        self.redirect = self.testing = self.number_next = self.here_text = False

    def _declared(self, words: list[str]) -> None:
        """Names whose values the shell evaluates, or whose keys it does not."""
        if words[0] == "let":
            self.names.evaluated.update(_IDENTIFIER.findall(" ".join(words[1:])))
        if words[0] not in _DECLARING:
            return
        names = {word.partition("=")[0] for word in words[1:] if word[:1] != "-"}
        if any(_EVALUATED.fullmatch(word) for word in words[1:]):
            self.names.evaluated |= names
        if any(_KEYED.fullmatch(word) for word in words[1:]):
            self.names.keyed |= names

    def _sets(self, words: list[str], uses: list[tuple[int, Use]]) -> None:
        """Variables that a command sets from what stands in its words, or in what it reads."""
        name = words[0]
        if name in {"for", "select"} and len(words) > 1:
            self.names.assigned += [(words[1], use) for index, use in uses if index > 1]
        elif name in _DECLARING:
            self.names.assigned += [(words[index].partition("=")[0], use) for index, use in uses]
        elif name in _READING:
            read = [*self.fed, *self.piped]
            self.names.assigned += [(word, use) for word in words[1:] if word[:1] != "-" for use in read]


def _mark(words: list[str], uses: list[tuple[int, Use]]) -> None:
    """Mark what stands in the words of one command, by index."""
    name = words[0]
    reread = _reread(words)
    evaluated = _evaluated(words)
    loop = name in {"for", "select"} and words[2:3] == ["in"]
    for index, use in uses:
        use.reread = use.reread or index in reread
        use.for_list = loop and index > 2  # noqa: PLR2004 - for NAME in …
        naming = name in _NAMING and index > 0 and (name == "let" or _names(words[index], use))
        use.number = use.number or naming or index in evaluated


def _evaluated(words: list[str]) -> frozenset[int]:
    """The words that bash evaluates as arithmetic or as the name of a variable, by index."""
    name = words[0]
    if name in _DECLARING and any(_EVALUATED.fullmatch(word) for word in words):
        return frozenset(range(1, len(words)))
    if name == "printf":
        return frozenset({1, 2}) if words[1:2] and words[1].startswith("-v") else frozenset()
    if name in {"[", "test"}:
        return frozenset(index for index, word in enumerate(words[:-1], 1) if word in _NAME_TESTS)
    return frozenset()


def _reread(words: list[str]) -> frozenset[int]:
    """The words of a command that another shell reads as code, by index."""
    names = [word.rpartition("/")[2] for word in words]
    if names[0] == "eval":
        return frozenset(range(1, len(words)))
    if names[0] == "ssh":
        return frozenset(range(2, len(words)))
    if names[0] == "trap":
        return frozenset({2 if words[1:2] == ["--"] else 1})
    if names[0] in {"mapfile", "readarray"} and "-C" in words:
        return frozenset({words.index("-C") + 1})
    for index, name in enumerate(names):
        if name in _SHELLS:
            for option in range(index + 1, len(words)):
                if _RUNS_TEXT.fullmatch(words[option]):
                    return frozenset({option + 1})
    return frozenset()


def _reads_code(words: list[str]) -> bool:
    """Whether a command reads its standard input as code: a shell without a script of its own."""
    name, *arguments = words
    name = name.rpartition("/")[2]
    if name in {"source", "."}:
        return arguments[:1] == ["/dev/stdin"]
    return name == "ssh" or (
        name in _SHELLS and ("-s" in arguments or all(word[:1] == "-" for word in arguments))
    )


def _names(word: str, use: Use) -> bool:
    """Whether a use stands in the name part of a ``declare``-like argument."""
    return "=" not in word.partition(_source(use))[0]


def _source(use: Use) -> str:
    return use.source if isinstance(use, Hole) else f"${use.name}"
