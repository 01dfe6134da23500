"""Values of every type, read from the field of a mapping."""

from collections.abc import Callable
from typing import Any

import pytest

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.model import Deferred, Expr, Mark, Text
from prodigy.workflow.nodes import Mapping, Span, character
from prodigy.workflow.problems import Problems
from prodigy.workflow.source import read
from prodigy.workflow.vocabulary import Key, acting, inert, later, vocabulary

Found = tuple[Any, list[str]]
Read = Callable[[str, Callable[[Reader, Field | None], Any]], Found]


def field_of(text: str, problems: Problems) -> Field:
    """The one field of a text such as ``limit: 5``."""
    root = read(text, problems, json=False)
    assert isinstance(root, Mapping)
    ((key, value),) = root.entries
    return Field(key.text, key, value)


@pytest.fixture
def value() -> Read:
    """What a method of the reader makes of a field, and the problems as ``line:column code``."""

    def found(text: str, method: Callable[[Reader, Field | None], Any]) -> Found:
        problems = Problems("wf.yml")
        got = method(Reader(problems), field_of(text, problems))
        return got, [f"{one.mark.line}:{one.mark.column} {one.code}" for one in problems.sorted()]

    return found


def count(reader: Reader, entry: Field | None) -> Any:
    return reader.count(entry, 1, 9)


def limit(reader: Reader, entry: Field | None) -> Any:
    return reader.limit(entry, 7.0)


def fixed_limit(reader: Reader, entry: Field | None) -> Any:
    return reader.fixed_limit(entry, 7.0)


def share(reader: Reader, entry: Field | None) -> Any:
    return reader.share(entry, 0, 100)


def choice(reader: Reader, entry: Field | None) -> Any:
    return reader.choice(entry, ("per_agent", "hybrid"), {"both": "hybrid"})


def item_expr(reader: Reader, entry: Field | None) -> Any:
    return reader.expr(entry, "item")


@pytest.mark.parametrize(
    ("text", "method", "got"),
    [
        ("k: 0644", Reader.text, "0644"),
        ("k: a", Reader.text_node, Text("a", Mark("wf.yml", 1, 4))),
        ("k: [a, 1.10]", Reader.texts, ("a", "1.10")),
        ("k: a", Reader.texts, ("a",)),
        ("k: {a: [1, ~]}", Reader.data, {"a": [1, None]}),
        ("k: 5", count, 5),
        ("k: '5'", count, 5),
        ("k: 62.5", share, 62.5),
        ("k: 25%", Reader.fraction, 0.25),
        ("k: 1", Reader.fraction, 1.0),
        ("k: 'True'", Reader.boolean, True),
        ("k: 1h 30m", Reader.seconds, 5400.0),
        ("k_ms: 250", Reader.seconds, 0.25),
        ("k_ms: 2s", Reader.seconds, 2.0),
        ("k: {secs: 5, nanos: 250000000}", Reader.seconds, 5.25),
        ("k: 0", Reader.seconds, 0.0),
        ("k: none", limit, None),
        ("k: 90", limit, 90.0),
        ("k: none", fixed_limit, None),
        ("k: 2GiB", Reader.size, 2**31),
        ("k: PerAgent", choice, "per_agent"),
        ("k: per-agent", choice, "per_agent"),
        ("k: HYBRID", choice, "hybrid"),
        ("k: both", choice, "hybrid"),
        ("k: \"item.n > 2 && x == 'y'\"", item_expr, Expr("item.n > 2 && x == 'y'", Mark("wf.yml", 1, 4))),
        ("k: true", Reader.expr, Expr("true", Mark("wf.yml", 1, 4))),
        ("k: '^a+$'", Reader.pattern, "^a+$"),
        ("k: $.a[?(@.b=c)]", Reader.json_path, "$.a[?(@.b=c)]"),
    ],
)  # fmt: skip
def test_what_is_read(value: Read, text: str, method: Any, got: Any) -> None:
    assert value(text, method) == (got, [])


@pytest.mark.parametrize(
    ("text", "method", "deferred"),
    [
        ("k: ${N}", count, Deferred("${N}", "integer", Mark("wf.yml", 1, 4), 1)),
        ("k: $N", count, Deferred("$N", "integer", Mark("wf.yml", 1, 4), 1)),
        ("k: '${N}m'", Reader.seconds, Deferred("${N}m", "duration", Mark("wf.yml", 1, 4))),
        ("k_ms: ${N}", Reader.seconds, Deferred("${N}ms", "duration", Mark("wf.yml", 1, 7))),
        ("k: ${N}", limit, Deferred("${N}", "duration", Mark("wf.yml", 1, 4), 0.001)),
        ("k: ${N}", Reader.size, Deferred("${N}", "size", Mark("wf.yml", 1, 4))),
        ("k: ${N}", share, Deferred("${N}", "number", Mark("wf.yml", 1, 4), 0)),
    ],
)
def test_references_wait_for_their_value(value: Read, text: str, method: Any, deferred: Deferred) -> None:
    assert value(text, method) == (deferred, [])


@pytest.mark.parametrize(
    ("text", "method", "codes"),
    [
        ("k: [a]", Reader.text, ["1:4 wrong-type"]),
        ("k: [a, [b]]", Reader.texts, ["1:8 wrong-type"]),
        ("k: [a, ~]", Reader.texts, ["1:8 wrong-type"]),
        ("k: {a: 1, b: ~}", Reader.given, ["1:11 empty-key"]),
        ('k: "a\\0"', Reader.text, ["1:4 bad-value"]),
        ("k: ' '", Reader.filled, ["1:4 bad-value"]),
        ("k: 0", count, ["1:4 bad-value"]),
        ("k: 10", count, ["1:4 bad-value"]),
        ("k: 1.5", count, ["1:4 wrong-type"]),
        ("k: 101", share, ["1:4 bad-value"]),
        ("k: .inf", share, ["1:4 wrong-type"]),
        ("k: 101%", Reader.fraction, ["1:4 bad-value"]),
        ("k: 25", Reader.fraction, ["1:4 bad-value"]),
        ("k: yes", Reader.boolean, ["1:4 wrong-type"]),
        ("k: ${B}", Reader.boolean, ["1:4 not-yet-supported"]),
        ("k: ${T}", fixed_limit, ["1:4 not-yet-supported"]),
        ("k: 5x", Reader.seconds, ["1:4 bad-duration"]),
        ("k: {sec: 5}", Reader.seconds, ["1:5 unknown-key"]),
        ("k: {secs: -5}", Reader.seconds, ["1:11 bad-value"]),
        ("k: 0", limit, ["1:4 bad-value"]),
        ("k: 10kk", Reader.size, ["1:4 bad-size"]),
        ("k: hybird", choice, ["1:4 bad-enum"]),
        ("k: 'a == '", item_expr, ["1:9 bad-expression"]),
        ("k: ''", Reader.expr, ["1:4 bad-value"]),
        ("k: a(b", Reader.pattern, ["1:6 bad-regex"]),
        ("k: $[", Reader.json_path, ["1:4 bad-jsonpath"]),
    ],
)
def test_what_is_wrong(value: Read, text: str, method: Any, codes: list[str]) -> None:
    assert value(text, method)[1] == codes


@pytest.mark.parametrize("method", [count, Reader.text, Reader.seconds, Reader.expr, Reader.pattern, choice])
def test_what_is_not_there_is_none(method: Any) -> None:
    problems = Problems("wf.yml")
    assert method(Reader(problems), None) is None
    assert problems.sorted() == ()
    assert limit(Reader(problems), None) == 7.0


@pytest.mark.parametrize(
    ("span", "text", "position", "column"),
    [
        (Span(1, 4, 1, 7), "abc", 2, 6),
        (Span(1, 4, 1, 9), "abc", 2, 7),  # within quotes
        (Span(1, 4, 1, 9), "abc", 99, 7),  # past the end: the last character
        (Span(1, 4, 1, 12), "abc", 2, 4),  # escapes: nobody knows
        (Span(1, 4, 3, 9), "abc", 2, 4),
        (Span(1, 4, 1, 7), "abc", None, 4),
    ],
)
def test_a_character_of_a_scalar(span: Span, text: str, position: int | None, column: int) -> None:
    assert character(span, text, position).column == column


# -- keys ----------------------------------------------------------------------------------------------------------
WORDS = vocabulary(
    "`box`",
    "under `box:`",
    acting("width=breadth", "height"),
    later("colour"),
    (inert("weight", "weigh it yourself"), Key("depth", old=("deep",)), Key("lid", nullable=True)),
)


@pytest.fixture
def keys() -> Callable[[str], tuple[Fields, list[str]]]:
    def found(text: str) -> tuple[Fields, list[str]]:
        problems = Problems("wf.yml")
        root = read(text, problems, json=False)
        assert isinstance(root, Mapping)
        fields = Reader(problems).fields(root, WORDS)
        return fields, [
            f"{one.mark.column} {one.code} {' '.join(one.hints)}".strip() for one in problems.sorted()
        ]

    return found


@pytest.mark.parametrize(
    ("text", "names", "found"),
    [
        ("{breadth: 1, x-note: ~}", {"width"}, []),
        ("{deep: 1}", {"depth"}, ["2 deprecated-key write `depth`"]),
        ("{lid: ~, width: ~}", {"lid"}, ["10 empty-key"]),
        ("{colour: red}", set(), ["2 not-yet-supported"]),
        ("{weight: 1}", set(), ["2 no-effect weigh it yourself"]),
        ("{widht: 1}", {"width"}, ["2 unknown-key did you mean `width`?"]),
        ("{Width: 1, width: 2}", {"width"}, ["2 unknown-key did you mean `width`?"]),
        ("{widht: }", set(), ["2 unknown-key did you mean `width`?"]),
        ("{.a: 1}", set(), ["2 unknown-key"]),
        ("{width: 1, breadth: 2}", {"width"}, ["12 conflicting-keys keep one of them"]),
    ],
)
def test_keys(
    keys: Callable[[str], tuple[Fields, list[str]]], text: str, names: set[str], found: list[str]
) -> None:
    fields, problems = keys(text)
    assert (set(fields.found), problems) == (names, found)


def test_a_misspelt_or_refused_key_counts_as_attempted(
    keys: Callable[[str], tuple[Fields, list[str]]],
) -> None:
    fields, _ = keys("{widht: 1, colour: red, lid: 2}")
    assert all(fields.attempted((name,)) for name in ("width", "colour", "lid"))
    assert not fields.attempted(("height",))
    assert not fields.without(("width", "lid")).attempted(("width", "lid"))
