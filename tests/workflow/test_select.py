from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scopes import Variables

from prodigy.ids import content_hash
from prodigy.workflow.deferred import BadValue
from prodigy.workflow.item_rules import Rules, choose
from prodigy.workflow.model import Deferred, Expr, ItemValidation, MapInput, MapPhase
from prodigy.workflow.select import BadInput, input_kind, read_content, select
from prodigy.workflow.template import UndefinedVariable


def phase(**options: Any) -> MapPhase:
    return MapPhase(input=MapInput(source="auto", text="x"), agent_template=(), **options)


@pytest.mark.parametrize(
    ("content", "suffix", "root"),
    [
        ('{"a": [1, 2]}', "", {"a": [1, 2]}),
        ("1\n2\n3\n", "", [1, 2, 3]),
        ('{"a":1}\n\n{"a":2}\n', "", [{"a": 1}, {"a": 2}]),
        ("one\n\n two \n", "", ["one", " two "]),
        ("1\ntwo\n", "", ["1", "two"]),
        ("", "", []),
        ("\n \n", ".txt", []),
        ("[1]", ".json", [1]),
        ('{"a":1}\n{"a":2}', ".json", [{"a": 1}, {"a": 2}]),
        ('{"a":1}\n', ".jsonl", [{"a": 1}]),
        ("a,b\n1,x y\n2\n", ".csv", [{"a": "1", "b": "x y"}, {"a": "2", "b": ""}]),
        ('a\n"x\ny"\n', ".CSV", [{"a": "x\ny"}]),
        ("- a: yes\n- b: 1\n", ".yml", [{"a": "yes"}, {"b": 1}]),
        ("", ".yaml", []),
        ("123456789012345678901234567890", "", 123456789012345678901234567890),
        ("\ufeff[1]", ".json", [1]),
    ],
)
def test_content_is_read_by_its_kind(content: str, suffix: str, root: Any) -> None:
    assert read_content(content.encode(), suffix) == root


@pytest.mark.parametrize(
    ("content", "suffix", "needle"),
    [
        (b"{", ".json", "not JSON"),
        (b'{"a":1}\n{', ".jsonl", "line 2"),
        (b"a,a\n1,2\n", ".csv", "twice"),
        (b"a\n1,2\n", ".csv", "row 1"),
        (b"a: [\n", ".yml", "not YAML"),
        (b"\xff", "", "UTF-8"),
        (b"[" * 5000, ".json", "not JSON"),
    ],
)
def test_content_that_is_not_what_it_should_be(content: bytes, suffix: str, needle: str) -> None:
    with pytest.raises(BadInput, match=needle):
        read_content(content, suffix, where="w")


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:1a\n-', max_size=40).map(str.encode))
def test_any_content_is_a_root_or_an_error(content: bytes) -> None:
    for suffix in ("", ".json", ".jsonl", ".csv", ".yml"):
        try:
            read_content(content, suffix)
        except BadInput:
            continue


@pytest.mark.parametrize(
    ("json_path", "root", "from_command", "items"),
    [
        ("", [1, 2], False, (1, 2)),
        ("$", {"a": 1}, False, ({"a": 1},)),
        ("", "text", False, ("text",)),
        ("$[*]", {"a": 1, "b": 2}, True, ({"a": 1, "b": 2},)),
        ("$[*]", {"a": 1, "b": 2}, False, (1, 2)),
        ("$.items", {"items": [1, 2]}, False, (1, 2)),
        ("$.items", {"items": 5}, False, (5,)),
        ("$.items[*]", {"items": [[1], [2]]}, False, ([1], [2])),
        ("$.items[*]", {"items": [[1, 2]]}, False, ([1, 2],)),
        ("$.items[0]", {"items": [[1, 2]]}, False, (1, 2)),
    ],
)
def test_items_of_a_root(json_path: str, root: Any, *, from_command: bool, items: tuple[Any, ...]) -> None:
    assert select(phase(json_path=json_path), root, from_command=from_command).items == items


def test_a_path_without_a_match_is_no_items() -> None:
    chosen = select(phase(json_path="$.gone[*]"), {"a": 1})
    assert (chosen.items, chosen.found, chosen.matched) == ((), 0, False)


@given(st.integers(0, 12), st.none() | st.integers(0, 12), st.lists(st.integers(), max_size=10))
def test_offset_and_max_items_account_for_every_item(offset: int, most: int | None, root: list[int]) -> None:
    chosen = select(phase(offset=offset, max_items=most), root)
    assert list(chosen.items) == root[offset:][: len(root) if most is None else most]
    assert chosen.found == chosen.before + len(chosen.items) + chosen.beyond == len(root)


def test_ids_are_content_hashes_or_what_the_workflow_says() -> None:
    items = [{"p": "a/b"}, {"p": "c"}, {"p": "c"}]
    plain = select(phase(), items).ids
    assert plain[1] == content_hash({"p": "c"})
    assert plain[2] == f"{plain[1]}-2"
    named = select(phase(item_id="${item.p}-${item_index}"), items).ids
    assert named[1:] == ("c-1", "c-2")
    assert named[0].startswith("a-b-0-")


def test_an_item_without_a_name_is_an_error() -> None:
    with pytest.raises(UndefinedVariable):
        select(phase(item_id="${item.p}"), [{"q": 1}])
    with pytest.raises(BadInput, match="empty"):
        select(phase(item_id="${item.p}"), [{"p": ""}])


@pytest.mark.parametrize(
    ("text", "exists", "kind"),
    [
        ("w.json", True, "file"),
        ("anything at all", True, "file"),
        ("w.json", False, "missing"),
        ("data/w", False, "missing"),
        (" items.csv ", False, "missing"),
        ("ls", False, "command"),
        ("cat w.json", False, "command"),
        ("./list|sort", False, "command"),
        ("find . -name '*.py'", False, "command"),
        ("$LIST/x.json", False, "command"),
    ],
)
def test_a_text_is_a_file_a_command_or_a_missing_file(text: str, *, exists: bool, kind: str) -> None:
    assert input_kind(text, exists=exists) == kind


ROWS = [
    {"p": "a", "n": 3},
    {"p": "b", "n": 1},
    {"p": "a", "n": 2},
    {"p": None, "n": 5},
    {"n": 4},
    {"p": "c", "n": 9},
]


@pytest.mark.parametrize(
    ("rules", "order", "left_out"),
    [
        (Rules(), [3, 1, 2, 5, 4, 9], (0, 0, 0, 0)),
        (Rules(filter=Expr("n < 5")), [3, 1, 2, 4], (2, 0, 0, 0)),
        (Rules(filter=Expr("item.p == 'a' || index == 5")), [3, 2, 9], (3, 0, 0, 0)),
        (Rules(sort_by="n DESC"), [9, 5, 4, 3, 2, 1], (0, 0, 0, 0)),
        (Rules(distinct="item.p"), [3, 1, 5, 4, 9], (0, 1, 0, 0)),
        (Rules(sort_by="n", distinct="p"), [1, 2, 4, 5, 9], (0, 1, 0, 0)),
        (Rules(sort_by="n", distinct="p", offset=1, max_items=2), [2, 4], (0, 1, 1, 2)),
        (Rules(filter=Expr("n > 1"), sort_by="n", distinct="p", offset=2), [5, 9], (1, 1, 2, 0)),
        (Rules(offset=9), [], (0, 0, 6, 0)),
        (Rules(max_items=0), [], (0, 0, 0, 6)),
    ],
)
def test_rules_apply_in_their_order(
    rules: Rules, order: list[int], left_out: tuple[int, int, int, int]
) -> None:
    """Filter, sorting, distinct, offset, maximum; every item is accounted for."""
    chosen = choose(ROWS, rules)
    assert [item["n"] for item in chosen.items] == order
    assert (chosen.filtered, chosen.duplicates, chosen.before, chosen.beyond) == left_out


def test_rules_read_variables_by_reference() -> None:
    scope = Variables(n=3, limit=3, skip=1)
    assert [item["n"] for item in choose(ROWS, Rules(filter=Expr("n < ${n}")), scope).items] == [1, 2]
    assert choose(ROWS, Rules(filter=Expr("${item_total} == 6 && ${item_index} == 5")), scope).items == (
        ROWS[5],
    )
    deferred = Rules(max_items=Deferred("${limit}", "integer"), offset=Deferred("${skip}", "integer"))
    assert [item["n"] for item in choose(ROWS, deferred, scope).items] == [1, 2, 5]
    with pytest.raises(BadValue):
        choose(ROWS, Rules(max_items=Deferred("${limit}x", "integer")), scope)


def test_a_phase_tells_what_its_rules_left_out() -> None:
    chosen = select(
        phase(
            json_path="$.rows[*]",
            filter=Expr("n != 9"),
            sort_by="p DESC, n",
            distinct="p",
            offset=1,
            max_items=1,
            item_id="${item.p}-${item_index}-${item_total}",
        ),
        {"rows": ROWS},
    )
    assert chosen.ids == ("a-0-1",)
    assert chosen.items == ({"p": "a", "n": 2},)
    counts = (chosen.found, chosen.filtered, chosen.duplicates, chosen.before, chosen.beyond)
    assert counts == (6, 1, 1, 1, 2)


VALIDATION = ItemValidation(
    required_fields=("id", "user.name"),
    field_types={
        "id": "integer",
        "user": "object",
        "size": "number",
        "tags": "array",
        "ok": "boolean",
        "t": "string",
    },
)


@pytest.mark.parametrize(
    ("item", "faults"),
    [
        ({"id": 1, "user": {"name": "x"}}, ()),
        ({"id": 1.0, "user": {"name": None}, "size": 0.5, "tags": [], "ok": False, "t": ""}, ()),
        ({"id": 1, "user.name": "x"}, ()),
        ({}, ("it has no `id`", "it has no `user.name`")),
        ("a line", ("it has no `id`", "it has no `user.name`")),
        ({"id": "1", "user": {"name": 1}}, ("`id` is a string, not an integer",)),
        ({"id": 1.5, "user": {"name": 1}}, ("`id` is a number, not an integer",)),
        ({"id": True, "user": {"name": 1}}, ("`id` is a boolean, not an integer",)),
        ({"id": 1, "user": [], "t": None}, ("it has no `user.name`", "`user` is an array, not an object", "`t` is null, not a string")),
    ],
)  # fmt: skip
def test_items_that_are_not_valid_are_told_apart(item: Any, faults: tuple[str, ...]) -> None:
    valid = {"id": 7, "user": {"name": "x"}}
    chosen = select(phase(validation=VALIDATION), [valid, item])
    assert chosen.items == (valid, item)
    assert chosen.faults == ({1: faults} if faults else {})


def test_a_phase_without_validation_takes_every_item() -> None:
    assert select(phase(), [1, None, {}]).faults == {}
