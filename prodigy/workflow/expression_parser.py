"""From the text of an expression to its tree.

Pure. A recursive descent with one method per line of the grammar::

    disjunction  conjunction { (|| or) conjunction }
    conjunction  negation { (&& and) negation }
    negation     (! not) negation  |  comparison
    comparison   operand [ sign operand | [not] word operand | is [not] null | exists ]
    operand      ( literal | [list] | ${reference} | path | function(…) | (disjunction) ) { .method(…) }

Depth is bounded, so no text exhausts the stack.
"""

import re
from collections.abc import Callable
from typing import Literal

from prodigy.workflow.expression_functions import (
    EACH,
    FUNCTIONS,
    INFIX,
    OPERATORS,
    PATTERNS,
    Function,
    plain_word,
)
from prodigy.workflow.expression_text import BadExpression, Cursor
from prodigy.workflow.expression_tree import (
    Call,
    Comparison,
    Constant,
    Each,
    Exists,
    Field,
    Filled,
    Junction,
    ListOf,
    Node,
    Not,
    Subject,
    Variable,
)
from prodigy.workflow.nearest import nearest
from prodigy.workflow.patterns import BadPattern, check_pattern
from prodigy.workflow.refs import NAME, PATH, Ref, parse_path
from prodigy.workflow.scope import Path

Names = Literal["variables", "item", "value"]
"""What bare names are: variables, fields of the item, or the ``value`` of a parameter beside other parameters."""

_CALL = re.compile(r"\s*\(")
_METHOD = re.compile(rf"\.({NAME.pattern})\s*\(", re.ASCII)
_DOLLAR = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)
_LITERALS = {"true": True, "false": False, "null": None}
_RESERVED = frozenset({"and", "or", "not", "in"})
_OF_THE_VALUE = frozenset({"matches", "in"})
"""Functions that take the parameter's value as their first argument if it is not given."""


def parse(source: str, names: Names) -> Node:
    """The tree of a whole expression; raises ``BadExpression``."""
    return _Parser(source, names).whole()


class _Parser:
    """A text, and what bare names mean at the place that is being read."""

    def __init__(self, source: str, names: Names) -> None:
        self._text = Cursor(source)
        self._names: Names = names

    def whole(self) -> Node:
        node = self._disjunction()
        if self._text.next:
            raise self._text.unexpected("is left over")
        return node

    # -- the grammar ------------------------------------------------------------------------------------------
    def _disjunction(self) -> Node:
        return self._junction("or", "||", self._conjunction)

    def _conjunction(self) -> Node:
        return self._junction("and", "&&", self._negation)

    def _junction(self, word: Literal["and", "or"], sign: str, term: Callable[[], Node]) -> Node:
        terms = [term()]
        while self._text.take(sign) or self._text.take_word(word):
            terms.append(term())
        return terms[0] if len(terms) == 1 else Junction(word, tuple(terms))

    def _negation(self) -> Node:
        if not (self._text.take("!") or self._text.take_word("not")):
            return self._comparison()
        self._text.deeper()
        node = Not(self._negation())
        self._text.depth -= 1
        return node

    def _comparison(self) -> Node:
        left = self._operand()
        node = self._compared(left)
        if node is not left and (self._text.sign() in OPERATORS or self._text.word() in INFIX):
            raise self._text.unexpected("follows a comparison", "join two comparisons with `&&`")
        return node

    def _compared(self, left: Node) -> Node:
        text = self._text
        sign = text.sign()
        if sign in OPERATORS:
            text.take(sign)
            return self._with_right(left, sign)
        denied = text.take_word("not")
        word = text.word()
        if word in INFIX:
            text.take_word(word)
            node = self._with_right(left, word)
            return Not(node) if denied else node
        if denied:
            raise text.unexpected("cannot follow `not`", "write `not in`, `not contains` …")
        if text.take_word("is"):
            return self._nullness(left)
        return Exists(left) if text.take_word("exists") else left

    def _with_right(self, left: Node, sign: str) -> Node:
        column = self._text.column
        right = self._operand()
        if sign in PATTERNS:
            _check_literal_pattern(right, column)
        return Comparison(sign, OPERATORS.get(sign) or INFIX[sign], left, right)

    def _nullness(self, left: Node) -> Node:
        denied = self._text.take_word("not")
        if not self._text.take_word("null"):
            raise self._text.unexpected("cannot follow `is`", "write `is null` or `is not null`")
        function = FUNCTIONS["isnotnull" if denied else "isnull"]
        return Call(function.name, function.apply, (left,))

    def _operand(self) -> Node:
        depth = self._text.depth
        self._text.deeper()
        node = self._simple()
        while method := self._text.match(_METHOD):
            self._text.deeper()
            self._text.at = method.end()
            node = self._call(method[1], method.start(1) + 1, (node,))
        self._text.depth = depth
        return node

    def _simple(self) -> Node:
        text = self._text
        match text.next:
            case "":
                raise BadExpression("something is missing at the end", text.column)
            case "(":
                return self._group("(", ")")
            case "[":
                text.take("[")
                return ListOf(self._until("]"))
            case "'" | '"':
                return text.string()
            case "$":
                return self._dollar()
            case _:
                return text.number() or self._name()

    def _group(self, opening: str, closing: str) -> Node:
        self._text.at += len(opening)
        node = self._disjunction()
        self._text.expect(closing)
        return node

    def _until(self, closing: str) -> tuple[Node, ...]:
        """Expressions separated by commas, up to a closing bracket."""
        found: list[Node] = []
        while not self._text.take(closing):
            if found:
                self._text.expect(",")
            found.append(self._disjunction())
        return tuple(found)

    # -- names and references ---------------------------------------------------------------------------------
    def _dollar(self) -> Node:
        """``${reference}``, ``${ expression }``, or ``$NAME``, which is ``${NAME}``."""
        text = self._text
        column = text.column
        if simple := text.match(_DOLLAR):
            text.at = simple.end()
            return Filled(Ref(simple[0], (simple[1],)), column)
        if not text.source.startswith("${", text.at):
            raise text.unexpected("is not understood")
        ref = text.reference()
        if ref is None:
            return self._with_names(
                "value" if self._names == "value" else "variables", lambda: self._group("${", "}")
            )
        text.at += len(ref.source)
        if self._names == "value" and isinstance(ref, Ref) and ref.is_path and ref.root == "value":
            return Subject(ref.path, column)
        return Filled(ref, column)

    def _name(self) -> Node:
        text = self._text
        column, match = text.column, text.match(PATH)
        if match is None:
            raise text.unexpected("is not understood")
        path, word = parse_path(match[0]), plain_word(match[0])
        called = _CALL.match(text.source, match.end())
        if called is not None:
            return self._called(path, match, called.end())
        if word in _RESERVED:
            raise text.unexpected("stands where a value should be")
        text.at = match.end()
        return Constant(_LITERALS[word]) if word in _LITERALS else self._named(path, column)

    def _called(self, path: Path, match: re.Match[str], arguments: int) -> Node:
        """A function, or a path whose last name is a method of the rest."""
        *owner, name = path
        if not isinstance(name, str) or not match[0].endswith(name):
            self._text.at = match.end()
            raise self._text.unexpected("is not understood")
        self._text.at = arguments
        receiver = (self._named(tuple(owner), match.start() + 1),) if owner else ()
        return self._call(name, match.end() - len(name) + 1, receiver)

    def _named(self, path: Path, column: int) -> Node:
        """What a bare name means here; of ``x.exists`` both things it can mean."""
        node = self._plainly_named(path, column)
        if len(path) > 1 and path[-1] == "exists":
            return Exists(self._plainly_named(path[:-1], column), node)
        return node

    def _plainly_named(self, path: Path, column: int) -> Node:
        if self._names == "item":
            return Field(path, column)
        if self._names == "value" and path[0] == "value":
            return Subject(path, column)
        return Variable(path, column)

    def _with_names(self, names: Names, read: Callable[[], Node]) -> Node:
        outside, self._names = self._names, names
        node = read()
        self._names = outside
        return node

    # -- calls ------------------------------------------------------------------------------------------------
    def _call(self, written: str, column: int, receiver: tuple[Node, ...]) -> Node:
        """A call whose opening parenthesis has been read; a method's first argument is its ``receiver``."""
        word = plain_word(written)
        if word in EACH:
            return self._each("any" if word == "any" else "all", receiver)
        function = FUNCTIONS.get(word)
        if function is None:
            raise _unknown(written, column)
        arguments = (*receiver, *self._until(")"))
        if word in _OF_THE_VALUE and self._names == "value" and len(arguments) == 1:
            arguments = (Subject(("value",), column), *arguments)
        _check_arity(function, len(arguments), column)
        if word in PATTERNS:
            _check_literal_pattern(arguments[1], column)
        return Call(function.name, function.apply, arguments)

    def _each(self, word: Literal["any", "all"], receiver: tuple[Node, ...]) -> Node:
        hint = f"`{word}` takes a list and one expression about its elements"
        source = receiver[0] if receiver else self._disjunction()
        if not receiver:
            self._text.expect(",", hint)
        condition = self._with_names("item", self._disjunction)
        self._text.expect(")", hint)
        return Each(word, source, condition)


def _unknown(written: str, column: int) -> BadExpression:
    names = sorted({function.name for function in FUNCTIONS.values()} | EACH)
    meant = nearest(written, names)
    hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(names)}"
    return BadExpression(f"there is no function `{written}`", column, hint)


def _check_arity(function: Function, given: int, column: int) -> None:
    if given < function.least or (function.most is not None and given > function.most):
        wanted = str(function.least)
        if function.most != function.least:
            wanted += " or more" if function.most is None else f" or {function.most}"
        plural = "" if wanted == "1" else "s"
        raise BadExpression(f"`{function.name}` takes {wanted} argument{plural}, not {given}", column)


def _check_literal_pattern(node: Node, column: int) -> None:
    if not isinstance(node, Constant) or not isinstance(node.constant, str):
        return
    try:
        check_pattern(node.constant)
    except BadPattern as error:
        raise BadExpression(error.message, column, code="bad-regex") from None
