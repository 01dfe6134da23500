import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from prodigy.workflow.nodes import Mapping, Scalar, value_of
from prodigy.workflow.problems import Problems
from prodigy.workflow.source import MAX_BYTES, decode, read

plain_data = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def tree(text: str, *, json: bool = False) -> tuple[Any, list[str]]:
    problems = Problems("wf")
    node = read(text, problems, json=json)
    return node, [f"{found.mark.line}:{found.mark.column} {found.code}" for found in problems.sorted()]


def value(text: str) -> Any:
    node, problems = tree(text)
    assert problems == []
    return value_of(node)


@given(plain_data)
def test_json_text_reads_as_the_data_it_was_written_from(data: Any) -> None:
    for text in (json.dumps(data), json.dumps(data, indent=1, ensure_ascii=False)):
        node, problems = tree(text, json=True)
        assert problems == []
        assert value_of(node) == data


NUMBERS_OF_1_2 = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?|0o[0-7]+|0x[0-9a-fA-F]+")
"""Numbers in YAML 1.2; the writer follows 1.1 and leaves some of them unquoted where they are text."""


def texts_in(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, part in data.items():
            yield from texts_in(key)
            yield from texts_in(part)
    elif isinstance(data, list):
        for part in data:
            yield from texts_in(part)


@given(plain_data)
def test_yaml_text_reads_as_the_data_it_was_written_from(data: Any) -> None:
    assume(not any(NUMBERS_OF_1_2.fullmatch(text) for text in texts_in(data)))
    text = yaml.safe_dump(data, allow_unicode=False, default_style='"' if isinstance(data, str) else None)
    node, problems = tree(text)
    if not problems:
        assert value_of(node) == yaml.safe_load(text)


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u"\'', max_size=60))
def test_json_agrees_with_the_standard_library_on_what_is_json(text: str) -> None:
    node, problems = tree(text, json=True)
    try:
        expected = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        assert problems or node is None
        return
    if "2:" not in str(problems):
        assert [found for found in problems if "duplicate-key" not in found] == []
    if not problems:
        assert value_of(node) == expected


def test_only_core_scalars_are_special() -> None:
    assert value("[yes, no, on, off, Yes]") == ["yes", "no", "on", "off", "Yes"]
    assert value("[true, False, ~, null, '', 'null', 12, 0x1f, 0o17, -1.5, 1e3, .inf, .nan]") == [
        True, False, None, None, "", "null", 12, 31, 15, -1.5, 1000.0, ".inf", ".nan",
    ]  # fmt: skip
    assert value("2026-01-01") == "2026-01-01"
    assert value("a:\n") == {"a": None}


def test_scalars_keep_their_source_text() -> None:
    node, _ = tree("mode: 0644\nversion: 1.10\n")
    assert isinstance(node, Mapping)
    assert [entry[1].text for entry in node.entries if isinstance(entry[1], Scalar)] == ["0644", "1.10"]


def test_nodes_know_their_place_from_one() -> None:
    node, _ = tree("a:\n  - bé: 'x'\n")
    inner = node.entries[0][1].items[0].entries[0]
    assert (inner[0].line, inner[0].column, inner[0].end_column) == (2, 5, 7)
    assert (inner[1].line, inner[1].column, inner[1].end_column) == (2, 9, 12)


def test_anchors_aliases_and_merge_keys_work() -> None:
    text = "base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nboth: {<<: [{x: 9}, *b], z: 0}\nagain: *b\n"
    assert value(text) == {
        "base": {"x": 1, "y": 2},
        "own": {"y": 3, "x": 1},
        "both": {"z": 0, "x": 9, "y": 2},
        "again": {"x": 1, "y": 2},
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2\na: 3\n", ["3:1 duplicate-key"]),
        ("a: !!python/object:x {}\n", ["1:4 yaml-tag"]),
        ("a: !!str 3\n", ["1:4 yaml-tag"]),
        ("a: 1\n---\nb: 2\n", ["2:1 yaml-syntax"]),
        ("a: *nowhere\n", ["1:4 yaml-syntax"]),
        ("a: &a [*a]\n", ["1:8 yaml-limit"]),
        ("a: b: c\n", ["1:5 yaml-syntax"]),
        ("a: [1\n", ["1:4 yaml-syntax"]),
        ("a: 'x\n", ["1:4 yaml-syntax"]),
        ("\ta: 1\n", ["1:1 yaml-syntax"]),
        ("é: \x01\n", ["1:4 yaml-syntax"]),
        ("? [a]\n: b\n", ["1:3 wrong-type"]),
        ("<<: 3\n", ["1:5 wrong-type"]),
        ("[" * 65 + "]" * 65, ["1:65 yaml-limit"]),
    ],
)
def test_what_is_refused_has_a_place(text: str, found: list[str]) -> None:
    assert tree(text)[1] == found


def test_depth_counts_through_aliases() -> None:
    deep = "a: &a " + "[" * 40 + "]" * 40
    assert tree(f"{deep}\nb: " + "[" * 20 + "*a" + "]" * 20)[1] == []
    assert tree(f"{deep}\nb: " + "[" * 30 + "*a" + "]" * 30)[1] == ["2:34 yaml-limit"]


def test_aliases_cannot_multiply_without_bound() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert tree("\n".join(lines))[1][0].endswith("yaml-limit")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1, "a": 2}', ["1:10 duplicate-key"]),
        ('{"a": 1,}', ["1:9 yaml-syntax"]),
        ("[1,]", ["1:4 yaml-syntax"]),
        ("[1] 2", ["1:5 yaml-syntax"]),
        ("{'a': 1}", ["1:2 yaml-syntax"]),
        ('"\\ud800"', ["1:1 yaml-syntax"]),
        ("[" * 70, ["1:66 yaml-limit"]),
        ('{"a"\n:\n"b\nc"}', ["3:3 yaml-syntax"]),
    ],
)
def test_json_is_read_as_json(text: str, found: list[str]) -> None:
    assert tree(text, json=True)[1] == found


def test_json_reads_what_yaml_cannot() -> None:
    node, problems = tree('{"\\ud83d\\ude00":\t"\\/"}', json=True)
    assert problems == []
    assert value_of(node) == {"😀": "/"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"a: \xff", "1:4 not-utf8"),
        (b"a: 1\nb: \xc3", "2:4 not-utf8"),
        (b"a: \0", "1:4 yaml-syntax"),
        ("a: é".encode("utf-16"), "1:1 not-utf8"),
        (b"#" * (MAX_BYTES + 1), "1:1 yaml-limit"),
    ],
)
def test_bytes_that_are_no_text(data: bytes, code: str) -> None:
    problems = Problems("wf")
    assert decode(data, problems) is None
    assert [f"{found.mark.line}:{found.mark.column} {found.code}" for found in problems.sorted()] == [code]


def test_a_byte_order_mark_is_not_content() -> None:
    assert decode(b"\xef\xbb\xbfa: 1", Problems("wf")) == "a: 1"


@given(st.text(max_size=200) | st.text(alphabet="-?:[]{}&*!|>'\"%@#<~ab1 \n\t", max_size=80))
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    for as_json in (False, True):
        node, problems = tree(text, json=as_json)
        assert node is not None or problems or not as_json or not text.strip()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "- shell: a\n   timeout: 5\n",
            "check the indentation: this line does not stand under the one above",
        ),
        ("- claude: /fix: it\n", "put the text in quotes, or under `|`, when it contains `: `"),
        ("- shell: %cpu\n", "text that starts with `%` needs quotes"),
        ("- shell: `date`\n", "text that starts with a backquote needs quotes"),
        ("- shell: *.rs\n", "text that starts with `*` needs quotes"),
        ("- claude: {{ name }}\n", "text that starts with `{` or `[` needs quotes"),
        ("commands:\n\t- shell: a\n", "YAML indents with spaces, not with tabs"),
        (
            "```yaml\n- shell: a\n```\n",
            "leave out the lines with three backquotes: they belong to the page that the workflow was on",
        ),
    ],
)
def test_broken_syntax_says_what_can_be_done(text: str, hint: str) -> None:
    problems = Problems("wf.yml")
    read(text, problems)
    assert hint in [hint for problem in problems.sorted() for hint in problem.hints]


def test_a_comment_in_json_is_named() -> None:
    problems = Problems("wf.json")
    read('{\n  // why\n  "a": 1}', problems, json=True)
    (problem,) = problems.sorted()
    assert (problem.mark.line, problem.message) == (
        2,
        "expected a key in double quotes; JSON has no comments",
    )
