"""``capture_outputs``: which step keeps what, and what is read from it."""

import re
from typing import Any

import pytest

from prodigy.steps.captures import CaptureError
from prodigy.steps.phase_outputs import FACTS, capturing, values
from prodigy.workflow.model import Capture, PhaseOutput, Shell, Step

STEPS = (
    Step(action=Shell("a"), id="first", captures=(Capture(name="own"),)),
    Step(action=Shell("b"), name="the second"),
)
TEXT = "one: 1\ntwo: 2\n\n"


def read(text: Any, **fields: Any) -> Any:
    return values([PhaseOutput(name="x", step=0, **fields)], {"x": text})["x"]


@pytest.mark.parametrize(("step", "place"), [(0, 0), (1, 1), ("first", 0), ("the second", 1)])
def test_a_step_is_named_by_index_id_or_name(step: int | str, place: int) -> None:
    made = capturing(STEPS, [PhaseOutput(name="x", step=step, source="both")])
    assert made[place].captures[-1] == Capture(name="x", source="both", format="raw", fields=FACTS)
    assert [len(one.captures) for one in made] == [1 + (place == 0), int(place == 1)]


@pytest.mark.parametrize("step", [2, -1, "third"])
def test_a_step_that_is_not_there(step: int | str) -> None:
    with pytest.raises(CaptureError, match=re.escape("`capture_outputs.x` reads step")):
        capturing(STEPS, [PhaseOutput(name="x", step=step)])


def test_nothing_to_capture_changes_nothing() -> None:
    assert capturing(STEPS, []) == STEPS


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({}, "one: 1\ntwo: 2"),
        ({"format": "raw"}, TEXT),
        ({"format": "lines"}, ["one: 1", "two: 2", ""]),
        ({"pattern": r"two: (\d)", "format": "number"}, 2),
        ({"pattern": "o[a-z]e"}, "one"),
        ({"multiline": "first_line"}, "one: 1"),
        ({"multiline": "join"}, "one: 1 two: 2 "),
        ({"multiline": "array"}, ["one: 1", "two: 2", ""]),
        ({"multiline": "last_line"}, ""),
    ],
)
def test_ways_to_read_a_text(fields: dict[str, Any], value: Any) -> None:
    assert read(TEXT, **fields) == value


def test_a_path_into_json() -> None:
    document = '{"a": [{"n": 1}, {"n": 2}], "b": null}'
    assert read(document, json_path="$.a[1].n") == 2
    assert read(document, json_path="$.a[*].n") == [1, 2]
    assert read(document, json_path="$.b") is None
    assert read(document, format="json")["a"] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("text", "fields", "reason"),
    [
        (TEXT, {"pattern": "three"}, "nothing matches /three/"),
        (TEXT, {"json_path": "$.a"}, "is not JSON"),
        ("{}", {"json_path": "$.a"}, "nothing is at $.a"),
        (TEXT, {"format": "number"}, "is not a number"),
        ("x" * 11, {"max_size": 10}, "longer than 10 bytes"),
        (None, {}, "did not run to its end"),
    ],
)
def test_no_value_is_a_failure_unless_there_is_a_default(
    text: str | None, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CaptureError, match=re.escape(reason)):
        read(text, **fields)
    assert read(text, **fields, has_default=True, default=None) is None
    assert read(text, **fields, has_default=True, default=[1]) == [1]
