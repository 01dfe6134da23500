"""The grammar of ``${…}``: references, their modifiers, filters and defaults, and plain text that holds them.

Pure: text in, frozen structs out; nothing is looked up here. ``parse_ref`` answers ``None`` for what is not a
reference of ours, so that shell syntax can be told from it.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from prodigy.workflow.scope import ComputedKind, Path

_NAME = r"[A-Za-z_]\w*(?:-\w+)*"
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_INDEX = rf"\[\s*(?:-?\d{{1,18}}|\*|{_STRING})\s*\]"
_PATH = rf"{_NAME}(?:\.(?:{_NAME}|\d+)|{_INDEX})*"

NAME = re.compile(_NAME, re.ASCII)
PATH = re.compile(_PATH, re.ASCII | re.DOTALL)
_PATH_STEP = re.compile(rf"\.?({_NAME}|\d+)|({_INDEX})", re.ASCII | re.DOTALL)
_BODY_START = re.compile(rf"\s*(?:{_PATH})?", re.ASCII | re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

MODIFIERS = frozenset({"json", "lines", "newline", "csv", "comma", "space", "words", "raw"})
FILTERS = frozenset({
    "default", "length", "basename", "dirname", "pattern", "json", "lines", "csv", "upper", "lower", "trim",
    "first", "last",
})  # fmt: skip
_FILTERS_WITH_ARGUMENT = {"default": True, "pattern": True, "length": False}
"""Filters that take an argument, and whether it is required."""
AGGREGATES = (
    "count", "sum", "average", "avg", "min", "max", "median", "std_dev", "variance", "collect", "unique", "concat",
    "merge", "flatten", "sort", "sort_desc", "group_by",
)  # fmt: skip
_ARGUMENT = r"(?![-+?=\s\d]|\$(?![{.\[]))"
"""What follows here is no operator of the shell, and no offset."""
_COMPUTED = re.compile(rf"\s*(file|cmd|json|date):{_ARGUMENT}(.+)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\s*env:([A-Za-z_]\w*)", re.ASCII)
_FOLD_HEAD = rf"\s*({'|'.join(AGGREGATES)}):({_PATH})"
_FOLD = re.compile(rf"{_FOLD_HEAD}(?:\s+(?i:where)\s+(\S.*))?\s*", re.ASCII | re.DOTALL)
_QUOTING = re.compile(rf"{_FOLD_HEAD}\s+(?i:where)\s|\s*(?:cmd|json):{_ARGUMENT}", re.ASCII | re.DOTALL)
"""Beginnings of bodies in which quotes count to the end."""
_MODIFIER = re.compile(r":(?!-)([^:|]*)")
_FILTER = re.compile(r"\s*\|\s*([a-z]+)\s*(?::(?!-)((?:[^|:]|:(?!-))*))?")
_GLOB_SIGN = re.compile(r"[*?\[\]]")
MAX_NESTING = 16
_TOKEN = re.compile(r"\\\$(?=[{A-Za-z_])|\$\$|\$\{\{|\$\{|\$[A-Za-z_]\w*", re.ASCII)


class Modifier(Struct, frozen=True):
    """``:name``, or a list of globs that keep what matches."""

    name: str
    globs: tuple[str, ...] = ()


class Filter(Struct, frozen=True):
    """``| name: argument``."""

    name: str
    argument: str | None = None


class Ref(Struct, frozen=True):
    """A reference to a value; ``source`` is the text as written, with its ``${`` and ``}``."""

    source: str
    path: Path
    modifiers: tuple[Modifier, ...] = ()
    filters: tuple[Filter, ...] = ()
    default: "Template | None" = None

    @property
    def root(self) -> str:
        """The variable's own name."""
        return str(self.path[0])

    @property
    def is_plain(self) -> bool:
        """Whether it is a name and nothing else."""
        return len(self.path) == 1 and self.is_path

    @property
    def is_path(self) -> bool:
        """Whether it is the value itself, with no modifier, filter or default."""
        return not (self.modifiers or self.filters or self.default)

    @property
    def name(self) -> str:
        """The path as people write it."""
        return path_text(self.path)


class Fold(Struct, frozen=True):
    """Many values as one: ``${sum:map.results[*].item.n where success}``; ``kind`` is one of ``AGGREGATES``."""

    source: str
    kind: str
    path: Path
    where: str | None = None
    """An expression whose bare names are fields of the element."""

    @property
    def root(self) -> str:
        """The name of the variable that is folded."""
        return str(self.path[0])

    @property
    def name(self) -> str:
        """The path as people write it."""
        return path_text(self.path)


class Computed(Struct, frozen=True):
    """A value that is worked out when asked: ``${date:%Y}``, ``${uuid}``, ``${file:VERSION}``, ``${cmd:git log -1}``."""

    source: str
    kind: ComputedKind
    argument: str


class Dollar(Struct, frozen=True):
    """``$NAME`` in plain text: replaced if the name is known."""

    source: str
    name: str


class Malformed(Struct, frozen=True):
    """``${…}`` that is no reference."""

    source: str
    reason: str


AnyRef = Ref | Fold | Computed
Unread = AnyRef | Dollar | Malformed
Piece = str | Unread


class Template(Struct, frozen=True):
    """Plain text with references."""

    pieces: tuple[Piece, ...]

    def refs(self) -> Iterator[Unread]:
        """What is not literal, references in defaults included."""
        for piece in self.pieces:
            if isinstance(piece, str):
                continue
            yield piece
            if isinstance(piece, Ref) and piece.default is not None:
                yield from piece.default.refs()


def body_end(text: str, start: int, end: int) -> int:
    """The index of the ``}`` that closes a reference whose body starts at ``start``, or -1.

    Quotes count inside a path, in the condition of a fold and in a command; nested ``${…}`` are stepped over.
    """
    head = _BODY_START.match(text, start, end)
    position = head.end() if head else start
    depth = 0
    signs = _BRACES if _QUOTING.match(text, start, end) is None else _QUOTES_AND_BRACES
    for sign in signs.finditer(text, position, end):
        if sign[0] == "${":
            depth += 1
        elif sign[0] == "}":
            depth -= 1
            if depth < 0:
                return sign.start()
        if depth > MAX_NESTING:
            return -1
    return -1


_BRACES = re.compile(r"\$\{|\}|\\[${}\\]")
_QUOTES_AND_BRACES = re.compile(rf"{_STRING}|{_BRACES.pattern}", re.DOTALL)


@lru_cache(maxsize=8192)
def parse_ref(body: str) -> AnyRef | None:
    """The reference that a body (between ``${`` and ``}``) is, or ``None``."""
    source = f"${{{body}}}"
    if body.strip() == "uuid":
        return Computed(source, "uuid", "")
    environment = _ENVIRONMENT.match(body)
    if environment is not None and environment[1] not in MODIFIERS:
        return _with_rest(source, ("env", environment[1]), body[environment.end() :].rstrip())
    computed = _COMPUTED.fullmatch(body)
    if computed is not None and computed[2].strip() not in MODIFIERS:
        return _computed(source, computed[1], computed[2].strip())
    fold = _FOLD.fullmatch(body)
    if fold is not None and fold[2] not in MODIFIERS:
        where = None if fold[3] is None else fold[3].rstrip()
        return Fold(source, fold[1], parse_path(fold[2]), where)
    match = PATH.match(body, len(body) - len(body.lstrip()))
    if match is None:
        return None
    path = parse_path(match[0])
    return _with_rest(source, path, body[match.end() :].rstrip())


def _computed(source: str, kind: str, argument: str) -> Computed | None:
    match kind:
        case "json" if ":" not in argument:
            return None
        case "date" if argument.startswith("$"):
            return None
        case "date" | "file" | "json" | "cmd":
            return Computed(source, kind, argument)
        case _:
            return None


def json_parts(argument: str) -> tuple[str, str]:
    """The path and the file of ``${json:PATH:from:FILE}`` or ``${json:PATH:FILE}``."""
    path, between, file = argument.rpartition(":from:")
    if not between:
        path, _, file = argument.rpartition(":")
    return path, file


def path_text(path: Path) -> str:
    """A path as people write it."""
    first, *rest = path
    written = (f"[{key}]" if isinstance(key, int) or key == "*" else f".{key}" for key in rest)
    return str(first) + "".join(written)


def parse_path(text: str) -> Path:
    """The steps of a path that ``PATH`` matches."""
    path: list[str | int] = []
    for name, index in _PATH_STEP.findall(text):
        inner = index[1:-1].strip()
        if name or inner == "*":
            path.append(name or inner)
        elif inner[0] in "'\"":
            path.append(_ESCAPE.sub(r"\1", inner[1:-1]))
        else:
            path.append(int(inner))
    return tuple(path)


def _with_rest(source: str, path: Path, rest: str) -> Ref | None:
    """Modifiers, filters and default after a path; ``None`` if anything is left over or unknown."""
    modifiers: list[Modifier] = []
    filters: list[Filter] = []
    position = 0
    while match := _MODIFIER.match(rest, position):
        modifier = _modifier(match[1].strip())
        if modifier is None:
            return None
        modifiers.append(modifier)
        position = match.end()
    while match := _FILTER.match(rest, position):
        found = _filter(match[1], match[2])
        if found is None:
            return None
        filters.append(found)
        position = match.end()
    default = None
    if rest.startswith(":-", position):
        default = compile_text(rest[position + 2 :])
    elif rest[position:].strip():
        return None
    return Ref(source, path, tuple(modifiers), tuple(filters), default)


_CALLED = re.compile(r"[a-z_]+\(.*\)", re.ASCII)


def _modifier(text: str) -> Modifier | None:
    if text in MODIFIERS:
        return Modifier(text)
    if _CALLED.match(text):
        return None  # nobody has such file names: `pattern(*.rs)` is meant for something else
    globs = [glob.strip() for glob in text.split(",")]
    if all(glob and glob[0] not in "-+?=" and (glob[0] == "." or _GLOB_SIGN.search(glob)) for glob in globs):
        return Modifier("glob", tuple(f"*{glob}" if glob[0] == "." else glob for glob in globs))
    return None


def _filter(name: str, argument: str | None) -> Filter | None:
    needs = _FILTERS_WITH_ARGUMENT.get(name)
    if name not in FILTERS or (needs is None and argument is not None) or (needs and argument is None):
        return None
    return Filter(name, argument.strip() if argument is not None else None)


@lru_cache(maxsize=8192)
def compile_text(text: str) -> Template:
    """Plain text (not a shell script) as literal pieces and references."""
    pieces: list[Piece] = []
    position = 0
    while (token := _TOKEN.search(text, position)) is not None:
        pieces.append(text[position : token.start()])
        piece, position = _piece(text, token)
        pieces.append(piece)
    pieces.append(text[position:])
    return Template(_joined(pieces))


def _piece(text: str, token: re.Match[str]) -> tuple[Piece, int]:
    """The piece that starts at a token, and where it ends."""
    sign, after = token[0], token.end()
    if sign == "\\$":
        name = NAME.match(text, after)
        end = name.end() if name else after
        return text[token.start() + 1 : end], end
    if sign == "$$":
        return sign, after
    if sign == "${{":
        close = text.find("}}", after)
        end = after if close < 0 else close + 2
        return text[token.start() : end], end
    if sign != "${":
        return Dollar(sign, sign[1:]), after
    end = body_end(text, after, len(text))
    if end < 0:
        return Malformed("${", "`${` is never closed, or nested too deep"), after
    source = text[token.start() : end + 1]
    ref = parse_ref(text[after:end])
    return (Malformed(source, "this is no variable reference") if ref is None else ref), end + 1


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Neighbouring literals as one, empty ones left out."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if isinstance(piece, str) and isinstance(last, str):
            joined[-1] = last + piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)
