"""Events lose the values of secrets and nothing else, and data gets them back."""

from datetime import UTC, datetime
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from prodigy import events
from prodigy.steps.masking import Masker
from prodigy.steps.redaction import OURS, masked, revealed
from prodigy.workflow.load import load_workflow

MASKER = Masker({"TOKEN": "hunter2-x"})
AT = {"phase": "map", "step": "1", "item_id": "hunter2-x", "agent_id": "a"}


def test_free_texts_are_masked_and_data_keeps_names() -> None:
    event = events.StepCompleted(
        **AT,
        intent=1,
        kind="shell",
        duration_ms=1,
        stdout=events.Stream(size=9, tail="say hunter2-x", log="/logs/hunter2-x.out"),
        value={"a": ["hunter2-x"]},
        captures={"c": events.Captured(value="hunter2-x", fields={"stdout": "hunter2-x!"})},
    )
    told = masked(event, MASKER)
    assert told.stdout.tail == "say ***"
    assert told.stdout.log == "/logs/hunter2-x.out"
    assert told.item_id == "hunter2-x"
    assert told.value == {"a": ["***TOKEN***"]}
    assert told.captures["c"] == events.Captured(value="***TOKEN***", fields={"stdout": "***TOKEN***!"})
    back = revealed(told, MASKER)
    assert (back.value, back.captures) == (event.value, event.captures)
    assert back.stdout.tail == "say ***"


def test_nested_structs_are_masked() -> None:
    failure = events.Failure(error_class="command-failed", message="no hunter2-x", stderr_tail="hunter2-x")
    history = events.Attempt(
        attempt_number=1,
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        phase="map",
        error_type="command-failed",
        error_message="hunter2-x",
    )
    told = masked(events.PhaseFailed(phase="setup", duration_ms=1, error=failure), MASKER)
    assert (told.error.message, told.error.stderr_tail) == ("no ***", "***")
    assert told.error.error_class == "command-failed"
    letter = events.DlqItemAdded(
        item_id="1", index=0, item="hunter2-x", error_signature="s", history=(history,)
    )
    [buried] = masked(letter, MASKER).history
    assert buried.error_message == "***"


def test_words_of_ours_are_left_alone() -> None:
    """A secret that is one of our own words must not break a record."""
    masker = Masker({"ODD": "command-failed", "ODDER": "completed"})
    failure = events.Failure(error_class="command-failed", message="it completed")
    told = masked(events.PhaseFailed(phase="setup", duration_ms=1, error=failure), masker)
    assert told.error == events.Failure(error_class="command-failed", message="it ***")
    assert msgspec.json.decode(msgspec.json.encode(told), type=events.PhaseFailed) == told


def test_what_is_left_alone_exists() -> None:
    """Names in the list that no event has would hide a misspelling."""
    fields: set[str] = set()
    kinds = [*get_args(events.AnyEvent), events.Stream, events.Failure, events.Attempt, events.ClaudeUse]
    for kind in kinds:
        fields |= set(kind.__struct_fields__)
    assert fields >= OURS


def test_a_plan_is_masked_where_people_write() -> None:
    flow = load_workflow(
        b"secrets: {TOKEN: 'hunter2-x'}\n"
        b"commands: [{shell: 'echo hunter2-x'}, {write_file: {path: a, content: 'is hunter2-x'}}]",
        "wf.yml",
    ).workflow
    told = masked(flow, MASKER)
    assert b"hunter2-x" not in msgspec.json.encode(told)
    assert msgspec.json.decode(msgspec.json.encode(told), type=type(flow)).steps is not None


def test_without_secrets_nothing_is_touched() -> None:
    event = events.StepIntended(**AT, kind="shell", command="hunter2-x")
    assert masked(event, Masker({})) is event
    assert masked(events.StepIntended(**AT, kind="shell", command="echo"), MASKER).command == "echo"


@given(text=st.text(max_size=200))
def test_an_event_without_a_secret_is_the_same_object(text: str) -> None:
    event = events.StepIntended(**AT, kind="shell", command=text, cwd="/x")
    assert masked(event, MASKER) is event or "hunter2-x" in text
