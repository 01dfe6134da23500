"""The language of conditions: what every form of it means, and that no text and no value breaks it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scopes import Variables

from prodigy.workflow.expression import (
    BadExpression,
    Reference,
    evaluate,
    holds,
    parse_expression,
    truth,
)
from prodigy.workflow.expression_parser import Names
from prodigy.workflow.expression_text import MAX_DEPTH
from prodigy.workflow.expression_values import contains, equal
from prodigy.workflow.patterns import PatternTimeout
from prodigy.workflow.scope import UNDEFINED, ItemScope, Path
from prodigy.workflow.values import BadModifier, TemplateError

ITEM: dict[str, Any] = {
    "path": "src/a.py",
    "n": 5,
    "half": 0.5,
    "text_n": "10",
    "status": "open",
    "on": True,
    "on_text": "true",
    "nothing": None,
    "empty": "",
    "tags": ["a", "b"],
    "none": [],
    "user": {"name": "Ann", "my-key": 1, "a b": 2},
    "tests": [{"ok": True, "ms": 5}, {"ok": False, "ms": 50}],
    "item": "own",
    "index": "own",
    "big": 123456789012345678901234567890,
}
SCOPE = Variables(
    n=7, version="1.4.2", flag="false", dir="src", files=["x.py", "y.rs"], map={"successful": 3}, nil=None
)


def of_item(source: str, item: Any = ITEM, index: int = 2) -> Any:
    return evaluate(parse_expression(source, "item"), SCOPE, item, index)


def of_variables(source: str) -> Any:
    return evaluate(parse_expression(source), SCOPE)


# -- operands ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("true", True),
        ("FALSE", False),
        ("Null", None),
        ("'a'", "a"),
        ('"a"', "a"),
        ("[]", []),
        ("[1, 'a', [true], null]", [1, "a", [True], None]),
        ("(((1)))", 1),
        ("  1  ", 1),
    ],
)
def test_literals(source: str, value: Any) -> None:
    found = of_variables(source)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (r"'a\\b'", "a\\b"),
        (r"'it\'s'", "it's"),
        (r'"\""', '"'),
        (r"'\n\t'", "\n\t"),
        (r"'\u00e4'", "ä"),
        (r"'\ud83d\ude00'", "\U0001f600"),
        (r"'\.rs$'", r"\.rs$"),
        (r"'\d\r\u12'", r"\d\r\u12"),
        (r"'\${x}'", r"\${x}"),
        (r"'\u0024{x}'", "${x}"),
        ("'$HOME'", "$HOME"),
        ("""'say "x"'""", 'say "x"'),
    ],
)
def test_escapes_in_strings(source: str, value: str) -> None:
    assert of_variables(source) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("item.n", 5),
        ("n", 5),
        ("item", ITEM),
        ("index", 2),
        ("item.index", "own"),
        ("item.item", "own"),
        ("user.name", "Ann"),
        ("item.user.my-key", 1),
        ("user['a b']", 2),
        ('item["user"].name', "Ann"),
        ("tags[0]", "a"),
        ("tags[-1]", "b"),
        ("tags[9]", None),
        ("tests[*].ms", [5, 50]),
        ("tests.1.ms", 50),
        ("item.missing", None),
        ("missing.deeper", None),
        ("version", None),
        ("${version}", "1.4.2"),
        ("${n}", 7),
        ("${item.n}", 5),
        ("${map.successful}", 3),
    ],
)
def test_names_in_a_filter_are_fields_of_the_item(source: str, value: Any) -> None:
    """Workflow variables are reached by ``${…}`` only."""
    assert of_item(source) == value


def test_a_line_is_an_item_of_its_own() -> None:
    for source in ("item", "item.value", "item.item", "value"):
        assert of_item(source, "a line") == "a line"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n", 7),
        ("${n}", 7),
        ("$n", 7),
        ("map.successful", 3),
        ("files[0]", "x.py"),
        ("item", None),
        ("gone.x", None),
        ("${gone}", None),
        ("${gone:-d}", "d"),
        ("${nil:-d}", "d"),
        ("${files:*.py}", ["x.py"]),
        ("${files:json}", '["x.py","y.rs"]'),
        ("${version | upper}", "1.4.2"),
        ("${date:%Y}", "date(%Y)"),
        ("${ n > 5 && flag }", False),
        ("${ n }", 7),
        ("!${n}", False),
    ],
)
def test_names_in_a_condition_are_variables(source: str, value: Any) -> None:
    assert of_variables(source) == value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("value", [1, 2]),
        ("${value}", [1, 2]),
        ("value[0]", 1),
        ("length(value) == 2", True),
        ("n == 7", True),
        ("in([[1, 2]])", True),
        ("matches('x')", False),
        ("any(value, item == 2)", True),
    ],
)
def test_names_in_a_validation_are_the_value_and_parameters(source: str, value: Any) -> None:
    assert evaluate(parse_expression(source, "value"), SCOPE, [1, 2]) == value


def test_the_value_of_a_parameter_may_come_from_the_scope() -> None:
    expression = parse_expression("in(['dev', 'prod']) && value != 'prod'", "value")
    assert evaluate(expression, Variables(value="dev")) is True
    assert evaluate(expression, Variables(value="prod")) is False
    assert evaluate(parse_expression("matches('^[a-z]+$')", "value"), Variables(value="dev")) is True


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("path == '${dir}/a.py'", True),
        ("'${n}-${item.n}'", "7-5"),
        ("'[${gone}]'", "[]"),
        ("'${gone:-x}'", "x"),
        ("""'${item.user["name"]}'""", "Ann"),
        ('''"${item.user["name"]}"''', "Ann"),
        ("'${files}'", "x.py y.rs"),
        ("'${flag}'", "false"),
    ],
)
def test_references_in_strings_are_filled_in(source: str, value: Any) -> None:
    assert of_item(source) == value


def test_a_value_never_changes_an_expression() -> None:
    hostile = "' || true || '"
    for source in ("${x} == 'a'", "'${x}' == 'a'", "x == 'a'"):
        assert evaluate(parse_expression(source), Variables(x=hostile)) is False
    assert evaluate(parse_expression("'${x}'"), Variables(x="${y}", y="z")) == "${y}"


# -- operators -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("5", "'5'", True),
        ("5", "'5.0'", True),
        ("5", "' 5 '", True),
        ("5", "'five'", False),
        ("5", "''", False),
        ("5", "5.0", True),
        ("'5'", "'5.0'", False),
        ("9007199254740993", "9007199254740992.0", False),
        ("true", "'true'", True),
        ("false", "'false'", True),
        ("true", "'yes'", False),
        ("true", "1", False),
        ("false", "0", False),
        ("false", "''", False),
        ("null", "missing", True),
        ("null", "nothing", True),
        ("null", "''", False),
        ("null", "0", False),
        ("null", "false", False),
        ("[1, 'a']", "['1', 'a']", True),
        ("[1]", "[1, 1]", False),
        ("[]", "''", False),
        ("user", "user", True),
        ("user", "tags", False),
        ("tests[0]", "tests[1]", False),
        ("'a'", "'A'", False),
    ],
)
def test_equality(left: str, right: str, *, same: bool) -> None:
    for one, other in ((left, right), (right, left)):
        for sign in ("==", "="):
            assert of_item(f"{one} {sign} {other}") is same
        for sign in ("!=", "<>"):
            assert of_item(f"{one}{sign}{other}") is not same


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("4", "5", -1),
        ("5", "5", 0),
        ("9", "'10'", -1),
        ("'9'", "10", -1),
        ("'10'", "'9'", -1),
        ("text_n", "9", 1),
        ("half", "1", -1),
        ("big", "1e29", 1),
        ("'a'", "'b'", -1),
        ("'Z'", "'a'", -1),
        ("'a'", "5", None),
        ("null", "5", None),
        ("missing", "5", None),
        ("null", "null", None),
        ("true", "false", None),
        ("true", "1", None),
        ("tags", "tags", None),
    ],
)
def test_order(left: str, right: str, order: int | None) -> None:
    signs = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}
    for sign, orders in signs.items():
        assert of_item(f"{left} {sign} {right}") is (order in orders)


@pytest.mark.parametrize(
    ("part", "holder", "there"),
    [
        ("'a'", "tags", True),
        ("'c'", "tags", False),
        ("5", "['4', '5']", True),
        ("null", "[1, null]", True),
        ("n", "[4, 5]", True),
        ("'src'", "path", True),
        ("''", "path", True),
        ("1", "text_n", True),
        ("null", "path", False),
        ("'name'", "user", True),
        ("'Ann'", "user", False),
        ("5", "n", False),
        ("'a'", "missing", False),
        ("'a'", "[]", False),
    ],
)
def test_in_and_contains(part: str, holder: str, *, there: bool) -> None:
    assert of_item(f"{part} in {holder}") is there
    assert of_item(f"{part} not in {holder}") is not there
    assert of_item(f"{holder} contains {part}") is there
    assert of_item(f"{holder} NOT CONTAINS {part}") is not there
    assert of_item(f"contains({holder}, {part})") is there
    assert of_item(f"in({part}, {holder})") is there


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("path starts_with 'src'", True),
        ("path startsWith 'lib'", False),
        ("path ends_with '.py'", True),
        ("path not endsWith '.py'", False),
        ("n starts_with 5", True),
        ("missing starts_with ''", False),
        ("tags starts_with 'a'", False),
        (r"path matches '\.py$'", True),
        (r"path =~ '^src/'", True),
        (r"path !~ '^src/'", False),
        (r"n =~ '^\d$'", True),
        ("missing =~ ''", False),
        ("missing !~ ''", True),
        ("path =~ null", False),
        ("path not matches 'rs'", True),
        ("path =~ '${dir}'", True),
    ],
)
def test_parts_of_texts(source: str, value: Any) -> None:
    assert of_item(source) is value


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("nothing is null", True),
        ("missing is null", True),
        ("n is null", False),
        ("n IS NOT NULL", True),
        ("is_null(missing)", True),
        ("isNotNull(n)", True),
        ("nothing exists", True),
        ("missing exists", False),
        ("item.user.gone exists", False),
        ("nothing.exists", True),
        ("item.user.name.exists", True),
        ("item.user.gone.exists", False),
        ("defined(nothing)", True),
        ("defined(missing)", False),
        ("exists(n)", True),
        ("item.n.exists()", True),
        ("not missing exists", True),
        ("${gone} exists", False),
        ("${n} exists", True),
        ("${gone:-d} exists", True),
    ],
)
def test_null_and_undefined(source: str, value: Any) -> None:
    assert of_item(source) is value


def test_a_field_that_is_called_exists_is_itself() -> None:
    assert of_item("file.exists", {"file": {"exists": False}}) is False
    assert of_item("file.exists", {"file": {}}) is True


@pytest.mark.parametrize(
    ("value", "true"),
    [
        (None, False), (UNDEFINED, False), (False, False), (0, False), (0.0, False), ("", False), ("0", False),
        ("false", False), ([], False), ({}, False), (True, True), (1, True), (-0.5, True), ("00", True),
        ("False", True), (" ", True), ("no", True), ([0], True), ({"a": None}, True),
    ],
)  # fmt: skip
def test_truth(value: Any, *, true: bool) -> None:
    assert truth(value) is true
    if value is not UNDEFINED:
        scope = Variables(x=value)
        assert holds(parse_expression("${x}"), scope) is true
        assert evaluate(parse_expression("!x"), scope) is not true
        assert evaluate(parse_expression("x && true"), scope) is true
        assert evaluate(parse_expression("x || false"), scope) is true


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("not true or true", True),
        ("not (true or true)", False),
        ("!0 == 5", True),
        ("NOT n == 4", True),
        ("! ! n", True),
        ("n == 5 and status == 'open' OR false", True),
        ("n==5&&on||missing", True),
        ("n == 5 AND NOT 'c' IN tags", True),
    ],
)
def test_precedence(source: str, value: Any) -> None:
    assert of_item(source) is value


def test_what_decides_ends_the_work() -> None:
    endless = "('a' =~ text)"
    hostile = {"text": "("}
    assert of_item(f"false && {endless}", hostile) is False
    assert of_item(f"true || {endless}", hostile) is True
    with pytest.raises(TemplateError, match="bad-regex"):
        of_item(f"true && {endless}", hostile)


# -- functions -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("contains(tags, 'a')", True),
        ("starts_with(path, 'src')", True),
        ("startsWith(path, 'src')", True),
        ("STARTS_WITH(path, 'src')", True),
        ("path.startsWith('src')", True),
        ("item.path.starts_with('src')", True),
        ("ends_with(path, '.rs')", False),
        ("matches(path, 'a.py')", True),
        ("item.path.matches('^a')", False),
        ("is_empty(empty)", True),
        ("is_empty(none)", True),
        ("is_empty(missing)", True),
        ("isEmpty(tags)", False),
        ("is_empty(0)", False),
        ("is_number(n)", True),
        ("is_number(text_n)", False),
        ("is_number(on)", False),
        ("is_string(text_n)", True),
        ("is_bool(on)", True),
        ("is_bool(on_text)", False),
        ("is_array(tags)", True),
        ("is_object(user)", True),
        ("isObject(tags)", False),
        ("length(tags)", 2),
        ("length(path)", 8),
        ("length(user)", 3),
        ("length(missing)", 0),
        ("length(n)", None),
        ("length(tags, 2)", True),
        ("tags.length(3)", False),
        ("tags.length() > 1", True),
        ("count(tests)", 2),
        ("lower('ÄB')", "äb"),
        ("upper(status)", "OPEN"),
        ("trim('  a b\n')", "a b"),
        ("lower(n)", 5),
        ("upper(missing)", None),
        ("status.upper().lower() == 'open'", True),
        ("'Open'.lower()", "open"),
        ("(status).upper()", "OPEN"),
        ("${version}.length()", 5),
        ("tags[0].upper()", "A"),
        ("any(tests, ok)", True),
        ("any(tests, ms > 100)", False),
        ("all(tests, ms < 100)", True),
        ("all(tests, ok)", False),
        ("tests.all(item.ms > 1)", True),
        ("any(tags, item == 'b')", True),
        ("any(tags, value == 'b' && index == 1)", True),
        ("any(tests, ms == ${n})", False),
        ("any(tests, '${item.ms}' == '50')", True),
        ("any(none, true)", False),
        ("all(none, false)", True),
        ("all(missing, true)", False),
        ("any(n, true)", False),
        ("min(3, 1, 2)", 1),
        ("max(tests[*].ms)", 50),
        ("max('b', 'a')", "b"),
        ("min(missing, 2)", 2),
        ("min(1, 'x')", None),
        ("max([])", None),
        ("max(9, '10')", "10"),
        ("abs(-5)", 5),
        ("abs('-0.5')", 0.5),
        ("abs('x')", None),
        ("number(text_n)", 10),
        ("number('1e2')", 100.0),
        ("number(on)", 1),
        ("number('x')", None),
        ("number(tags)", None),
        ("string(n)", "5"),
        ("string(on)", "true"),
        ("string(missing)", ""),
        ("string(user)", '{"name":"Ann","my-key":1,"a b":2}'),
    ],
)
def test_functions(source: str, value: Any) -> None:
    found = of_item(source)
    assert found == value
    assert type(found) is type(value)


def test_conditions_on_elements_read_variables_by_reference() -> None:
    scope = Variables(files=["a.py", "b.rs"], wanted="b.rs")
    assert evaluate(parse_expression("any(files, item == ${wanted})"), scope) is True
    assert evaluate(parse_expression("any(files, item == wanted)"), scope) is False


# -- what is refused -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "column", "needle"),
    [
        ("", 1, "missing at the end"),
        ("   ", 4, "missing at the end"),
        ("n ==", 5, "missing at the end"),
        ("!", 2, "missing at the end"),
        ("n == 5 x", 8, "`x` is left over"),
        ("n == 5)", 7, "`)` is left over"),
        ("n 5", 3, "`5` is left over"),
        ("n == 5 == true", 8, "`==` follows a comparison"),
        ("1 < n < 5", 7, "`<` follows a comparison"),
        ("n in [1] in [2]", 10, "`in` follows a comparison"),
        ("n & on", 3, "`&` is left over"),
        ("n === 5", 5, "`=` is not understood"),
        ("n + 1", 3, "`+` is left over"),
        ("(n == 5", 8, "the end stands where `)` should be"),
        ("[1, 2", 6, "the end stands where `,` should be"),
        ("[1,]", 4, "`]` is not understood"),
        ("n in (1, 2)", 8, "`,` stands where `)` should be"),
        ("n == 'a", 6, "no closing quote"),
        ("n is 5", 6, "`5` cannot follow `is`"),
        ("n not 5", 7, "`5` cannot follow `not`"),
        ("and n", 1, "`and` stands where a value should be"),
        ("n == or", 6, "`or` stands where a value should be"),
        ("foo(n)", 1, "no function `foo`"),
        ("n == lenght(tags)", 6, "no function `lenght`"),
        ("tags.size() > 1", 6, "no function `size`"),
        ("length()", 1, "takes 1 or 2 arguments, not 0"),
        ("contains(tags)", 1, "takes 2 arguments, not 1"),
        ("tags.contains('a', 'b')", 6, "takes 2 arguments, not 3"),
        ("lower(a, b)", 1, "takes 1 argument, not 2"),
        ("min()", 1, "takes 1 or more arguments, not 0"),
        ("matches('x')", 1, "takes 2 arguments, not 1"),
        ("any(tags)", 9, "`)` stands where `,` should be"),
        ("any(tags, a, b)", 12, "`,` stands where `)` should be"),
        ("tags['a'](1)", 10, "`(` is not understood"),
        ("${n", 4, "the end stands where `}` should be"),
        ("${n b}", 5, "`b` stands where `}` should be"),
        ("n == '${a b}'", 7, "begins no reference"),
        ("n == '${'", 7, "begins no reference"),
        ("'${x:-a' == b}", 2, "begins no reference"),
        ("$ == 1", 1, "`$` is not understood"),
        ("n == 1.2.3", 6, "`1` is not understood"),
        ("n == 5a", 6, "`5a` is not understood"),
        ("1e999", 1, "too large"),
        ("9" * 5000, 1, "too large"),
        (r"'\ud800'", 1, "half a character"),
        ("n ? 1 : 2", 3, "`?` is left over"),
        ("\0", 1, "is not understood"),
    ],
)
def test_what_is_no_expression(source: str, column: int, needle: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_expression(source, "item")
    assert (caught.value.code, caught.value.column) == ("bad-expression", column)
    assert needle in caught.value.message


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("lenght(x)", "did you mean `length`?"),
        ("frobnicate(x)", "there are abs, all, any, contains"),
        ("a & b", "write `&&`"),
        ("a | b", "write `||`"),
        ("a === b", "write `==`"),
        ("a - 1", "no arithmetic"),
        ("a in (1, 2)", "lists are written `[a, b]`"),
        ("a is empty", "write `is null`"),
        ("a < b < c", "&&"),
        ("'${a b}'", "\\u0024{"),
    ],
)
def test_hints(source: str, hint: str) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_expression(source)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("source", "column"),
    [("path =~ 'a('", 9), ("path matches '['", 14), ("on && matches(path, '*')", 7), ("p.matches('(')", 3)],
)
def test_literal_patterns_are_checked_when_parsed(source: str, column: int) -> None:
    with pytest.raises(BadExpression) as caught:
        parse_expression(source, "item")
    assert (caught.value.code, caught.value.column) == ("bad-regex", column)


def test_depth_is_bounded_and_width_is_not() -> None:
    nested = MAX_DEPTH - 1
    for opening, closing in (
        ("(", ")"),
        ("!", ""),
        ("[", "]"),
        ("lower(", ")"),
        ("${", "}"),
        ("any(a, ", ")"),
    ):
        parse_expression(opening * nested + "a" + closing * nested, "item")
        for depth in (MAX_DEPTH + 1, 5_000):
            with pytest.raises(BadExpression, match="nested deeper"):
                parse_expression(opening * depth + "a" + closing * depth, "item")
    with pytest.raises(BadExpression, match="nested deeper"):
        parse_expression("a" + ".lower()" * 5_000)
    assert of_variables(" || ".join(["gone"] * 5_000)) is False
    assert of_variables("7 in [" + ", ".join(map(str, range(5_000))) + "]") is True


def test_an_expression_is_parsed_once() -> None:
    assert parse_expression("a == 1", "item") is parse_expression("a == 1", "item")
    assert parse_expression("a == 1", "item") is not parse_expression("a == 1", "variables")


# -- references ----------------------------------------------------------------------------------------------------
def names_of(source: str, names: Names = "variables") -> list[tuple[Path, int, str]]:
    return [(found.path, found.column, found.kind) for found in parse_expression(source, names).references()]


def test_references_are_told_with_their_columns() -> None:
    assert names_of("a.b == 'x' && any(c, d) || '${e}'.length() > ${f:-1}") == [
        (("a", "b"), 1, "variable"),
        (("c",), 19, "variable"),
        (("d",), 22, "field"),
        (("e",), 29, "variable"),
        (("f",), 46, "variable"),
    ]
    assert names_of("n > ${LIMIT} && '${item.x}'", "item") == [
        (("n",), 1, "field"),
        (("LIMIT",), 5, "variable"),
        (("item", "x"), 18, "field"),
    ]
    assert names_of("in([other]) && value", "value") == [
        (("value",), 1, "field"),
        (("other",), 5, "variable"),
        (("value",), 16, "field"),
    ]


@pytest.mark.parametrize(
    ("source", "bare"),
    [
        ("a == b", ["b"]),
        ("a != b && c = d", ["b", "d"]),
        ("a in [b, 'c', d.e]", ["b"]),
        ("in(a, [b])", ["b"]),
        ("a == 'b'", []),
        ("a == b.c", []),
        ("a == ${b}", []),
        ("a < b", []),
        ("a in b", []),
        ("a == index", []),
        ("a == lower(b)", []),
    ],
)
def test_bare_words_that_may_be_meant_as_text(source: str, bare: list[str]) -> None:
    found = parse_expression(source, "item").references()
    assert [str(reference.path[0]) for reference in found if reference.bare] == bare


@pytest.mark.parametrize(
    ("source", "optional"),
    [
        ("a exists", True), ("a.b.exists", True), ("defined(a)", True), ("exists(a)", True), ("${a:-x}", True),
        ("a", False), ("is_null(a)", False), ("defined(lower(a))", False), ("${a}", False),
    ],
)  # fmt: skip
def test_references_that_may_be_undefined(source: str, *, optional: bool) -> None:
    (found,) = parse_expression(source).references()
    assert found.optional is optional
    assert isinstance(found, Reference)


# -- totality ------------------------------------------------------------------------------------------------------
def test_a_search_that_takes_too_long_is_a_problem() -> None:
    with pytest.raises(PatternTimeout):
        of_item("path =~ '(a|aa)+$(?<=c)'", {"path": "a" * 200 + "b"})


def test_a_modifier_that_does_not_fit_is_a_problem() -> None:
    with pytest.raises(BadModifier):
        of_variables("${n:csv} == 'x'")


@pytest.mark.parametrize("source", ["a == b", "b in [a]", "string(a)", "'${item.a}'"])
def test_values_beyond_the_stack_are_a_problem(source: str) -> None:
    deep, twin = nested(50_000), nested(50_000)
    try:
        with pytest.raises(TemplateError, match="nested too deep") as caught:
            of_item(source, {"a": deep, "b": twin})
    finally:
        unnest(deep)
        unnest(twin)
    assert source in caught.value.message


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def unnest(value: list[Any]) -> None:
    """Take a list apart, because freeing it whole recurses."""
    while value:
        value = value.pop()


def test_half_a_character_is_a_problem() -> None:
    with pytest.raises(TemplateError, match="half a character"):
        of_item("string(a)", {"a": ["\ud800", 1]})


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(10**20, 10**400) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["5", "-0.0", "1e999", "true", "", "0", " 7 ", "9" * 5000, "\ud800", "("])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
)  # fmt: skip
ATOMS = st.sampled_from(
    ["a", "b", "item", "item.c[0]", "value", "index", "${x}", "${x:json}", "$x", "'a'", "'${x}'", "5", "-1.5", "null",
     "true", "[a, 1]", "a.exists", "''"]
)  # fmt: skip
SIGNS = st.sampled_from(
    ["==", "=", "!=", "<>", "<", "<=", ">", ">=", "=~", "!~", "in", "not in", "contains", "starts_with", "endsWith",
     "not matches"]
)  # fmt: skip
ONE = st.sampled_from(
    ["isNull", "is_not_null", "is_empty", "is_number", "is_string", "is_bool", "is_array", "is_object", "length",
     "lower", "upper", "trim", "defined", "count", "min", "max", "abs", "number", "string"]
)  # fmt: skip
WRITTEN = st.recursive(
    ATOMS,
    lambda part: (
        st.builds("({} {} {})".format, part, SIGNS, part)
        | st.builds("({} && {} || {})".format, part, part, part)
        | st.builds("{}({})".format, ONE, part)
        | st.builds("(!{})".format, part)
        | st.builds(
            "{}({}, {})".format, st.sampled_from(["any", "all", "length", "min", "contains"]), part, part
        )
        | st.builds("(({}).lower().length() exists)".format, part)
    ),
    max_leaves=6,
)
SOUP = st.lists(
    ATOMS | SIGNS | ONE | st.sampled_from(list("()[],!'\"${}&|. \\?:-")) | st.text(max_size=3), max_size=12
)


def outcome(source: str, names: Names, item: Any) -> Any:
    """The value, or the code of the problem; any other exception comes out."""
    try:
        return evaluate(parse_expression(source, names), Variables(a=item, x=item), item, 1)
    except TemplateError as error:
        return error.code


@given(WRITTEN, VALUES)
def test_every_expression_has_a_value_or_a_problem(source: str, item: Any) -> None:
    for names in ("variables", "item", "value"):
        result = outcome(source, names, item)
        assert result is not UNDEFINED


@settings(max_examples=300)
@given(SOUP.map(" ".join) | SOUP.map("".join) | st.text(), VALUES)
def test_every_text_is_an_expression_or_refused(source: str, item: Any) -> None:
    try:
        for reference in parse_expression(source, "item").references():
            assert 1 <= reference.column <= len(source)
    except BadExpression as error:
        assert 1 <= error.column <= len(source) + 1  # noqa: PT017 - both outcomes are fine
        return
    outcome(source, "item", item)


@given(VALUES, VALUES)
def test_laws_of_equality(left: Any, right: Any) -> None:
    assert equal(left, right) == equal(right, left)
    if not equal(left, left):
        assert "NaN" in repr(left) or "nan" in repr(left)
    assert contains([right, left], left) == (equal(left, left) or equal(right, left))


@given(VALUES)
def test_order_and_equality_agree(value: Any) -> None:
    scope = Variables(a=value)
    for other in ("5", "'5'", "'a'", "true", "null"):
        less, equal_, more = (
            evaluate(parse_expression(f"a {sign} {other}"), scope) for sign in ("<", "==", ">")
        )
        assert less + equal_ + more <= 1
        if isinstance(value, int | float) and not isinstance(value, bool) and other == "5":
            assert less + equal_ + more == (value == value)  # noqa: PLR0124 - that is NaN


@given(st.text())
def test_any_text_can_be_written_as_a_string(text: str) -> None:
    """Through JSON's escapes, with those that expressions do not know spelt out."""
    written = msgspec.json.encode(text).decode().replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    written = written.replace("\\r", "\\u000d").replace("${", "\\u0024{")
    assert of_variables(written) == text
    assert ItemScope(text, 0, 1).lookup(("item",)) == text
