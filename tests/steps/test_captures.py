"""What captures hold."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodigy.events import Captured, Stream
from prodigy.steps.captures import CaptureError, Facts, in_one, parsed, take
from prodigy.steps.durable import Done, Texts
from prodigy.workflow.model import Capture, Shell, Step, Text

DONE = Done(texts=Texts(stdout="one\ntwo 2\n", stderr="oops\n", both="one\noops\ntwo 2\n"))
WELL = Facts(0, True, 1.5)


def value(done: Done = DONE, facts: Facts = WELL, **capture: Any) -> Any:
    return take((Capture(name="x", **capture),), done, facts)["x"].value


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        ({}, "one\ntwo 2"),
        ({"format": "raw"}, "one\ntwo 2\n"),
        ({"format": "lines"}, ["one", "two 2"]),
        ({"source": "stderr"}, "oops"),
        ({"source": "both", "format": "lines"}, ["one", "oops", "two 2"]),
        ({"source": "exit_code"}, 0),
        ({"source": "success"}, True),
        ({"source": "duration"}, 1.5),
        ({"source": "pattern", "argument": r"two (\d)"}, "2"),
        ({"source": "pattern", "argument": r"two (\d)", "format": "number"}, 2),
        ({"source": "pattern", "argument": "t.o"}, "two"),
    ],
)
def test_sources(capture: dict[str, Any], expected: Any) -> None:
    assert value(**capture) == expected


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("a\n7\n\n", "number", 7),
        ("-1.5", "number", -1.5),
        ("1e3", "number", 1000.0),
        ("9" * 30, "number", 1e30),
        ("log\nYES\n", "boolean", True),
        ("0", "boolean", False),
        (' {"a": [1]} \n', "json", {"a": [1]}),
        ('{"a": [123456789012345678901]}', "json", {"a": [123456789012345678901.0]}),
        (str(2**63 - 1), "json", 2**63 - 1),
        ("a\r\n", "string", "a"),
        ("  a  \n\n", "string", "  a  "),
        ("", "lines", []),
    ],
)
def test_formats(text: str, form: str, expected: Any) -> None:
    assert parsed(text, form) == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [("seven", "number"), ("", "number"), ("nan", "number"), ("inf", "number"), ("maybe", "boolean"), ("{", "json"), ("NaN", "json")],
)  # fmt: skip
def test_what_does_not_parse(text: str, form: str) -> None:
    with pytest.raises(CaptureError):
        parsed(text, form)


@given(
    text=st.text() | st.integers().map(str) | st.from_regex(r"\A-?[0-9]{1,40}\Z"),
    form=st.sampled_from(["string", "raw", "json", "lines", "number", "boolean"]),
)
def test_whatever_is_captured_can_be_recorded(text: str, form: str) -> None:
    try:
        found = parsed(text, form)
    except CaptureError:
        return
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found)) == found


def test_json_paths() -> None:
    done = Done(texts=Texts(stdout='{"a": [{"n": 1}, {"n": 2}], "b": null}'))
    assert value(done, source="json", argument="$.a[1].n") == 2
    assert value(done, source="json", argument="$.a[*].n") == [1, 2]
    with pytest.raises(CaptureError, match="nothing is at"):
        value(done, source="json", argument="$.c")


def test_the_structured_value_of_claude_comes_before_its_text() -> None:
    done = Done(texts=Texts(stdout="words"), value={"structured": {"a": 1}})
    assert value(done, format="json") == {"a": 1}
    assert value(done) == "words"


def test_more_than_may_be_kept_is_an_error_and_no_shorter_text() -> None:
    done = Done(texts=Texts(stdout="begin", cut=True), stdout=Stream(log="/logs/1.out"))
    with pytest.raises(CaptureError, match=r"max_capture.*/logs/1\.out"):
        value(done)
    assert value(done, source="exit_code") == 0
    with pytest.raises(CaptureError):
        value(Done(stdout=Stream(tail="end", cut=True)))


def test_of_a_failed_step_what_has_no_value_is_null() -> None:
    failed = Facts(3, False, 0.1)
    captures = (
        Capture(name="n", format="number"),
        Capture(name="code", source="exit_code", fields=("success", "stderr")),
        Capture(name="text"),
    )
    assert take(captures, DONE, failed) == {
        "n": Captured(value=None),
        "code": Captured(value=3, fields={"success": False, "stderr": "oops"}),
        "text": Captured(value="one\ntwo 2"),
    }


BOTH = Capture(name="all", source="both")


@pytest.mark.parametrize(
    ("captures", "options", "read_apart", "one"),
    [
        ((BOTH,), {}, set(), True),
        ((BOTH, Capture(name="c", source="exit_code")), {}, {"other"}, True),
        ((Capture(name="x"),), {}, set(), False),
        ((BOTH, Capture(name="e", source="stderr")), {}, set(), False),
        ((BOTH, Capture(name="n", source="json", argument="$.n")), {}, set(), False),
        ((BOTH,), {"output_file": Text("out.txt")}, set(), False),
        ((BOTH,), {}, {"all"}, False),
        ((Capture(name="a.b", source="both"),), {}, {"b"}, False),
        ((BOTH,), {"id": "build"}, {"build"}, False),
        ((BOTH,), {}, {"shell"}, False),
        ((BOTH,), {}, {"last"}, False),
    ],
)
def test_streams_are_one_where_nobody_reads_one_alone(
    captures: tuple[Capture, ...], options: dict[str, Any], read_apart: set[str], one: bool
) -> None:
    assert in_one(Step(action=Shell("true"), captures=captures, **options), frozenset(read_apart)) is one
