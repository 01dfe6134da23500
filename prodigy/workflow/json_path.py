"""JSONPath as workflows write it: RFC 9535, and the loose forms that people are used to.

Pure. Plain paths (names, indexes, ``[*]``) are followed here; everything else is normalised and given to
python-jsonpath, which is imported only then.
"""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from prodigy.workflow.nodes import Placed, Span
from prodigy.workflow.patterns import PatternTimeout
from prodigy.workflow.problems import Problems, quoted

_SIMPLE = re.compile(r"\$?(?:\.?[A-Za-z_]\w*)?(?:\.[A-Za-z_]\w*|\[(?:\*|-?\d{1,9})\]|\.\*)*", re.ASCII)
_SIMPLE_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\.\*|\[(\*|-?\d+)\]", re.ASCII)
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PART = re.compile(rf"{_STRING}|[\[\]?]", re.DOTALL)
_FILTER_TOKEN = re.compile(
    rf"(?P<string>{_STRING})"
    r"|(?P<left>[@$][^\s=!<>&|()]*)\s*=~\s*/(?P<regex>(?:[^/\\]|\\.)*)/(?P<flags>[a-z]*)"
    r"|(?P<operator>==|!=|<=|>=|=|<|>)(?P<blank>\s*)(?P<word>[A-Za-z_][\w-]*(?![\w(.-]))?",
    re.DOTALL | re.ASCII,
)
_LITERALS = frozenset({"true", "false", "null"})


class BadJsonPath(ValueError):
    """A path that cannot be read; ``position`` counts characters of the path from 0, if it is known."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class Found(Struct, frozen=True):
    """What a path leads to: the values, and whether it can lead to one place at most."""

    values: list[Any]
    singular: bool


def find(path: str, root: Any) -> Found:
    """Every value of ``root`` that ``path`` leads to, in document order.

    Raises:
        BadJsonPath: the path is not a JSONPath, or cannot be followed through this value.
    """
    text = path.strip()
    if _SIMPLE.fullmatch(text):
        return _follow(text, root)
    query = _compile(text)
    try:
        return Found(list(query.findall(root)), bool(query.singular_query()))
    except RecursionError:
        raise BadJsonPath("the data is nested too deep for this path", None) from None
    except PatternTimeout as error:
        raise BadJsonPath(error.message, None) from None


def check_json_path(path: str, at: Placed, problems: Problems) -> None:
    """Record a problem if ``path``, which stands at ``at``, cannot be read."""
    if _SIMPLE.fullmatch(path.strip()):
        return
    try:
        _compile(path.strip())
    except BadJsonPath as error:
        hints = ("every element is `[*]`: `[]` is the way of jq",) if "[]" in path else ()
        where = _inside(at, path, error.position)
        problems.error("bad-jsonpath", f"{quoted(path)}: {error.message}", where, *hints)


def normalised(path: str) -> str:
    """The strict form of a loose path: a ``$``, ``==`` for ``=``, quotes around words that are compared with."""
    rooted = path if path.startswith("$") else f"${path}" if path[:1] in {"", ".", "["} else f"$.{path}"
    parts: list[str] = []
    position = 0
    for start, end in _filters(rooted):
        parts += [rooted[position:start], _FILTER_TOKEN.sub(_strict, rooted[start:end])]
        position = end
    return "".join([*parts, rooted[position:]])


def _filters(path: str) -> list[tuple[int, int]]:
    """Where the outermost filters ``[?…]`` stand, without their brackets."""
    found: list[tuple[int, int]] = []
    depth, start = 0, -1
    for part in _PART.finditer(path):
        if part[0] == "[":
            depth += 1
        elif part[0] == "]":
            depth -= 1
            if depth == 0 and start >= 0:
                found.append((start, part.start()))
                start = -1
        elif part[0] == "?" and depth == 1 and start < 0:
            start = part.end()
    return found


def _strict(token: re.Match[str]) -> str:
    if token["string"]:
        return token[0]
    if token["left"]:
        pattern = token["regex"].replace("\\/", "/").replace("\\", "\\\\").replace("'", "\\'")
        prefix = "(?i)" if "i" in token["flags"] else ""
        return f"search({token['left']}, '{prefix}{pattern}')"
    operator = "==" if token["operator"] == "=" else token["operator"]
    word = token["word"] or ""
    return operator + token["blank"] + (f"'{word}'" if word and word not in _LITERALS else word)


def _compile(path: str) -> Any:
    from jsonpath import JSONPathEnvironment

    from prodigy.workflow.json_path_functions import FUNCTIONS

    strict = normalised(path)
    environment = JSONPathEnvironment(strict=True)
    environment.function_extensions.update(FUNCTIONS)
    try:
        return environment.compile(strict)
    except Exception as error:  # noqa: BLE001 - the library also lets plain Python errors out of its parser
        token = getattr(error, "token", None)
        index = getattr(token, "index", None)
        position = None if index is None else max(0, min(index - (len(strict) - len(path)), len(path) - 1))
        raise BadJsonPath(_message(error), position) from None


def _message(error: Exception) -> str:
    text = error.args[0] if error.args and isinstance(error.args[0], str) else "this is no JSONPath"
    return text.split("\n", maxsplit=1)[0]


def _follow(path: str, root: Any) -> Found:
    """A simple path, without the library."""
    values, singular = [root], True
    for step in _SIMPLE_STEP.finditer(path.removeprefix("$")):
        name, index = step.groups()
        if name is not None:
            values = [value[name] for value in values if isinstance(value, Mapping) and name in value]
        elif index is None or index == "*":
            singular = False
            values = [element for value in values for element in _elements(value)]
        else:
            place = int(index)
            values = [
                value[place]
                for value in values
                if isinstance(value, list) and -len(value) <= place < len(value)
            ]
    return Found(values, singular)


def _elements(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def _inside(at: Placed, path: str, position: int | None) -> Placed:
    """The character of a one-line scalar at ``position``."""
    quotes = (at.end_column - at.column - len(path)) // 2
    if position is None or at.line != at.end_line or quotes not in {0, 1}:
        return at
    column = at.column + quotes + position
    return Span(at.line, column, at.line, column + 1)
