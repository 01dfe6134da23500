from contextlib import suppress
from typing import Any

import jsonpath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.workflow.json_path import BadJsonPath, check_json_path, find, normalised
from prodigy.workflow.nodes import Span
from prodigy.workflow.problems import Problems

ROOT = {"items": [{"p": "a b", "n": 5, "k": "x"}, {"p": "c", "n": 4, "k": "y"}], "one": {"n": 1}, "a-b": 1}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$.items[*].p", ["a b", "c"]),
        (".items[*].n", [5, 4]),
        ("items[-1].p", ["c"]),
        ("one.n", [1]),
        ("$.gone", []),
        ("$..n", [5, 4, 1]),
        ("$.items[0:1].p", ["a b"]),
        ("$['a-b']", [1]),
        ("$.items[?(@.n = 5)].p", ["a b"]),
        ("$.items[?@.k == x].p", ["a b"]),
        ("$.items[? ( @.k != x && @.n < 5 ) ].p", ["c"]),
        ("$.items[?(@.p =~ /^a.b$/)].n", [5]),
        ("$.items[?(@.p =~ /^A/i)].n", [5]),
        ("$.items[?(@.k == 'x = y')].n", []),
        ("items[?@.n==4].p", ["c"]),
        ("$.*.n", [1]),
    ],
)
def test_paths_as_people_write_them(path: str, values: list[Any]) -> None:
    assert find(path, ROOT).values == values


@pytest.mark.parametrize(
    ("path", "singular"), [("", True), ("$", True), ("$.items", True), ("items[0]", True), ("$.items[*]", False),
                           ("$..n", False), ("$.items[0:1]", False), ("$['a-b']", True)],
)  # fmt: skip
def test_a_path_to_one_place_is_singular(path: str, *, singular: bool) -> None:
    assert find(path, ROOT).singular is singular


simple_paths = st.lists(
    st.sampled_from([".a", ".b", "[0]", "[-1]", "[*]", ".*"]), max_size=5
).map(lambda steps: "$" + "".join(steps))  # fmt: skip
data = st.recursive(
    st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=10,
)


@given(simple_paths, data)
def test_simple_paths_agree_with_the_library(path: str, root: Any) -> None:
    query = jsonpath.JSONPathEnvironment(strict=True).compile(path)
    found = find(path, root)
    assert found.values == query.findall(root)
    assert found.singular == query.singular_query()


def test_words_and_single_equals_signs_become_strict() -> None:
    assert normalised("items[?(@.a = b && @.c != true)]") == "$.items[?(@.a =='b' && @.c !=true)]".replace(
        "=='b'", "== 'b'"
    ).replace("!=true", "!= true")


@pytest.mark.parametrize(
    "path", ["$[", "$.items[?", "$.a[?(@.b ==)]", "$...a", "$.a b", "$.items[?(@.n == 5)"]
)
def test_what_is_no_path_is_refused_with_a_place(path: str) -> None:
    with pytest.raises(BadJsonPath) as caught:
        find(path, ROOT)
    assert caught.value.message
    problems = Problems("wf")
    check_json_path(path, Span(3, 10, 3, 12 + len(path)), problems)
    (problem,) = problems.sorted()
    assert problem.code == "bad-jsonpath"
    assert 10 <= problem.mark.column < 12 + len(path)


@given(st.text(alphabet="$.[]*?@()=!<>~/'\"ab01 ,:&|", max_size=25))
def test_any_text_is_a_path_or_a_problem(path: str) -> None:
    with suppress(BadJsonPath):
        assert isinstance(find(path, ROOT).values, list)


def test_patterns_in_filters_have_the_limits_of_all_patterns() -> None:
    items = ["ab", "b", 7, None, "a" * 60 + "!"]
    assert find("$[?search(@, '^a')]", items).values == ["ab", "a" * 60 + "!"]
    assert find("$[?match(@, 'a?b')]", items).values == ["ab", "b"]
    assert find("$[?@ =~ /^A/i]", items).values == ["ab", "a" * 60 + "!"]
    assert find("$[?search(@, '[')]", items).values == []
    assert find("$[?search(@, 'a{1000000000}')]", items).values == []
    with pytest.raises(BadJsonPath, match="took more than 1 s"):
        find("$[?search(@, '^(a|a|aa)+$')]", items)
