"""A shell script as our reader sees it: literal text, and the places where references stand.

Pure shapes, filled by ``shell_lexer`` and read by ``shell_quote`` and ``check_shell``.
"""

import re
from enum import Enum
from functools import cached_property

from msgspec import Struct

from prodigy.workflow.refs import AnyRef


class Place(Enum):
    """How the shell reads text where a reference stands."""

    BARE = "bare"
    DOUBLE = "double"
    SINGLE = "single"
    DOLLAR_SINGLE = "dollar-single"
    QUOTED_HEREDOC = "quoted-heredoc"
    COMMENT = "comment"


class Use(Struct):
    """Something of a script whose value may be ours, and what the shell will do with it there.

    ``number``: the shell evaluates it as arithmetic. ``name_only``: it becomes the name of a variable. ``reread``: another
    shell reads it as code. ``for_list``: it is a word of ``for … in``.
    """

    name: str
    offset: int
    place: Place
    number: bool = False
    name_only: bool = False
    reread: bool = False
    for_list: bool = False


class Mention(Use):
    """``$NAME`` or shell syntax like ``${NAME%.py}``: stays as it is, the prologue assigns the name.

    ``bare`` ones are names without ``$`` in arithmetic.
    """

    bare: bool = False


class Hole(Use, kw_only=True):
    """``${…}`` that is a reference if its root is known.

    ``ref`` is ``None`` where a dotted name meets an operator of the shell. ``alone`` holes are whole words, where
    a list may become several. ``buried`` ones stand where nothing can be referred to safely.
    """

    source: str
    ref: AnyRef | None
    alone: bool = False
    buried: bool = False
    heredoc: "Heredoc | None" = None


class Heredoc(Struct, eq=False):
    """``<<word``; ``quoted`` bodies are not expanded by the shell that reads the script."""

    delimiter: str
    quoted: bool
    strip_tabs: bool
    is_code: bool | None = None
    """Whether a shell reads the body; ``None`` until the command is known."""


class Delimiter(Struct):
    """The word after ``<<``, as written."""

    heredoc: Heredoc
    text: str


class BodyText(Struct):
    """Literal text of a quoted heredoc."""

    heredoc: Heredoc
    text: str


class Terminator(Struct):
    """The line that ends a heredoc, as written and without its line break."""

    heredoc: Heredoc
    text: str


Piece = str | Hole | Delimiter | BodyText | Terminator


class Script:
    """A script that has been read; treat it as read-only, it is shared by all who render the same text."""

    def __init__(self, text: str, pieces: tuple[Piece, ...], mentions: tuple[Mention, ...]) -> None:
        self.text = text
        self.pieces = pieces
        self.mentions = mentions
        self.holes = tuple(piece for piece in pieces if isinstance(piece, Hole))

    @cached_property
    def assigned(self) -> frozenset[str]:
        """The names that the script gives values to, as far as a look at its words tells."""
        found = {name for match in _ASSIGNMENT.finditer(self.text) for name in match.groups() if name}
        for match in _READ.finditer(self.text):
            found.update(_IDENTIFIER.findall(match[1]))
        return frozenset(found)

    @cached_property
    def loads_code(self) -> bool:
        """Whether it sources or evaluates text that may assign anything."""
        return _LOADS.search(self.text) is not None


def is_array(name: str) -> bool:
    """Whether bash itself keeps an array of this name."""
    return _ARRAYS.fullmatch(name) is not None


_ARRAYS = re.compile(
    r"BASH_(?:ALIASES|ARGC|ARGV|CMDS|LINENO|REMATCH|SOURCE|VERSINFO)|COMP_WORDS|COMPREPLY|COPROC|DIRSTACK|FUNCNAME"
    r"|GROUPS|MAPFILE|PIPESTATUS"
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ASSIGNMENT = re.compile(
    r"(?<![\w$-])([A-Za-z_]\w*)(?:\[[^\]\n]*\])?\+?=|\$\{([A-Za-z_]\w*):?="
    r"|\b(?:for|select|getopts\s+\S+)\s+([A-Za-z_]\w*)"
    r"|\bprintf\s+-v\s+([A-Za-z_]\w*)",
    re.ASCII,
)
_READ = re.compile(
    r"\b(?:read|mapfile|readarray|declare|typeset|local|export|readonly)\b([^\n;&|<>]*)", re.ASCII
)
_LOADS = re.compile(
    r"(?:^|[;&|({\n]|\b(?:then|do|else))\s*(?:(?:\.|source|eval)\s|(?:export|declare)\s+(?:-\w+\s+)?\"?(?:\$\(|`))",
    re.ASCII,
)
