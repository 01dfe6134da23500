"""What was taken over from older programs, as the verbs tell it."""

import json
from typing import Any

import pytest
from stories import STEM, Write, whole

ATTEMPT = {"timestamp": "2024-01-01T12:00:00Z", "error_message": "no frob", "json_log_location": "/log.jsonl"}
ITEM = {"item_id": "item-1", "item_data": {"path": "a.py"}, "failure_count": 3, "failure_history": [ATTEMPT]}


@pytest.fixture
def project(desk: Any, write: Write) -> Any:
    """The project's folder; each call of a verb takes over what is in it."""

    def put(name: str, content: Any) -> None:
        path = desk.directory / ".prodigy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    return put


@pytest.mark.parametrize(
    ("told", "status"),
    [("InProgress", "interrupted"), ("Completed", "completed"), ("Failed", "failed"), (None, "interrupted")],
)
def test_sessions(desk: Any, project: Any, told: str | None, status: str) -> None:
    """One that was in progress when its program was there last is not any more."""
    state = {
        "session_id": "cook-1234567890",
        "status": told,
        "started_at": "2024-01-01T12:00:00Z",
        "files_changed": 5,
    }
    project("session_state.json", state)
    said = desk.call("sessions", "ls")
    assert said.out == (
        f"cook-1234567890  {status}, of an older program, begun 2024-01-01T12:00:00Z; it cannot be resumed\n"
    )
    document = json.loads(desk.call("sessions", "ls", "--status", status, "--json").out)
    [session] = document["legacy"]
    assert (session["session_id"], session["files_changed"], document["total"]) == ("cook-1234567890", 5, 0)
    assert json.loads(desk.call("sessions", "ls", "--resumable", "--json").out)["legacy"] == []
    assert desk.call("status").out == "Nothing runs, waits or is left to merge\n"


@pytest.mark.parametrize(
    "content",
    [
        ITEM,
        [ITEM],
        {"items": [ITEM]},
        {"items": {"item-1": {k: v for k, v in ITEM.items() if k != "item_id"}}},
    ],
    ids=["one", "list", "items", "by id"],
)
def test_items(desk: Any, project: Any, content: Any) -> None:
    """In every form in which they were written."""
    project("dlq/mapreduce-1.json", content)
    assert desk.call("dlq", "list").out == "item-1  mapreduce-1, of an older program  no frob\n"
    shown = json.loads(desk.call("dlq", "show", "mapreduce-1").out)
    assert (shown["schema"], shown["total"]) == ("prodigy.dlq-legacy/1", 1)
    assert [one["json_log_location"] for item in shown["items"] for one in item["failure_history"]] == [
        "/log.jsonl"
    ]
    desk.tty, desk.environ["NO_COLOR"] = True, "1"
    assert desk.call("dlq", "show", "mapreduce-1", "item-1").out.startswith("item-1  3 failed attempts")
    assert desk.call("dlq", "show", "mapreduce-1", "item-2").code == 2


@pytest.mark.parametrize("content", ["", "{", "[1, null]", '{"items": 7}', '{"item_id": "x"}', "null"])
def test_what_is_none_is_passed_over(desk: Any, project: Any, write: Write, content: str) -> None:
    project("dlq/mapreduce-1.json", content)
    project("session_state.json", content)
    write(STEM, whole(STEM, "lint-files"))
    assert [line.split()[1] for line in desk.call("dlq", "list").out.splitlines()[1:]] == ["k7m2pq"]
    assert desk.call("dlq", "show", "mapreduce-1").code == 2
    assert desk.call("sessions", "ls").code == 0
