from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.refs import Computed, Dollar, Malformed, Ref, compile_text, parse_ref
from prodigy.workflow.scope import UNDEFINED, ItemScope, resolve
from prodigy.workflow.template import BadModifier, BadReference, TemplateError, UndefinedVariable, render_text

ITEM = {
    "path": "src/a b.py",
    "n": 5,
    "f": 0.5,
    "yes": True,
    "none": None,
    "blank": "",
    "tags": ["x", "y"],
    "files": ["src/a.rs", "src/deep/b.rs", "c.py"],
    "deep": {"list": [{"k": 1}, {"k": 2}, {}], "odd key": "v", "0": "zero"},
    "mixed": [1, "a", None],
}


def render(text: str, item: Any = ITEM) -> str:
    return render_text(text, ItemScope(item, 3, 10))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${item.path}", "src/a b.py"),
        ("a ${ item.n } b", "a 5 b"),
        ("${item.f} ${item.yes} [${item.none}]", "0.5 true []"),
        ("${item.tags}", "x, y"),
        ("${item.mixed}", '[1,"a",null]'),
        ("${item.deep.list[0].k} ${item.deep.list[-2].k} ${item.deep.list.1.k}", "1 2 2"),
        ("${item.deep.list[*].k}", "[1,2,null]"),
        ("[${item.deep.list[9]}]", "[]"),
        ("${item.deep['odd key']} ${item.deep.0}", "v zero"),
        ("${item_index}/${item_total}", "3/10"),
        ("${item.path:json}", '"src/a b.py"'),
        ("${item.tags:json}", '["x","y"]'),
        ("${item.tags:lines}", "x\ny"),
        ("${item.tags:csv}|${item.tags:space}", "x,y|x y"),
        ("${item.path:words}", "src/a, b.py"),
        ("${item.files:*.rs}", "src/a.rs, src/deep/b.rs"),
        ("${item.files:.py}", "c.py"),
        ("${item.files:src/*}", "src/a.rs"),
        ("${item.files:src/**}", "src/a.rs, src/deep/b.rs"),
        ("${item.files:*.py,*.rs:space}", "src/a.rs src/deep/b.rs c.py"),
        ("${item.path | basename} ${item.path | dirname | upper}", "a b.py SRC"),
        ("${item.files | first} ${item.files|length} ${item.path|length}", "src/a.rs 3 10"),
        ("${item.files | pattern:*.py}", "c.py"),
        ("${item.gone:-none} ${item.none:-none} ${item.blank:-none} ${item.n:-none}", "none none none 5"),
        ("${item.gone:-see ${item.n}}", "see 5"),
        ("${item.gone | default:d} ${item.gone | length:0}", "d 0"),
        ("${item.value.n} ${item.item.n}", "5 5"),
        (r"\${item.n} \$item_index", "${item.n} $item_index"),
        ("$item_index $unknown $$ $1 ${{ github.sha }}", "3 $unknown $$ $1 ${{ github.sha }}"),
        ("cost: 5$, $", "cost: 5$, $"),
    ],
)
def test_references_are_filled_in(text: str, expected: str) -> None:
    assert render(text) == expected


def test_the_item_itself_may_be_text() -> None:
    assert render("${item} ${item.value} ${item.item}", "one line") == "one line one line one line"


def test_values_are_never_scanned_again() -> None:
    assert render("${item.path}", {"path": "${item.n} $item_index"}) == "${item.n} $item_index"


@pytest.mark.parametrize(
    ("text", "name", "suggestion"),
    [
        ("${itm.path}", "itm.path", "item"),
        ("${item.pth}", "item.pth", "item.path"),
        ("${item.deep.lst}", "item.deep.lst", "item.deep.list"),
        ("${item.n.x}", "item.n.x", None),
        ("${elsewhere}", "elsewhere", None),
    ],
)
def test_what_leads_nowhere_names_what_was_meant(text: str, name: str, suggestion: str | None) -> None:
    with pytest.raises(UndefinedVariable) as caught:
        render(text)
    assert (caught.value.name, caught.value.suggestion) == (name, suggestion)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("${item.path%.py}", BadReference),
        ("${item.path", BadReference),
        ("${}", BadReference),
        ("${item.path:upercase}", BadReference),
        ("${env:HOME}", UndefinedVariable),
        ("${uuid}", UndefinedVariable),
        ("${file:x.txt}", UndefinedVariable),
        ("${count:item.n}", BadReference),
        ("${item.n:lines}", BadModifier),
        ("${item.tags:words}", BadModifier),
        ("${item.n | first}", BadModifier),
        ("${item.tags:[z-a]*}", BadModifier),
    ],
)
def test_what_cannot_work_is_refused(text: str, error: type[TemplateError]) -> None:
    with pytest.raises(error):
        render(text)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a", Ref("${a}", ("a",))),
        ("a-b.c_d", Ref("${a-b.c_d}", ("a-b", "c_d"))),
        ("a[-1][*]['x']", Ref("${a[-1][*]['x']}", ("a", -1, "*", "x"))),
        ("env:HOME", Ref("${env:HOME}", ("env", "HOME"))),
        ("env:HOME:-x", Ref("${env:HOME:-x}", ("env", "HOME"), default=compile_text("x"))),
        ("uuid", Computed("${uuid}", "uuid", "")),
        ("date:%Y-%m:%d", Computed("${date:%Y-%m:%d}", "date", "%Y-%m:%d")),
    ],
)  # fmt: skip
def test_bodies_that_are_references(body: str, expected: Ref | Computed) -> None:
    assert parse_ref(body) == expected


@pytest.mark.parametrize(
    "body",
    ["", " ", "x%.py", "x%%.*", "x#a", "#x", "x:0:7", "x:=d", "x:+d", "x:?m", "!x", "x@Q", "x/a/b", "x^^", "1", "a..b",
     "a.", "a b", "date:0:4", "a | nope", "a | upper:x", "a | pattern"],
)  # fmt: skip
def test_bodies_of_the_shell_are_none(body: str) -> None:
    assert parse_ref(body) is None


@given(st.text(alphabet="${}\\ab.[]:-|'\"*1 ", max_size=40))
def test_any_text_compiles_to_pieces_that_cover_it(text: str) -> None:
    pieces = compile_text(text).pieces
    literal = "".join(piece if isinstance(piece, str) else piece.source for piece in pieces)
    assert literal.replace("\\", "") == text.replace("\\", "")
    assert all(isinstance(piece, str | Ref | Computed | Dollar | Malformed) for piece in pieces)


@given(st.text(alphabet="${}\\ab.[]:-|'\"*1 item", max_size=40))
def test_any_text_renders_or_fails_as_a_template(text: str) -> None:
    with suppress(TemplateError):
        assert isinstance(render(text), str)


@given(st.text())
def test_text_without_a_dollar_is_itself(text: str) -> None:
    assert render(text.replace("$", "")) == text.replace("$", "")


paths = st.lists(st.sampled_from(["a", "0", "*", 0, -1, 5]), max_size=4)
data = st.recursive(st.none() | st.text(max_size=2), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["a", "0"]), inner
), max_leaves=6)  # fmt: skip


@given(data, paths)
def test_any_path_into_any_data_is_a_value_or_undefined(value: Any, path: list[str | int]) -> None:
    found = resolve(value, path)
    assert found is UNDEFINED or found is None or isinstance(found, str | list | dict)


def test_a_value_does_not_grow_without_end() -> None:
    """Every `:json` of a text escapes it once more."""
    few, many = ("${item.q" + ":json" * count + "}" for count in (8, 40))
    assert len(render(few, {"q": '"'})) < 2_000
    with pytest.raises(BadReference, match="more than 8 times"):
        render(many, {"q": '"'})
